"""Linear relaxations of elementwise functions: default slopes, and the offsets that they need."""

from __future__ import annotations

from dataclasses import dataclass

from absint.domains.arrays import Array, Arrays
from absint.domains.interval import Interval
from absint.ir import OPS, Node, PiecewiseLinear, SShaped
from absint.ir.slopes import default_slopes


@dataclass(frozen=True)
class Relaxation:
    """``lower_slope x + lower_offset <= f(x) <= upper_slope x + upper_offset`` on an interval."""

    lower_slope: Array
    lower_offset: Array
    upper_slope: Array
    upper_offset: Array


def relax(node: Node, x: Interval, arrays: Arrays) -> Relaxation:
    """The default relaxation of ``node``'s function over ``x`` (arrays of (batch, *shape))."""
    lower_slope, upper_slope = default_slopes(node, *x, arrays.xp)
    return Relaxation(
        lower_slope,
        -_largest_gap(node, x, lower_slope, -1, arrays),
        upper_slope,
        _largest_gap(node, x, upper_slope, 1, arrays),
    )


def _largest_gap(node: Node, x: Interval, slope: Array, sign: int, arrays: Arrays) -> Array:
    """The maximum of ``sign * (f(x) - slope x)`` over the interval."""
    univariate, xp = OPS[node.op].univariate, arrays.xp
    assert univariate is not None
    facts = univariate.facts(node)
    ends = [sign * (univariate.value(node, end, xp) - slope * end) for end in x]
    gap = xp.maximum(*ends)
    if isinstance(facts, PiecewiseLinear):
        for knot, value in zip(facts.knots, facts.values, strict=True):
            inside = (x[0] < knot) & (x[1] > knot)
            gap = xp.where(inside, xp.maximum(gap, sign * (value - slope * knot)), gap)
    if isinstance(facts, SShaped):
        point = sign * facts.tangent(slope, xp)
        touch = sign * (univariate.value(node, point, xp) - slope * point)
        gap = xp.where((x[0] < point) & (x[1] > point), xp.maximum(gap, touch), gap)
    return gap


def mean_gap(relaxation: Relaxation, x: Interval) -> Array:
    """The distance between the two lines at the interval's middle, their mean distance over it."""
    middle = (x[0] + x[1]) / 2
    slope = relaxation.upper_slope - relaxation.lower_slope
    return slope * middle + relaxation.upper_offset - relaxation.lower_offset
