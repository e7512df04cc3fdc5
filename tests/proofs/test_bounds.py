"""The checker's bounds against exact arithmetic, with no tolerance."""

from __future__ import annotations

import contextlib
from fractions import Fraction
from typing import Any

import exact
import numpy as np
import pytest
from flush import flush_to_zero
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from strategies import ALL_OPS, BUILDERS, PIECEWISE_OPS, STABLE_OPS, boxes, cases, graphs

from absint.domains.arrays import numpy_arrays
from absint.domains.product import Query, analyse
from absint.ir import OPS, Constant, Graph, GraphBuilder
from absint.problem import Box, Cell, LinearConstraint, constraint
from absint.proofs.bounds import Bounds
from absint.proofs.regions import Boxes
from absint.proofs.rows import float_rows
from absint.proofs.transformers.steps import Relaxed

FloatArray = NDArray[np.float64]

QUICK = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


def random_rows(graph: Graph, rng: np.random.Generator, count: int = 3) -> list[LinearConstraint]:
    """Constraints with coefficients that no float is equal to, some of them far from one."""

    def terms(size: int) -> list[tuple[int, Fraction]]:
        scales = [Fraction(1), Fraction(1, 3), Fraction(10) ** -320, Fraction(10) ** 12 / 7]
        return [
            (i, Fraction(int(rng.integers(-9, 10)), 7) * scales[rng.integers(4)])
            for i in range(size)
        ]

    rows = [
        constraint(
            terms(graph.input_size) if rng.random() < 0.5 else (),
            terms(graph.output_size),
            Fraction(int(rng.integers(-99, 99)), 11),
        )
        for _ in range(count)
    ]
    return rows


def as_cell(graph: Graph, rows: list[LinearConstraint]) -> Cell:
    zero = (Fraction(0),) * graph.input_size
    return Cell(Box(zero, zero), tuple((row,) for row in rows))


def assert_sound(
    graph: Graph, lower: FloatArray, upper: FloatArray, seed: int, flush: bool = False
) -> None:
    """Every exact value of every node and row lies in the bounds, on each box of the batch."""
    rng = np.random.default_rng(seed)
    rows = random_rows(graph, rng)
    with flush_to_zero(flush):
        bounds = Bounds(graph, Boxes(graph, lower, upper))
        margins = bounds.minimum(float_rows(as_cell(graph, rows), graph)[0])
        ends = [tuple(end.copy() for end in pair) for pair in bounds.values.values()]
    for index in range(len(lower)):
        samples = list(exact.points(lower[index], upper[index], rng))
        with contextlib.suppress(ZeroDivisionError):  # no knots behind a reciprocal of zero
            if exact.is_rational(graph):
                samples += list(exact.knots(graph, samples[1], samples[-1]))
        for x in samples:
            try:
                values = exact.evaluate(graph, x, exact.anywhere(rng))
            except ZeroDivisionError:  # a reciprocal of zero: nothing is bounded
                assert not (margins[index] > -np.inf).any()
                continue
            for value, (low, high) in zip(values, ends, strict=True):
                for place in np.ndindex(value.shape):
                    assert not exact.surely_below(value[place], float(low[(index, *place)]))
                    assert not exact.surely_above(value[place], float(high[(index, *place)]))
            y = exact.outputs(graph, values)
            for row, margin in zip(rows, margins[index], strict=True):
                assert not exact.surely_below(_value(row, x, y), float(margin))


def _value(row: LinearConstraint, x: list[Fraction], y: list[exact.Number]) -> exact.Number:
    if not y or isinstance(y[0], Fraction):
        return row.value(x, y)
    ball: Any = exact.ball(-row.bound)
    ball += sum((exact.ball(c * x[i]) for i, c in row.inputs), exact.ball(Fraction(0)))
    return ball + sum((exact.ball(c) * y[i] for i, c in row.outputs), exact.ball(Fraction(0)))


def test_the_strategies_draw_every_op() -> None:
    drawn = {name for name, op in OPS.items() if op.affine is not None or op.univariate is not None}
    assert set(BUILDERS) == ALL_OPS == drawn


@QUICK
@given(cases(), st.integers(0, 999), st.booleans())
def test_piecewise_linear_networks(
    case: tuple[Graph, FloatArray, FloatArray], seed: int, flush: bool
) -> None:
    graph, lower, upper = case
    assert_sound(graph, lower[None], upper[None], seed, flush)


@QUICK
@given(cases(graphs(ALL_OPS)), st.integers(0, 999), st.booleans())
def test_all_networks(case: tuple[Graph, FloatArray, FloatArray], seed: int, flush: bool) -> None:
    graph, lower, upper = case
    assert_sound(graph, lower[None], upper[None], seed, flush)


@QUICK
@given(st.data(), st.integers(0, 999))
def test_a_batch_of_boxes(data: st.DataObject, seed: int) -> None:
    graph = data.draw(graphs(depth=5))
    drawn = [data.draw(boxes(graph.input_size)) for _ in range(3)]
    lower, upper = (np.stack([box[side] for box in drawn]) for side in (0, 1))
    assert_sound(graph, lower, upper, seed)


@pytest.mark.full
@settings(QUICK, max_examples=3_000)
@given(cases(graphs(ALL_OPS)), st.integers(0, 999), st.booleans())
def test_many_networks(case: tuple[Graph, FloatArray, FloatArray], seed: int, flush: bool) -> None:
    graph, lower, upper = case
    assert_sound(graph, lower[None], upper[None], seed, flush)


@QUICK
@given(cases(graphs(PIECEWISE_OPS, ("integer", "dyadic", "float32"), radii=False, depth=5), False))
def test_never_above_the_exact_bound_of_the_same_relaxation(
    case: tuple[Graph, FloatArray, FloatArray],
) -> None:
    """The same slopes over the same intermediate bounds, in rationals, bound at least as well."""
    graph, lower, upper = case
    bounds = Bounds(graph, Boxes(graph, lower[None], upper[None]))
    row = constraint(
        (), [(i, Fraction(i + 1, 3)) for i in range(graph.output_size)], Fraction(1, 7)
    )
    margin = float(bounds.minimum(float_rows(as_cell(graph, [row]), graph)[0])[0, 0])
    reference = exact.LinearBounds(
        graph,
        [Fraction(v) for v in lower],
        [Fraction(v) for v in upper],
        {
            p: (exact.exactly(s.lines.lower_slope[0]), exact.exactly(s.lines.upper_slope[0]))
            for p, s in bounds.steps.items()
            if isinstance(s, Relaxed)
        },
        {
            node.inputs[0]: tuple(exact.exactly(e[0]) for e in bounds.values[node.inputs[0]])  # type: ignore[misc]
            for node in graph.nodes
            if OPS[node.op].univariate is not None
        },
    )
    start: dict[int, exact.Numbers] = {}
    for index, (node, place) in enumerate(graph.output_slices()):
        part = exact.exactly(np.zeros(graph.nodes[node].shape)).reshape(-1)
        for offset in range(place.stop - place.start):
            part[offset] = Fraction(place.start + offset + 1, 3)
        part = part.reshape(graph.nodes[node].shape)
        start[node] = start[node] + part if node in start else part
        assert index < len(graph.outputs)
    assert margin <= reference.minimum(start) - row.bound


def plain_margin(graph: Graph, lower: FloatArray, upper: FloatArray, row: FloatArray) -> float:
    """The search's bound of one row of outputs, in plain floats."""
    query = Query(np.zeros((1, graph.input_size)), row[None], np.zeros(1))
    analysis = analyse(graph, (lower[None], upper[None]), query, numpy_arrays())
    radius = (upper - lower) / 2
    return float(analysis.centre[0, 0] - np.abs(analysis.coefficients[0, 0]) @ radius)


@settings(QUICK, max_examples=150)
@given(cases(graphs(STABLE_OPS, ("integer", "dyadic", "float32"), radii=False), far=False))
def test_as_tight_as_plain_floats(case: tuple[Graph, FloatArray, FloatArray]) -> None:
    """Within 1e-9 of the plain bound, relative to the size of what is summed."""
    graph, lower, upper = case
    row = np.arange(1.0, graph.output_size + 1)
    weights = [(i, Fraction(i + 1)) for i in range(graph.output_size)]
    cell = as_cell(graph, [constraint((), weights, Fraction(0))])
    bounds = Bounds(graph, Boxes(graph, lower[None], upper[None]))
    margin = float(bounds.minimum(float_rows(cell, graph)[0])[0, 0])
    scale = 1.0
    for node, (low, high) in zip(graph.nodes, bounds.values.values(), strict=True):
        size = float(np.maximum(np.abs(low), np.abs(high)).sum())
        weight = node.consts["weight"].value if "weight" in node.consts else np.ones(1)
        scale = max(scale, size) * max(1.0, float(np.abs(weight).sum()))
    plain = plain_margin(graph, lower, upper, row)
    assert margin == pytest.approx(plain, rel=1e-9, abs=1e-9 * scale)


def network(build: Any, inputs: int = 1, size: int = 1) -> Graph:
    builder = GraphBuilder()
    xs = [builder.input(f"x{i}", (size,), "float64") for i in range(inputs)]
    return builder.build({"y": build(builder, *xs)}, "float64")


def constants(**values: Any) -> dict[str, Constant]:
    return {name: Constant(np.asarray(value, dtype=np.float64)) for name, value in values.items()}


def test_a_sum_of_one_operand_may_negate() -> None:
    """Its interval was once the operand's, turned over: lower above upper."""

    def build(b: GraphBuilder, x: int) -> int:
        return b.add("relu", [b.add("sum", [x], attrs={"coefficients": (-1,)})])

    graph = network(build)
    assert_sound(graph, np.array([[-1.0]]), np.array([[3.0]]), 0)
    bounds = Bounds(graph, Boxes(graph, np.array([[-1.0]]), np.array([[3.0]])))
    assert bounds.values[1][0] <= -3.0
    assert bounds.values[1][1] >= 1.0


def test_several_inputs_that_cancel() -> None:
    """The rounding of a partial sum that is larger than the whole counts too."""

    def build(b: GraphBuilder, *xs: int) -> int:
        return b.add("sum", xs, attrs={"coefficients": (1, 1, 1)})

    graph = network(build, inputs=3)
    x = np.array([[-1.0, 2.0**60, -(2.0**60)]])
    for order in ([0, 1, 2], [1, 0, 2], [2, 1, 0]):
        assert_sound(graph, x[:, order], x[:, order], 1)
        cell = as_cell(graph, [constraint((), [(0, Fraction(1))], Fraction(0))])
        found = Bounds(graph, Boxes(graph, x[:, order], x[:, order])).minimum(
            float_rows(cell, graph)[0]
        )
        assert float(found[0, 0]) <= -1


def test_an_overflow_inside_a_sum_is_no_information() -> None:
    """inf - 1.6e308 is inf, though the exact sum is small: nothing may follow from it."""

    def build(b: GraphBuilder, x: int) -> int:
        weight = np.array([[1e308], [1e308], [-1.6e308], [-0.9e308]])
        return b.add("tanh", [b.add("dense", [x], consts=constants(weight=weight))])

    graph, one = network(build, size=4), np.ones((1, 4))
    low, high = Bounds(graph, Boxes(graph, one, one)).values[1]
    assert low[0, 0] <= -5e307
    assert high[0, 0] >= -5e307
    assert_sound(graph, one, one, 2)


def test_one_node_behind_several_ports() -> None:
    builder = GraphBuilder()
    x = builder.input("x", (2,), "float64")
    y = builder.add("scale", [x], consts=constants(weight=[3.0, 0.1]))
    graph = builder.build({"a": y, "b": y, "c": x}, "float64")
    lower, upper = np.array([[1.0, -2.0]]), np.array([[2.0, 5.0]])
    row = constraint(
        [(0, Fraction(1, 3))], [(0, Fraction(1, 10)), (2, Fraction(1, 5))], Fraction(0)
    )
    found = Bounds(graph, Boxes(graph, lower, upper)).minimum(
        float_rows(as_cell(graph, [row]), graph)[0]
    )
    assert 0.9 + 1 / 3 - 1e-12 <= float(found[0, 0]) <= Fraction(9, 10) + Fraction(1, 3)
    assert_sound(graph, lower, upper, 3)


def test_a_coefficient_below_the_floats_still_counts() -> None:
    graph = network(lambda b, x: b.add("reshape", [x], attrs={"shape": (1,)}))
    row = constraint([(0, -Fraction(1, 10**400))], [(0, -Fraction(1, 10**330))], Fraction(0))
    ends = np.array([[0.0]]), np.array([[1e300]])
    found = Bounds(graph, Boxes(graph, *ends)).minimum(float_rows(as_cell(graph, [row]), graph)[0])
    assert Fraction(float(found[0, 0])) <= -(Fraction(1e300) / 10**330)


def test_numbers_beyond_the_floats_prove_nothing() -> None:
    graph = network(lambda b, x: b.add("reshape", [x], attrs={"shape": (1,)}))
    big = Fraction(10) ** 400
    rows = [
        constraint((), [(0, big)], Fraction(0)),
        constraint((), [(0, Fraction(1))], big),
        constraint((), [(0, Fraction(1))], -big),
    ]
    one = np.ones((1, 1))
    found = Bounds(graph, Boxes(graph, one, one)).minimum(
        float_rows(as_cell(graph, rows), graph)[0]
    )[0]
    assert not found[0] > 0
    assert not found[1] > 0
    assert found[2] > 0


@pytest.mark.parametrize("flush", [False, True])
@pytest.mark.parametrize(
    ("weight", "end"),
    [(2.0**-1050, 1e300), (-(2.0**-1050), 1e300), (1e300, 2.0**-1050), (1e300, 5e-324)],
)
@pytest.mark.parametrize("alpha", [0.5, 1e300, -1e300])
def test_subnormal_factors(weight: float, end: float, alpha: float, flush: bool) -> None:
    """A factor that reads as zero loses as much as the other is large."""

    def build(b: GraphBuilder, x: int) -> int:
        h = b.add("scale", [x], consts=constants(weight=weight))
        h = b.add("leaky_relu", [h], attrs={"alpha": alpha})
        return b.add("scale", [h], consts=constants(weight=1e-200, bias=2.0**-1050))

    for low, high in ((-end, end), (end, end), (-end, -end), (-end, 0.0)):
        assert_sound(network(build), np.array([[low]]), np.array([[high]]), 4, flush)


@pytest.mark.parametrize("flush", [False, True])
@pytest.mark.parametrize("op", ["sigmoid", "relu", "tanh"])
def test_subnormal_ends(op: str, flush: bool) -> None:
    """In flush-to-zero mode a maximum once turned such an end of a pre-activation into zero."""

    def build(b: GraphBuilder, x: int) -> int:
        return b.add(op, [b.add("reshape", [x], attrs={"shape": (1,)})])

    for low, high in ((-5e-324, 1.0), (-1.0, 5e-324), (-5e-324, 5e-324), (5e-324, 1.0)):
        assert_sound(network(build), np.array([[low]]), np.array([[high]]), 5, flush)


def test_nan_proves_nothing() -> None:
    graph = network(lambda b, x: b.add("relu", [x]))
    rows, _ = float_rows(as_cell(graph, [constraint((), [(0, Fraction(1))], Fraction(-1))]), graph)
    for low, high in ((np.nan, 1.0), (0.0, np.nan), (np.nan, np.nan), (-np.inf, np.inf)):
        found = Bounds(graph, Boxes(graph, np.array([[low]]), np.array([[high]]))).minimum(rows)
        assert not (found >= 0).any()


def test_rows_are_bounded_in_parts_that_fit_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    from absint.proofs import backward as module

    graph = network(lambda b, x: b.add("relu", [x]), size=3)
    rng = np.random.default_rng(5)
    rows, _ = float_rows(as_cell(graph, random_rows(graph, rng, 50)), graph)
    box = (np.full((4, 3), -1.0), np.full((4, 3), 2.0))
    whole = Bounds(graph, Boxes(graph, *box)).minimum(rows)
    monkeypatch.setattr(module, "ELEMENT_BUDGET", 24)
    parts = Bounds(graph, Boxes(graph, *box)).minimum(rows)
    assert parts.shape == whole.shape == (4, 50)
    np.testing.assert_allclose(parts, whole, rtol=1e-12)
