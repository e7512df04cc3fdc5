"""Elementwise functions: values against library truth, and every fact on dense samples."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import pairwise

import exact
import flint
import numpy as np
import pytest
from elementwise import CASES, CURVED, PIECEWISE, WAVES, inside, row
from irmodels import Array

from absint.domains.arrays import numpy_arrays, torch_arrays
from absint.ir import Curved, Node, PiecewiseLinear, Steps, Wave
from absint.ir.pieces import pieces, touching

GRID = np.concatenate([np.linspace(-9, 9, 4001), np.linspace(-60, 60, 501)])
EDGES = np.array([0.0, -0.0, 5e-324, -5e-324, 1e-310, 1e300, -1e300, 745.2, -745.2])
EVERY = pytest.mark.parametrize("name", CASES)
LINEAR = ("relu", "leaky_relu", "abs", "clip")
KINKED = ("elu", "hard_swish")


def truth(node: Node, x: float) -> float:
    """From rationals or balls, rounded once."""
    number = Fraction(x) if node.op in exact.RATIONAL else flint.arb(x)
    return float(exact.FUNCTIONS[node.op](node, number))


def arguments(name: str) -> Array:
    """Grid and edges, as far as the function is defined and its values are floats."""
    node, x = CASES[name].node(), np.concatenate([GRID, EDGES])
    if node.op in ("exp", "power"):
        x = x[np.abs(x) < 60]
    return x[inside(name, x, x) & (np.abs(x) < 1e9)] if node.op not in LINEAR else x


@EVERY
def test_value_is_the_function(name: str) -> None:
    node, univariate, _ = row(name)
    x = arguments(name)
    expected = np.array([truth(node, float(v)) for v in x])
    found = univariate.value(node, x, np)
    spare = 0.0 if node.op in LINEAR else 1e-15 * (1 + np.abs(x))
    assert (np.abs(found - expected) <= 1e-14 * np.abs(expected) + spare + 1e-323).all()


@EVERY
def test_numpy_and_torch_agree(name: str) -> None:
    node, univariate, _ = row(name)
    arrays, x = torch_arrays(), arguments(name)
    for function in (univariate.value, univariate.derivative):
        with np.errstate(all="ignore"):
            found = arrays.numpy(function(node, arrays.asarray(x), arrays.xp))
            assert np.allclose(found, function(node, x, np), rtol=2e-14, atol=1e-14)


@EVERY
def test_derivative_is_that_of_finite_differences(name: str) -> None:
    node, univariate, facts = row(name)
    x, step = GRID[inside(name, GRID - 0.1, GRID + 0.1) & (np.abs(GRID) < 20)], 1e-6
    kinks = facts.knots if isinstance(facts, PiecewiseLinear) else ()
    kinks = facts.bends if isinstance(facts, Curved) and node.op in KINKED else kinks
    for knot in kinks:
        x = x[np.abs(x - knot) > 1e-3]
    if isinstance(facts, Steps):
        x = x[np.abs(2 * x - np.round(2 * x)) > 1e-3]
    ends = [univariate.value(node, x + sign * step, np) for sign in (-1, 1)]
    found = univariate.derivative(node, x, np)
    assert np.allclose(found, (ends[1] - ends[0]) / 2e-6, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", PIECEWISE)
def test_piecewise_linear_facts_are_the_function(name: str) -> None:
    node, univariate, facts = row(name)
    assert isinstance(facts, PiecewiseLinear)
    for knot, value in zip(facts.knots, facts.values, strict=True):
        assert univariate.value(node, np.array([knot]), np).tolist() == [value]
    ends = (-math.inf, *facts.knots, math.inf)
    for slope, low, high in zip(facts.slopes, ends, ends[1:], strict=False):
        inside = GRID[(low < GRID) & (high > GRID)]
        anchor, base = (facts.knots[0], facts.values[0])
        if low > -math.inf:
            place = facts.knots.index(low)
            anchor, base = low, facts.values[place]
        assert np.allclose(
            univariate.value(node, inside, np), base + slope * (inside - anchor), rtol=1e-15
        )
        assert (univariate.derivative(node, inside, np) == slope).all()


@pytest.mark.parametrize("name", [n for n in CURVED if row(n)[2].odd])  # type: ignore[union-attr]
def test_odd_functions_are_odd(name: str) -> None:
    node, univariate, _ = row(name)
    x = np.linspace(0, 9, 500)
    centre = univariate.value(node, np.zeros(1), np)
    there, back = (univariate.value(node, sign * x, np) - centre for sign in (1, -1))
    assert np.allclose(there, -back, rtol=1e-15, atol=1e-15)


@pytest.mark.parametrize("name", CURVED)
def test_functions_bend_where_the_facts_say(name: str) -> None:
    node, univariate, facts = row(name)
    assert isinstance(facts, Curved)
    for low, high, convex in zip(
        (-8.0, *facts.bends), (*facts.bends, 8.0), facts.convex, strict=True
    ):
        x = np.linspace(low, high, 1002)[1:-1]
        slopes = np.diff(univariate.derivative(node, x[inside(name, x, x)], np))
        spare = 1e-15 * (1 + np.abs(slopes).max())
        assert ((slopes if convex else -slopes) >= -spare).all()


@pytest.mark.parametrize("name", CURVED)
def test_extrema_are_where_the_derivative_changes_sign(name: str) -> None:
    node, univariate, facts = row(name)
    assert isinstance(facts, Curved)
    ends = np.array([-8.0, *facts.extrema, 8.0])
    for low, high in pairwise(ends):
        x = np.linspace(low, high, 1002)[1:-1]
        slopes = univariate.derivative(node, x[inside(name, x, x)], np)
        assert (slopes >= -1e-15).all() or (slopes <= 1e-15).all()


@pytest.mark.parametrize("name", [*CURVED, *WAVES])
@pytest.mark.parametrize("torch", [False, True])
def test_touching_finds_the_point_of_a_slope(name: str, torch: bool) -> None:
    node, univariate, facts = row(name)
    arrays = torch_arrays() if torch else numpy_arrays()
    assert isinstance(facts, Curved | Wave)
    lower = np.array([-3.0, -1.0, 0.25, 1.5, -6.0])
    upper = lower + np.array([2.5, 0.5, 3.0, 2.0, 5.5])
    for piece in pieces(facts, arrays.asarray(lower), arrays.asarray(upper), arrays.xp):
        low, high = (arrays.numpy(end) for end in (piece.low, piece.high))
        point = low + 0.375 * (high - low)
        slope = univariate.derivative(node, point, np)
        with np.errstate(all="ignore"):
            found = arrays.numpy(touching(node, arrays.asarray(slope), piece, arrays.xp))
        known = (low < high) & inside(name, low, high)
        assert ((low <= found) & (found <= high))[known].all()
        again = univariate.derivative(node, found[known], np)
        assert np.allclose(again, slope[known], rtol=1e-6, atol=1e-9) or node.op in KINKED


@EVERY
def test_touching_is_inside_for_every_slope(name: str) -> None:
    node, _, facts = row(name)
    if not isinstance(facts, Curved | Wave):
        return
    slope = np.array([0.0, -0.0, 1e-300, 1e300, -1e300, np.nan, np.inf, -np.inf, -0.1, 2.0])
    lower, upper = np.full(10, 0.5), np.full(10, 2.5)
    with np.errstate(all="ignore"):
        for piece in pieces(facts, lower, upper, np):
            found = touching(node, slope, piece, np)
            some = np.broadcast_to(piece.low <= piece.high, (10,))
            assert ((found >= piece.low) & (found <= piece.high))[some].all()
