"""Interval arithmetic on enclosures of values: sums and products with their roundings."""

from __future__ import annotations

import numpy as np

from absint.proofs.arithmetic import TINY, FloatArray, U
from absint.proofs.transcendental import Enclosure


def plus(a: Enclosure, b: Enclosure) -> Enclosure:
    """Bounds of a sum."""
    return _wider(a[0] + b[0], a[1] + b[1], 0.0)


def times(a: Enclosure, b: Enclosure) -> Enclosure:
    """Bounds of a product; NaN where zero meets infinity."""
    ends = [p * q for p in a for q in b]
    factors = sum((np.abs(end) for end in (*a, *b)), np.zeros_like(a[0]))
    return _wider(np.minimum.reduce(ends), np.maximum.reduce(ends), TINY * factors)


def scaled(a: Enclosure, factor: float, relative: float = 0.0) -> Enclosure:
    """Bounds of a times a constant that ``factor`` is relatively off by at most ``relative``."""
    low, high = (factor * end for end in (a if factor >= 0 else a[::-1]))
    off = 2 * relative * np.maximum(np.abs(low), np.abs(high))
    return _wider(low - off, high + off, TINY * (abs(factor) + np.abs(a[0]) + np.abs(a[1])))


def _wider(low: FloatArray, high: FloatArray, lost: FloatArray | float) -> Enclosure:
    return (
        low - (4 * U * np.abs(low) + lost + 2 * TINY),
        high + (4 * U * np.abs(high) + lost + 2 * TINY),
    )


def point(x: FloatArray) -> Enclosure:
    return x, x


def hull(at: FloatArray, below: Enclosure, above: Enclosure, knot: float) -> Enclosure:
    """Bounds of what is ``below`` before a knot and ``above`` after it; at the knot, of both."""
    lower = np.where(at < knot, below[0], np.where(at > knot, above[0], np.nan))
    upper = np.where(at < knot, below[1], np.where(at > knot, above[1], np.nan))
    both = np.minimum(below[0], above[0]), np.maximum(below[1], above[1])
    return np.where(at == knot, both[0], lower), np.where(at == knot, both[1], upper)
