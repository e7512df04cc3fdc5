"""Rigorous float64: a-priori error bounds that hold for any summation order, with or without FMA.

Every bound is derived in docs/rigor.md. ``U`` is the unit roundoff; ``TINY`` bounds what an
underflowing operation can lose even when subnormal results are flushed to zero. NaN and infinity
are left to spread: a comparison with NaN is false, so nothing is ever accepted because of one.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

U = 2.0**-53
TINY = 2.0**-1021
MAX_TERMS = 1 << 40


def gamma(terms: int) -> float:
    """Twice ``terms U / (1 - terms U)``, Higham's constant: room for the rounding of its own use."""
    if terms > MAX_TERMS:
        raise OverflowError(f"a sum of {terms} products is too long for the error bound")
    return 4 * terms * U


def inflate(x: FloatArray, terms: int = 1) -> FloatArray:
    """At least the exact value of the non-negative quantity that ``x`` computed in ``terms`` steps."""
    return x * (1 + gamma(terms)) + terms * TINY


def down(x: FloatArray) -> FloatArray:
    """Below the exact result of the one operation that gave ``x``."""
    return np.nextafter(x - TINY, -np.inf)


def up(x: FloatArray) -> FloatArray:
    """Above the exact result of the one operation that gave ``x``."""
    return np.nextafter(x + TINY, np.inf)


def midpoint_radius(lower: FloatArray, upper: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Floats (m, r) with [lower, upper] inside [m - r, m + r]."""
    middle = 0.5 * lower + 0.5 * upper
    return middle, inflate(np.maximum(upper - middle, middle - lower))


def nearest(values: list[Fraction]) -> tuple[FloatArray, FloatArray]:
    """Floats near ``values``, and upper bounds of what each is off by."""
    centre = np.array([float(v) for v in values], dtype=np.float64)
    off = [abs(Fraction(float(c)) - v) for c, v in zip(centre, values, strict=True)]
    return centre, np.array([above(d) for d in off], dtype=np.float64)


def above(value: Fraction) -> float:
    """A float not below ``value``. Raises OverflowError when there is no finite one."""
    guess = float(value)
    return guess if Fraction(guess) >= value else float(np.nextafter(guess, np.inf))
