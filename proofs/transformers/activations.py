"""Enclosures of elementwise functions and their derivatives, from those of exp, log, sin and erf.

Derivations: docs/rigor.md.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from absint.proofs.arithmetic import TINY, FloatArray, U, down, gamma, up
from absint.proofs.transcendental import (
    TWO_OVER_ROOT_PI,
    Enclosure,
    erf,
    exp_of_negative,
    sigmoid,
)
from absint.proofs.transformers.enclosures import hull, plus, point, scaled, times

Bounded = Callable[[FloatArray], Enclosure]

SMALLEST = 2.0**-1022
_TAIL, _FAR = 2.0**-990, 700.0
"""Beyond -700, x times a gate is within 2^-990 of 0, and so is its derivative; beyond 700 the
derivative is as near to 1."""
_ROOT_HALF = 0.7071067811865476
_ROOT_TWO_OVER_PI = 0.7978845608028654
_ONE_OVER_ROOT_TWO_PI = 0.3989422804014327
_CUBIC = 0.044715


def logistic_slope(x: FloatArray) -> Enclosure:
    """sigmoid' = sigmoid(x) sigmoid(-x)."""
    return times(sigmoid(x), sigmoid(-x))


def tanh_slope(x: FloatArray) -> Enclosure:
    """tanh' = 4 sigmoid'(2x); doubling is exact."""
    return scaled(logistic_slope(2 * x), 4.0)


def erf_slope(x: FloatArray) -> Enclosure:
    """2 / sqrt(pi) exp(-x^2); the square's rounding moves the exponent by at most U x^2."""
    decay, size = exp_of_negative(-(x * x)), np.minimum(x * x, 1e6)
    off = 4 * U * size
    wide = decay[0] * np.maximum(1 - off, 0.0), decay[1] * (1 + off) + TINY
    return scaled(wide, TWO_OVER_ROOT_PI, U)


def reciprocal(x: FloatArray) -> Enclosure:
    value = 1 / x
    return down(value), up(value)


def reciprocal_slope(x: FloatArray) -> Enclosure:
    """-1 / x^2."""
    square = times(reciprocal(x), reciprocal(x))
    return -square[1], -square[0]


def root(x: FloatArray) -> Enclosure:
    """The square root, which IEEE 754 rounds correctly."""
    low = np.where(x < SMALLEST, 0.0 * x, down(np.sqrt(x)))
    return low, np.where(x == np.inf, np.inf, up(np.sqrt(np.maximum(x, SMALLEST))))


def root_slope(x: FloatArray) -> Enclosure:
    """1 / (2 sqrt(x)), of which nothing is known near 0."""
    low, high = root(x)
    least, most = down(0.5 / high), up(0.5 / low)
    return least, np.where(x < SMALLEST, np.inf, most)


def power(x: FloatArray, exponent: int) -> Enclosure:
    """x^n by repeated squaring: n - 1 factors 1 + delta, whatever the order."""
    size, square, rest = np.ones_like(x), np.abs(x), exponent
    while rest:
        if rest & 1:
            size = size * square
        rest >>= 1
        if rest:
            square = square * square
    low = np.where(size == np.inf, 2.0**1023, size) * (1 - gamma(exponent)) - exponent * TINY
    high = size * (1 + gamma(exponent)) + exponent * TINY
    low = np.maximum(low, 0.0)
    if exponent % 2 == 0:
        return low, high
    low = np.where(np.abs(x) < SMALLEST, -high, low)  # of either sign, as a processor reads it
    return np.where(x < 0, -high, low), np.where(x < 0, -low, high)


def power_slope(x: FloatArray, exponent: int) -> Enclosure:
    return scaled(power(x, exponent - 1), float(exponent))


def elu(x: FloatArray, alpha: float) -> Enclosure:
    """x above 0, alpha (exp(x) - 1) below, where x <= exp(x) - 1 <= x + x^2 / 2."""
    below = np.minimum(x, 0.0)
    low, high = exp_of_negative(below)
    least = np.maximum((low - 1) * (1 + 4 * U), below - TINY)
    near = np.maximum(below, -2.0)
    most = np.minimum((high - 1) * (1 - 4 * U), (near + near * near / 2) * (1 - 8 * U))
    least, most = scaled((least - TINY, np.minimum(most, 0.0) + TINY), alpha)
    spare = 4 * TINY * (1 + abs(alpha))
    return np.where(x > 0, x, least) - spare, np.where(x > 0, x, most) + spare


def elu_slope(x: FloatArray, alpha: float) -> Enclosure:
    below = scaled(exp_of_negative(np.minimum(x, 0.0)), alpha)
    return hull(x, below, point(np.ones_like(x)), 0.0)


def hard_swish(x: FloatArray) -> Enclosure:
    """0 below -3, x above 3, x (x + 3) / 6 between: three roundings."""
    value = x * (x + 3) / 6
    error = 8 * U * np.abs(value) + 8 * TINY * (1 + np.abs(x))
    low, high = (np.where(x >= 3, x, end) for end in (value - error, value + error))
    return np.where(x <= -3, 0.0 * x, low), np.where(x <= -3, 0.0 * x, high)


def hard_swish_slope(x: FloatArray) -> Enclosure:
    flat = np.zeros_like(x)
    middle = plus(scaled(point(x), 1 / 3, U), point(flat + 0.5))
    return hull(x, point(flat), hull(x, middle, point(flat + 1), 3.0), -3.0)


def _tails(x: FloatArray, within: Bounded, above: Enclosure) -> Enclosure:
    """``within`` on [-700, 700], about 0 below, and ``above`` beyond."""
    low, high = within(np.minimum(np.maximum(x, -_FAR), _FAR))
    low, high = np.where(x < -_FAR, -_TAIL, low), np.where(x < -_FAR, _TAIL, high)
    return np.where(x > _FAR, above[0], low), np.where(x > _FAR, above[1], high)


def _gated(x: FloatArray, gate: Bounded) -> Enclosure:
    """x times a gate in [0, 1] that is at least 1 - exp(-x) beyond 700."""
    return _tails(x, lambda t: times(point(t), gate(t)), (x * (1 - 2 * U), x))


def _gated_slope(x: FloatArray, slope: Bounded) -> Enclosure:
    one = np.ones_like(x)
    return _tails(x, slope, (one * (1 - 2 * U), one * (1 + 4 * U)))


def _normal(x: FloatArray) -> Enclosure:
    """The standard normal distribution function, whose lower tail is below exp(-x^2 / 2) / 2."""
    z = scaled(point(x), _ROOT_HALF, U)
    low, high = erf(z[0])[0], erf(z[1])[1]
    least, most = scaled(plus((low, high), point(np.ones_like(x))), 0.5)
    tail = 0.5 * exp_of_negative(-(x * x) * (0.5 - 2 * U))[1] + TINY
    return np.maximum(least, 0.0), np.minimum(np.where(x < 0, np.minimum(most, tail), most), 1.0)


def _density(x: FloatArray) -> Enclosure:
    """exp(-x^2 / 2) / sqrt(2 pi)."""
    decay, off = exp_of_negative(-(x * x / 2)), 4 * U * np.minimum(x * x, 1e6)
    wide = decay[0] * np.maximum(1 - off, 0.0), decay[1] * (1 + off) + TINY
    return scaled(wide, _ONE_OVER_ROOT_TWO_PI, U)


def gelu(x: FloatArray) -> Enclosure:
    return _gated(x, _normal)


def gelu_slope(x: FloatArray) -> Enclosure:
    return _gated_slope(x, lambda t: plus(_normal(t), times(point(t), _density(t))))


def silu(x: FloatArray) -> Enclosure:
    return _gated(x, sigmoid)


def silu_slope(x: FloatArray) -> Enclosure:
    return _gated_slope(x, lambda t: plus(sigmoid(t), times(point(t), logistic_slope(t))))


def _tanh_gate_at(x: FloatArray) -> Enclosure:
    """2 u for u = sqrt(2 / pi) (x + 0.044715 x^3)."""
    cube = scaled(times(times(point(x), point(x)), point(x)), _CUBIC, U)
    return scaled(plus(point(x), cube), 2 * _ROOT_TWO_OVER_PI, U)


def _tanh_gate(x: FloatArray) -> Enclosure:
    """(1 + tanh u) / 2 = sigmoid(2 u)."""
    low, high = _tanh_gate_at(x)
    return sigmoid(low)[0], sigmoid(high)[1]


def _tanh_gate_slope(x: FloatArray) -> Enclosure:
    low, high = _tanh_gate_at(x)
    gate = sigmoid(low)[0], sigmoid(high)[1]
    rest = sigmoid(-high)[0], sigmoid(-low)[1]
    square = scaled(times(point(x), point(x)), 3 * _CUBIC, 2 * U)
    inner = scaled(plus(square, point(np.ones_like(x))), 2 * _ROOT_TWO_OVER_PI, U)
    return plus(gate, times(times(point(x), inner), times(gate, rest)))


def gelu_tanh(x: FloatArray) -> Enclosure:
    return _gated(x, _tanh_gate)


def gelu_tanh_slope(x: FloatArray) -> Enclosure:
    return _gated_slope(x, _tanh_gate_slope)


_MISH_SLACK = 2.0**-48


def _mish_gates(x: FloatArray) -> tuple[Enclosure, Enclosure]:
    """w = tanh(softplus(x)) and 1 - w, rational in n = exp(-|x|); monotone in it."""
    n = exp_of_negative(-np.abs(x))
    bottom = tuple(1 + 2 * t + 2 * t * t for t in n)  # x >= 0
    outer = tuple(t * (t + 2) for t in n)  # x < 0
    above = (1 + 2 * n[1]) / bottom[1], (1 + 2 * n[0]) / bottom[0]
    below = outer[0] / (outer[0] + 2), outer[1] / (outer[1] + 2)
    above_rest = 2 * n[0] * n[0] / bottom[0], 2 * n[1] * n[1] / bottom[1]
    below_rest = 2 / (outer[1] + 2), 2 / (outer[0] + 2)
    gates = [
        (
            np.where(x >= 0, high[0], low[0]) * (1 - _MISH_SLACK),
            np.minimum(np.where(x >= 0, high[1], low[1]) * (1 + _MISH_SLACK) + 8 * TINY, 1.0),
        )
        for high, low in ((above, below), (above_rest, below_rest))
    ]
    return gates[0], gates[1]


def mish(x: FloatArray) -> Enclosure:
    return _gated(x, lambda t: _mish_gates(t)[0])


def _mish_slope(x: FloatArray) -> Enclosure:
    gate, rest = _mish_gates(x)
    steep = times(times(rest, plus(gate, point(np.ones_like(x)))), sigmoid(x))
    return plus(gate, times(point(x), steep))


def mish_slope(x: FloatArray) -> Enclosure:
    return _gated_slope(x, _mish_slope)


def sign(x: FloatArray) -> Enclosure:
    """From the bits: a processor may read a subnormal number as zero."""
    value = np.where(_bits(x) == 0, 0.0, np.where(np.signbit(x), -1.0, 1.0))
    value = np.where(np.isnan(x), np.nan, value)
    return value, value


def floor(x: FloatArray) -> Enclosure:
    below = np.signbit(x) & (_bits(x) != 0) & (x > -1)
    value = np.where(below, -1.0, np.floor(x))
    return value, value


def nearest_even(x: FloatArray) -> Enclosure:
    value = np.rint(x)
    return value, value


def _bits(x: FloatArray) -> NDArray[np.int64]:
    """The bits but for the sign."""
    bits: NDArray[np.int64] = np.ascontiguousarray(x).view(np.int64) & np.int64(2**63 - 1)
    return bits
