"""Normalisation backward: a positive factor, of which bounds are known, times a linear map.

Derivation: docs/rigor.md, section 7.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from absint.ir import Node
from absint.proofs.arithmetic import TINY, FloatArray, U, down, gamma, inflate, midpoint_radius, up
from absint.proofs.transformers import normalize
from absint.proofs.transformers.affine import Interval
from absint.proofs.transformers.steps import Back, box_minimum, reach


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

    def parabolas(self) -> list[tuple[FloatArray, FloatArray]]:
        """Where one group is all: coefficients (batch, 1, *shape) of z and offsets (batch, 1) of
        linear functions below the sum of squares, and below its negative.

        A parabola lies above each of its tangents, and below its chords.
        """
        lower, upper = (end[:, 0] for end in self._entries())
        middle, slope = 0.5 * lower + 0.5 * upper, lower + upper
        count = lower.shape[1]
        tops = [up(up(end * end) + up(-slope * end)) for end in (lower, upper)]
        shape = (len(lower), 1, *self.node.shape)
        found = []
        for c, each in ((2 * middle, up(middle * middle)), (-slope, np.maximum(*tops))):
            size = np.abs(each).sum(axis=1, keepdims=True)
            total = each.sum(axis=1, keepdims=True) + inflate(gamma(count) * size, count + 4)
            found.append((c.reshape(shape), -up(total)))
        return found

    def _entries(self) -> Interval:
        return normalize.less_mean(self.x) if self.node.integer("centered") else self.x

    def within(self, least: FloatArray, most: FloatArray) -> Normalized:
        """The same with the sum of squares also known to lie between these, (batch, 1) each."""
        root = normalize.root(np.maximum(least, 0.0), self.node, -1)
        low = np.where(least > 0, np.fmax(self.divisor[0], root), self.divisor[0])
        high = np.fmin(self.divisor[1], normalize.root(most, self.node, 1))
        return replace(self, divisor=(low, high))

    def bounds(self, value: Interval) -> Interval:
        """``value``, bounds of the node (batch, *shape), and what the divisor says of it."""
        lower, upper = (end.reshape(value[0].shape) for end in self._entries())
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
        """The chord of the least ``factor * d`` over the range of ``d = c . z``, group by group.

        That is concave in d, so the chord lies below it. Where the range is so wide that bounds of
        the value itself say more, these are taken.
        """
        w, off = self._direction(c)
        low, high = _range(w, self.x)
        low, high = down(low - off), up(high + off)
        least, most = _range(c.reshape(w.shape), self.value)
        slope, offset, gap = self._chord(low, high)
        linear = gap <= most - least
        slope, offset = np.where(linear, slope, 0.0), np.where(linear, offset, least)
        part = slope[..., None] * w
        far, size, steep = reach(self.x)[:, None], np.abs(w), np.abs(slope)
        lost = gamma(2) * (np.abs(part) * far).sum(axis=3) + steep * off
        lost = lost + 4 * TINY * ((1 + steep) * far.sum(axis=3) + (size * far).sum(axis=3))
        lost = lost + gamma(offset.shape[2] + 2) * np.abs(offset) + 4 * TINY
        shape = (*part.shape[:2], *self.node.shape)
        return Back([part.reshape(shape)], offset.sum(axis=2), lost.sum(axis=2))

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


def _range(c: FloatArray, x: Interval) -> Interval:
    """Bounds, (batch, rows, groups), of ``c . x`` in each group."""
    middle, radius = (end[:, None] for end in midpoint_radius(*x))
    size, far, count = np.abs(c), reach(x)[:, None], c.shape[3]
    centre, spread = (c * middle).sum(axis=3), (size * radius).sum(axis=3)
    lost = gamma(count + 4) * (size * far).sum(axis=3)
    lost = lost + 4 * TINY * (far.sum(axis=3) + size.sum(axis=3))
    spread = inflate(spread + lost, 4 * count + 8)
    return down(centre - spread), up(centre + spread)
