"""Linear relaxations of elementwise functions: default slopes, and the offsets that they need."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from absint.domains.arrays import Array, Arrays, still
from absint.domains.interval import Interval, univariate_image
from absint.ir import OPS, Curved, Node, PiecewiseLinear, Wave
from absint.ir.pieces import boxed, defined, pieces, touching
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


def relax(node: Node, x: Interval, arrays: Arrays, named: Array | None = None) -> Relaxation:
    """The default relaxation of ``node``'s function over ``x`` (arrays of (batch, *shape)), or that
    with ``named`` slopes (``absint.ir.slopes.default_slopes``).

    Where the function is not defined on all of ``x``, the lines are not finite. Gradients take the
    slopes and points of contact of a curved function as given: any slope is sound, and at a point
    of contact the gap is largest, so that it does not change to first order as the point moves.
    """
    with np.errstate(all="ignore"):
        lower_slope, upper_slope = default_slopes(node, *x, arrays.xp, named)
        if not _piecewise_linear(node):
            lower_slope, upper_slope = still(lower_slope), still(upper_slope)
        lower_offset = -_largest_gap(node, x, lower_slope, -1, arrays)
        upper_offset = _largest_gap(node, x, upper_slope, 1, arrays)
        return Relaxation(
            (upper_slope + lower_slope) / 2,
            (upper_slope - lower_slope) / 2,
            (upper_offset + lower_offset) / 2,
            (upper_offset - lower_offset) / 2,
        )


def band(node: Node, x: Interval, arrays: Arrays) -> Relaxation:
    """Two lines of one slope about ``node``'s function over ``x`` (arrays of (batch, *shape)).

    The narrowest of those whose slope is the secant's or a default one. For a convex or concave
    function the secant's is the narrowest there is. Not finite where the function is not defined.
    """
    univariate, xp = OPS[node.op].univariate, arrays.xp
    assert univariate is not None
    with np.errstate(all="ignore"):
        low, high = (univariate.value(node, end, xp) for end in x)
        run = x[1] - x[0]
        slope = xp.where(run > 0, (high - low) / xp.where(run > 0, run, 1.0), 0.0)
        above, below = (_largest_gap(node, x, slope, sign, arrays) for sign in (1, -1))
        for other in default_slopes(node, *x, xp):
            ends = [_largest_gap(node, x, other, sign, arrays) for sign in (1, -1)]
            narrower = ~(above + below <= ends[0] + ends[1])
            slope = xp.where(narrower, other, slope)
            above, below = xp.where(narrower, ends[0], above), xp.where(narrower, ends[1], below)
        return Relaxation(slope, xp.zeros_like(slope), (above - below) / 2, (above + below) / 2)


def _piecewise_linear(node: Node) -> bool:
    univariate = OPS[node.op].univariate
    return univariate is not None and isinstance(univariate.facts(node), PiecewiseLinear)


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
    if isinstance(facts, PiecewiseLinear):
        return gap
    if isinstance(facts, Curved | Wave):
        for piece in pieces(facts, *x, xp):
            points = [piece.low]  # a piece's upper end is the next one's lower end, or the last
            if piece.convex is not (sign > 0):
                points.append(still(touching(node, slope, piece, xp)))
            for point in points:
                touch = sign * (univariate.value(node, point, xp) - slope * point)
                gap = xp.where(piece.low <= piece.high, xp.maximum(gap, touch), gap)
    if not isinstance(facts, Curved):
        top = univariate_image(node, x, arrays)[1 if sign > 0 else 0]
        box = xp.maximum(*(sign * (top - slope * end) for end in x))
        gap = xp.where(boxed(facts, *x, xp), box, gap)
    return xp.where(defined(facts, *x), gap, math.inf)
