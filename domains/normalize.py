"""Normalisation by the root of the mean square: images and chords (unsound in rounding)."""

from __future__ import annotations

import math
from dataclasses import dataclass

from absint.domains.arrays import Array, Arrays
from absint.ir import Node

Interval = tuple[Array, Array]

_CENTRING_STEPS = 8


@dataclass(frozen=True)
class _Spread:
    """What is known of ``z``, the entries less their mean (or not): (..., n) each but the totals.

    ``least`` and ``most`` bound the sum of squares of all *other* entries, ``total`` (..., 1) that
    of all; the square of an entry is at most ``share`` of the total.
    """

    z: Interval
    least: Array
    most: Array
    total: Interval
    share: float


def normalize(node: Node, x: Interval, arrays: Arrays) -> Interval:
    """Bounds of each normalised entry, (batch, *shape); NaN where it may divide by zero."""
    shape, spread, epsilon = x[0].shape, _spread(node, x, arrays), node.number("epsilon")
    upper = _largest(spread.z[1], spread, epsilon, arrays)
    lower = -_largest(-spread.z[0], spread, epsilon, arrays)
    if epsilon == 0:
        known = spread.total[0] > 0
        lower, upper = (arrays.xp.where(known, end, math.nan) for end in (lower, upper))
    return lower.reshape(shape), upper.reshape(shape)


@dataclass(frozen=True)
class Chord:
    """The relaxation of one node: a factor with known bounds times a linear map, group by group.

    ``x`` and ``value`` are the bounds of the operand and of the node, (batch, groups, entries);
    ``factor`` is (batch, groups). See the checker's rule (docs/rigor.md).
    """

    node: Node
    x: Interval
    value: Interval
    factor: Interval

    @staticmethod
    def of(node: Node, x: Interval, value: Interval, arrays: Arrays) -> Chord:
        """Over the operand's bounds (batch, *shape)."""
        shape = (x[0].shape[0], -1, _together(node))
        ends = [end.reshape(shape) for end in (*x, *value)]
        least, most = _spread(node, x, arrays).total
        small, large = (
            1 / arrays.xp.sqrt(total.reshape(shape[:2]) / shape[2] + node.number("epsilon"))
            for total in (most, least)
        )
        return Chord(node, (ends[0], ends[1]), (ends[2], ends[3]), (small, large))

    def backward(self, c: Array, arrays: Arrays) -> tuple[list[Array], Array]:
        """Coefficients (batch, rows, *shape) before the node; what they add to the offset.

        ``c`` is (batch or 1, rows, *shape); the sum bounds ``c . y`` from below.
        """
        xp = arrays.xp
        c = c.reshape((*c.shape[:2], -1, self.x[0].shape[2]))
        w = c - xp.mean(c, axis=3, keepdims=True) if self.node.integer("centered") else c
        (low, high), (least, most) = _range(w, self.x, arrays), _range(c, self.value, arrays)
        small, large = (end[:, None] for end in self.factor)
        ends = xp.where(low >= 0, small, large) * low, xp.where(high >= 0, small, large) * high
        span = xp.where(high > low, high - low, 1.0)
        slope = xp.where(high > low, (ends[1] - ends[0]) / span, small)
        bow = xp.where((low < 0) & (high > 0), -2 * low * high / span, 0.0)
        gap = (large - small) * xp.maximum(bow, xp.abs(low + high) / 2)
        linear = gap <= most - least
        offset = xp.where(linear, ends[0] - slope * low, least)
        slope = xp.where(linear, slope, 0.0)
        part = slope[..., None] * w
        return [part.reshape((*part.shape[:2], *self.node.shape))], xp.sum(offset, axis=2)


def _range(c: Array, x: Interval, arrays: Arrays) -> Interval:
    """Bounds (batch, rows, groups) of ``c . x`` in each group."""
    xp = arrays.xp
    middle, radius = ((x[0] + x[1])[:, None] / 2, (x[1] - x[0])[:, None] / 2)
    centre, spread = xp.sum(c * middle, axis=3), xp.sum(xp.abs(c) * radius, axis=3)
    return centre - spread, centre + spread


def _together(node: Node) -> int:
    """How many entries are normalised together."""
    return math.prod(node.shape[len(node.shape) - node.integer("axes") :])


def _spread(node: Node, x: Interval, arrays: Arrays) -> _Spread:
    ends = (x[0].reshape((-1, _together(node))), x[1].reshape((-1, _together(node))))
    return _centred(ends, arrays) if node.integer("centered") else _plain(ends, arrays)


def _plain(x: Interval, arrays: Arrays) -> _Spread:
    low, high = _squares(x, arrays)
    least, most = (arrays.xp.sum(part, axis=-1, keepdims=True) for part in (low, high))
    return _Spread(x, least - low, most - high, (least, most), 1.0)


def _centred(x: Interval, arrays: Arrays) -> _Spread:
    """Entries less their mean sum to zero: no square is above ``(n - 1) / n`` of the total."""
    xp, count = arrays.xp, x[0].shape[-1]
    m, r = (x[0] + x[1]) / 2, (x[1] - x[0]) / 2
    middle = m - xp.mean(m, axis=-1, keepdims=True)
    radius = (1 - 2 / count) * r + xp.mean(r, axis=-1, keepdims=True)
    inner = _plain((middle - radius, middle + radius), arrays)
    shift = xp.mean(m, axis=-1, keepdims=True)
    far = xp.maximum(xp.abs(x[1] - shift), xp.abs(shift - x[0]))
    total = _least_total(x, shift, arrays), xp.sum(far * far, axis=-1, keepdims=True)
    return _Spread(inner.z, inner.least, inner.most, total, (count - 1) / count)


def _least_total(x: Interval, shift: Array, arrays: Arrays) -> Array:
    """At most ``sum (x - mean)^2``: see the checker's rule (docs/rigor.md)."""
    xp = arrays.xp
    for _ in range(_CENTRING_STEPS):
        shift = xp.mean(_clipped(shift, x, arrays), axis=-1, keepdims=True)
    w = _clipped(shift, x, arrays) - shift
    ends = w * (x[0] - shift), w * (x[1] - shift)
    reached = xp.sum(xp.where(w > 0, *ends), axis=-1, keepdims=True)
    far = xp.maximum(xp.abs(x[0] - shift), xp.abs(x[1] - shift))
    skew = xp.abs(xp.sum(w, axis=-1, keepdims=True)) * xp.mean(far, axis=-1, keepdims=True)
    reached, norm = _positive(reached - skew, arrays), xp.sum(w * w, axis=-1, keepdims=True)
    return xp.where(norm > 0, reached * reached / xp.where(norm > 0, norm, 1.0), 0.0)


def _clipped(shift: Array, x: Interval, arrays: Arrays) -> Array:
    return arrays.xp.minimum(arrays.xp.maximum(shift, x[0]), x[1])


def _positive(x: Array, arrays: Arrays) -> Array:
    return arrays.xp.where(x > 0, x, arrays.xp.zeros_like(x))


def _squares(x: Interval, arrays: Arrays) -> Interval:
    low, high = x[0] * x[0], x[1] * x[1]
    apart = (x[0] > 0) | (x[1] < 0)
    return arrays.xp.where(apart, arrays.xp.minimum(low, high), 0.0), arrays.xp.maximum(low, high)


def _largest(end: Array, known: _Spread, epsilon: float, arrays: Arrays) -> Array:
    """The normalised entry at most, wherever it was at most ``end`` before."""
    xp, count = arrays.xp, end.shape[-1]
    square, limit = end * end, (count * known.share) ** 0.5
    small = xp.maximum(square + _positive(known.least, arrays), known.total[0])
    if known.share > 0:
        small = xp.maximum(small, square / known.share)
    large = xp.minimum(square + known.most, known.total[1])
    most, least = (
        xp.where(square > 0, xp.abs(end) / xp.sqrt(total / count + epsilon), 0.0)
        for total in (small, large)
    )
    return xp.where(end >= 0, xp.clip(most, max=limit), -xp.where(least > 0, least, 0.0))
