"""Elementwise functions: rigorous images of intervals, and offsets for given slopes.

The checker's own facts, kept apart from the IR's on purpose; a test compares the two.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from absint.ir import Node
from absint.proofs import transcendental
from absint.proofs.arithmetic import TINY, FloatArray, U
from absint.proofs.transcendental import Enclosure

Interval = tuple[FloatArray, FloatArray]


@dataclass(frozen=True)
class PiecewiseLinear:
    """Continuous; ``values`` at the ``knots``; one slope before, between and after them."""

    knots: tuple[float, ...]
    values: tuple[float, ...]
    slopes: tuple[float, ...]

    def at(self, x: FloatArray) -> Enclosure:
        """Bounds of f(x)."""
        value, size = self._line(0, 0, x)
        for corner, knot in enumerate(self.knots):
            after, span = self._line(corner, corner + 1, x)
            value, size = np.where(x > knot, after, value), np.where(x > knot, span, size)
        error = 8 * U * size + 4 * TINY * (1 + max(map(abs, self.slopes)))
        return value - error, value + error

    def _line(self, corner: int, piece: int, x: FloatArray) -> tuple[FloatArray, FloatArray]:
        """The line through a corner with a piece's slope at x, and the size of what is added up."""
        knot, base, slope = self.knots[corner], self.values[corner], self.slopes[piece]
        if Fraction(slope) * Fraction(knot) == Fraction(base):  # far knots cost no precision
            return slope * x, np.abs(slope * x)
        rise = slope * (x - knot)
        return base + rise, abs(base) + np.abs(rise)

    def image(self, x: Interval) -> Interval:
        ends = [self.at(end) for end in x]
        lower, upper = np.minimum(ends[0][0], ends[1][0]), np.maximum(ends[0][1], ends[1][1])
        for inside, _, value in self._knots_in(x):
            lower = np.where(inside, np.minimum(lower, value), lower)
            upper = np.where(inside, np.maximum(upper, value), upper)
        return lower, upper

    def largest_gap(self, x: Interval, slope: FloatArray, sign: int) -> FloatArray:
        """An upper bound of ``sign (f(t) - slope t)`` for t in the interval.

        The difference is piecewise linear: its maximum lies at an end or at a knot.
        """
        gap = np.maximum(*(_gap(self.at(end), slope, end, sign) for end in x))
        for inside, knot, value in self._knots_in(x):
            exact = np.full_like(slope, value)
            at_knot = _gap((exact, exact), slope, np.full_like(slope, knot), sign)
            gap = np.where(inside, np.maximum(gap, at_knot), gap)
        return gap

    def curved(self, x: Interval) -> NDArray[np.bool_]:
        """Where the relaxation over the interval depends on its bounds."""
        parts = [inside for inside, _, _ in self._knots_in(x)]
        return sum(parts[1:], parts[0])

    def _knots_in(self, x: Interval) -> Iterator[tuple[NDArray[np.bool_], float, float]]:
        for knot, value in zip(self.knots, self.values, strict=True):
            yield (x[0] < knot) & (x[1] > knot), knot, value


@dataclass(frozen=True)
class SShaped:
    """Increasing, convex on (-inf, 0], concave on [0, inf), odd about (0, f(0))."""

    value: Callable[[FloatArray], Enclosure]
    slope_of: Callable[[Enclosure], Enclosure]
    """Bounds of the derivative from bounds of the value."""
    guess: Callable[[FloatArray], FloatArray]
    """Where the derivative is about the given slope, on [0, inf); any point is sound."""

    def at(self, x: FloatArray) -> Enclosure:
        return self.value(x)

    def curved(self, x: Interval) -> NDArray[np.bool_]:
        return x[0] < x[1]

    def image(self, x: Interval) -> Interval:
        return self.value(x[0])[0], self.value(x[1])[1]

    def largest_gap(self, x: Interval, slope: FloatArray, sign: int) -> FloatArray:
        """An upper bound of ``sign (f(t) - slope t)`` for t in the interval.

        On the convex side the maximum lies at an end. On the concave side the difference lies
        below its tangent at any point q: the tangent's maximum, at an end, is the bound.
        By oddness, ``-f(t) = f(-t) - 2 f(0)`` turns the lower side into the upper one.
        """
        gap = np.maximum(*(_gap(self.value(end), slope, end, sign) for end in x))
        near, far = (x[0], x[1]) if sign > 0 else (-x[1], -x[0])
        near = np.maximum(near, 0.0)
        point = np.clip(np.nan_to_num(self.guess(slope)), near, np.maximum(far, near))
        here = self.value(sign * point)
        rise = self.slope_of(here)
        base = _gap(here, slope, sign * point, sign)
        lean = (rise[0] - slope, rise[1] - slope)
        steps = [near - point, far - point]
        climb = np.maximum.reduce([a * b for a in lean for b in steps])
        scale = (np.abs(slope) + 1) * (np.abs(far) + np.abs(near) + np.abs(point))
        touch = base + climb + 16 * U * (scale + np.abs(base) + np.abs(climb))
        touch = touch + 4 * TINY * (1 + np.abs(slope))
        return np.where(far > 0, np.maximum(gap, touch), gap)


def _gap(value: Enclosure, slope: FloatArray, x: FloatArray, sign: int) -> FloatArray:
    """An upper bound of ``sign (f(x) - slope x)`` from bounds of f(x)."""
    top = sign * value[1 if sign > 0 else 0]
    product = sign * slope * x
    lost = 4 * U * (np.abs(top) + np.abs(product)) + 4 * TINY * (1 + np.abs(slope) + np.abs(x))
    return top - product + lost


def _tanh_guess(slope: FloatArray) -> FloatArray:
    with np.errstate(all="ignore"):
        return np.arctanh(np.sqrt(np.clip(1 - slope, 0.0, 1 - 1e-15)))


def _times(a: Enclosure, b: Enclosure) -> Enclosure:
    """Product of non-negative enclosures."""
    return a[0] * b[0] * (1 - 4 * U) - TINY, a[1] * b[1] * (1 + 4 * U) + TINY


def _one_minus(a: Enclosure) -> Enclosure:
    return np.maximum((1 - a[1]) - 2 * U, 0.0), (1 - a[0]) + 2 * U


def _tanh_slope(y: Enclosure) -> Enclosure:
    size = np.maximum(np.maximum(y[0], -y[1]), 0.0), np.maximum(np.abs(y[0]), np.abs(y[1]))
    return _one_minus(_times(size, size))


_LOGISTIC = SShaped(
    transcendental.sigmoid,
    lambda y: _times(y, _one_minus(y)),
    lambda slope: 2 * _tanh_guess(4 * slope),
)
_TANH = SShaped(transcendental.tanh, _tanh_slope, _tanh_guess)

Function = PiecewiseLinear | SShaped


def _clip(node: Node) -> PiecewiseLinear:
    lower, upper = node.extended("lower"), node.extended("upper")
    if lower == -np.inf:
        return PiecewiseLinear((upper,), (upper,), (1.0, 0.0))
    if upper == np.inf:
        return PiecewiseLinear((lower,), (lower,), (0.0, 1.0))
    return PiecewiseLinear((lower, upper), (lower, upper), (0.0, 1.0, 0.0))


UNIVARIATE_OPS: dict[str, Callable[[Node], Function]] = {
    "relu": lambda node: PiecewiseLinear((0.0,), (0.0,), (0.0, 1.0)),
    "leaky_relu": lambda node: PiecewiseLinear((0.0,), (0.0,), (node.number("alpha"), 1.0)),
    "abs": lambda node: PiecewiseLinear((0.0,), (0.0,), (-1.0, 1.0)),
    "clip": _clip,
    "sigmoid": lambda node: _LOGISTIC,
    "tanh": lambda node: _TANH,
}


@dataclass(frozen=True)
class Relaxation:
    """``lower_slope t + lower_offset <= f(t) <= upper_slope t + upper_offset`` on an interval."""

    lower_slope: FloatArray
    lower_offset: FloatArray
    upper_slope: FloatArray
    upper_offset: FloatArray


def relax(node: Node, x: Interval, slopes: tuple[FloatArray, FloatArray]) -> Relaxation:
    """A sound relaxation with the given (lower, upper) slopes: offsets are computed here."""
    function = UNIVARIATE_OPS[node.op](node)
    return Relaxation(
        slopes[0],
        -function.largest_gap(x, slopes[0], -1),
        slopes[1],
        function.largest_gap(x, slopes[1], 1),
    )
