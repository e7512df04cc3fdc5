"""Enclosures of exp, sigmoid and tanh from additions, multiplications and divisions alone.

No function of the platform's mathematical library is trusted. Derivation: docs/rigor.md.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from absint.proofs.arithmetic import TINY, FloatArray

Enclosure = tuple[FloatArray, FloatArray]
"""(lower, upper) bounds of a function's values."""

_LN2_HIGH = float.fromhex("0x1.62e42fee00000p-1")
"""ln 2 to 32 bits, so that a product with an integer below 2^20 is exact."""
_LN2_LOW = float.fromhex("0x1.a39ef35793c76p-33")
_RELATIVE = 2.0**-46
"""Bounds the relative error: argument reduction 2^-53, remainder 2^-62, rounding 2^-51."""
_FLOOR = -700.0
_TAYLOR_DEGREE = 14


def exp_of_negative(x: FloatArray) -> Enclosure:
    """Bounds of exp(x) for x <= 0."""
    clipped = np.maximum(x, _FLOOR)
    turns = np.rint(clipped * (1 / (_LN2_HIGH + _LN2_LOW)))
    rest = (clipped - turns * _LN2_HIGH) - turns * _LN2_LOW
    total = np.ones_like(rest)
    for degree in range(_TAYLOR_DEGREE, 0, -1):
        total = 1.0 + rest * total / degree
    value = total * _power_of_two(turns)
    lower = np.where(x < _FLOOR, 0.0, value * (1 - _RELATIVE))
    return lower, np.minimum(value * (1 + _RELATIVE), 1.0)


def _power_of_two(exponent: FloatArray) -> FloatArray:
    """2^exponent for integers in the normal range, exactly."""
    with np.errstate(invalid="ignore"):
        bits: NDArray[np.int64] = (exponent.astype(np.int64) + 1023) << 52
    return np.where(np.isnan(exponent), np.nan, bits.view(np.float64))


_SLACK = 2.0**-50
"""More than the roundings of one sum and one quotient."""


def sigmoid(x: FloatArray) -> Enclosure:
    """Bounds of 1 / (1 + exp(-x))."""
    low, high = exp_of_negative(-np.abs(x))
    large = (1 / (1 + high) * (1 - _SLACK), np.minimum(1 / (1 + low) * (1 + _SLACK), 1.0))
    small = (low / (1 + low) * (1 - _SLACK), high / (1 + high) * (1 + _SLACK) + 2.0**-1020)
    positive = x >= 0
    return np.where(positive, large[0], small[0]), np.where(positive, large[1], small[1])


def tanh(x: FloatArray) -> Enclosure:
    """Bounds of tanh(x)."""
    size = np.abs(x)
    low, high = exp_of_negative(-2 * size)
    least = np.maximum((1 - high) / (1 + high) * (1 - _SLACK) - _SLACK, -TINY)
    most = np.minimum((1 - low) / (1 + low) * (1 + _SLACK) + _SLACK, 1.0)
    cubic = np.minimum(size, 1.0)  # t - t^3 / 3 <= tanh t <= t: relatively sharp where t is small
    least = np.maximum(least, cubic * (1 - cubic * cubic / 3) * (1 - _SLACK) - TINY)
    most = np.minimum(most, size + TINY)
    positive = x >= 0
    return np.where(positive, least, -most), np.where(positive, most, -least)
