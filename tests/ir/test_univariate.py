"""Elementwise functions: values against library truth, and every fact on dense samples."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from irmodels import CLIPS, Array, Case

from absint.domains.arrays import torch_arrays
from absint.ir import OPS, Node, PiecewiseLinear, SShaped, Univariate
from absint.ir.univariate import Facts

ALPHAS = (0.0, 0.01, 0.25, 1.0, 1.5, -0.5)
NODES = {
    "relu": Case("", "relu", ((1,),)),
    **{f"leaky {a}": Case("", "leaky_relu", ((1,),), {"alpha": a}) for a in ALPHAS},
    "abs": Case("", "abs", ((1,),)),
    **{f"clip {a} {b}": Case("", "clip", ((1,),), {"lower": a, "upper": b}) for a, b in CLIPS},
    "sigmoid": Case("", "sigmoid", ((1,),)),
    "tanh": Case("", "tanh", ((1,),)),
}
TRUTH: dict[str, Callable[[Node, float], float]] = {
    "relu": lambda node, x: max(x, 0.0),
    "leaky_relu": lambda node, x: x if x > 0 else node.number("alpha") * x,
    "abs": lambda node, x: math.fabs(x),
    "clip": lambda node, x: min(max(x, node.extended("lower")), node.extended("upper")),
    "sigmoid": lambda node, x: 1 / (1 + math.exp(-x)) if x > -700 else math.exp(x),
    "tanh": lambda node, x: math.tanh(x),
}
GRID = np.concatenate([np.linspace(-9, 9, 4001), np.linspace(-60, 60, 501)])
EDGES = np.array([0.0, -0.0, 5e-324, -5e-324, 1e-310, 1e300, -1e300, 745.2, -745.2])
EVERY = pytest.mark.parametrize("name", NODES)
SMOOTH = pytest.mark.parametrize("name", ["sigmoid", "tanh"])


def row(name: str) -> tuple[Node, Univariate, Facts]:
    node = NODES[name].node()
    univariate = OPS[node.op].univariate
    assert univariate is not None
    return node, univariate, univariate.facts(node)


def s_shaped(name: str) -> tuple[Node, Univariate, SShaped]:
    node, univariate, facts = row(name)
    assert isinstance(facts, SShaped)
    return node, univariate, facts


@EVERY
def test_value_is_the_function(name: str) -> None:
    node, univariate, _ = row(name)
    x = np.concatenate([GRID, EDGES])
    expected = np.array([TRUTH[node.op](node, float(v)) for v in x])
    found = univariate.value(node, x, np)
    assert np.allclose(found, expected, rtol=1e-15, atol=1e-323)


@EVERY
def test_numpy_and_torch_agree(name: str) -> None:
    node, univariate, _ = row(name)
    arrays, x = torch_arrays(), np.concatenate([GRID, EDGES])
    for function in (univariate.value, univariate.derivative):
        found = arrays.numpy(function(node, arrays.asarray(x), arrays.xp))
        assert np.allclose(found, function(node, x, np), rtol=1e-14, atol=1e-15)


@EVERY
def test_derivative_is_that_of_finite_differences(name: str) -> None:
    node, univariate, facts = row(name)
    x, step = GRID, 1e-6
    for knot in facts.knots if isinstance(facts, PiecewiseLinear) else ():
        x = x[np.abs(x - knot) > 1e-3]
    ends = [univariate.value(node, x + sign * step, np) for sign in (-1, 1)]
    assert np.allclose(univariate.derivative(node, x, np), (ends[1] - ends[0]) / 2e-6, atol=1e-8)


@pytest.mark.parametrize("name", [name for name in NODES if name not in ("sigmoid", "tanh")])
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


@SMOOTH
def test_s_shaped_functions_are_odd_and_increasing(name: str) -> None:
    node, univariate, facts = s_shaped(name)
    x = np.sort(GRID)
    y = univariate.value(node, x, np) - facts.centre
    assert np.allclose(y, -(univariate.value(node, -x, np) - facts.centre), atol=1e-16)
    assert (np.diff(y) >= 0).all()
    assert univariate.value(node, np.zeros(1), np).tolist() == [facts.centre]


@SMOOTH
def test_s_shaped_functions_bend_where_the_facts_say(name: str) -> None:
    node, univariate, facts = s_shaped(name)
    slopes = univariate.derivative(node, np.linspace(-9, 9, 6001), np)
    assert (np.diff(slopes[:3001]) >= -1e-16).all(), "convex below 0"
    assert (np.diff(slopes[3000:]) <= 1e-16).all(), "concave above 0"
    assert slopes.max() == slopes[3000] == facts.steepest


@SMOOTH
@pytest.mark.parametrize("torch", [False, True])
def test_tangent_finds_the_point_of_a_slope(name: str, torch: bool) -> None:
    node, univariate, facts = s_shaped(name)
    points = np.linspace(0, 12, 500)
    slopes = univariate.derivative(node, points, np)
    if torch:
        arrays = torch_arrays()
        found = arrays.numpy(facts.tangent(arrays.asarray(slopes), arrays.xp))
    else:
        found = facts.tangent(slopes, np)
    assert (found >= 0).all()
    again: Array = univariate.derivative(node, found, np)
    assert np.allclose(again, slopes, rtol=1e-6, atol=1e-15)


@SMOOTH
def test_tangent_is_finite_for_every_slope(name: str) -> None:
    _, _, facts = s_shaped(name)
    slopes = np.array([0.0, 1e-300, 1e-17, facts.steepest, 2.0, -1.0])
    found = facts.tangent(slopes, np)
    assert np.isfinite(found).all()
    assert (found[3:5] == 0).all()
