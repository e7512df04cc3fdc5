"""Linear relaxations of elementwise functions: default slopes, and the offsets that they need."""

from __future__ import annotations

from dataclasses import dataclass

from absint.domains.arrays import Array, Arrays
from absint.domains.interval import Interval
from absint.ir import OPS, Node, PiecewiseLinear, SShaped
from absint.ir.slopes import default_slopes


@dataclass(frozen=True)
class Relaxation:
    """Two lines about a function on an interval, as their middle and half their difference.

    ``(slope - half_slope) x + offset - half_offset <= f(x)`` and ``f(x) <= (slope + half_slope) x +
    offset + half_offset``.
    """

    slope: Array
    half_slope: Array
    offset: Array
    half_offset: Array

    def mean_gap(self, x: Interval) -> Array:
        """The mean distance between the two lines over the interval."""
        return (x[0] + x[1]) * self.half_slope + 2 * self.half_offset


def relax(node: Node, x: Interval, arrays: Arrays) -> Relaxation:
    """The default relaxation of ``node``'s function over ``x`` (arrays of (batch, *shape))."""
    lower_slope, upper_slope = default_slopes(node, *x, arrays.xp)
    lower_offset = -_largest_gap(node, x, lower_slope, -1, arrays)
    upper_offset = _largest_gap(node, x, upper_slope, 1, arrays)
    return Relaxation(
        (upper_slope + lower_slope) / 2,
        (upper_slope - lower_slope) / 2,
        (upper_offset + lower_offset) / 2,
        (upper_offset - lower_offset) / 2,
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
