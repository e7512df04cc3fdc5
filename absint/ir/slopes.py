"""The default slopes of linear relaxations.

A relaxation is sound for any slope once its offset is computed for that slope, so nothing here has
to be trusted: search and checker both start from these slopes and each computes its own offsets.
"""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from absint.ir.affine import Array
from absint.ir.ops import OPS
from absint.ir.pieces import boxed
from absint.ir.univariate import Curved, PiecewiseLinear

if TYPE_CHECKING:
    from absint.ir.graph import Node


_NEARLY = 2.0**-20
"""A share of the interval's width within which an end counts as being at a knot. The checker's
bounds are wider than the search's by roundings; where an end is zero by construction, both must
still choose the same slopes."""
_SAMPLES = 8
"""Even, so that the middle of an interval is not one of them."""


def default_slopes(
    node: Node, lower: Array, upper: Array, xp: Any, named: Array | None = None
) -> tuple[Array, Array]:
    """(lower slope, upper slope) of ``node``'s function over [lower, upper], elementwise.

    Piecewise linear: the secant on the side that a chord bounds, and on the other the outer piece
    that covers more of the interval (Zhang et al. 2018, CROWN, "adaptive"); neither convex nor
    concave: on both sides the edge of the hull above or below the middle. S-shaped: secant and
    tangent by the sign of the interval, and the tangent from the far end where it holds both.
    Other curved functions: the hull of samples. Steps, and waves over more than a period: flat.

    ``named``, for a function with one knot: on the side that no chord bounds these slopes, where
    the knot is inside and they are not NaN.
    """
    with np.errstate(all="ignore"):
        return _default_slopes(node, lower, upper, xp, named)


def _default_slopes(
    node: Node, lower: Array, upper: Array, xp: Any, named: Array | None
) -> tuple[Array, Array]:
    univariate = OPS[node.op].univariate
    assert univariate is not None
    facts = univariate.facts(node)
    low, high = univariate.value(node, lower, xp), univariate.value(node, upper, xp)
    width = upper - lower
    wide = width > 0
    secant = xp.where(wide, (high - low) / xp.where(wide, width, 1.0), 0.0)
    if isinstance(facts, PiecewiseLinear):
        rising = sorted(facts.slopes)
        if list(facts.slopes) in (rising, rising[::-1]):
            return _piecewise(facts, lower, upper, secant, xp, named)
        vertices = _vertices(facts, (lower, low), (upper, high), xp)
        return _hull_edges(vertices, secant, xp)
    if isinstance(facts, Curved) and facts.odd and facts.convex == (True, False):
        return _s_shaped(node, lower, upper, secant, xp)
    slopes = _curved(node, (lower, low), (upper, high), secant, xp)
    flat = boxed(facts, lower, upper, xp)
    return xp.where(flat, 0.0, slopes[0]), xp.where(flat, 0.0, slopes[1])


def _piecewise(
    facts: PiecewiseLinear,
    lower: Array,
    upper: Array,
    secant: Array,
    xp: Any,
    named: Array | None,
) -> tuple[Array, Array]:
    first, last = facts.knots[0], facts.knots[-1]
    left, right = facts.slopes[0], facts.slopes[-1]
    nearly = _NEARLY * (upper - lower)
    outer = xp.where(upper - last > first - lower + nearly, right, left) + 0 * secant
    if named is not None:
        outer = xp.where(xp.isnan(named), outer, named)
    above, below = lower >= last - nearly, upper <= first + nearly
    outer = xp.where(above, right, xp.where(below, left, outer))
    chord = xp.where(above, right, xp.where(below, left, secant))
    convex = list(facts.slopes) == sorted(facts.slopes)
    return (outer, chord) if convex else (chord, outer)


Point = tuple[Array, Array]
"""(x, f(x)), elementwise."""


def _hull_edges(vertices: list[Point], secant: Array, xp: Any) -> tuple[Array, Array]:
    """The slopes of the convex hull's two edges, of the vertices from left to right, at the middle.

    Of all lines above the function, the one that is lowest at the middle leaves the least area; it
    supports the hull there. The middle is moved by less than the tolerance of an end: a symmetric
    interval may have a knot exactly there.
    """
    (lower, low), (upper, _) = vertices[0], vertices[-1]
    middle = (lower + upper) / 2 - _NEARLY / 2 * (upper - lower)
    slopes, heights = [secant] * 2, [low + secant * (middle - lower)] * 2
    for (left, base), (right, top) in combinations(vertices, 2):
        run = right - left
        slope = (top - base) / xp.where(run > 0, run, 1.0)
        height = base + slope * (middle - left)
        passes = (run > 0) & (left <= middle) & (middle <= right)
        for side, further in enumerate((height < heights[0], height > heights[1])):
            slopes[side] = xp.where(passes & further, slope, slopes[side])
            heights[side] = xp.where(passes & further, height, heights[side])
    return slopes[0], slopes[1]


def _curved(node: Node, start: Point, end: Point, secant: Array, xp: Any) -> tuple[Array, Array]:
    """The edges of the hull of samples; on an interval too narrow for that, the derivative."""
    univariate = OPS[node.op].univariate
    assert univariate is not None
    (lower, _), (upper, _) = start, end
    shares = [i / (_SAMPLES - 1) for i in range(1, _SAMPLES - 1)]
    inside = [lower * (1 - share) + upper * share for share in shares]
    samples = [(x, univariate.value(node, x, xp)) for x in inside]
    slopes = _hull_edges([start, *samples, end], secant, xp)
    steep = univariate.derivative(node, lower / 2 + upper / 2, xp)
    size = xp.maximum(xp.abs(lower), xp.abs(upper))
    narrow = (upper - lower <= _NEARLY * (1 + size)) & xp.isfinite(steep)
    return xp.where(narrow, steep, slopes[0]), xp.where(narrow, steep, slopes[1])


def _vertices(facts: PiecewiseLinear, start: Point, end: Point, xp: Any) -> list[Point]:
    """The graph's ends and knots from left to right; a knot outside counts as the nearer end."""
    knots = []
    for knot, value in zip(facts.knots, facts.values, strict=True):
        before, after = knot < start[0], knot > end[0]
        ends = zip((knot, value), start, end, strict=True)
        x, y = (xp.where(before, s, xp.where(after, e, inside)) for inside, s, e in ends)
        knots.append((x, y))
    return [start, *knots, end]


def _s_shaped(
    node: Node, lower: Array, upper: Array, secant: Array, xp: Any
) -> tuple[Array, Array]:
    univariate = OPS[node.op].univariate
    assert univariate is not None
    middle = univariate.derivative(node, (lower + upper) / 2, xp)
    flat = xp.where(upper - lower > 0, secant, middle)
    from_lower = _tangent_slope(node, lower, upper, xp)
    from_upper = _tangent_slope(node, -upper, -lower, xp)
    concave, convex = lower >= -_NEARLY * (upper - lower), upper <= _NEARLY * (upper - lower)
    lower_slope = xp.where(concave, flat, xp.where(convex, middle, from_upper))
    upper_slope = xp.where(convex, flat, xp.where(concave, middle, from_lower))
    return lower_slope, upper_slope


_TANGENT_STEPS = 20


def _tangent_slope(node: Node, start: Array, end: Array, xp: Any) -> Array:
    """The slope of the line from (start, f) that touches f on (0, end], by bisection.

    ``start < 0 < end``; where no tangent point lies before ``end``, the secant's slope.
    """
    univariate = OPS[node.op].univariate
    assert univariate is not None
    value = univariate.value
    base, near, far = value(node, start, xp), xp.zeros_like(end), end
    for _ in range(_TANGENT_STEPS):
        point = (near + far) / 2
        chord = (value(node, point, xp) - base) / xp.where(point > start, point - start, 1.0)
        below = univariate.derivative(node, point, xp) < chord
        near, far = xp.where(below, near, point), xp.where(below, point, far)
    return (value(node, far, xp) - base) / xp.where(far > start, far - start, 1.0)
