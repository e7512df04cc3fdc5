"""Relaxations of elementwise functions: sound for any slopes, in any mode; facts that agree."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import exact
import numpy as np
import pytest
from flush import flush_to_zero
from hypothesis import example, given, settings
from hypothesis import strategies as st
from strategies import intervals

from absint import ir
from absint.ir import OPS, GraphBuilder, Node
from absint.ir.slopes import default_slopes
from absint.proofs.transformers.affine import AFFINE_OPS
from absint.proofs.transformers.univariate import UNIVARIATE_OPS, PiecewiseLinear, SShaped, relax

FUNCTIONS: list[tuple[str, dict[str, Any]]] = [
    ("relu", {}),
    ("leaky_relu", {"alpha": 0.01}),
    ("leaky_relu", {"alpha": -3.0}),
    ("leaky_relu", {"alpha": 1e200}),
    ("abs", {}),
    ("clip", {"lower": 0.0, "upper": 6.0}),
    ("clip", {"lower": -0.3, "upper": 0.1}),
    ("clip", {"lower": 5e-324, "upper": 1e30}),
    ("clip", {"lower": -np.inf, "upper": 0.5}),
    ("clip", {"lower": -1e200, "upper": np.inf}),
    ("sigmoid", {}),
    ("tanh", {}),
]
functions = st.sampled_from(FUNCTIONS)
QUICK = settings(max_examples=250, deadline=None)


def node_of(function: tuple[str, dict[str, Any]]) -> Node:
    builder = GraphBuilder()
    builder.add(function[0], [builder.input("x", (1,))], attrs=function[1])
    return builder.nodes[1]


def truth(node: Node, x: Fraction) -> exact.Number:
    number = x if node.op in exact.KNOTS else exact.ball(x)
    (value,) = exact._STEPS[node.op](
        node, [np.array([number, None], dtype=object)[:1]], exact.centre
    )
    return value


def samples(low: float, high: float) -> list[Fraction]:
    """Points of an interval: ends, knot, near the knot, and inside."""
    a, b = Fraction(low), Fraction(high)
    inside = [a + (b - a) * Fraction(n, 16) for n in range(17)]
    near = [Fraction(t) for t in (0.0, 5e-324, -5e-324, 1e-9, -1e-9, 0.5, -0.5, 30.0, -30.0)]
    near += [Fraction(t) for t in (0.1, -0.3, 6.0, np.nextafter(6.0, 7), 1e30, -1e200)]
    return [*inside, *(t for t in near if a <= t <= b)]


def assert_relaxed(
    node: Node, ends: tuple[float, float], slopes: tuple[float, float], flush: bool
) -> None:
    x = np.array([ends[0]]), np.array([ends[1]])
    with flush_to_zero(flush), np.errstate(all="ignore"):
        found = relax(node, x, (np.array([slopes[0]]), np.array([slopes[1]])))
        low, high = UNIVARIATE_OPS[node.op](node).image(x)
    below, above = float(found.lower_offset[0]), float(found.upper_offset[0])
    for t in samples(*ends):
        value = truth(node, t)
        assert not exact.surely_below(value, float(low[0]))
        assert not exact.surely_above(value, float(high[0]))
        if np.isfinite(below):
            assert not value < exact._like(value, Fraction(slopes[0]) * t + Fraction(below))
        if np.isfinite(above):
            assert not value > exact._like(value, Fraction(slopes[1]) * t + Fraction(above))


@QUICK
@given(functions, intervals(), st.booleans())
@example(("tanh", {}), (-5e-324, 5e-324), True)
@example(("leaky_relu", {"alpha": 1e200}), (-5e-324, 1.0), True)
def test_default_slopes(
    function: tuple[str, dict[str, Any]], ends: tuple[float, float], flush: bool
) -> None:
    node = node_of(function)
    with np.errstate(all="ignore"):
        slopes = default_slopes(node, np.array([ends[0]]), np.array([ends[1]]), np)
    assert_relaxed(node, ends, (float(slopes[0][0]), float(slopes[1][0])), flush)


slope = st.one_of(
    st.floats(-2, 2), st.sampled_from([0.0, 0.25, 1.0, 1e-300, 5e-324, 1e30, -1e30, 1e308])
)


@QUICK
@given(functions, intervals(), slope, slope, st.booleans())
def test_any_slopes(
    function: tuple[str, dict[str, Any]],
    ends: tuple[float, float],
    lower: float,
    upper: float,
    flush: bool,
) -> None:
    """Slopes are free: whatever they are, the offsets computed for them are sound."""
    assert_relaxed(node_of(function), ends, (lower, upper), flush)


@pytest.mark.parametrize("op", ["sigmoid", "tanh"])
def test_s_shaped_relaxations_by_dense_sampling(op: str) -> None:
    node, rng = node_of((op, {})), np.random.default_rng(0)
    centre, width = rng.normal(0, 4, 400), 10.0 ** rng.uniform(-6, 1.5, 400)
    x = centre - width, centre + width
    relaxed = relax(node, x, default_slopes(node, *x, np))
    for i in range(0, 400, 4):
        for share in np.linspace(0, 1, 33):
            t = Fraction(x[0][i]) + (Fraction(x[1][i]) - Fraction(x[0][i])) * Fraction(share)
            value = truth(node, t)
            for sign, s, o in (
                (1, relaxed.lower_slope[i], relaxed.lower_offset[i]),
                (-1, relaxed.upper_slope[i], relaxed.upper_offset[i]),
            ):
                line = Fraction(float(s)) * t + Fraction(float(o))
                assert not sign * value < exact.ball(sign * line)


@QUICK
@given(functions, intervals(far=False))
def test_default_relaxations_touch(
    function: tuple[str, dict[str, Any]], ends: tuple[float, float]
) -> None:
    """An offset gives away no more than roundings: the line comes within 1e-9 of the function."""
    if function[1].get("alpha") == 1e200:
        return
    node, x = node_of(function), (np.array([ends[0]]), np.array([ends[1]]))
    slopes = default_slopes(node, *x, np)
    found = relax(node, x, slopes)
    knots = [float(knot) for knot in exact.KNOTS.get(node.op, lambda _: [])(node)]
    grid = np.unique(np.concatenate([np.linspace(*ends, 2001), np.clip([0.0, *knots], *ends)]))
    univariate = OPS[node.op].univariate
    assert univariate is not None
    value = univariate.value(node, grid, np)
    size = 1e-9 * (1 + np.abs(grid).max())
    curve = 0.02 * (ends[1] - ends[0]) ** 2 / 1000  # between grid points
    assert (value - (slopes[0] * grid + found.lower_offset)).min() <= size + curve
    assert ((slopes[1] * grid + found.upper_offset) - value).min() <= size + curve


def test_the_checker_has_a_row_for_every_op_or_says_so() -> None:
    affine = {name for name, op in OPS.items() if op.affine is not None}
    univariate = {name for name, op in OPS.items() if op.univariate is not None}
    assert affine == AFFINE_OPS
    assert univariate == set(UNIVARIATE_OPS)


@pytest.mark.parametrize("function", FUNCTIONS, ids=str)
def test_the_two_tables_of_facts_agree(function: tuple[str, dict[str, Any]]) -> None:
    """The checker's facts are a deliberate duplicate of the IR's."""
    node = node_of(function)
    univariate = OPS[node.op].univariate
    assert univariate is not None
    ours, theirs = UNIVARIATE_OPS[node.op](node), univariate.facts(node)
    if isinstance(ours, PiecewiseLinear):
        assert isinstance(theirs, ir.PiecewiseLinear)
        assert (ours.knots, ours.values, ours.slopes) == (
            theirs.knots,
            theirs.values,
            theirs.slopes,
        )
        return
    assert isinstance(ours, SShaped)
    assert isinstance(theirs, ir.SShaped)
    x = np.linspace(-30, 30, 601)
    low, high = ours.at(x)
    value = univariate.value(node, x, np)
    assert (low <= value * (1 + 1e-15) + 1e-15).all()
    assert (value <= high * (1 + 1e-15) + 1e-15).all()
    slope_low, slope_high = ours.slope_of((low, high))
    derivative = univariate.derivative(node, x, np)
    assert (slope_low - 1e-12 <= derivative).all()
    assert (derivative <= slope_high + 1e-12).all()
