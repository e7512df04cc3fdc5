"""The canonical JSON form of decode problems: one text a problem, and no other text is read."""

from __future__ import annotations

import hashlib
import json
import random
from dataclasses import replace
from typing import Any

import pytest
from decodecases import random_problem

from absint.problem import ProblemError
from absint.problem.canonical_decode import (
    decode_digest,
    decode_from_json,
    decode_to_json,
    meaning,
)
from absint.problem.decode import All, Atom, DecodeProblem, Machine, Not, PromptCell, Some


def sample() -> DecodeProblem:
    counts = Machine("prompt", ((0, 1, 0, 0), (1, 1, 1, 1)), (0, 1))
    ends = Machine("output", ((0, 0, 0, 1), (1, 1, 1, 1)), (0, 2))
    full = frozenset({0, 1, 3})
    return DecodeProblem(
        "émoji 🙂",
        ("a", "b", "c", "d"),
        (PromptCell((full, full), Atom(0, frozenset({1}))), PromptCell((frozenset({2}),))),
        3,
        frozenset({3}),
        (counts, ends),
        All(
            (Atom(0, frozenset({1})), Not(Some((Atom(1, frozenset({0, 2})), All(()))))),
        ),
        (None, full, frozenset({1, 2})),
    )


@pytest.mark.parametrize("seed", range(100))
def test_a_problem_comes_back_as_it_was(seed: int) -> None:
    problem = random_problem(random.Random(seed))
    data = decode_to_json(problem)
    assert decode_from_json(data) == problem
    assert decode_digest(problem) == hashlib.sha256(data).hexdigest()


def test_names_of_states_are_kept_and_mean_nothing() -> None:
    problem = sample()
    named = replace(problem, state_names=(("few", "many"), ()))
    data = decode_to_json(named)
    assert decode_from_json(data).state_names == named.state_names
    assert data != decode_to_json(problem)
    assert named == problem
    assert meaning(named) == meaning(problem) == decode_to_json(problem)


def test_the_text_is_compact() -> None:
    data = decode_to_json(sample())
    assert data.isascii()
    content = json.loads(data)
    assert content["sets"] == [[0, 1, 3, 3], [2, 2], [1, 2]]
    assert [cell["slots"] for cell in content["cells"]] == [[0, 0], [1]]
    assert content["machines"][0] == {
        "reads": "prompt",
        "classes": [[0, 0, 2, 3], [1, 1]],
        "table": [[0, 1], [1, 1]],
        "labels": [0, 1],
    }
    large = replace(
        sample(),
        vocabulary=tuple(f"t{i}" for i in range(50_000)),
        machines=tuple(
            Machine(m.reads, tuple(row + (0,) * 49_996 for row in m.table), m.labels)
            for m in sample().machines
        ),
    )
    content = json.loads(decode_to_json(large))
    assert len(json.dumps(content["machines"])) < 400
    assert decode_from_json(decode_to_json(large)) == large


def test_every_part_counts() -> None:
    base = sample()
    others = [
        replace(base, name="q"),
        replace(base, vocabulary=("a", "b", "c", "e")),
        replace(base, cells=base.cells[:1]),
        replace(base, cells=(PromptCell(base.cells[0].slots), base.cells[1])),
        replace(base, steps=4, allowed=()),
        replace(base, allowed=()),
        replace(base, allowed=(None, None, None)),
        replace(base, stop=frozenset()),
        replace(base, catastrophe=Not(base.catastrophe)),
        replace(base, machines=base.machines[::-1], cells=base.cells[1:]),
        replace(base, semantics=replace(base.semantics, dtype="float64")),
    ]
    assert len({decode_digest(problem) for problem in [base, *others]}) == len(others) + 1


def edited(*path: Any) -> bytes:
    """The sample's text with the entry at ``path[:-1]`` set to the last of ``path``."""
    data = json.loads(decode_to_json(sample()))
    place = data
    for step in path[:-2]:
        place = place[step]
    place[path[-2]] = path[-1]
    return json.dumps(data, sort_keys=True, separators=(",", ":")).encode()


HOSTILE = {
    "empty": b"",
    "not text": b"\xff\xfe\x00",
    "another type": b"[]",
    "nested": b"[" * 100_000,
    "spaces": json.dumps(json.loads(decode_to_json(sample())), sort_keys=True).encode(),
    "another kind": edited("kind", "box"),
    "an unknown key": edited("note", 1),
    "an unknown key in a cell": edited("cells", 0, "note", 1),
    "an unknown key in a machine": edited("machines", 0, "note", 1),
    "a name that is null": edited("name", None),
    "no cells": edited("cells", []),
    "a slot that is empty": edited("sets", 1, []),
    "a slot that is no set": edited("cells", 0, "slots", 0, 9),
    "a slot counted from the end": edited("cells", 0, "slots", 0, -1),
    "a slot as a truth": edited("cells", 1, "slots", 0, True),
    "a set that nothing uses": edited("sets", [[0, 1, 3, 3], [2, 2], [1, 2], [0, 0]]),
    "a set of many tokens": edited("sets", 0, [0, 10**15]),
    "a set past the vocabulary": edited("sets", 0, [0, 4]),
    "a set of overlapping ranges": edited("sets", 0, [0, 1, 1, 3]),
    "a set of touching ranges": edited("sets", 0, [0, 1, 2, 3]),
    "a set out of order": edited("sets", 0, [3, 3, 0, 1]),
    "a set of odd length": edited("sets", 0, [0, 1, 3]),
    "a range upside down": edited("sets", 0, [1, 0, 3, 3]),
    "a token as a float": edited("sets", 0, [0.0, 1, 3, 3]),
    "a token as a truth": edited("sets", 0, [False, 1, 3, 3]),
    "no steps": edited("steps", 0),
    "steps as a float": edited("steps", 3.0),
    "steps as a truth": edited("steps", True),
    "a stop token past the vocabulary": edited("stop", [4, 4]),
    "allowed tokens for too few steps": edited("allowed", [None]),
    "a token in no class": edited("machines", 0, "classes", [[0, 0, 2, 2], [1, 1]]),
    "a token in two classes": edited("machines", 0, "classes", [[0, 0, 2, 3], [1, 2]]),
    "classes that are not told apart": edited(
        "machines",
        0,
        {
            **json.loads(decode_to_json(sample()))["machines"][0],
            "classes": [[0, 0], [1, 1], [2, 3]],
            "table": [[0, 1, 0], [1, 1, 1]],
        },
    ),
    "a table without rows": edited("machines", 0, "table", []),
    "a row too short": edited("machines", 0, "table", 0, [0]),
    "a row too long": edited("machines", 0, "table", 0, [0, 1, 0]),
    "a state that is not there": edited("machines", 0, "table", 0, [0, 2]),
    "a state counted from the end": edited("machines", 0, "table", 0, [0, -1]),
    "a label too few": edited("machines", 0, "labels", [0]),
    "a label as text": edited("machines", 0, "labels", ["0", 1]),
    "a machine that reads something else": edited("machines", 0, "reads", "input"),
    "a formula of an unknown kind": edited("catastrophe", ["xor", ["all"]]),
    "a formula as text": edited("catastrophe", "all"),
    "a formula about no machine": edited("catastrophe", ["machine", 2, [1]]),
    "labels out of order": edited("catastrophe", ["machine", 1, [2, 0]]),
    "labels twice": edited("catastrophe", ["machine", 1, [2, 2]]),
    "not of two": edited("catastrophe", ["not", ["all"], ["all"]]),
    "a condition on the output": edited("cells", 0, "condition", ["machine", 1, [2]]),
    "unknown semantics": edited("semantics", "name", "complex"),
    "a type that is a list": edited("semantics", "dtype", ["float32"]),
}


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE.keys())
def test_what_is_not_canonical_is_a_problem_error(data: bytes) -> None:
    with pytest.raises(ProblemError):
        decode_from_json(data)


def test_every_truncation_is_a_problem_error() -> None:
    data = decode_to_json(sample())
    for length in range(len(data)):
        with pytest.raises(ProblemError):
            decode_from_json(data[:length])


def test_a_changed_byte_is_an_error_or_another_problem() -> None:
    data, rng = decode_to_json(sample()), random.Random(0)
    for place in range(len(data)):
        for flip in {1, rng.randrange(1, 256)}:
            changed = bytearray(data)
            changed[place] ^= flip
            try:
                problem = decode_from_json(bytes(changed))
            except ProblemError:
                continue
            assert problem != sample()
            assert decode_to_json(problem) == bytes(changed)
