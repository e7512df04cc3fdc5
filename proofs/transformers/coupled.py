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

import numpy as np

from absint.proofs.arithmetic import TINY, FloatArray, down, gamma, inflate, up
from absint.proofs.transformers.attend import Attention, IntArray, Ratio

CELLS = 1 << 19
"""Entries and cells worked on at once."""
ROUNDS = 4
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


@dataclass(frozen=True)
class _Coupled:
    fixed: FloatArray
    slots: IntArray
    tokens: IntArray
    ratios: Sequence[Ratio]

    def minimum(self) -> FloatArray:
        """Newton's iteration for all heads at once, from each head's mean; the best bound of all
        rounds is kept."""
        best = np.full(self.fixed.shape[:2], -np.inf)
        shares = [(down(1 / r.most), up(1 / r.least)) for r in self.ratios]
        size = np.where(np.isfinite(self.fixed), np.abs(self.fixed), 0.0).max(axis=3).sum(axis=2)
        at = [np.broadcast_to(r.start(), best.shape) for r in self.ratios]
        for _ in range(ROUNDS):
            cells = [self._cells(r, x) for r, x in zip(self.ratios, at, strict=True)]
            errors = [r.error(x) for r, x in zip(self.ratios, at, strict=True)]
            least, chosen = np.full(best.shape, np.inf), np.zeros((*self.fixed.shape[:3], 1), int)
            for corner in product((0, 1), repeat=len(at)):
                ends = [own[side] for own, side in zip(shares, corner, strict=True)]
                value, choice = self._at(cells, ends)
                sure = down(value - self._lost(size, at, errors, ends))
                lower = ~(sure >= least)
                least = np.minimum(least, sure)
                chosen = np.where(lower[..., None, None], choice, chosen)
            for x in at:
                least = down(least + x)
            best = np.fmax(best, least)
            at = [x + _step(own, chosen) for x, own in zip(at, cells, strict=True)]
        return best

    def _at(
        self, cells: Sequence[tuple[FloatArray, FloatArray]], ends: Sequence[FloatArray]
    ) -> tuple[FloatArray, IntArray]:
        """The sum over slots of the least cell for given values of 1 / D, and which cells."""
        total = self.fixed
        for (value, _), end in zip(cells, ends, strict=True):
            total = total + end[..., None, None] * value
        least: FloatArray = total.min(axis=3).sum(axis=2)
        return least, total.argmin(axis=3)[..., None]

    def _lost(
        self,
        size: FloatArray,
        at: Sequence[FloatArray],
        errors: Sequence[FloatArray],
        ends: Sequence[FloatArray],
    ) -> FloatArray:
        """What the terms are off by, and the roundings of ``_at``."""
        terms = self.fixed.shape[2] + 2 * len(at) + 8
        reach, lost = size, np.zeros_like(size)
        for ratio, x, error, end in zip(self.ratios, at, errors, ends, strict=True):
            reach = reach + end * (ratio.most * (ratio.size + np.abs(x)))
            lost = lost + end * (error + terms * TINY) + terms * TINY
        off: FloatArray = inflate(lost + gamma(terms) * inflate(reach, terms), terms) + terms * TINY
        return off

    def _cells(self, ratio: Ratio, at: FloatArray) -> tuple[FloatArray, FloatArray]:
        """A head's least terms by slot and token, and the weights there, as ``fixed`` is laid out;
        zero where it reads nothing."""
        value, weight = np.zeros(self.fixed.shape), np.zeros(self.fixed.shape)
        for part, (terms, weights) in zip(ratio.parts, ratio.terms(at), strict=True):
            assert part.cells is not None
            count = len(part.cells[1])
            shape = (*terms.shape[:2], count, terms.shape[2] // count, terms.shape[3])
            slots = np.searchsorted(self.slots, part.cells[0])
            tokens = np.searchsorted(self.tokens, part.cells[1])
            terms, weights = terms.reshape(shape), weights.reshape(shape)
            if shape[3] > 1:
                best = terms.argmin(axis=3)[:, :, :, None]
                terms, weights = (np.take_along_axis(x, best, axis=3) for x in (terms, weights))
            value[:, :, slots, tokens] = terms[:, :, :, 0]
            weight[:, :, slots, tokens] = weights[:, :, :, 0]
        return np.where(np.isinf(self.fixed), 0.0, value), weight


def _step(cells: tuple[FloatArray, FloatArray], chosen: IntArray) -> FloatArray:
    """How far a head's ratio at the chosen cells is from where it was."""
    value, weight = (np.take_along_axis(x, chosen, axis=3).sum(axis=(2, 3)) for x in cells)
    step: FloatArray = np.where(weight > 0, value / np.where(weight > 0, weight, 1.0), 0.0)
    return step
