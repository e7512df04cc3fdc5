"""Normalisation by the root of the mean square: rigorous interval images. See docs/rigor.md."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from absint.ir import Node
from absint.proofs.arithmetic import (
    TINY,
    FloatArray,
    down,
    gamma,
    inflate,
    midpoint_radius,
    up,
    without_subnormals,
)

Interval = tuple[FloatArray, FloatArray]

_SLACK = 2.0**-48
"""More than the roundings of two quotients, a sum and a root."""
_CENTRING_STEPS = 8


@dataclass(frozen=True)
class _Spread:
    """What is known of ``z``, the entries less their mean (or not): (..., n) each but the totals.

    ``least`` and ``most`` bound the sum of squares of all *other* entries, ``total`` (..., 1) that
    of all; no |y| exceeds ``limit``, and the square of an entry is at most ``share`` of the total.
    """

    z: Interval
    least: FloatArray
    most: FloatArray
    total: Interval
    limit: float
    share: float


def interval(node: Node, x: Interval) -> Interval:
    """Bounds of each normalised entry, (batch, *shape)."""
    shape, spread, epsilon = x[0].shape, _spread(node, x), node.number("epsilon")
    upper = _largest(spread.z[1], spread, epsilon)
    lower = -_largest(-spread.z[0], spread, epsilon)
    return lower.reshape(shape), upper.reshape(shape)


def defined(node: Node, x: Interval) -> NDArray[np.bool_]:
    """(batch,): whether no denominator can be zero."""
    batch = x[0].shape[0]
    if node.number("epsilon") > 0:
        return np.ones(batch, dtype=bool)
    least = _spread(node, x).total[0]
    positive: NDArray[np.bool_] = np.all(least.reshape((batch, -1)) > 0, axis=1)
    return positive


def divisor(node: Node, x: Interval) -> Interval:
    """Bounds of what the entries are divided by, (batch, groups) of entries that share it."""
    least, most = _spread(node, x).total
    ends = root(least, node, -1), root(most, node, 1)
    return ends[0].reshape((len(x[0]), -1)), ends[1].reshape((len(x[0]), -1))


def root(total: FloatArray, node: Node, side: int) -> FloatArray:
    """``sqrt(total / n + epsilon)`` from below (side -1) or above (1)."""
    mean = (total / together(node) + node.number("epsilon")) * (1 + side * _SLACK) + side * 2 * TINY
    return np.sqrt(np.maximum(mean, 0.0)) * (1 + side * _SLACK)


def together(node: Node) -> int:
    """How many entries are normalised together."""
    return int(np.prod(node.shape[len(node.shape) - node.integer("axes") :]))


def _spread(node: Node, x: Interval) -> _Spread:
    ends = (x[0].reshape((-1, together(node))), x[1].reshape((-1, together(node))))
    return _centred(ends) if node.integer("centered") else _plain(ends)


def _plain(x: Interval) -> _Spread:
    """The entries as they are (RMS norm)."""
    count = x[0].shape[-1]
    least, most, total = _sums(x)
    return _Spread(x, least, most, total, float(up(np.sqrt(count))), 1.0)


def _centred(x: Interval) -> _Spread:
    """The entries less their mean (layer norm). They sum to zero, so no square is more than
    ``(n - 1) / n`` of the sum of squares."""
    count = x[0].shape[-1]
    (m, _), z = midpoint_radius(*x), less_mean(x)
    least, most, _ = _sums(z)
    shift = m.mean(axis=-1, keepdims=True)
    total = _least_total(x, m), _most_total(x, shift)
    return _Spread(z, least, most, total, float(up(np.sqrt(count - 1))), (count - 1) / count)


def less_mean(x: Interval) -> Interval:
    """Bounds of each entry less the mean of all."""
    count = x[0].shape[-1]
    m, r = midpoint_radius(*x)
    far = inflate(np.abs(m) + r)
    centre = m - m.mean(axis=-1, keepdims=True)
    radius = (1 - 2 / count) * r + r.mean(axis=-1, keepdims=True)
    lost = gamma(count + 8) * (far + far.mean(axis=-1, keepdims=True))
    radius = inflate(np.maximum(radius, 0.0) + lost, 4 * count + 8)
    return without_subnormals(down(centre - radius), up(centre + radius))


def _squares(x: Interval) -> Interval:
    """Bounds of each square; an overflow leaves zero and infinity."""
    low, high = x[0] * x[0], x[1] * x[1]
    apart = (x[0] > 0) | (x[1] < 0)
    return np.where(apart, np.maximum(down(np.minimum(low, high)), 0.0), 0.0), up(
        np.maximum(low, high)
    )


def _sums(x: Interval) -> tuple[FloatArray, FloatArray, Interval]:
    """Of squares: at least and at most of all but each entry, and bounds of all (..., 1)."""
    count, (low, high) = x[0].shape[-1], _squares(x)
    totals = [part.sum(axis=-1, keepdims=True) for part in (low, high)]
    lost = [inflate(gamma(count + 4) * total, count + 4) for total in totals]
    least = np.maximum(totals[0] - low - lost[0], 0.0)
    most = up(totals[1] - high + lost[1])
    return least, most, (np.maximum(totals[0] - lost[0], 0.0), up(totals[1] + lost[1]))


def _most_total(x: Interval, shift: FloatArray) -> FloatArray:
    """At least ``sum (x - mean)^2``: no other shift than the mean gives less."""
    far = np.maximum(up(x[1] - shift), up(shift - x[0]))
    squares, count = up(far * far), x[0].shape[-1]
    return inflate(squares.sum(axis=-1, keepdims=True), count + 4)


def _least_total(x: Interval, m: FloatArray) -> FloatArray:
    """At most ``sum (x - mean)^2``: ``(w . (x - mean))^2 / |w|^2`` for a w, by Cauchy and Schwarz.

    The best w is what the box's points nearest to one common value c differ from it, for the c
    that is their mean.
    """
    shift, count = m.mean(axis=-1, keepdims=True), m.shape[-1]
    for _ in range(_CENTRING_STEPS):
        shift = np.clip(shift, x[0], x[1]).mean(axis=-1, keepdims=True)
    w = np.clip(shift, x[0], x[1]) - shift
    near, size = (down(x[0] - shift), up(x[1] - shift)), np.abs(w)
    far = np.maximum(np.abs(near[0]), np.abs(near[1]))
    reached = np.where(w > 0, w * near[0], w * near[1]).sum(axis=-1, keepdims=True)
    skew = np.abs(w.sum(axis=-1, keepdims=True)) + gamma(count) * size.sum(axis=-1, keepdims=True)
    lost = gamma(count + 4) * (size * far).sum(axis=-1, keepdims=True)
    lost = inflate(lost + skew * far.mean(axis=-1, keepdims=True), 8 * count + 8)
    drowned = TINY * (size + far).sum(axis=-1, keepdims=True)
    reached = np.maximum(down(reached - inflate(lost + drowned, 4 * count)), 0.0)
    norm = inflate((w * w).sum(axis=-1, keepdims=True), 2 * count + 4)
    least = reached * reached / norm * (1 - _SLACK) - TINY
    return np.where(np.isfinite(least), np.maximum(least, 0.0), 0.0)


def _largest(end: FloatArray, known: _Spread, epsilon: float) -> FloatArray:
    """At least the normalised entry wherever it was at most ``end`` before.

    ``t / sqrt((t^2 + s) / n + epsilon)`` increases with t; with s, the sum of the other squares, it
    falls for positive t and rises for negative t.
    """
    size, count = np.abs(end), end.shape[-1]
    square = size * size
    below = np.maximum(down(square), 0.0)
    small = np.maximum(down(below + known.least), down(down(below / known.share)))
    small = np.maximum(np.maximum(small, known.total[0]), 0.0)
    large = np.minimum(up(up(square) + known.most), known.total[1])
    narrow = np.sqrt(np.maximum((small / count + epsilon) * (1 - _SLACK) - TINY, 0.0))
    wide = np.sqrt((large / count + epsilon) * (1 + _SLACK) + 2 * TINY)
    most = np.where(size > 0, size / narrow, 0.0) * (1 + _SLACK) + TINY
    least = np.where(size > 0, size / wide, 0.0) * (1 - _SLACK) - TINY
    most = np.where(most <= known.limit, most, known.limit)
    least = np.where(least >= 0, least, 0.0)
    return np.where(end >= 0, most, np.where(end < 0, -least, known.limit))
