"""VNN-LIB against direct evaluation of its formulas, by hand, and in its two versions."""

from __future__ import annotations

import re
import subprocess
import sys
from decimal import Decimal, localcontext
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from absint.frontends.spec import Spec, read
from absint.ir import Graph, Port
from absint.problem import InputError, LinearConstraint, Problem, constraint, round_to

F = Fraction
GRAPH = Graph((), (Port("in", 0, (1, 2)),), (Port("out", 1, (1, 3)),))
DECLARED = "".join(f"(declare-const {v} Real)\n" for v in ("X_0", "X_1", "Y_0", "Y_1", "Y_2"))
NETWORK = """(vnnlib-version <2.0>)
(declare-network n
  (declare-input X float32 [1,2])
  (declare-output Y float32 [1, 3])
)
"""
BOX = "".join(f"(assert (>= X_{i} -2))\n(assert (<= X_{i} 2))\n" for i in range(2))
Point = tuple[tuple[F, ...], tuple[F, ...]]


def _read(text: str, graph: Graph = GRAPH) -> Spec:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "prop.vnnlib"
        path.write_text(text)
        return read(path, graph)


def _problem(text: str, graph: Graph = GRAPH) -> Problem:
    (problem,) = _read(text, graph).properties
    return problem


def y(*terms: tuple[int, int], bound: str = "0", strict: bool = False) -> LinearConstraint:
    return constraint((), [(i, F(c)) for i, c in terms], F(bound), strict)


def test_disjuncts_of_one_box_share_a_cell() -> None:
    problem = _problem(
        DECLARED + BOX + "; unsafe\n(assert (or (and (<= Y_1 Y_0) (<= Y_1 Y_2)) (>= Y_2 0.5)))"
    )
    (cell,) = problem.cells
    assert (problem.name, problem.semantics.inputs) == ("prop", "rounded")
    assert (cell.box.lower, cell.box.upper) == ((F(-2), F(-2)), (F(2), F(2)))
    assert cell.catastrophe == (
        (y((1, 1), (0, -1)), y((1, 1), (2, -1))),
        (y((2, -1), bound="-1/2"),),
    )
    assert cell.constraints == ()


def test_different_boxes_are_different_cells() -> None:
    problem = _problem(
        DECLARED
        + BOX
        + """(assert (or (and (<= X_0 1e-1) (> Y_0 1)) (and (>= X_0 1) (<= X_0 3) (> Y_1 1))
                 (and (<= X_0 0.1) (< Y_2 1))))"""
    )
    left, right = problem.cells
    assert (left.box.lower, left.box.upper) == ((F(-2), F(-2)), (F(1, 10), F(2)))
    assert (right.box.lower, right.box.upper) == ((F(1), F(-2)), (F(2), F(2)))
    assert left.catastrophe == (
        (y((0, -1), bound="-1", strict=True),),
        (y((2, 1), bound="1", strict=True),),
    )
    assert right.catastrophe == ((y((1, -1), bound="-1", strict=True),),)


def test_constraints_on_several_inputs() -> None:
    problem = _problem(
        DECLARED
        + BOX
        + """(assert (<= (+ X_0 (* 2 X_1) 1) (- 3 X_0)))
             (assert (or (and (< X_0 X_1) (<= Y_0 0)) (>= Y_0 (* 0.5 X_1))))"""
    )
    (cell,) = problem.cells
    assert cell.constraints == (constraint([(0, F(2)), (1, F(2))], (), F(2)),)
    assert cell.catastrophe == (
        (constraint([(0, F(1)), (1, F(-1))], (), F(0), strict=True), y((0, 1))),
        (constraint([(1, F(1, 2))], [(0, F(-1))], F(0)),),
    )


def test_scaled_and_negated_bounds() -> None:
    problem = _problem(
        DECLARED
        + """(assert (<= (* -1.0 X_0) 0.5)) (assert (<= (- X_0 1) (- 0.25)))
             (assert (not (or (< X_1 1) (> (* 4 X_1) 6)))) (assert (= Y_0 1))"""
    )
    (cell,) = problem.cells
    assert (cell.box.lower, cell.box.upper) == ((F(-1, 2), F(1)), (F(3, 4), F(3, 2)))
    assert cell.catastrophe == ((y((0, 1), bound="1"), y((0, -1), bound="-1")),)


def test_a_disjunct_without_output_is_the_whole_box() -> None:
    problem = _problem(DECLARED + BOX + "(assert (or (<= X_0 0) (<= Y_0 0)))")
    inner, whole = problem.cells
    assert (inner.box.upper[0], inner.catastrophe) == (F(0), ((constraint((), (), F(0)),),))
    assert (whole.box.upper[0], whole.catastrophe) == (F(2), ((y((0, 1)),),))


def test_empty_and_contradictory_disjuncts_are_dropped() -> None:
    problem = _problem(
        DECLARED
        + BOX
        + """(assert (or (and (<= X_0 -3) (<= Y_0 0)) (and (< X_0 -2) (<= Y_0 0))
                 (and (<= Y_0 0) (> Y_0 0)) (>= Y_1 1)))"""
    )
    (cell,) = problem.cells
    assert cell.catastrophe == ((y((1, -1), bound="-1"),),)


@pytest.mark.parametrize("ends", ["(<= X_0 2) (< X_0 2)", "(< X_0 2) (<= X_0 2)"])
@pytest.mark.parametrize("flip", [False, True])
def test_of_two_equal_bounds_the_strict_one_counts(ends: str, flip: bool) -> None:
    other = "(>= X_0 2)"
    if flip:
        ends, other = ends.replace("<", ">"), "(<= X_0 2)"
    tail = "(assert (and (>= X_1 0) (<= X_1 0) (<= Y_0 0)))"
    with pytest.raises(InputError, match="empty region: X_0 has lower bound 2 and upper bound 2"):
        _problem(DECLARED + f"(assert (and {ends} {other}))" + tail)
    with pytest.raises(InputError, match="empty region: the bounds of every disjunct"):
        _problem(DECLARED + BOX.replace("2", "9") + f"(assert (or (and {ends} {other})))" + tail)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("upwards", [True, False])
def test_strict_bounds_keep_exactly_their_floats(dtype: str, upwards: bool) -> None:
    """A strict bound on a rounding tie loses the float beyond it, and nothing else."""
    graph = Graph((), (Port("in", 0, (1, 2), dtype),), GRAPH.outputs)
    ulp = F(1, 2**23 if dtype == "float32" else 2**52)
    tie = 1 + ulp * (F(3, 2) if upwards else F(1, 2))  # rounds to 1 + 2 ulp or to 1
    with localcontext(prec=100):
        decimal = Decimal(tie.numerator) / tie.denominator
    text = (
        DECLARED
        + f"""(assert (>= X_0 0)) (assert (< X_0 {decimal}))
        (assert (> X_1 {decimal})) (assert (<= X_1 2)) (assert (<= Y_0 0))"""
    )
    problem = _problem(text, graph)
    lower, upper = problem.network_box(problem.cells[0])
    assert F(float(upper[0])) == 1 + ulp * (1 if upwards else 0)
    assert F(float(lower[1])) == 1 + ulp * (2 if upwards else 1)
    assert F(round_to(tie, problem.semantics.dtype)) == 1 + ulp * (2 if upwards else 0)


values = st.sampled_from([F(-3), F(-1), F(0), F(1, 2), F(1), F(2)])


def _text(value: F) -> str:
    return f"{float(value)}"


def _atom(parts: list[tuple[F, str]], relation: str, bound: F) -> tuple[str, str]:
    terms = " ".join(f"(* {_text(c)} {v})" for c, v in parts)
    code = " + ".join(f"F({c.numerator}, {c.denominator})*{v.lower()}" for c, v in parts)
    right = f"F({bound.numerator}, {bound.denominator})"
    python = relation if relation != "=" else "=="
    return f"({relation} (+ {terms} 0) {_text(bound)})", f"({code} {python} {right})"


nonzero = st.sampled_from([F(-2), F(-1), F(1, 2), F(1)])
input_bounds = st.builds(
    lambda v, c, r, b: _atom([(c, v)], r, b),
    st.sampled_from(["X_0", "X_1"]),
    nonzero,
    st.sampled_from(["<=", ">=", "="]),
    values,
)
general = st.builds(
    lambda a, ca, b, cb, r, bound: _atom([(ca, a), (cb, b)], r, bound),
    st.sampled_from(["X_0", "Y_0", "Y_1"]),
    nonzero,
    st.sampled_from(["X_1", "Y_2"]),
    nonzero,
    st.sampled_from(["<=", ">=", "<", ">", "=", "!="]),
    values,
)


def _joined(word: str, parts: list[tuple[str, str]]) -> tuple[str, str]:
    text = f"({word} " + " ".join(t for t, _ in parts) + ")"
    return text, "(" + f" {word} ".join(c for _, c in parts) + ")"


formulas = st.recursive(
    input_bounds | general,
    lambda inner: st.builds(
        _joined, st.sampled_from(["and", "or"]), st.lists(inner, min_size=1, max_size=4)
    ),
    max_leaves=8,
)
points = st.tuples(st.tuples(values, values), st.tuples(values, values, values))


def _inside(problem: Problem, point: Point) -> bool:
    x, outputs = point
    return any(
        all(low <= v <= high for low, v, high in zip(c.box.lower, x, c.box.upper, strict=True))
        and all(row.holds(x, ()) for row in c.constraints)
        and any(all(row.holds(x, outputs) for row in rows) for rows in c.catastrophe)
        for c in problem.cells
    )


@settings(max_examples=200, deadline=None)
@given(st.lists(formulas, min_size=1, max_size=3), st.lists(points, min_size=1, max_size=8))
def test_cells_are_the_formula(asserted: list[tuple[str, str]], samples: list[Point]) -> None:
    code = " and ".join(c for _, c in asserted)
    names = [f"{v}_{i}" for v, n in (("x", 2), ("y", 3)) for i in range(n)]
    truths = [
        all(-2 <= v <= 2 for v in x)
        and bool(eval(code, {"F": F, **dict(zip(names, (*x, *outputs), strict=True))}))
        for x, outputs in samples
    ]
    text = DECLARED + BOX + "\n".join(f"(assert {t})" for t, _ in asserted)
    try:
        problem = _problem(text)
    except InputError as error:
        if "no assertion speaks" not in str(error):
            assert not any(truths), "an inhabited query is called empty"
        return
    assert [_inside(problem, point) for point in samples] == truths
    twin = _problem(NETWORK + re.sub(r"([XY])_(\d)", r"\1[0,\2]", BOX + text.split(BOX)[1]))
    assert twin.cells == problem.cells


def test_version_2_with_several_tensors() -> None:
    graph = Graph(
        (),
        (Port("image", 0, (1, 2, 2)), Port("meta", 1, (2,))),
        (Port("box", 2, (2,)), Port("score", 3, ())),
    )
    problem = _problem(
        """(vnnlib-version <2.1>) ; two of each
        (declare-network f (declare-input I Real [2,2]) (declare-input M float32 [1,2])
          (declare-output B float32 [2]) (declare-output S Real []))
        (assert (and (>= I[0,0] 0) (>= I[0,1] 1) (>= I[1,0] 2) (>= I[1,1] 3)))
        (assert (and (<= I[0,0] 4) (<= I[0,1] 4) (<= I [1, 0] 4) (<= I[1,1] 4)))
        (assert (and (== M[0,0] 5) (== M[0,1] 6) (>= B[1] (* 2 S))))""",
        graph,
    )
    (cell,) = problem.cells
    assert cell.box.lower == tuple(map(F, (0, 1, 2, 3, 5, 6)))
    assert cell.box.upper == tuple(map(F, (4, 4, 4, 4, 5, 6)))
    assert cell.catastrophe == ((y((1, -1), (2, 2)),),)


def test_acas_property_by_hand() -> None:
    graph = Graph((), (Port("in", 0, (1, 1, 1, 5)),), (Port("out", 1, (1, 5)),))
    ranges = [("0.6", "0.679857769"), ("-0.5", "0.5"), ("-0.5", "0.5"), ("0.45", "0.5"),
              ("-0.5", "-0.45")]  # fmt: skip
    text = "".join(f"(declare-const {v}_{i} Real)\n" for v in "XY" for i in range(5))
    for i, (low, high) in enumerate(ranges):
        text += f"(assert (<= X_{i} {high}))\n(assert (>= X_{i} {low}))\n"
    text += "".join(f"(assert (<= Y_{j} Y_0))\n" for j in range(1, 5))
    (cell,) = _problem(text, graph).cells
    assert cell.box.lower == tuple(F(low) for low, _ in ranges)
    assert cell.box.upper == tuple(F(high) for _, high in ranges)
    assert cell.catastrophe == (tuple(y((j, 1), (0, -1)) for j in range(1, 5)),)


def test_reading_loads_no_yaml() -> None:
    code = (
        "import sys, absint.frontends.spec, absint.frontends.vnnlib; print('yaml' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
