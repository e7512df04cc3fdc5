"""Rigorous float64: a-priori error bounds that hold for any summation order, with or without FMA.

Every bound is derived in docs/rigor.md. ``U`` is the unit roundoff; ``TINY`` is twice what one
operation can lose to underflow, also where subnormal results are flushed to zero and subnormal
operands read as zero. NaN and infinity are left to spread: a comparison with NaN is false, so
nothing is ever accepted because of one.
"""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

_NORMAL = Fraction(1, 1 << 1022)

U = 2.0**-53
TINY = 2.0**-1021
LARGEST = float(np.finfo(np.float64).max)
MAX_TERMS = 1 << 30
"""Values of a graph, so also terms of a sum: beyond, the bounds' own roundings would matter."""


def keep_freed_memory() -> None:
    """Arrays of up to 32 MiB that are freed are used again, not handed back to the system.

    glibc hands back what is larger than any chunk that was mapped and freed before (mallopt(3),
    M_MMAP_THRESHOLD): without this, the pages of every array of a pass are faulted in anew, which
    costs as much as what is computed on them. Elsewhere this does nothing.
    """
    np.empty(31 << 17)


def gamma(terms: int) -> float:
    """Twice Higham's ``terms U / (1 - terms U)`` and more: room for the rounding of its own use."""
    if terms > MAX_TERMS:
        raise OverflowError(f"a sum of {terms} products is too long for the error bound")
    return 4 * terms * U


def inflate(x: FloatArray, terms: int = 1) -> FloatArray:
    """At least the exact value of a non-negative quantity, ``x`` as computed in ``terms`` steps."""
    return x * (1 + gamma(terms)) + terms * TINY


def down(x: FloatArray) -> FloatArray:
    """Below the exact result of the one operation that gave ``x``; -inf after an overflow."""
    return np.where(np.isfinite(x), np.nextafter(x - TINY, -np.inf), -np.inf)


def up(x: FloatArray) -> FloatArray:
    """Above the exact result of the one operation that gave ``x``; inf after an overflow."""
    return np.where(np.isfinite(x), np.nextafter(x + TINY, np.inf), np.inf)


def without_subnormals(lower: FloatArray, upper: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The interval with subnormal ends moved outward, to zero or the smallest normal numbers.

    A processor may read them as zero. Looks at bits, because so may its comparisons.
    """
    low, high = (_is_subnormal(end) for end in (lower, upper))
    return (
        np.where(low, np.where(np.signbit(lower), -TINY / 2, 0.0), lower),
        np.where(high, np.where(np.signbit(upper), 0.0, TINY / 2), upper),
    )


def _is_subnormal(x: FloatArray) -> NDArray[np.bool_]:
    size = np.ascontiguousarray(x).view(np.int64) & np.int64(2**63 - 1)
    result: NDArray[np.bool_] = (size > 0) & (size < 2**52)
    return result


def midpoint_radius(lower: FloatArray, upper: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Floats (m, r) with [lower, upper] inside [m - r, m + r]."""
    middle = 0.5 * lower + 0.5 * upper
    return middle, inflate(np.maximum(upper - middle, middle - lower))


def nearest(values: list[Fraction]) -> tuple[FloatArray, FloatArray]:
    """Floats near ``values``, none of them subnormal, and upper bounds of what each is off by."""
    centre = [0.0 if abs(v) < _NORMAL or abs(v) > LARGEST else float(v) for v in values]
    off = [above(abs(Fraction(c) - v)) for c, v in zip(centre, values, strict=True)]
    return np.array(centre, dtype=np.float64), np.array(off, dtype=np.float64)


def above(value: Fraction) -> float:
    """A float not below ``value``, never subnormal; infinite where none is large enough."""
    if value > LARGEST:
        return math.inf
    if value < -LARGEST:
        return -LARGEST
    if abs(value) < _NORMAL:
        return 2.0**-1022 if value > 0 else 0.0
    guess = float(value)
    return guess if Fraction(guess) >= value else math.nextafter(guess, math.inf)
