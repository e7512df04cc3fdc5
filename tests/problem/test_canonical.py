"""The canonical JSON form: one text a problem, and no other text is read."""

from __future__ import annotations

import hashlib
import json
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from absint.problem import (
    Box,
    Cell,
    Problem,
    ProblemError,
    Semantics,
    constraint,
    digest,
    from_json,
    to_json,
)

F = Fraction

numbers = st.fractions(max_denominator=10**6) | st.integers(-(2**70), 2**70).map(Fraction)
terms = st.lists(st.tuples(st.integers(0, 2), numbers), max_size=4)


@st.composite
def problems(draw: st.DrawFn) -> Problem:
    cells = []
    for _ in range(draw(st.integers(1, 3))):
        ends = [sorted(draw(st.tuples(numbers, numbers))) for _ in range(3)]
        rows = st.builds(constraint, terms, terms, numbers, st.booleans())
        catastrophe = draw(
            st.lists(st.lists(rows, min_size=1, max_size=2).map(tuple), min_size=1, max_size=2)
        )
        region = draw(
            st.lists(st.builds(constraint, terms, st.just(()), numbers, st.booleans()), max_size=2)
        )
        box = Box(tuple(low for low, _ in ends), tuple(high for _, high in ends))
        cells.append(Cell(box, tuple(catastrophe), tuple(region)))
    semantics = Semantics(
        dtype=draw(st.sampled_from(["float32", "float64"])),
        inputs=draw(st.sampled_from(["rounded", "representable"])),
    )
    return Problem(draw(st.text(max_size=5)), 3, 3, tuple(cells), semantics)


def sample() -> Problem:
    row = constraint([(0, F(1, 3))], [(0, F(-2)), (1, F(1))], F(7, 2), True)
    cell = Cell(
        Box((F(0), F(-1, 2)), (F(1), F(5))), ((row,),), (constraint([(1, F(1))], [], F(3)),)
    )
    return Problem("émoji 🙂", 2, 2, (cell,))


@settings(max_examples=50, deadline=None)
@given(problems())
def test_a_problem_comes_back_as_it_was(problem: Problem) -> None:
    data = to_json(problem)
    assert from_json(data) == problem
    assert to_json(from_json(data)) == data


@settings(max_examples=20, deadline=None)
@given(problems(), problems())
def test_different_problems_have_different_texts(a: Problem, b: Problem) -> None:
    assert (to_json(a) == to_json(b)) is (a == b)
    assert (digest(a) == digest(b)) is (a == b)


def test_the_text_is_sorted_dense_ascii_and_hashed() -> None:
    data = to_json(sample())
    assert data.isascii()
    assert b" " not in data.replace(b"moji ", b"")
    assert digest(sample()) == hashlib.sha256(data).hexdigest()
    assert json.loads(data)["cells"][0]["catastrophe"] == [
        [[[[0, "1/3"]], [[0, "-2"], [1, "1"]], "7/2", True]]
    ]


def edited(*path: Any) -> bytes:
    """The sample's text with the entry at ``path[:-1]`` set to the last of ``path``."""
    data = json.loads(to_json(sample()))
    place = data
    for step in path[:-2]:
        place = place[step]
    place[path[-2]] = path[-1]
    return json.dumps(data, sort_keys=True, separators=(",", ":")).encode()


ROW = ("cells", 0, "catastrophe", 0, 0)
HOSTILE = {
    "empty": b"",
    "not JSON": b"{]",
    "not text": b"\xff\xfe\x00",
    "another type": b"[]",
    "null": b"null",
    "nested": b"[" * 100_000,
    "spaces": json.dumps(json.loads(to_json(sample())), sort_keys=True).encode(),
    "unsorted": json.dumps(
        dict(reversed(json.loads(to_json(sample())).items())), separators=(",", ":")
    ).encode(),
    "plain unicode": to_json(sample()).replace(b"\\u00e9", "é".encode()),
    "trailing newline": to_json(sample()) + b"\n",
    "a byte order mark": b"\xef\xbb\xbf" + to_json(sample()),
    "an unknown key": edited("note", 1),
    "an unknown key in a cell": edited("cells", 0, "note", 1),
    "an unknown key in the semantics": edited("semantics", "note", 1),
    "no cells": edited("cells", []),
    "cells as an object": edited("cells", {}),
    "a name that is a list": edited("name", ["p"]),
    "a name that is null": edited("name", None),
    "a size as a float": edited("input_size", 2.0),
    "a size as text": edited("input_size", "2"),
    "a size as a truth": edited("output_size", True),
    "unknown semantics": edited("semantics", "name", "complex"),
    "an unknown type": edited("semantics", "dtype", "float16"),
    "a type that is a list": edited("semantics", "dtype", ["float32"]),
    "unknown inputs": edited("semantics", "inputs", "any"),
    "semantics as text": edited("semantics", "real"),
    "a bound as a number": edited("cells", 0, "lower", 0, 0),
    "a bound as a float": edited("cells", 0, "lower", 0, 0.5),
    "a bound in decimals": edited("cells", 0, "lower", 0, "0.5"),
    "a bound with a huge exponent": edited("cells", 0, "lower", 0, "1e-99999999999"),
    "a bound that is not reduced": edited("cells", 0, "lower", 1, "-2/4"),
    "a bound with spaces": edited("cells", 0, "lower", 0, " 0"),
    "a bound with a plus": edited("cells", 0, "lower", 0, "+0"),
    "a bound of minus zero": edited("cells", 0, "lower", 0, "-0"),
    "a bound in other digits": edited("cells", 0, "lower", 0, "٣"),
    "a bound of too many digits": edited("cells", 0, "lower", 0, "-" + "9" * 10_000),
    "a bound divided by zero": edited("cells", 0, "lower", 0, "1/0"),
    "a bound that is null": edited("cells", 0, "lower", 0, None),
    "a bound that is infinite": edited("cells", 0, "lower", 0, float("inf")),
    "bounds as text": edited("cells", 0, "lower", "01"),
    "lower above upper": edited("cells", 0, "lower", 0, "2"),
    "a bound too few": edited("cells", 0, "lower", ["0"]),
    "no catastrophe": edited("cells", 0, "catastrophe", []),
    "an empty conjunction": edited("cells", 0, "catastrophe", [[]]),
    "a constraint too short": edited(*ROW, [[], [], "0"]),
    "a constraint as an object": edited(*ROW, {}),
    "strictness as a number": edited(*ROW, 3, 1),
    "terms out of order": edited(*ROW, 1, [[1, "1"], [0, "1"]]),
    "a term twice": edited(*ROW, 1, [[0, "1"], [0, "5"]]),
    "a term of zero": edited(*ROW, 1, [[0, "0"]]),
    "a term past the end": edited(*ROW, 1, [[2, "1"]]),
    "a term counted from the end": edited(*ROW, 1, [[-1, "1"]]),
    "a term with an index in between": edited(*ROW, 1, [[0, "1"], [7, "1"], [1, "1"]]),
    "a term's index as a float": edited(*ROW, 1, [[0.0, "1"]]),
    "a term's index as text": edited(*ROW, 1, [["0", "1"]]),
    "a term's index as a truth": edited(*ROW, 1, [[True, "1"]]),
    "a term's index that is infinite": edited(*ROW, 1, [[float("inf"), "1"]]),
    "a term with three entries": edited(*ROW, 1, [[0, "1", "1"]]),
    "outputs in the region's constraints": edited(
        "cells", 0, "constraints", 0, [[], [[0, "1"]], "3", False]
    ),
}


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE.keys())
def test_what_is_not_canonical_is_a_problem_error(data: bytes) -> None:
    with pytest.raises(ProblemError):
        from_json(data)


def test_every_truncation_is_a_problem_error() -> None:
    data = to_json(sample())
    for length in range(len(data)):
        with pytest.raises(ProblemError):
            from_json(data[:length])


def test_a_changed_byte_is_an_error_or_another_problem() -> None:
    data, rng = to_json(sample()), np.random.default_rng(0)
    for place in range(len(data)):
        for flip in {1, int(rng.integers(1, 256)), int(rng.integers(1, 256))}:
            changed = bytearray(data)
            changed[place] ^= flip
            try:
                problem = from_json(bytes(changed))
            except ProblemError:
                continue
            assert problem != sample()
            assert to_json(problem) == bytes(changed)


def test_numbers_too_long_to_write_are_a_problem_error() -> None:
    cell = Cell(Box((F(0),), (F(10) ** 5000,)), ((constraint([], [(0, F(1))], F(0)),),))
    with pytest.raises(ProblemError, match="too many digits"):
        to_json(Problem("p", 1, 1, (cell,)))
