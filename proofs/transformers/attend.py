"""Attention over token sets: exact bounds of softmax-weighted means (linear-fractional programmes).

For a direction c of the output, one head gives ``sum_i w_i u_i / sum_i w_i`` with ``w_i`` the
exponential of a score and ``u_i = c . v_i``. Where each position i may choose its entry (a token,
which fixes score and value together) freely, the least ratio is the root of
``G(l) = sum_i min_entry w (u - l)`` (Dinkelbach 1967). For *any* number l, a lower bound g of G(l)
proves that no choice has a ratio below ``l + g / W``, with W the largest possible sum of weights
where g >= 0 and the least where g < 0: so the iteration that finds l needs no trust, and a few
steps are enough. Derivation with roundings: docs/rigor.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from absint.problem.contract import Contract
from absint.proofs.arithmetic import (
    TINY,
    FloatArray,
    U,
    down,
    gamma,
    inflate,
    midpoint_radius,
    up,
    without_subnormals,
)
from absint.proofs.transcendental import exp_of_negative
from absint.proofs.transformers import attended
from absint.proofs.transformers.affine import Interval

BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]

CHUNK = 1 << 17
"""Entries worked on at once, so that they stay in the processor's cache."""
THIN = 2.0**-20
"""Weights known to this precision are taken as points with an error."""
ROUNDS = 8


@dataclass(frozen=True)
class Entries:
    """The choices of several positions: entry a of position i, each a key with its value.

    ``keys`` and ``values`` are intervals (batch or 1, groups, entries, positions, width); where
    ``closed`` (batch or 1, entries, positions) is set, an entry is not a choice in that state.
    """

    keys: Interval
    values: Interval
    closed: BoolArray | None
    cells: tuple[IntArray, IntArray] | None = None
    """What a choice says of the text, where it does: the slot of each position, (positions,), and
    the tokens there, (tokens, positions); each has as many entries, one after another."""

    @property
    def count(self) -> int:
        return int(self.keys[0].shape[2] * self.keys[0].shape[3])


class Attention:
    """One attend node on a batch of states: scores once, then bounds of any directions."""

    def __init__(
        self,
        query: Interval,
        parts: Sequence[Entries],
        heads: int,
        groups: int,
        scale: float,
        contract: Contract | None = None,
    ) -> None:
        self.heads, self.groups, self.batch = heads, groups, query[0].shape[0]
        shape = (self.batch, groups, heads // groups, -1)
        q = (query[0].reshape(shape), query[1].reshape(shape))
        scores = [_scores(q, part, scale, contract) for part in parts]
        peak, count = _peak(scores, parts, 1), sum(part.keys[0].shape[3] for part in parts)
        self.covered: BoolArray = np.ones(self.batch, dtype=np.bool_)
        """Whether the contract, where there is one, speaks of this attention."""
        if contract is not None:
            self.covered &= attended.covered(count, q[0].shape[3], scale)
            self.covered &= attended.within(np.maximum(*map(np.abs, q)), contract)
            for part in parts:
                self.covered &= _within(part, contract)
            off = attended.exponents_off(up(peak + _peak(scores, parts, 0)), contract)
            scores = [(down(s[0] - off), up(s[1] + off)) for s in scores]
            peak = up(peak + off)
        self.parts = [
            _Weighted.of(p, s, peak, count, contract) for p, s in zip(parts, scores, strict=True)
        ]
        steps = len(parts) + 1
        least: FloatArray = reduce(np.add, (np.maximum(p.least, 0.0) for p in self.parts))
        self.least = np.maximum(least * (1 - gamma(steps)) - steps * TINY, 0.0)
        self.most = inflate(reduce(np.add, (p.most for p in self.parts)), steps)
        reach: FloatArray = reduce(np.add, (p.reach.sum(axis=(1, 2)) for p in self.parts))
        self._drowned = 2 * TINY * heads * reach[:, None]  # of coefficients that read as zero

    def hull(self) -> Interval:
        """Bounds (batch, heads * width) of the output: every mean lies between the values."""
        lower = np.minimum.reduce([p.hull[0] for p in self.parts])
        upper = np.maximum.reduce([p.hull[1] for p in self.parts])
        share = self.heads // self.groups
        ends = (np.repeat(end, share, axis=1).reshape((self.batch, -1)) for end in (lower, upper))
        return next(ends), next(ends)

    def minimum(self, c: FloatArray, enough: FloatArray | None = None) -> FloatArray:
        """At most the least value, (batch, rows), of ``c . output``; c (batch or 1, rows, size).

        Where it is known to be ``enough`` (batch, rows), it need not be close.
        """
        rows, width = c.shape[1], c.shape[2] // self.heads
        total = np.zeros((self.batch, rows))
        for head in range(self.heads):
            part = c[..., head * width : (head + 1) * width]
            used = np.flatnonzero(part.any(axis=(0, 2)))
            if len(used):
                last = enough is not None and not c[..., (head + 1) * width :].any()
                goal = None if enough is None or not last else (enough - total)[:, used]
                found = self._head(head, part[:, used], goal)
                total[:, used] = np.nextafter(total[:, used] + found, -np.inf)
        return down(total - self._drowned)

    def _head(self, head: int, c: FloatArray, goal: FloatArray | None) -> FloatArray:
        group = head // (self.heads // self.groups)
        entries = sum(p.count for p in self.parts)
        found = np.empty((self.batch, c.shape[1]))
        for rows in _slices(c.shape[1], max(1, CHUNK // entries)):
            kept = {
                i: p.reads(c[:, rows], group)
                for i, p in enumerate(self.parts)
                if c.shape[0] == 1 and p.values.shape[0] == 1
            }
            states = max(1, CHUNK // (entries * (rows.stop - rows.start)))
            for some in _slices(self.batch, states):
                own = c[:, rows] if c.shape[0] == 1 else c[some, rows]
                us = [
                    kept[i] if i in kept else p.reads(own, group, some)
                    for i, p in enumerate(self.parts)
                ]
                known = None if goal is None else goal[some, rows]
                found[some, rows] = self.ratio(head, own, some, us).minimum(known)
        return found

    def ratio(
        self, head: int, c: FloatArray, some: slice, us: list[FloatArray] | None = None
    ) -> Ratio:
        """One head in directions c (states or 1, rows, width), on some states."""
        group, member = divmod(head, self.heads // self.groups)
        if us is None:
            us = [p.reads(c, group, some) for p in self.parts]
        sizes = [p.size(c, group, some) for p in self.parts]
        return Ratio(
            self.parts,
            (some, group, member),
            us,
            self.least[some, group, member, None],
            self.most[some, group, member, None],
            reduce(np.maximum, (size for size, _ in sizes)),
            reduce(np.maximum, (off for _, off in sizes)),
            inflate(
                reduce(np.add, (p.unsure[some, group, member, None] for p in self.parts)),
                len(self.parts),
            ),
        )


Place = tuple[slice, int, int]


@dataclass(frozen=True)
class Ratio:
    """``sum_i w_i u_i / sum_i w_i`` of one head in some directions, (states, rows).

    ``us`` are the values of each part's entries, (states or 1, rows, entries, positions), off by
    at most ``off`` and at most ``size``; ``least`` and ``most`` bound the sum of weights.
    """

    parts: Sequence[_Weighted]
    place: Place
    us: Sequence[FloatArray]
    least: FloatArray
    most: FloatArray
    size: FloatArray
    off: FloatArray
    unsure: FloatArray

    def error(self, at: FloatArray) -> FloatArray:
        """What the sum of ``terms`` may be off by, (states, rows)."""
        steps = sum(p.positions for p in self.parts) + 8
        reach = self.size + np.abs(at)
        error = inflate(self.most * (self.off + gamma(steps) * reach) + self.unsure * reach, 8)
        return error + (steps + 4) * TINY

    def terms(self, at: FloatArray) -> list[tuple[FloatArray, FloatArray]]:
        """For each part the least ``w (u - at)`` of each entry and the weight there, (states, rows,
        entries, positions); infinite where an entry is closed."""
        pairs = zip(self.parts, self.us, strict=True)
        return [p.terms(u, at, self.place) for p, u in pairs]

    def minimum(self, goal: FloatArray | None) -> FloatArray:
        """Bounds (states, rows) of the least ratio; close where below ``goal``.

        Newton's iteration may start anywhere; at the goal, one evaluation is often all.
        """
        best: FloatArray
        some = self.place[0]
        pairs = list(zip(self.parts, self.us, strict=True))
        best = down(reduce(np.minimum, (p.lowest(u, some) for p, u in pairs)) - self.off)
        at = self.start() if goal is None else goal
        for _ in range(ROUNDS):
            sums = [_least_sum(*terms) for terms in self.terms(at)]
            value, chosen = (reduce(np.add, parts) for parts in zip(*sums, strict=True))
            error = self.error(at)
            sure = down(value - error)
            share = down(sure / np.where(sure >= 0, self.most, self.least))
            best = np.fmax(best, down(at + share))
            done = np.abs(value) <= error
            if (done if goal is None else done | (best >= goal)).all():
                break
            at = at + value / chosen
        return np.where(np.isnan(best), -np.inf, best)

    def start(self) -> FloatArray:
        """The ratio of weighted sums over all entries: no less than the least ratio."""
        sums = [p.mean(u, self.place) for p, u in zip(self.parts, self.us, strict=True)]
        start: FloatArray = reduce(np.add, (s for s, _ in sums)) / reduce(
            np.add, (w for _, w in sums)
        )
        return start


@dataclass(frozen=True)
class _Weighted:
    """Entries with their weights (batch, groups, members, entries, positions)."""

    low: FloatArray
    high: FloatArray
    thin: bool
    """Whether ``low`` alone, a middle, stands for both; what it is off by is in ``unsure``."""
    closed: BoolArray | None
    values: FloatArray
    """(batch or 1, groups, width, entries * positions), as a matrix for products."""
    radius: FloatArray | None
    """Of the values, where it is not small."""
    reach: FloatArray
    """(batch or 1, groups, width): the largest |value|."""
    off: FloatArray
    """(batch or 1, groups, width): the largest radius that ``radius`` does not cover, and what a
    product with a weight may be off by as computed."""
    least: FloatArray
    most: FloatArray
    unsure: FloatArray
    """(batch, groups, members): sums over the positions of the least and the largest weight, and of
    the largest error of a weight."""
    hull: Interval
    """(batch, groups, width)."""
    cells: tuple[IntArray, IntArray] | None

    @property
    def count(self) -> int:
        return int(self.low.shape[3] * self.low.shape[4])

    @property
    def positions(self) -> int:
        return int(self.low.shape[4])

    @staticmethod
    def of(
        part: Entries, scores: Interval, peak: FloatArray, count: int, contract: Contract | None
    ) -> _Weighted:
        """``count`` positions in all parts together."""
        below, above = down(scores[0] - peak), np.minimum(up(scores[1] - peak), 0.0)
        low = exp_of_negative(np.minimum(below, 0.0))[0]
        high = exp_of_negative(above)[1]
        closed = None if part.closed is None else part.closed[:, None, None]
        least = _masked(low, closed, np.inf).min(axis=3).sum(axis=3)
        most = _masked(high, closed, 0.0).max(axis=3).sum(axis=3)
        steps = low.shape[4] + 2
        radius = high - low
        thin = bool((radius <= THIN * high + 2.0**-900).all())
        error = _masked(radius, closed, 0.0).max(axis=3).sum(axis=3)
        middle, spread = midpoint_radius(*part.values)
        shape = (*middle.shape[:2], -1, middle.shape[4])
        flat, wide = middle.reshape(shape), spread.reshape(shape)
        exact = bool((wide <= THIN * np.abs(flat) + 2.0**-900).all())
        reach = np.abs(flat).max(axis=2) + wide.max(axis=2) + TINY
        lost: FloatArray = np.zeros_like(reach)
        if contract is not None:
            lost = attended.values_off(reach, count, contract)
            reach = reach + lost
        hull = _hull(part, low.shape[0])
        return _Weighted(
            low,
            high,
            thin,
            closed,
            np.ascontiguousarray(np.swapaxes(flat, 2, 3)),
            None if exact else np.ascontiguousarray(np.swapaxes(wide, 2, 3)),
            reach,
            (wide.max(axis=2) if exact else 0 * wide.max(axis=2)) + lost + TINY,
            least * (1 - gamma(steps)) - TINY * steps,
            inflate(most, steps),
            inflate(error, steps) if thin else np.zeros_like(error),
            (down(hull[0] - lost), up(hull[1] + lost)) if contract is not None else hull,
            part.cells,
        )

    def reads(self, c: FloatArray, group: int, some: slice = slice(None)) -> FloatArray:
        """``c . value`` of every entry: (states or 1, rows, entries, positions); its lower end
        where values are wide."""
        place = slice(None) if self.values.shape[0] == 1 else some
        u: FloatArray = c @ self.values[place, group]
        if self.radius is not None:
            u = u - np.abs(c) @ self.radius[place, group]
        return u.reshape((*u.shape[:2], *self.low.shape[3:]))

    def size(self, c: FloatArray, group: int, some: slice) -> tuple[FloatArray, FloatArray]:
        """For directions c: the largest |c . value|, and how far ``reads`` may be off."""
        place = slice(None) if self.reach.shape[0] == 1 else some
        weight, reach = np.abs(c), self.reach[place, group]
        steps, width = 2 * c.shape[2] + 6, 2 if self.radius is not None else 1
        size = inflate((weight @ reach[..., None])[..., 0] * width, steps)
        off = inflate((weight @ self.off[place, group][..., None])[..., 0], steps)
        total = weight.sum(axis=2) + reach.sum(axis=1)[:, None]
        return size, off + gamma(steps) * size + steps * TINY * (1 + total)

    def terms(self, u: FloatArray, x: FloatArray, place: Place) -> tuple[FloatArray, FloatArray]:
        """The least ``w (u - x)`` of each entry and the weight there."""
        gap = u - x[..., None, None]
        weight = np.broadcast_to(self.low[place][:, None], gap.shape)
        if not self.thin:
            weight = np.where(gap < 0, self.high[place][:, None], weight)
        gap *= weight
        if self.closed is not None:
            some = place[0] if self.closed.shape[0] > 1 else slice(None)
            gap = np.where(self.closed[some, 0], np.inf, gap)
        return gap, weight

    def products(self, u: FloatArray, place: Place) -> tuple[FloatArray, FloatArray]:
        """``w u`` and w of each entry, (states, rows or 1, entries, positions)."""
        weight = self.low[place][:, None]
        if self.closed is not None:
            some = place[0] if self.closed.shape[0] > 1 else slice(None)
            weight = np.where(self.closed[some, 0], 0.0, weight)
        return weight * u, weight

    def lowest(self, u: FloatArray, some: slice) -> FloatArray:
        """The least entry, (states, rows): no mean is below it."""
        if self.closed is not None:
            u = np.where(
                self.closed[some if self.closed.shape[0] > 1 else slice(None), 0], np.inf, u
            )
        result: FloatArray = u.min(axis=(2, 3))
        return result

    def mean(self, u: FloatArray, place: Place) -> tuple[FloatArray, FloatArray]:
        """Sums of ``w u`` and of w over open entries, (states, rows) and (states, 1)."""
        weight = self.high[place]
        if self.closed is not None:
            some = place[0] if self.closed.shape[0] > 1 else slice(None)
            weight = np.where(self.closed[some, 0, 0], 0.0, weight)
        flat = weight.reshape((weight.shape[0], -1, 1))
        above = (u.reshape((*u.shape[:2], -1)) @ flat)[..., 0]
        return above, flat.sum(axis=1)


def _within(part: Entries, contract: Contract) -> BoolArray:
    """(batch or 1,): whether all entries that may be chosen are covered."""
    ends = [np.abs(end).max(axis=(1, 4)) for end in (*part.keys, *part.values)]
    return attended.within(_masked(np.maximum.reduce(ends), part.closed, 0.0), contract)


def _peak(scores: Sequence[Interval], parts: Sequence[Entries], end: int) -> FloatArray:
    """The largest score that may be chosen (or, for end 0, the least's negative), (batch, groups,
    members, 1, 1)."""
    found = []
    for score, part in zip(scores, parts, strict=True):
        own = score[1] if end else -score[0]
        if part.closed is not None:
            own = np.where(part.closed[:, None, None], -np.inf, own)
        found.append(own.max(axis=(3, 4), keepdims=True))
    peak: FloatArray = np.maximum.reduce(found)
    return peak


def _scores(q: Interval, part: Entries, scale: float, contract: Contract | None) -> Interval:
    """``scale q . k``: (batch, groups, members, entries, positions)."""
    (a, ar), (b, br) = midpoint_radius(*q), midpoint_radius(*part.keys)
    width, shape = a.shape[3], b.shape[2:4]
    keys, radii = (np.swapaxes(x.reshape((*b.shape[:2], -1, width)), 2, 3) for x in (b, br))
    size = np.abs(a)
    middle = a @ keys
    error = size @ (radii + gamma(width + 4) * np.abs(keys)) + ar @ (np.abs(keys) + radii)
    error = inflate(error, 4 * width + 8) + 8 * width * TINY * (1 + size.max() + np.abs(b).max())
    drowned = TINY * (np.abs(middle) + error)  # a subnormal scale may read as zero
    middle, error = scale * middle, abs(scale) * error
    error = error + 4 * U * np.abs(middle) + drowned
    if contract is not None:
        reached = inflate((size + ar) @ (np.abs(keys) + radii), 2 * width)
        error = error + attended.scores_off(reached, width, scale, contract)
    error = inflate(error, 4)
    full = (*middle.shape[:3], *shape)
    return down(middle - error).reshape(full), up(middle + error).reshape(full)


def _least_sum(gap: FloatArray, weight: FloatArray) -> tuple[FloatArray, FloatArray]:
    """``sum_i min_entry`` of terms and the weights of the entries chosen, (states, rows)."""
    least = gap.argmin(axis=2)[:, :, None]
    value, chosen = (np.take_along_axis(a, least, axis=2) for a in (gap, weight))
    return value.sum(axis=(2, 3)), chosen.sum(axis=(2, 3))


def _hull(part: Entries, batch: int) -> Interval:
    closed = None if part.closed is None else part.closed[:, None, ..., None]
    values = without_subnormals(*part.values)
    lower = _masked(values[0], closed, np.inf).min(axis=(2, 3))
    upper = _masked(values[1], closed, -np.inf).max(axis=(2, 3))
    shape = (batch, *lower.shape[1:])
    return np.broadcast_to(lower, shape), np.broadcast_to(upper, shape)


def _masked(x: FloatArray, closed: BoolArray | None, value: float) -> FloatArray:
    return x if closed is None else np.where(closed, value, x)


def _slices(count: int, step: int) -> Iterator[slice]:
    for begin in range(0, count, step):
        yield slice(begin, min(count, begin + step))
