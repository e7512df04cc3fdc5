"""Where a curved function is convex or concave on an interval, and where lines touch it there.

The search reads its bounds off these; the checker takes only ``touching`` from here, and trusts no
point that it gives.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from absint.ir.affine import Array
from absint.ir.ops import OPS
from absint.ir.univariate import Curved, Facts, Steps, Wave

if TYPE_CHECKING:
    from absint.ir.graph import Node

WAVE_REACH = 2.0**20
"""Beyond, a wave is only known to lie in [-1, 1]."""
_HALVINGS = 20


@dataclass(frozen=True)
class Piece:
    """A part [low, high] of an interval, empty where low > high, on which f is convex or not."""

    low: Array
    high: Array
    convex: Array | bool
    side: int = 1
    """-1 before a function's only bend."""


def boxed(facts: Facts, lower: Array, upper: Array, xp: Any) -> Array:
    """Where no line but a flat one is used: steps, and waves over more than a period."""
    if isinstance(facts, Wave):
        far = xp.maximum(xp.abs(lower), xp.abs(upper)) > WAVE_REACH
        return far | (upper - lower > 2 * math.pi)
    flat = isinstance(facts, Steps)
    return (lower == lower) & flat


def defined(facts: Facts, lower: Array, upper: Array) -> Array:
    """Where the function has a value on all of the interval. NaN ends have none."""
    domain = facts.domain if isinstance(facts, Curved) else "all"
    if domain == "positive":
        return (lower > 0) & (lower <= upper)
    if domain == "nonnegative":
        return (lower >= 0) & (lower <= upper)
    if domain == "nonzero":
        return ((lower > 0) | (upper < 0)) & (lower <= upper)
    return lower <= upper


def pieces(facts: Curved | Wave, lower: Array, upper: Array, xp: Any) -> Iterator[Piece]:
    """The parts of the interval between bends; of a wave over at most a period."""
    if isinstance(facts, Wave):
        yield from _half_waves(facts, lower, upper, xp)
        return
    ends = (-math.inf, *facts.bends, math.inf)
    for i, convex in enumerate(facts.convex):
        low = xp.where(lower < ends[i], ends[i], lower)
        high = xp.where(upper > ends[i + 1], ends[i + 1], upper)
        yield Piece(low, high, convex, -1 if i < len(facts.bends) else 1)


def _half_waves(facts: Wave, lower: Array, upper: Array, xp: Any) -> Iterator[Piece]:
    """sin is concave on [0, pi] and convex on [pi, 2 pi]."""
    first = xp.floor((lower + facts.phase) / math.pi)
    convex = first - 2 * xp.floor(first / 2) == 1
    bends = [(first + i) * math.pi - facts.phase for i in (1, 2)]
    low, high = xp.maximum, xp.minimum
    yield Piece(lower, high(upper, bends[0]), convex)
    yield Piece(low(lower, bends[0]), high(upper, bends[1]), ~convex)
    yield Piece(low(lower, bends[1]), upper, convex)


def inner_extrema(facts: Facts, lower: Array, upper: Array, xp: Any) -> Iterator[tuple[Array, Any]]:
    """(where an extremum may lie strictly inside the interval, its x)."""
    if isinstance(facts, Wave):
        for quarter in (1, -1):
            at = quarter * math.pi / 2 - facts.phase
            turn = xp.ceil((lower - at) / (2 * math.pi))
            point = at + 2 * math.pi * turn
            yield (lower < point) & (point < upper), point
    if isinstance(facts, Curved):
        for at in facts.extrema:
            yield (lower < at) & (at < upper), at


def touching(node: Node, slope: Array, piece: Piece, xp: Any) -> Array:
    """Points of the piece near which f' is ``slope``, or an end where f' never is."""
    univariate = OPS[node.op].univariate
    assert univariate is not None
    facts = univariate.facts(node)
    if isinstance(facts, Curved) and facts.tangent is not None:
        point = facts.tangent(slope, piece.side, xp)
    else:
        point = _bisected(node, slope, piece, xp)
    point = xp.where(xp.isnan(point), piece.low, point)
    return xp.minimum(xp.maximum(point, piece.low), piece.high)


def _bisected(node: Node, slope: Array, piece: Piece, xp: Any) -> Array:
    """Halves the piece towards ``f' = slope``, and takes the last step on a straight line."""
    univariate = OPS[node.op].univariate
    assert univariate is not None
    low, high = piece.low, piece.high
    convex = (low == low) & piece.convex
    for _ in range(_HALVINGS):
        point = low / 2 + high / 2
        right = (univariate.derivative(node, point, xp) < slope) == convex
        low, high = xp.where(right, point, low), xp.where(right, high, point)
    start, end = (univariate.derivative(node, x, xp) for x in (low, high))
    rise = end - start
    share = xp.where(rise != 0, (slope - start) / xp.where(rise != 0, rise, 1.0), 0.5)
    return low + xp.clip(share, 0.0, 1.0) * (high - low)
