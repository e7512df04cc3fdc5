"""Enclosures of exp, log, sin, erf and others from additions, multiplications and divisions alone.

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
_FLOOR, _CEILING = -700.0, 709.0
"""Between these, exp and the powers of two in it are normal numbers."""
_TAYLOR_DEGREE = 14


def exp(x: FloatArray) -> Enclosure:
    """Bounds of exp(x)."""
    clipped = np.minimum(np.maximum(x, _FLOOR), _CEILING)
    turns = np.rint(clipped * (1 / (_LN2_HIGH + _LN2_LOW)))
    rest = (clipped - turns * _LN2_HIGH) - turns * _LN2_LOW
    total = np.ones_like(rest)
    for degree in range(_TAYLOR_DEGREE, 0, -1):  # 1 + rest * total / degree, in place
        total *= rest
        total /= degree
        total += 1.0
    value = total * _power_of_two(turns)
    lower = np.where(x < _FLOOR, 0.0, value * (1 - _RELATIVE))
    return lower, np.where(x > _CEILING, np.inf, value * (1 + _RELATIVE))


def exp_of_negative(x: FloatArray) -> Enclosure:
    """Bounds of exp(x) for x <= 0."""
    lower, upper = exp(x)
    return lower, np.minimum(upper, 1.0)


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


_LOG_SLACK = 2.0**-48
"""Bounds the relative error of a logarithm by its series: roundings 2^-49, remainder 2^-60."""
_ATANH_TERMS = 18
_SMALLEST = 2.0**-1022


def log(x: FloatArray) -> Enclosure:
    """Bounds of the natural logarithm; NaN below the smallest normal number."""
    bits: NDArray[np.int64] = np.ascontiguousarray(x).view(np.int64)
    exponent = (bits >> 52) - 1023
    mantissa = ((bits & ((1 << 52) - 1)) | (1023 << 52)).view(np.float64)
    high = mantissa > 1.4142135
    mantissa, exponent = np.where(high, 0.5 * mantissa, mantissa), exponent + high
    turns = exponent.astype(np.float64)
    rest = _double_atanh((mantissa - 1) / (mantissa + 1))
    value = turns * _LN2_HIGH + (turns * _LN2_LOW + rest)
    error = _LOG_SLACK * np.abs(value) + TINY
    valid = x >= _SMALLEST
    upper = np.where(x == np.inf, np.inf, value + error)
    return np.where(valid, value - error, np.nan), np.where(valid, upper, np.nan)


def _double_atanh(z: FloatArray) -> FloatArray:
    """About 2 atanh(z) = log((1 + z) / (1 - z)) for |z| <= 1/3."""
    square, total = z * z, np.zeros_like(z)
    for term in range(_ATANH_TERMS, -1, -1):
        total = 1 / (2 * term + 1) + square * total
    return 2 * z * total


def softplus(x: FloatArray) -> Enclosure:
    """Bounds of log(1 + exp(x))."""
    low, high = exp_of_negative(-np.abs(x))
    part = np.where(x > 0, x, 0.0 * x)
    least = (part + _double_atanh(low / (2 + low))) * (1 - _LOG_SLACK) - TINY
    most = (part + _double_atanh(high / (2 + high))) * (1 + _LOG_SLACK) + 4 * TINY
    return np.maximum(least, 0.0), most


_QUARTER = tuple(
    float.fromhex(part)
    for part in ("0x1.921fb54400000p+0", "0x1.0b4611a600000p-34", "0x1.3198a2e037073p-69")
)
"""pi / 2 in three parts; products of the first two with integers below 2^20 are exact."""
_WAVE_REACH = 2.0**20
_WAVE_ERROR = 2.0**-49
"""Bounds the absolute error: argument reduction 2^-52, roundings 2^-51, remainder 2^-63."""


def sin(x: FloatArray, quarters: int = 0) -> Enclosure:
    """Bounds of sin(x + quarters pi / 2); [-1, 1] where x is beyond 2^20."""
    known = np.abs(x) <= _WAVE_REACH
    near = np.where(known, x, 0.0)
    turns = np.rint(near * (1 / _QUARTER[0]))
    rest = ((near - turns * _QUARTER[0]) - turns * _QUARTER[1]) - turns * _QUARTER[2]
    square = rest * rest
    odd, even = np.ones_like(rest), np.ones_like(rest)
    for k in range(16, 1, -2):
        odd = 1 - square * odd / (k * (k + 1))
        even = 1 - square * even / ((k + 2) * (k + 1))
    odd, even = rest * odd, 1 - square * even / 2
    phase = (turns.astype(np.int64) + quarters) & 3
    value = np.where(phase & 1, even, odd) * np.where(phase & 2, -1.0, 1.0)
    lower, upper = np.maximum(value - _WAVE_ERROR, -1.0), np.minimum(value + _WAVE_ERROR, 1.0)
    lower, upper = np.where(known, lower, -1.0), np.where(known, upper, 1.0)
    return np.where(np.isnan(x), np.nan, lower), np.where(np.isnan(x), np.nan, upper)


_ERF_REACH = 6.0
_ERF_RELATIVE = 2.0**-42
"""Bounds the relative error: at most 128 terms 2^-44, exp(-x^2) 2^-45, remainder 2^-50."""
_ERF_FAR = 1 - 2.0**-53
TWO_OVER_ROOT_PI = 1.1283791670955126


def erf(x: FloatArray) -> Enclosure:
    """Bounds of the error function."""
    size = np.minimum(np.abs(x), _ERF_REACH)
    square = size * size
    most = float(np.max(np.where(np.isnan(square), 0.0, square), initial=0.0))
    total = np.ones_like(size)
    for term in range(20 + int(3 * most), 0, -1):
        total = 1 + square * total * (2 / (2 * term + 1))
    decay = exp_of_negative(-square)
    value = TWO_OVER_ROOT_PI * size * total
    least = value * decay[0] * (1 - _ERF_RELATIVE) - TINY
    top = value * decay[1] * (1 + _ERF_RELATIVE) + 4 * TINY
    far = np.abs(x) > _ERF_REACH
    least = np.where(far, _ERF_FAR, np.minimum(least, _ERF_FAR))
    top = np.where(far, 1.0, np.minimum(top, 1.0))
    positive = x >= 0
    return np.where(positive, least, -top), np.where(positive, top, -least)
