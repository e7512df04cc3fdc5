"""Neurons that a proof may divide by phase, and their lines below such divisions.

A function with one knot lies on one of its two pieces once the side of the knot is known, and a
convex one lies above every line through the knot with a slope between the pieces'. Neither depends
on bounds, so nothing is computed anew for a leaf but which line it takes. Derivation:
docs/rigor.md, section 15.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from absint.ir import Graph, Node
from absint.proofs.arithmetic import FloatArray, above
from absint.proofs.transformers.piecewise import Interval, PiecewiseLinear
from absint.proofs.transformers.steps import (
    Back,
    Loss,
    Relaxed,
    line_loss,
    line_through,
    middle_half,
    reach,
    rows,
)
from absint.proofs.transformers.univariate import UNIVARIATE_OPS, Relaxation

IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
LEFT, RIGHT = 256, 257
"""Places of the pieces among a knot's lines."""


def neurons(graph: Graph) -> dict[int, int]:
    """The positions of those nodes, in order, each with how many entries it has."""
    return {at: knot.node.size for at, knot in knots(graph).items()}


def knots(graph: Graph) -> dict[int, Knot]:
    """By position, in order: elementwise nodes that are piecewise linear with one knot."""
    found = {}
    for at, node in enumerate(graph.nodes):
        function = UNIVARIATE_OPS[node.op](node) if node.op in UNIVARIATE_OPS else None
        if isinstance(function, PiecewiseLinear) and len(function.knots) == 1:
            found[at] = Knot(node, function)
    return found


def named_slopes(graph: Graph, named: Sequence[bytes | None]) -> dict[int, FloatArray]:
    """By node with one knot, the slopes that bytes name for each box, (boxes, *shape), NaN for one
    that has none; nothing where no box has any. Bytes are one an entry of those nodes, in order."""
    given = [box for box, slopes in enumerate(named) if slopes is not None]
    if not given:
        return {}
    table = np.stack([np.frombuffer(named[box] or b"", dtype=np.uint8) for box in given])
    found, begin = {}, 0
    for at, knot in knots(graph).items():
        own = np.full((len(named), knot.node.size), np.nan)
        own[given] = knot.slopes[table[:, begin : begin + knot.node.size]]
        found[at] = own.reshape((-1, *knot.node.shape))
        begin += knot.node.size
    return found


class Sides(NamedTuple):
    """Neurons of one node whose phase is known: of which leaf, which entry, at least the knot?"""

    leaves: IntArray
    entries: IntArray
    above: BoolArray


class Slopes(NamedTuple):
    """Bytes (leaves or 1, rows, entries or *shape); which leaves have any, (leaves or 1,)."""

    bytes: NDArray[np.uint8]
    given: BoolArray

    def of(self, entries: slice, shape: tuple[int, ...]) -> Slopes:
        """Those of one node, whose entries are the last axis here."""
        found = self.bytes[..., entries]
        return Slopes(found.reshape((*found.shape[:2], *shape)), self.given)


@dataclass(frozen=True)
class Lines:
    """Two lines for each neuron, as in ``Relaxed``, but of each leaf and row on their own.

    All but ``loss`` are (leaves or 1, rows or 1, *shape).
    """

    slope: FloatArray
    half_slope: FloatArray
    offset: FloatArray
    half_offset: FloatArray
    loss: Loss

    def back(self, c: FloatArray) -> Back:
        size = np.abs(c)
        shift = _products(c, self.offset) - _products(size, self.half_offset)
        lost = self.loss.at(size)
        return Back([line_through(c, size, self.slope, self.half_slope)], shift, lost)


@dataclass(frozen=True)
class Knot:
    """An elementwise node with one knot."""

    node: Node
    function: PiecewiseLinear

    @property
    def at(self) -> float:
        return self.function.knots[0]

    @property
    def operand(self) -> int:
        return self.node.inputs[0]

    @property
    def slopes(self) -> FloatArray:
        """What bytes stand for, (256,): from the left piece's slope to the right one's."""
        left, right = self.function.slopes
        least, most = sorted((left, right))
        return np.clip(left + (right - left) * (np.arange(256) / 255), least, most)

    @cached_property
    def lines(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """The lines through the knot: slopes (258,), and offsets below and above the exact ones.

        Of each byte of a slope, then of the left piece and of the right one.
        """
        slopes = [*self.slopes.tolist(), *self.function.slopes]
        value, at = Fraction(self.function.values[0]), Fraction(self.at)
        exact = [value - Fraction(slope) * at for slope in slopes] if at else [value]
        ends = (np.array([sign * above(sign * offset) for offset in exact]) for sign in (-1, 1))
        low, high = (np.broadcast_to(end, (len(slopes),)) for end in ends)
        return np.array(slopes), low, high

    def impossible(self, operand: Interval, sides: Sides) -> BoolArray:
        """Which of the phases no point of the leaf's box has, (len(sides.leaves),).

        ``operand`` holds the boxes' bounds, (leaves or 1, *shape).
        """
        low, high = (_flat(end, 1) for end in operand)
        row = sides.leaves if len(low) > 1 else 0
        low, high = low[row, sides.entries], high[row, sides.entries]
        found: BoolArray = np.where(sides.above, high < self.at, low > self.at)
        return found

    def step(
        self, relaxed: Relaxed, operand: Interval, sides: Sides, slopes: Slopes | None, leaves: int
    ) -> Lines:
        """The step back for leaves with phases and slopes.

        ``relaxed`` and ``operand`` are the step and the bounds of their boxes, (leaves or 1, …).
        """
        parts = [relaxed.slope, relaxed.half_slope, relaxed.offset, relaxed.half_offset]
        parts = [part[:, None] for part in parts]
        if slopes is not None:
            parts = self._free(relaxed.lines, operand, slopes)
        if len(sides.leaves):
            parts = [self._divided(part, i, sides, leaves) for i, part in enumerate(parts)]
        return Lines(parts[0], parts[1], parts[2], parts[3], self._loss(relaxed, operand))

    def _free(self, lines: Relaxation, operand: Interval, slopes: Slopes) -> list[FloatArray]:
        """Middle and half difference where bytes choose the line that may turn about the knot."""
        steep, low, high = self.lines
        lower, upper = operand[0][:, None], operand[1][:, None]
        given = slopes.given.reshape((-1, *(1 for _ in lower.shape[1:])))
        free = (lower < self.at) & (upper > self.at) & given
        below = [lines.lower_slope[:, None], lines.lower_offset[:, None]]
        top = [lines.upper_slope[:, None], lines.upper_offset[:, None]]
        convex = self.function.slopes[0] <= self.function.slopes[1]
        turned, offsets = (below, low) if convex else (top, high)
        turned[0] = np.where(free, steep[slopes.bytes], turned[0])
        turned[1] = np.where(free, offsets[slopes.bytes] if offsets.any() else 0.0, turned[1])
        return [*middle_half(below[0], top[0]), *middle_half(below[1], top[1])]

    def _divided(self, part: FloatArray, number: int, sides: Sides, leaves: int) -> FloatArray:
        """With the line of a known phase, which is both the lower and the upper one."""
        slopes, low, high = self.lines
        lines = (slopes, 0 * slopes, *middle_half(low, high))
        full = np.broadcast_to(part, (leaves, *part.shape[1:])).copy()
        line = lines[number][np.where(sides.above, RIGHT, LEFT)]
        _flat(full, 2)[sides.leaves, :, sides.entries] = line[:, None]
        return full

    def _loss(self, relaxed: Relaxed, operand: Interval) -> Loss:
        slopes, low, high = self.lines
        steep, size = relaxed.lines.sizes()
        size = np.maximum(size, max(np.abs(low).max(), np.abs(high).max()))
        return line_loss(self.node, np.maximum(steep, np.abs(slopes).max()), size, reach(operand))


def _flat(x: FloatArray, axes: int) -> FloatArray:
    """A view with all axes but the first ones as one."""
    return x.reshape((*x.shape[:axes], -1))


def _products(c: FloatArray, x: FloatArray) -> FloatArray:
    """(batch, rows): inner products of coefficients and offsets (batch or 1, rows or 1, *shape)."""
    if x.shape[1] == 1:
        return rows(c, x[:, 0])
    product: FloatArray = np.einsum("brn,brn->br", _flat(c, 2), _flat(x, 2))
    return product
