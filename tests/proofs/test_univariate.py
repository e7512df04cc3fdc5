"""Relaxations of elementwise functions: sound for any slopes, in any mode; facts that agree."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import exact
import flint
import numpy as np
import pytest
from elementwise import CASES, CURVED, S_SHAPED, STEPS, WAVES, inside, row
from flush import flush_to_zero
from hypothesis import example, given, settings
from hypothesis import strategies as st
from proofcases import box, output_at_least, problem, random_network, searched
from strategies import intervals

from absint import ir
from absint.ir import OPS, Constant, GraphBuilder, Node
from absint.ir.slopes import default_slopes
from absint.problem import Cell
from absint.proofs.bounds import Bounds
from absint.proofs.check import check
from absint.proofs.regions import Boxes, Rows
from absint.proofs.transformers.affine import AFFINE_OPS
from absint.proofs.transformers.curved import Curved, Wave
from absint.proofs.transformers.univariate import UNIVARIATE_OPS, relax

EXTRA: list[tuple[str, dict[str, Any]]] = [
    ("leaky_relu", {"alpha": -3.0}),
    ("leaky_relu", {"alpha": 1e200}),
    ("clip", {"lower": -0.3, "upper": 0.1}),
    ("clip", {"lower": 5e-324, "upper": 1e30}),
    ("clip", {"lower": -1e200, "upper": np.inf}),
    ("elu", {"alpha": 1e200}),
    ("power", {"exponent": 1000}),
]
FUNCTIONS: list[tuple[str, dict[str, Any]]] = [
    *((case.op, dict(case.attrs)) for case in CASES.values()),
    *EXTRA,
]
functions = st.sampled_from(FUNCTIONS)
EVERY = pytest.mark.parametrize("function", FUNCTIONS, ids=str)
QUICK = settings(max_examples=300, deadline=None)


def node_of(function: tuple[str, dict[str, Any]]) -> Node:
    builder = GraphBuilder()
    builder.add(function[0], [builder.input("x", (1,))], attrs=function[1])
    return builder.nodes[1]


def is_defined(node: Node, low: float, high: float) -> bool:
    """Whether the function has a value on [low, high], in exact comparisons."""
    return {
        "log": Fraction(low) > 0,
        "sqrt": Fraction(low) >= 0,
        "reciprocal": Fraction(low) > 0 or Fraction(high) < 0,
    }.get(node.op, True)


def truth(node: Node, x: Fraction) -> exact.Number:
    return exact.FUNCTIONS[node.op](node, x if node.op in exact.RATIONAL else exact.ball(x))


def _elu_series(node: Node, t: Any) -> Any:
    return t if t[0] > 0 else flint.arb(node.number("alpha")) * (t.exp() - 1)


def _hard_swish_series(node: Node, t: Any) -> Any:
    return 0 * t if t[0] < -3 else t if t[0] > 3 else t * (t + 3) / 6


SERIES: dict[str, Callable[[Node, Any], Any]] = {
    "tanh": lambda node, t: 1 - 2 / (1 + (2 * t).exp()),
    "mish": lambda node, t: t * (1 - 2 / ((1 + t.exp()) ** 2 + 1)),
    "softplus": lambda node, t: (1 + t.exp()).log(),
    "elu": _elu_series,
    "hard_swish": _hard_swish_series,
    "gelu_tanh": lambda node, t: (
        t / (1 + (-2 * exact.GELU_SCALE * (t + exact.GELU_CUBIC * t**3)).exp())
    ),
}
"""Those that power series have no method for, in other words."""


def derivatives(node: Node, x: Any, order: int) -> list[Any]:
    """f'(x) to the given order, from the function's power series about x."""
    t = flint.arb_series([x, 1], order + 1)
    series = SERIES.get(node.op, exact.FUNCTIONS[node.op])(node, t)
    return [series[k] * math.factorial(k) for k in range(1, order + 1)]


def samples(low: float, high: float) -> list[Fraction]:
    """Points of an interval: ends, knot, near the knot, and inside."""
    a, b = Fraction(low), Fraction(high)
    inside = [a + (b - a) * Fraction(n, 16) for n in range(17)]
    near = [Fraction(t) for t in (0.0, 5e-324, -5e-324, 1e-9, -1e-9, 0.5, -0.5, 30.0, -30.0)]
    near += [Fraction(t) for t in (0.1, -0.3, 6.0, np.nextafter(6.0, 7), 1e30, -1e200)]
    near += [Fraction(t) for t in (3.0, -3.0, -1.5, 1.0, -1.0, 2.5, -0.75, 1.41421356, -1.2, -2.4)]
    near += [Fraction(n) * Fraction(math.pi / 2) for n in (-3, -2, -1, 1, 2, 3, 8, 4001)]
    return [*inside, *(t for t in near if a <= t <= b)]


def assert_relaxed(
    node: Node, ends: tuple[float, float], slopes: tuple[float, float], flush: bool
) -> None:
    x = np.array([ends[0]]), np.array([ends[1]])
    with flush_to_zero(flush), np.errstate(all="ignore"):
        found = relax(node, x, (np.array([slopes[0]]), np.array([slopes[1]])))
        low, high = UNIVARIATE_OPS[node.op](node).image(x)
    below, above = float(found.lower_offset[0]), float(found.upper_offset[0])
    if not is_defined(node, *ends):
        assert np.isnan([low[0], high[0], below, above]).all()
        assert not UNIVARIATE_OPS[node.op](node).defined(x).any()
        return
    for t in samples(*ends):
        value = truth(node, t)
        assert not exact.surely_below(value, float(low[0]))
        assert not exact.surely_above(value, float(high[0]))
        if np.isfinite([below, slopes[0]]).all():
            assert not value < exact._like(value, Fraction(slopes[0]) * t + Fraction(below))
        if np.isfinite([above, slopes[1]]).all():
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


@EVERY
def test_relaxations_by_dense_sampling(function: tuple[str, dict[str, Any]]) -> None:
    node, rng = node_of(function), np.random.default_rng(0)
    centre, width = rng.normal(0, 4, 40), 10.0 ** rng.uniform(-6, 1.5, 40)
    lower, upper = centre - width, centre + width
    if node.op in ("log", "sqrt", "reciprocal"):
        lower, upper = np.abs(lower), np.abs(lower) + 2 * width
    with np.errstate(all="ignore"):
        slopes = default_slopes(node, lower, upper, np)
        relaxed = relax(node, (lower, upper), slopes)
        image = UNIVARIATE_OPS[node.op](node).image((lower, upper))
    for i in range(40):
        for share in np.linspace(0, 1, 17):
            t = Fraction(lower[i]) + (Fraction(upper[i]) - Fraction(lower[i])) * Fraction(share)
            value = truth(node, t)
            assert not exact.surely_below(value, float(image[0][i]))
            assert not exact.surely_above(value, float(image[1][i]))
            for sign, s, o in (
                (1, relaxed.lower_slope[i], relaxed.lower_offset[i]),
                (-1, relaxed.upper_slope[i], relaxed.upper_offset[i]),
            ):
                if np.isfinite([s, o]).all():
                    line = Fraction(float(s)) * t + Fraction(float(o))
                    assert not sign * value < exact._like(value, sign * line)


@QUICK
@given(functions, intervals(far=False))
def test_default_relaxations_touch(
    function: tuple[str, dict[str, Any]], ends: tuple[float, float]
) -> None:
    """An offset gives away no more than roundings: the line comes within 1e-9 of the function."""
    node, x = node_of(function), (np.array([ends[0]]), np.array([ends[1]]))
    steep = function in EXTRA or max(map(abs, ends), default=0) ** 6 > 1e5
    steep |= node.op == "sqrt" and ends[1] < 2.0**-1022  # nothing is known of a slope there
    if node.op in STEPS or steep or not inside(node.op, *x).all():
        return
    slopes = default_slopes(node, *x, np)
    found = relax(node, x, slopes)
    knots = [float(knot) for knot in exact.KNOTS.get(node.op, lambda _: [])(node)]
    grid = np.unique(np.concatenate([np.linspace(*ends, 2001), np.clip([0.0, *knots], *ends)]))
    univariate = OPS[node.op].univariate
    assert univariate is not None
    value = univariate.value(node, grid, np)
    size = 1e-9 * (1 + np.abs(grid).max() + np.abs(value).max())
    with np.errstate(all="ignore"):
        rise = np.abs(np.diff(value)).max(initial=0.0)
    curve = 0.02 * (ends[1] - ends[0]) ** 2 / 1000 + rise  # between grid points
    assert (value - (slopes[0] * grid + found.lower_offset)).min() <= size + curve
    assert ((slopes[1] * grid + found.upper_offset) - value).min() <= size + curve


def test_the_checker_has_a_row_for_every_op_or_says_so() -> None:
    affine = {name for name, op in OPS.items() if op.affine is not None}
    univariate = {name for name, op in OPS.items() if op.univariate is not None}
    assert affine == AFFINE_OPS
    assert univariate == set(UNIVARIATE_OPS)


@EVERY
def test_the_two_tables_of_facts_agree(function: tuple[str, dict[str, Any]]) -> None:
    """The checker's facts are a deliberate duplicate of the IR's."""
    node = node_of(function)
    univariate = OPS[node.op].univariate
    assert univariate is not None
    ours, theirs = UNIVARIATE_OPS[node.op](node), univariate.facts(node)
    assert type(ours).__name__ == type(theirs).__name__
    for field in ("knots", "values", "slopes", "bends", "convex", "extrema", "domain"):
        assert getattr(ours, field, None) == getattr(theirs, field, None)
    if isinstance(ours, Wave):
        assert isinstance(theirs, ir.Wave)
        assert theirs.phase == ours.quarters * (np.pi / 2)


@pytest.mark.parametrize("name", sorted({*CURVED, *WAVES}))
def test_values_and_derivatives_are_those_of_the_other_table(name: str) -> None:
    node, univariate, _ = row(name)
    ours, x = UNIVARIATE_OPS[node.op](node), np.linspace(-30, 30, 602)
    assert isinstance(ours, Curved | Wave)
    x = x[inside(name, x, x)]
    value, derivative = univariate.value(node, x, np), univariate.derivative(node, x, np)
    for found, truth in ((ours.at(x), value), (ours.slope(x), derivative)):
        spare = 1e-14 * (1 + np.abs(truth) + np.abs(x))
        assert (found[0] <= truth + spare).all()
        assert (truth <= found[1] + spare).all()
        assert (found[1] - found[0] <= 1e-11 * (1 + np.abs(truth) + np.abs(x)))[x != 0].all()


@pytest.mark.parametrize("name", sorted({*CURVED, *WAVES}))
@pytest.mark.parametrize("flush", [False, True])
def test_derivatives_are_enclosed(name: str, flush: bool) -> None:
    """Against arb's derivative: the first coefficient of a power series."""
    node = CASES[name].node()
    function = UNIVARIATE_OPS[node.op](node)
    assert isinstance(function, Curved | Wave)
    rng = np.random.default_rng(0)
    special = np.array([3e-308, 1e-300, 1e-30, 1e-9, 0.5, 1.0, 5.9, 6.1, 37.0, 699.9, 700.1, 1e5])
    size = np.concatenate([special, rng.uniform(0, 9, 300), 10.0 ** rng.uniform(-9, 3, 100)])
    x = np.concatenate([size, -size])
    x = x[inside(name, x, x) & ~((np.abs(x) == 3) & (node.op == "hard_swish"))]
    with flush_to_zero(flush), np.errstate(all="ignore"):
        low, high = function.slope(x)
    for argument, least, most in zip(x.tolist(), low.tolist(), high.tolist(), strict=True):
        (slope,) = derivatives(node, flint.arb(argument), 1)
        assert not slope < least, argument
        assert not slope > most, argument


def bends(node: Node, x: Any, convex: bool) -> bool:
    """Whether the function is certainly convex, or concave, on a ball."""
    try:
        _, second = derivatives(node, x, 2)
    except ValueError:  # the ball is so wide that a denominator may be zero
        return False
    return bool(second >= 0 if convex else second <= 0)


@pytest.mark.parametrize("name", [*S_SHAPED, "gelu", "gelu_tanh", "silu", "mish", "softplus"])
def test_facts_follow_from_second_derivatives(name: str) -> None:
    """Rigorously on [-6, 6]: balls that cover all of it but 2^-40 about each bend."""
    node, _, facts = row(name)
    assert isinstance(facts, ir.Curved)
    ends = (-6.0, *facts.bends, 6.0)
    for low, high, convex in zip(ends[:-1], ends[1:], facts.convex, strict=True):
        pending = [(low + 2.0**-40, high - 2.0**-40)]
        while pending:
            a, b = pending.pop()
            if bends(node, flint.arb(a).union(flint.arb(b)), convex):
                continue
            assert b - a > 2.0**-60, (a, b)
            pending += [(a, (a + b) / 2), ((a + b) / 2, b)]


@pytest.mark.parametrize("name", ["gelu", "gelu_tanh", "silu", "mish"])
def test_bends_and_extrema_are_the_nearest_floats(name: str) -> None:
    """And the third derivative near a bend is what docs/rigor.md says."""
    node, _, facts = row(name)
    assert isinstance(facts, ir.Curved)
    for points, order in ((facts.bends, 2), (facts.extrema, 1)):
        for at in points:
            near = [np.nextafter(at, at + sign) for sign in (-1, 1)]
            first, last = (derivatives(node, flint.arb(float(t)), order)[-1] for t in near)
            assert (first > 0 > last) or (first < 0 < last)
            around = flint.arb(at, 2.0**-40)
            assert abs(derivatives(node, around, 3)[2]) <= 8


@pytest.mark.parametrize("function", [("log", {}), ("sqrt", {}), ("reciprocal", {})])
def test_nothing_is_known_outside_the_domain(function: tuple[str, dict[str, Any]]) -> None:
    node = node_of(function)
    lower = np.array([-1.0, -1.0, -5e-324, -1e-300, -np.inf, np.nan])
    upper = np.array([1.0, 0.0, 1.0, 1.0, np.inf, 1.0])
    zero = np.zeros(6)
    for flush in (False, True):
        with flush_to_zero(flush), np.errstate(all="ignore"):
            image = UNIVARIATE_OPS[node.op](node).image((lower, upper))
            found = relax(node, (lower, upper), (zero, zero))
        assert np.isnan([*image, found.lower_offset, found.upper_offset]).all()


@EVERY
def test_nan_and_infinite_ends_claim_nothing_false(function: tuple[str, dict[str, Any]]) -> None:
    node = node_of(function)
    lower = np.array([np.nan, 1.0, -np.inf, -np.inf, 1.0])
    upper = np.array([1.0, np.nan, np.inf, -1.0, np.inf])
    inner = [[], [], [-5.0, 0.5, 5.0], [-5.0, -1.0], [1.0, 5.0, 1e5]]
    with np.errstate(all="ignore"):
        low, high = UNIVARIATE_OPS[node.op](node).image((lower, upper))
        for slope in (0.0, 0.5, -1.0):
            found = relax(node, (lower, upper), (np.full(5, slope), np.full(5, slope)))
            for i, points in enumerate(inner):
                known = i < 2 or is_defined(node, max(lower[i], -9.0), min(upper[i], 9.0))
                for t in points if known else []:
                    value, line = truth(node, Fraction(t)), Fraction(slope) * Fraction(t)
                    assert not exact.surely_below(value, low[i])
                    assert not exact.surely_above(value, high[i])
                    for sign, o in ((1, found.lower_offset[i]), (-1, found.upper_offset[i])):
                        if np.isfinite(o):
                            bound = exact._like(value, sign * (line + Fraction(float(o))))
                            assert not sign * value < bound
    assert np.isnan(low[:2]).all()
    assert np.isnan(high[:2]).all()


@pytest.mark.parametrize("op", ["log", "sqrt", "reciprocal"])
def test_a_clip_does_not_hide_that_a_function_is_not_defined(op: str) -> None:
    """y = clip(f(x) + 1, 0, 1) <= 2 holds where f is defined, and is not claimed elsewhere."""
    builder = GraphBuilder()
    f = builder.add(op, [builder.input("x", (1,), "float64")])
    moved = builder.add("scale", [f], consts={"bias": Constant(np.ones(1))})
    y = builder.add("clip", [moved], attrs={"lower": 0.0, "upper": 1.0})
    graph = builder.build({"y": y}, "float64")
    one = np.ones((1, 1, 1))
    rows = Rows(np.zeros((1, 1, 0)), np.zeros((1, 1, 0)), -one, 0 * one, np.array([[-2.0]]))
    boxes = Boxes(graph, np.array([[-1.0], [0.5]]), np.array([[1.0], [1.0]]))
    found = Bounds(graph, boxes).minimum(rows)
    assert found[0, 0] == -np.inf
    assert found[1, 0] >= 0.9


@pytest.mark.parametrize("op", ["gelu", "silu", "mish", "softplus", "erf", "sin", "exp"])
def test_networks_of_it_are_proved(op: str) -> None:
    """The search finds a certificate for a claim with some room, and the checker accepts it."""
    graph = random_network(1, (2, 6, 6, 2), op)
    x = np.random.default_rng(0).uniform(-1, 1, (4000, 2))
    y = np.asarray(ir.evaluate(graph, x))[:, 0]
    bound = Fraction(round(float(y.max() + 0.1 * np.ptp(y)) * 1000), 1000)
    claim = problem(graph, Cell(box((-1, 1), (-1, 1)), ((output_at_least(0, bound),),)))
    assert check(searched(graph, claim), graph, claim).accepted
