"""Tables and several heads over one text: all of them read the same choice of tokens.

For any number r a head's ratio is ``r + g / D`` with ``g = sum_i w_i (u_i - r)`` and D its sum of
weights. g is a sum over the slots, and so are tables; only D couples the slots. With ``1 / D`` free
in its range, what is left is linear in it for each text, so the least of the whole is found at a
corner of these ranges, one slot at a time. Derivation with roundings: docs/rigor.md, section 12.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Protocol

import numpy as np

from absint.proofs.arithmetic import TINY, FloatArray, down, gamma, inflate, up
from absint.proofs.transformers.attend import Attention, BoolArray, IntArray, Ratio

CELLS = 1 << 19
"""Entries and cells worked on at once."""
ROUNDS = 3
HEADS = 4
"""More heads than this have too many corners."""

Part = tuple[Attention, int, FloatArray]
"""A head of an attention, with directions (states or 1, rows, width)."""


def couples(attention: Attention) -> bool:
    """Whether all that a node's heads choose from says which slots hold which tokens, and each
    slot is said once: ``_Coupled`` adds no two terms of one slot."""
    own = [part.cells[0].tolist() for part in attention.parts if part.cells is not None]
    flat = [slot for some in own for slot in some]
    return len(own) == len(attention.parts) and len(set(flat)) == len(flat)


def slots(attention: Attention) -> set[int]:
    """The slots that a node's heads choose in."""
    return {int(s) for part in attention.parts if part.cells is not None for s in part.cells[0]}


def heads(attention: Attention, c: FloatArray) -> list[Part]:
    """The heads that directions c (states or 1, rows, heads * width) read.

    Looks at bits but the sign: a subnormal coefficient may compare as zero, and costs something.
    """
    width = c.shape[2] // attention.heads
    cut = [c[..., head * width : (head + 1) * width] for head in range(attention.heads)]
    return [
        (attention, head, own) for head, own in enumerate(cut) if (own.view(np.int64) << 1).any()
    ]


def minimum(
    fixed: FloatArray, slots: IntArray, tokens: IntArray, parts: Sequence[Part]
) -> FloatArray:
    """At most the least, (states, rows), of a sum of functions of single slots and of heads.

    ``fixed`` (states, rows, slots, tokens) holds the functions, for ``slots`` and ``tokens`` in
    rising order; infinite where a slot may not hold a token. -inf where nothing is known.
    """
    found = np.empty(fixed.shape[:2])
    entries = sum(p.count for p in parts[0][0].parts)
    step = max(1, CELLS // max(entries, fixed[0, 0].size))
    for some, rows in _blocks(len(fixed), fixed.shape[1], step):
        ratios = [
            attention.ratio(head, (c if c.shape[0] == 1 else c[some])[:, rows], some)
            for attention, head, c in parts
        ]
        found[some, rows] = _Coupled(fixed[some, rows], slots, tokens, ratios).minimum()
    return found


def _blocks(states: int, rows: int, size: int) -> Iterator[tuple[slice, slice]]:
    wide = min(rows, size)
    tall = max(1, size // wide)
    for begin, start in product(range(0, states, tall), range(0, rows, wide)):
        yield slice(begin, min(states, begin + tall)), slice(start, min(rows, start + wide))


class _Coupled:
    """Functions and heads laid out in columns: the tokens that each slot may hold in some state."""

    def __init__(
        self, fixed: FloatArray, slots: IntArray, tokens: IntArray, ratios: Sequence[Ratio]
    ) -> None:
        held = ~np.isposinf(fixed).all(axis=(0, 1))
        place = np.full(held.shape, -1)
        place[held] = np.arange(held.sum())
        self.fixed = fixed[:, :, held]
        self.begins = np.cumsum(held.sum(axis=1)) - held.sum(axis=1)
        self.lengths = held.sum(axis=1)
        grid = _Grid(place, slots, tokens, np.isposinf(self.fixed))
        self.heads = [_head(ratio, grid) for ratio in ratios]
        self.ratios = ratios

    def minimum(self) -> FloatArray:
        """At the ratios that Newton's iteration comes to, for all heads at once."""
        at, shape = [r.start() for r in self.ratios], self.fixed.shape[:2]
        at = [np.broadcast_to(x, shape) for x in at]
        ends = [2 / (r.least + r.most) for r in self.ratios]
        for _ in range(ROUNDS):
            cells = [head.at(x) for head, x in zip(self.heads, at, strict=True)]
            total = self._total([value for value, _ in cells], ends)
            least = np.minimum.reduceat(total, self.begins, axis=2)
            chosen = total == np.repeat(least, self.lengths, axis=2)
            sums = [[(x * chosen).sum(axis=2) for x in own] for own in cells]
            known = [weight > 0 for _, weight in sums]
            ends = [
                np.where(ok, 1 / own[1], y) for ok, own, y in zip(known, sums, ends, strict=True)
            ]
            steps = [y * own[0] for own, y in zip(sums, ends, strict=True)]
            at = [
                x + np.where(np.isfinite(step), step, 0) for x, step in zip(at, steps, strict=True)
            ]
        return self._below(at)

    def _total(self, values: Sequence[FloatArray], ends: Sequence[FloatArray]) -> FloatArray:
        """What each column adds for given values of 1 / D."""
        total = self.fixed
        for value, end in zip(values, ends, strict=True):
            total = total + end[..., None] * value
        return total

    def _below(self, at: Sequence[FloatArray]) -> FloatArray:
        """The bound that numbers r give: the least of the corners."""
        values = [head.at(x)[0] for head, x in zip(self.heads, at, strict=True)]
        errors = [r.error(x) for r, x in zip(self.ratios, at, strict=True)]
        shares = [(down(1 / r.most), up(1 / r.least)) for r in self.ratios]
        known = np.where(np.isfinite(self.fixed), np.abs(self.fixed), 0.0)
        size = np.maximum.reduceat(known, self.begins, axis=2).sum(axis=2)
        found = np.full(self.fixed.shape[:2], np.inf)
        for corner in product((0, 1), repeat=len(at)):
            ends = [own[side] for own, side in zip(shares, corner, strict=True)]
            total = self._total(values, ends)
            value = np.minimum.reduceat(total, self.begins, axis=2).sum(axis=2)
            found = np.minimum(found, down(value - self._lost(size, at, errors, ends)))
        for x in at:
            found = down(found + x)
        return np.where(np.isnan(found), -np.inf, found)

    def _lost(
        self,
        size: FloatArray,
        at: Sequence[FloatArray],
        errors: Sequence[FloatArray],
        ends: Sequence[FloatArray],
    ) -> FloatArray:
        """What the terms are off by, and the roundings of ``_below``."""
        terms = len(self.begins) + 2 * len(at) + 8
        reach, lost = size, np.zeros_like(size)
        for ratio, x, error, end in zip(self.ratios, at, errors, ends, strict=True):
            reach = reach + end * (ratio.most * (ratio.size + np.abs(x)))
            under = terms * TINY * (1 + ratio.size + np.abs(x))
            lost = lost + end * (error + under) + terms * TINY
        off: FloatArray = inflate(lost + gamma(terms) * inflate(reach, terms), terms) + terms * TINY
        return off


@dataclass(frozen=True)
class _Grid:
    """The columns (slots, tokens), -1 where there is none, of ``slots`` and ``tokens`` in rising
    order; ``closed`` (states, rows, columns) ones are no choice there."""

    place: IntArray
    slots: IntArray
    tokens: IntArray
    closed: BoolArray

    def columns(self, cells: tuple[IntArray, IntArray]) -> IntArray:
        """Those of the cells (tokens, positions) of a part."""
        found: IntArray = self.place[
            np.searchsorted(self.slots, cells[0])[None], np.searchsorted(self.tokens, cells[1])
        ]
        return found

    def laid(self, parts: Sequence[tuple[IntArray, FloatArray]]) -> FloatArray:
        """Entries (states, rows, tokens, positions) in their columns; zeros elsewhere."""
        found = np.zeros((*parts[0][1].shape[:2], self.closed.shape[2]))
        for columns, entries in parts:
            kept = columns >= 0
            found[:, :, columns[kept]] = entries[:, :, kept]
        return found


class _Head(Protocol):
    """What one head adds to the columns."""

    def at(self, r: FloatArray) -> tuple[FloatArray, FloatArray]:
        """The least ``w (u - r)`` and the weight there, (states, rows, columns)."""


def _head(ratio: Ratio, grid: _Grid) -> _Head:
    cells = [part.cells for part in ratio.parts if part.cells is not None]
    single = all(len(own[1]) == p.low.shape[3] for own, p in zip(cells, ratio.parts, strict=True))
    columns = [grid.columns(own) for own in cells]
    if not single or not all(part.thin for part in ratio.parts):
        return _Chosen(ratio, grid, columns)
    products = [p.products(u, ratio.place) for p, u in zip(ratio.parts, ratio.us, strict=True)]
    laid = [
        grid.laid([(where, own[side]) for where, own in zip(columns, products, strict=True)])
        for side in (0, 1)
    ]
    return _Plain(np.where(grid.closed, 0.0, laid[0]), laid[1])


@dataclass(frozen=True)
class _Plain:
    """One entry a token, whose weight is known: ``w u - r w``."""

    product: FloatArray
    weight: FloatArray

    def at(self, r: FloatArray) -> tuple[FloatArray, FloatArray]:
        return self.product - r[..., None] * self.weight, self.weight


@dataclass(frozen=True)
class _Chosen:
    """The least of several entries a token, or of weights in a range."""

    ratio: Ratio
    grid: _Grid
    columns: Sequence[IntArray]

    def at(self, r: FloatArray) -> tuple[FloatArray, FloatArray]:
        values, weights = [], []
        for columns, (terms, some) in zip(self.columns, self.ratio.terms(r), strict=True):
            shape = (*terms.shape[:2], *columns.shape[:1], -1, columns.shape[1])
            least, weight = terms.reshape(shape), some.reshape(shape)
            if least.shape[3] > 1:
                best = least.argmin(axis=3)[:, :, :, None]
                least, weight = (np.take_along_axis(x, best, axis=3) for x in (least, weight))
            values.append((columns, least[:, :, :, 0]))
            weights.append((columns, weight[:, :, :, 0]))
        value, weight = self.grid.laid(values), self.grid.laid(weights)
        return np.where(self.grid.closed, 0.0, value), weight
