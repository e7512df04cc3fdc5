"""Functions convex or concave between bends, waves, and steps: images and offsets for slopes.

Where the difference ``sign (f(t) - slope t)`` is convex, its maximum lies at an end of the piece;
where it is concave, it lies below its tangent at any point, whose maximum lies at an end. The point
is guessed. Derivation: docs/rigor.md.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from absint.ir.pieces import Piece
from absint.proofs import transcendental
from absint.proofs.arithmetic import TINY, FloatArray, U
from absint.proofs.transcendental import Enclosure
from absint.proofs.transformers.piecewise import Interval, gap_at

Domain = Literal["all", "positive", "nonnegative", "nonzero"]
Bounded = Callable[[FloatArray], Enclosure]
Guess = Callable[[FloatArray, Piece], FloatArray]
"""(slope, piece) to points of it where the derivative is about the slope; any point is sound."""
Mask = NDArray[np.bool_]

_SMALLEST = 2.0**-1022
_WAVE_REACH = 2.0**20
_WAVE_LOSS = 2.0**-55
_MARGIN = 2.0**-28
"""Of a turn: more than an extremum of a wave is rounded by within the reach."""


@dataclass(frozen=True)
class Curved:
    """Convex or concave before, between and after ``bends``; ``extrema`` holds all local ones."""

    value: Bounded
    slope: Bounded
    """Bounds of the derivative; at a kink, of both."""
    guess: Guess
    bends: tuple[float, ...]
    convex: tuple[bool, ...]
    extrema: tuple[float, ...]
    domain: Domain
    loss: float
    """What it costs that bends and extrema are rounded; 0 where they are exact."""

    def at(self, x: FloatArray) -> Enclosure:
        return self.value(x)

    def curved(self, x: Interval) -> Mask:
        return x[0] < x[1]

    def defined(self, x: Interval) -> Mask:
        """Where the function has a value on all of the interval: certainly, also for NaN ends."""
        whole = np.ones(x[0].shape, dtype=bool)
        if self.domain == "positive":
            whole &= x[0] >= _SMALLEST
        if self.domain == "nonnegative":
            whole &= (x[0] >= 0) & (~np.signbit(x[0]) | (_bits(x[0]) == _bits(np.array(-0.0))))
        if self.domain == "nonzero":
            whole &= (x[0] >= _SMALLEST) | (x[1] <= -_SMALLEST)
        return whole

    def image(self, x: Interval) -> Interval:
        """NaN where the function is not defined on all of the interval."""
        ends = [self.value(end) for end in x]
        lower, upper = np.minimum(ends[0][0], ends[1][0]), np.maximum(ends[0][1], ends[1][1])
        for extremum in self.extrema:
            inside = (x[0] < extremum) & (x[1] > extremum)
            least, most = self.value(np.array([extremum]))
            lower = np.where(inside, np.minimum(lower, least), lower)
            upper = np.where(inside, np.maximum(upper, most), upper)
        lower, upper = lower - self.loss, upper + self.loss
        known = self.defined(x) & (x[0] <= x[1])
        return np.where(known, lower, np.nan), np.where(known, upper, np.nan)

    def largest_gap(self, x: Interval, slope: FloatArray, sign: int) -> FloatArray:
        """An upper bound of ``sign (f(t) - slope t)`` for t in the interval."""
        curve = Curve(self.value, self.slope, self.guess)
        gap = curve.gap(self._pieces(x), slope, sign, self.loss)
        return np.where(self.defined(x) & (x[0] <= x[1]), gap, np.nan)

    def _pieces(self, x: Interval) -> Iterator[Piece]:
        ends = (-math.inf, *self.bends, math.inf)
        for i, convex in enumerate(self.convex):
            low, high = np.maximum(x[0], ends[i]), np.minimum(x[1], ends[i + 1])
            yield Piece(low, high, np.full(low.shape, convex), -1 if i < len(self.bends) else 1)


@dataclass(frozen=True)
class Wave:
    """``sin(x + quarters pi / 2)``: concave and convex in turn, beyond 2^20 in [-1, 1]."""

    quarters: int
    guess: Guess

    def at(self, x: FloatArray) -> Enclosure:
        return transcendental.sin(x, self.quarters)

    def slope(self, x: FloatArray) -> Enclosure:
        return transcendental.sin(x, self.quarters + 1)

    def curved(self, x: Interval) -> Mask:
        return x[0] < x[1]

    def defined(self, x: Interval) -> Mask:
        return np.ones(x[0].shape, dtype=bool)

    def image(self, x: Interval) -> Interval:
        ends = [self.at(end) for end in x]
        lower, upper = np.minimum(ends[0][0], ends[1][0]), np.maximum(ends[0][1], ends[1][1])
        lower = np.where(self._passes(x, 3 - self.quarters), -1.0, lower)
        upper = np.where(self._passes(x, 1 - self.quarters), 1.0, upper)
        known = x[0] <= x[1]
        return np.where(known, lower, np.nan), np.where(known, upper, np.nan)

    @staticmethod
    def _passes(x: Interval, quarter: int) -> Mask:
        """Where the interval holds ``quarter pi / 2 + 2 pi n``, or nearly."""
        start, end = ((end - quarter * (math.pi / 2)) / (2 * math.pi) for end in x)
        passes: Mask = np.floor(end + _MARGIN) >= np.ceil(start - _MARGIN)
        return passes

    def largest_gap(self, x: Interval, slope: FloatArray, sign: int) -> FloatArray:
        """An upper bound of ``sign (f(t) - slope t)`` for t in the interval."""
        near = np.maximum(np.abs(x[0]), np.abs(x[1])) <= _WAVE_REACH
        near &= x[1] - x[0] <= 2 * math.pi
        curve = Curve(self.at, self.slope, self.guess)
        inner = np.where(near, x[0], 0.0), np.where(near, x[1], 0.0)
        gap = curve.gap(self._pieces(inner), slope, sign, _WAVE_LOSS)
        box = box_gap(self.image(x), x, slope, sign)
        return np.where(x[0] <= x[1], np.where(near, np.minimum(gap, box), box), np.nan)

    def _pieces(self, x: Interval) -> Iterator[Piece]:
        phase = self.quarters * (math.pi / 2)
        first = np.floor((x[0] + phase) / math.pi)
        convex = np.floor(first / 2) * 2 != first
        bends = [(first + i) * math.pi - phase for i in (1, 2)]
        yield Piece(x[0], np.minimum(x[1], bends[0]), convex)
        yield Piece(np.maximum(x[0], bends[0]), np.minimum(x[1], bends[1]), ~convex)
        yield Piece(np.maximum(x[0], bends[1]), x[1], convex)


@dataclass(frozen=True)
class Steps:
    """Non-decreasing, constant but for jumps; lines other than flat ones are loose."""

    value: Bounded

    def at(self, x: FloatArray) -> Enclosure:
        return self.value(x)

    def curved(self, x: Interval) -> Mask:
        return x[0] < x[1]

    def defined(self, x: Interval) -> Mask:
        return np.ones(x[0].shape, dtype=bool)

    def image(self, x: Interval) -> Interval:
        known = x[0] <= x[1]
        lower, upper = self.value(x[0])[0], self.value(x[1])[1]
        return np.where(known, lower, np.nan), np.where(known, upper, np.nan)

    def largest_gap(self, x: Interval, slope: FloatArray, sign: int) -> FloatArray:
        """An upper bound of ``sign (f(t) - slope t)`` for t in the interval."""
        return box_gap(self.image(x), x, slope, sign)


def box_gap(image: Interval, x: Interval, slope: FloatArray, sign: int) -> FloatArray:
    """An upper bound of ``sign (y - slope t)`` for all y of the image and t of the interval."""
    return np.maximum(*(gap_at(image, slope, end, sign) for end in x))


@dataclass(frozen=True)
class Curve:
    """A function with its derivative, smooth on each of the pieces that it is asked about."""

    value: Bounded
    slope: Bounded
    guess: Guess

    def gap(self, pieces: Iterator[Piece], slope: FloatArray, sign: int, loss: float) -> FloatArray:
        """An upper bound of ``sign (f(t) - slope t)`` over the pieces that are not empty."""
        gap = np.full(slope.shape, -np.inf)
        for piece in pieces:
            for convex in (False, True):
                chosen = (piece.low <= piece.high) & (piece.convex == convex)
                part = Piece(piece.low[chosen], piece.high[chosen], convex, piece.side)
                bound = self._ends if convex == (sign > 0) else self._tangent
                spare = loss * (1 + (part.high - part.low))
                found = bound(part, slope[chosen], sign) + spare
                gap[chosen] = np.maximum(gap[chosen], found)
        return gap

    def _ends(self, piece: Piece, slope: FloatArray, sign: int) -> FloatArray:
        ends = (piece.low, piece.high)
        return np.maximum(*(gap_at(self.value(end), slope, end, sign) for end in ends))

    def _tangent(self, piece: Piece, slope: FloatArray, sign: int) -> FloatArray:
        """The maximum over the piece of the tangent at a guessed point; at a point, the value."""
        point = np.nan_to_num(self.guess(slope, piece))
        point = np.minimum(np.maximum(point, piece.low), piece.high)
        rise = self.slope(point)
        base = gap_at(self.value(point), slope, point, sign)
        lean = [sign * (end - slope) for end in rise]
        steps = [piece.low - point, piece.high - point]
        climb = np.maximum.reduce([a * b for a in lean for b in steps])
        steep = np.abs(slope) + np.abs(rise[0]) + np.abs(rise[1])
        far = np.abs(piece.low) + np.abs(piece.high) + np.abs(point)
        lost = 16 * U * (steep * far + np.abs(base) + np.abs(climb)) + 16 * TINY * (1 + steep + far)
        single = _bits(piece.low) == _bits(piece.high)
        return np.where(single, base, base + climb + lost)


def _bits(x: FloatArray) -> NDArray[np.int64]:
    bits: NDArray[np.int64] = np.ascontiguousarray(x).view(np.int64)
    return bits
