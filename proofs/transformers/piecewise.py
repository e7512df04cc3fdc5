"""Piecewise linear functions: rigorous images of intervals, and offsets for given slopes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

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
        if self.slopes[0] <= 0 <= self.slopes[-1]:
            lower = np.maximum(lower, min(self.values))
        if self.slopes[0] >= 0 >= self.slopes[-1]:
            upper = np.minimum(upper, max(self.values))
        return lower, upper

    def largest_gap(self, x: Interval, slope: FloatArray, sign: int) -> FloatArray:
        """An upper bound of ``sign (f(t) - slope t)`` for t in the interval.

        The difference is piecewise linear: its maximum lies at an end or at a knot.
        """
        gap = np.maximum(*(gap_at(self.at(end), slope, end, sign) for end in x))
        for inside, knot, value in self._knots_in(x):
            exact = np.full_like(slope, value)
            at_knot = gap_at((exact, exact), slope, np.full_like(slope, knot), sign)
            gap = np.where(inside, np.maximum(gap, at_knot), gap)
        return gap

    def curved(self, x: Interval) -> NDArray[np.bool_]:
        """Where the relaxation over the interval depends on its bounds."""
        parts = [inside for inside, _, _ in self._knots_in(x)]
        return sum(parts[1:], parts[0])

    def defined(self, x: Interval) -> NDArray[np.bool_]:
        """Where the function has a value on all of the interval: everywhere."""
        return np.ones(x[0].shape, dtype=bool)

    def _knots_in(self, x: Interval) -> Iterator[tuple[NDArray[np.bool_], float, float]]:
        for knot, value in zip(self.knots, self.values, strict=True):
            yield (x[0] < knot) & (x[1] > knot), knot, value


def gap_at(value: Enclosure, slope: FloatArray, x: FloatArray, sign: int) -> FloatArray:
    """An upper bound of ``sign (f(x) - slope x)`` from bounds of f(x)."""
    top = sign * value[1 if sign > 0 else 0]
    product = sign * slope * x
    lost = 4 * U * (np.abs(top) + np.abs(product)) + 4 * TINY * (1 + np.abs(slope) + np.abs(x))
    return top - product + lost
