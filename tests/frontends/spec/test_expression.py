"""Conditions against an evaluator of its own: disjunctive normal forms, negation, ties, units."""

from __future__ import annotations

import operator
import re
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import example, given, reject, settings
from hypothesis import strategies as st

from absint.frontends.spec import read
from absint.frontends.spec.affine import Affine
from absint.frontends.spec.expression import parse_formula
from absint.frontends.spec.formula import Formula, disjuncts, negate
from absint.frontends.spec.names import Names, Side
from absint.frontends.spec.tokens import ExpressionError
from absint.ir import Graph, Port
from absint.problem import InputError

F = Fraction
GRAPH = Graph((), (Port("state", 0, (1, 3)),), (Port("score", 1, (1, 4)),))
NAMES = Names.of(GRAPH, ["a", "b", "c"], ["p", "q", "r", "s"])
_RELATIONS = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}
Point = tuple[tuple[F, ...], tuple[F, ...]]


def _variable(side: Side, index: int) -> Affine:
    terms = {index: F(1)}
    return Affine(inputs=terms) if side == "input" else Affine(outputs=terms)


def _parse(text: str) -> Formula:
    return parse_formula(text, NAMES, _variable)


def _holds(formula: Formula, point: Point) -> bool:
    return any(all(atom.holds(*point) for atom in row) for row in disjuncts(formula))


@dataclass(frozen=True)
class Case:
    """A text of the language, and Python code of the same meaning over x, y and F."""

    text: str
    code: str


def _number(value: F) -> Case:
    return Case(f"({value})", f"(F({value.numerator}, {value.denominator}))")


numbers = st.fractions(min_value=-3, max_value=3, max_denominator=4).map(_number)
variables = st.one_of(
    st.sampled_from([Case(n, f"x[{i}]") for i, n in enumerate("abc")]),
    st.sampled_from([Case(n, f"y[{i}]") for i, n in enumerate("pqrs")]),
    st.integers(0, 2).map(lambda i: Case(f"state[0, {i}]", f"x[{i}]")),
    st.integers(0, 3).map(lambda i: Case(f"output[{i}]", f"y[{i}]")),
)
terms = st.one_of(
    numbers,
    variables,
    st.builds(lambda k, v: Case(f"{k.text}*{v.text}", f"{k.code}*{v.code}"), numbers, variables),
    st.builds(lambda v: Case(f"-{v.text}/2", f"-{v.code}/2"), variables),
)


def _joined(sign: str, parts: list[Case]) -> Case:
    return Case(
        "(" + f" {sign} ".join(p.text for p in parts) + ")",
        "(" + f" {sign} ".join(p.code for p in parts) + ")",
    )


sums = st.builds(_joined, st.sampled_from("+-"), st.lists(terms, min_size=1, max_size=3))


def _chain(first: Case, links: list[tuple[str, Case]]) -> Case:
    text, code = first.text, first.code
    for relation, right in links:
        text += f" {relation} {right.text}"
        code += f" {relation} {right.code}"
    return Case(f"({text})", f"({code})")


comparisons = st.builds(
    _chain,
    sums,
    st.lists(st.tuples(st.sampled_from(sorted(_RELATIONS)), sums), min_size=1, max_size=2),
)
labels = st.integers(0, 3)
decisions = st.one_of(
    st.builds(lambda k: Case(f"(argmax is {k})", f"(y.index(max(y)) == {k})"), labels),
    st.builds(lambda k: Case(f"(argmin is not {k})", f"(y.index(min(y)) != {k})"), labels),
    st.builds(
        lambda ks: Case(f"(argmax in {ks})", f"(y.index(max(y)) in {ks})"),
        st.lists(labels, min_size=1, max_size=3),
    ),
    st.builds(
        lambda ks: Case(f"(argmax(y[1..3]) not in {ks})", f"(y[1:].index(max(y[1:])) not in {ks})"),
        st.lists(st.integers(0, 2), min_size=1, max_size=2),
    ),
    st.builds(lambda k: Case(f"({'pqrs'[k]} is maximal)", f"(y[{k}] == max(y))"), labels),
    st.builds(lambda k: Case(f"(y[{k}] is not minimal)", f"(y[{k}] != min(y))"), labels),
)
conditions = st.recursive(
    comparisons | decisions,
    lambda inner: st.one_of(
        st.builds(_joined, st.sampled_from(["and", "or"]), st.lists(inner, min_size=2, max_size=3)),
        inner.map(lambda c: Case(f"(not {c.text})", f"(not {c.code})")),
    ),
    max_leaves=5,
)
small = st.sampled_from([F(-1), F(0), F(1, 2), F(1)]) | st.fractions(-3, 3, max_denominator=4)
points = st.tuples(st.tuples(*[small] * 3), st.tuples(*[small] * 4))


def _truth(case: Case, point: Point) -> bool:
    return bool(eval(case.code, {"F": F, "x": point[0], "y": point[1]}))


REPEATED = Case(
    "(" + " or ".join(["(argmax in [0, 0, 0])"] * 3) + ")",
    "(" + " or ".join(["(y.index(max(y)) in [0, 0, 0])"] * 3) + ")",
)
"""Its negation would be a product of 3^9 alternatives, of which three differ."""


@settings(max_examples=150, deadline=None)
@example(
    REPEATED, [((F(0),) * 3, (F(1), F(0), F(0), F(1))), ((F(0),) * 3, (F(0), F(0), F(0), F(1)))]
)
@given(conditions, st.lists(points, min_size=1, max_size=8))
def test_normal_form_is_the_condition(case: Case, samples: list[Point]) -> None:
    formula = _parse(case.text)
    for point in samples:
        assert _holds(formula, point) == _truth(case, point)
        assert _holds(negate(formula), point) != _truth(case, point)


@settings(max_examples=60, deadline=None)
@given(conditions, points)
def test_always_is_the_negation_of_never(case: Case, point: Point) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "spec.yaml"
        head = "inputs: [a, b, c]\noutputs: [p, q, r, s]\nregion: {all: [-3, 3]}\n"
        verdicts = []
        for key in ("never", "always"):
            path.write_text(f'{head}{key}: "{case.text}"\n')
            try:
                cell = read(path, GRAPH).properties[0].cells[0]
            except InputError:  # no output in it, or evidently always or never true
                reject()
            verdicts.append(any(all(a.holds(*point) for a in row) for row in cell.catastrophe))
    assert verdicts == [_truth(case, point), not _truth(case, point)]


@pytest.mark.parametrize(
    ("text", "y", "expected"),
    [
        ("argmax is 1", (1, 2, 2, 0), True),
        ("argmax is 2", (1, 2, 2, 0), False),
        ("argmin is 0", (0, 0, 1, 1), True),
        ("argmin is 1", (0, 0, 1, 1), False),
        ("q is maximal", (1, 2, 2, 0), True),
        ("r is maximal", (1, 2, 2, 0), True),
        ("r is not maximal", (1, 2, 2, 0), False),
        ("not p < q < r", (1, 2, 2, 0), True),
        ("p <= q <= r", (1, 2, 2, 0), True),
        ("not not p <= q", (1, 2, 2, 0), True),
        ("not not not p <= q", (1, 2, 2, 0), False),
        ("p == 1 and q != r or s == 0", (1, 2, 2, 0), True),
        ("not p == 1 and s == 0", (1, 2, 2, 0), False),
        ("p >= 0.1 - 1e-1 + 8/255*0", (0, 0, 0, 0), True),
        ("p - -q + -(r - s) > -1", (0, 0, 0, 0), True),
        ("2*(p + 1)/4 == 1", (1, 0, 0, 0), True),
    ],
)
def test_ties_precedence_and_arithmetic(text: str, y: tuple[int, ...], expected: bool) -> None:
    point = ((F(0),) * 3, tuple(map(F, y)))
    assert _holds(_parse(text), point) is expected


@pytest.mark.parametrize(
    ("text", "offset", "message"),
    [
        ("p >= ", 5, "expected a value, found the end"),
        ("p >= 1 and", 10, "expected a value"),
        ("p >= zz", 5, "unknown name 'zz'"),
        ("p * q > 1", 2, "not linear: a product of two variables"),
        ("1 / p > 1", 2, "not linear: a division by a variable"),
        ("p / (1 - 1) > 1", 2, "division by zero"),
        ("(p > 1) + 1 > 0", 0, "a number is expected here"),
        ("p + q", 0, "a comparison is expected here"),
        ("p > 1 and q", 10, "a comparison is expected here"),
        ("score > 1", 0, "'score' has 4 values"),
        ("y[4] > 1", 0, "'y': index 4 is not in 0..3"),
        ("p[0] > 1", 0, "'p' is a single value"),
        ("state[0, 0, 0] > 1", 0, "not 3 indices"),
        ("y[1.5] > 1", 2, "expected an index"),
        ("argmax is 7", 10, "label 7 is not in 0..3"),
        ("argmax > 1", 7, "expected 'is' or 'in'"),
        ("argmax is a", 10, "'a' is not an output"),
        ("argmax is label", 10, "'label' needs a dataset"),
        ("a is maximal", 0, "'a' is not an output"),
        ("p is largest", 5, "expected 'maximal' or 'minimal'"),
        ("p > 1 q < 2", 6, "unexpected 'q'"),
        ("p $ 1", 2, "unexpected character '$'"),
        ("(p > 1", 6, "expected ')'"),
        ("argmax in []", 11, "expected a name, found ']'"),
        ("p > 1e99999", 4, "exponent out of range"),
        ("p > " + "1e999*" * 500 + "1", None, "a number is out of range"),
        ("(" * 80 + "p" + ")" * 80 + " > 1", 64, "nested more than 64 deep"),
        ("p > 1 or " * 5000 + "q > 1", 0, "longer than 20000 characters"),
    ],
)
def test_mistakes_have_their_column(text: str, offset: int | None, message: str) -> None:
    with pytest.raises(ExpressionError, match=re.escape(message)) as caught:
        _parse(text)
    assert offset is None or caught.value.offset == offset
