"""Normalisation backward: a positive factor, of which bounds are known, times a linear map.

Derivation: docs/rigor.md, section 7.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from absint.ir import Node
from absint.proofs.arithmetic import TINY, FloatArray, U, down, gamma, inflate, midpoint_radius, up
from absint.proofs.transformers import normalize
from absint.proofs.transformers.affine import Interval
from absint.proofs.transformers.factors import lines
from absint.proofs.transformers.steps import Back, box_minimum, reach

BoolArray = NDArray[np.bool_]


@dataclass(frozen=True)
class Normalized:
    """``z / divisor``, with z the entries of a group, less their mean where it is centred.

    ``x`` are the operand's bounds and ``value`` the node's, (batch, groups, entries); ``divisor``
    is (batch, groups).
    """

    node: Node
    x: Interval
    value: Interval
    divisor: Interval

    @staticmethod
    def of(node: Node, x: Interval, value: Interval) -> Normalized:
        """Over the operand's interval (batch, *shape), its ends not subnormal."""
        shape = (x[0].shape[0], -1, normalize.together(node))
        ends = [end.reshape(shape) for end in (*x, *value)]
        divisor = normalize.divisor(node, x)
        return Normalized(node, (ends[0], ends[1]), (ends[2], ends[3]), divisor)

    @property
    def one_group(self) -> bool:
        """Whether all entries share one divisor."""
        return bool(self.divisor[0].shape[1] == 1)

    def entries(self) -> Interval:
        """Bounds of z."""
        return normalize.less_mean(self.x) if self.node.integer("centered") else self.x

    def within(self, least: FloatArray, most: FloatArray) -> Normalized:
        """The same with the sum of squares also known to lie between these, (batch, 1) each."""
        root = normalize.root(np.maximum(least, 0.0), self.node, -1)
        low = np.where(least > 0, np.fmax(self.divisor[0], root), self.divisor[0])
        high = np.fmin(self.divisor[1], normalize.root(most, self.node, 1))
        return replace(self, divisor=(low, high))

    def bounds(self, value: Interval) -> Interval:
        """``value``, bounds of the node (batch, *shape), and what the divisor says of it."""
        lower, upper = (end.reshape(value[0].shape) for end in self.entries())
        shape = (-1, *(1 for _ in self.node.shape))
        low, high = (end.reshape(shape) for end in self.divisor)
        most = up(np.where(upper >= 0, upper / low, upper / high))
        least = down(np.where(lower >= 0, lower / high, lower / low))
        return (
            np.where(least > value[0], least, value[0]),
            np.where(most < value[1], most, value[1]),
        )

    def divided(self, least: FloatArray, c: FloatArray) -> FloatArray:
        """At most ``c . y`` where ``c . z`` is at least this, (batch, rows), in one group."""
        found = down(np.where(least >= 0, least / self.divisor[1], least / self.divisor[0]))
        value = tuple(end[:, 0].reshape((-1, *self.node.shape)) for end in self.value)
        return np.fmax(found, box_minimum(c, (value[0], value[1])))

    def direction(self, c: FloatArray) -> Back:
        """For ``c . z`` instead of ``c . y``: its sign is the same where there is one group."""
        w, off = self._direction(c)
        return Back([w.reshape(c.shape)], 0.0, off.sum(axis=2))

    def back(self, c: FloatArray) -> Back:
        """Group by group the higher, in the middle of the box, of two linear functions."""
        w, off = self._direction(c)
        low, high = _range(w, self.x)
        low, high = down(low - off), up(high + off)
        flat, bent = self._chorded(c.reshape(w.shape), w, off, (low, high)), self._bent(c, low)
        middle = (0.5 * self.x[0] + 0.5 * self.x[1])[:, None]
        return self._made(bent.where(bent.height(middle) > flat.height(middle), flat))

    def bent(self, c: FloatArray, least: FloatArray) -> Back:
        """``back`` where ``c . z`` is at least this, (batch, rows), in one group."""
        return self._made(self._bent(c, least[..., None]))

    def _made(self, plane: _Plane) -> Back:
        part = plane.part.reshape((*plane.part.shape[:2], *self.node.shape))
        return Back([part], plane.offset.sum(axis=2), plane.lost.sum(axis=2))

    def _chorded(self, c: FloatArray, w: FloatArray, off: FloatArray, d: Interval) -> _Plane:
        """The chord of the least ``factor * d`` over the range of ``d = c . z``.

        That is concave in d, so the chord lies below it. Where the range is so wide that bounds of
        the value itself say more, these are taken.
        """
        least, most = _range(c, self.value)
        slope, offset, gap = self._chord(*d)
        linear = gap <= most - least
        slope, offset = np.where(linear, slope, 0.0), np.where(linear, offset, least)
        part = slope[..., None] * w
        far, size, steep = reach(self.x)[:, None], np.abs(w), np.abs(slope)
        lost = gamma(2) * (np.abs(part) * far).sum(axis=3) + steep * off
        lost = lost + 4 * TINY * ((1 + steep) * far.sum(axis=3) + (size * far).sum(axis=3))
        lost = lost + gamma(offset.shape[2] + 2) * np.abs(offset) + 4 * TINY
        return _Plane(part, offset, lost)

    def _bent(self, c: FloatArray, least: FloatArray) -> _Plane:
        """Below ``c . y`` where ``d = c . z`` is at least this, (batch, rows, groups).

        ``(s - small) (d - least)`` is not negative, s being the factor. One of its lines stands for
        s in ``least * s``.
        """
        z = self.entries()
        below, above = lines(z, self.divisor, self.node.number("epsilon"))
        far, c = reach(z)[:, None], c.reshape((*c.shape[:2], *z[0].shape[1:]))
        small = np.maximum(down(1 / self.divisor[1]), 0.0)[:, None]
        rising = least >= 0
        rate = least * np.where(rising, below.rate[:, None], above.rate[:, None])
        slope = np.where(rising[..., None], below.slope[:, None], above.slope[:, None])
        parts = small[..., None] * c, rate[..., None] * slope
        ends = least * np.where(rising, below.offset[:, None], above.offset[:, None]), small * least
        w, off = self._direction(parts[0] + parts[1])
        lost = gamma(8) * ((np.abs(parts[0]) + np.abs(parts[1])) * far).sum(axis=3)
        lost = lost + off + gamma(8 + w.shape[2]) * (np.abs(ends[0]) + np.abs(ends[1]))
        size = (1 + small + np.abs(least)) * (1 + np.abs(below.rate) + np.abs(above.rate))[:, None]
        sides = ((1 + np.abs(c) + np.abs(slope)) * (1 + far)).sum(axis=3)
        sides = sides + np.abs(below.offset[:, None]) + np.abs(above.offset[:, None])
        lost = inflate(lost + 16 * TINY * size * sides, 4 * c.shape[3] + 16)
        return _Plane(w, ends[0] - ends[1], lost)

    def _direction(self, c: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Coefficients w (batch or 1, rows, groups, entries) and what they are off by, (batch,
        rows, groups): ``|c . z - w . x|`` is at most that."""
        far = reach(self.x)[:, None]
        count = far.shape[3]
        c = c.reshape((*c.shape[:2], -1, count))
        if not self.node.integer("centered"):
            return c, np.zeros((far.shape[0], *c.shape[1:3]))
        size = np.abs(c)
        size = size + size.mean(axis=3, keepdims=True)
        off = gamma(count + 4) * (size * far).sum(axis=3)
        off = off + 8 * TINY * (far.sum(axis=3) + size.sum(axis=3))
        return c - c.mean(axis=3, keepdims=True), inflate(off, 2 * count + 8)

    def _chord(
        self, low: FloatArray, high: FloatArray
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Slope and offset of a line below ``s d`` for every factor s and every d in [low, high],
        and twice about how far it is from the middle ``s d``; (batch, rows, groups) each."""
        small = np.maximum(down(1 / self.divisor[1]), 0.0)[:, None]
        large = up(1 / self.divisor[0])[:, None]
        factors = np.where(low >= 0, small, large), np.where(high >= 0, small, large)
        rise = factors[1] * high - factors[0] * low
        slope = np.where(high > low, rise / (high - low), small)
        offsets = []
        for factor, end in zip(factors, (low, high), strict=True):
            terms = factor * end, slope * end
            lost = 8 * U * (np.abs(terms[0]) + np.abs(terms[1]))
            lost = lost + 4 * TINY * (1 + large + np.abs(slope) + np.abs(end))
            offsets.append(terms[0] - terms[1] - lost)
        apart = (low < 0) & (high > 0)
        bow = np.where(apart, -2 * low * high / (high - low), 0.0)
        gap = (large - small) * np.maximum(bow, np.abs(low + high) / 2)
        return slope, np.minimum(*offsets), gap


@dataclass(frozen=True)
class _Plane:
    """A linear function of the operand, ``part . x + offset - lost``, for each group: (batch, rows,
    groups, entries), and (batch, rows, groups) twice."""

    part: FloatArray
    offset: FloatArray
    lost: FloatArray

    def height(self, x: FloatArray) -> FloatArray:
        """About its value at x."""
        found: FloatArray = (self.part * x).sum(axis=3) + self.offset - self.lost
        return found

    def where(self, use: BoolArray, other: _Plane) -> _Plane:
        """This one where ``use``, and elsewhere the other."""
        return _Plane(
            np.where(use[..., None], self.part, other.part),
            np.where(use, self.offset, other.offset),
            np.where(use, self.lost, other.lost),
        )


def _range(c: FloatArray, x: Interval) -> Interval:
    """Bounds, (batch, rows, groups), of ``c . x`` in each group."""
    middle, radius = (end[:, None] for end in midpoint_radius(*x))
    size, far, count = np.abs(c), reach(x)[:, None], c.shape[3]
    centre, spread = (c * middle).sum(axis=3), (size * radius).sum(axis=3)
    lost = gamma(count + 4) * (size * far).sum(axis=3)
    lost = lost + 4 * TINY * (far.sum(axis=3) + size.sum(axis=3))
    spread = inflate(spread + lost, 4 * count + 8)
    return down(centre - spread), up(centre + spread)
