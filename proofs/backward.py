"""Backward linear bounds: a linear function of some nodes, pushed back to what is given.

Coefficients are taken as exact once computed, and what their computation may have lost, times the
largest value of what they multiply, goes into ``loss`` (docs/rigor.md, section 4).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from absint.ir import Graph
from absint.problem.contract import Contract
from absint.proofs.arithmetic import TINY, FloatArray, U, down
from absint.proofs.regions import Region
from absint.proofs.terms import Terms
from absint.proofs.transformers.affine import Interval
from absint.proofs.transformers.directions import Normalized
from absint.proofs.transformers.steps import Back, Loss, Step, Which, among, reach, total
from absint.proofs.transformers.steps import rows as dot

POSITIVE = 2.0**-20
"""A value that is certainly above zero, whatever is lost on the way."""
ELEMENT_BUDGET = 1 << 23
"""Coefficients held at once; more rows are taken in several passes."""
CACHED, FEW_ROWS = 1 << 17, 32
"""What stays in a core's cache is twice as fast; fewer rows are not worth a pass of their own."""


@dataclass
class Backward:
    """The passes back over a region, by what is known of its nodes so far.

    ``values`` bounds each node that is known, (batch or 1, *shape), in topological order. Passes
    end at those ``given``; ``steps`` says what replaces each other one, and ``off`` what it may be
    off by as computed and read, (batch or 1, *shape).
    """

    graph: Graph
    region: Region
    contract: Contract | None
    values: dict[int, Interval] = field(default_factory=dict)
    given: set[int] = field(default_factory=set)
    steps: dict[int, Step] = field(default_factory=dict)
    off: dict[int, FloatArray] = field(default_factory=dict)

    def within(self, region: Region, which: Which, steps: Mapping[int, Step]) -> Backward:
        """The same for sets that lie in those ``which`` of the batch, and are ``region``; with
        steps of some nodes that hold for them."""
        kept = {at: among(s, which) for at, s in self.steps.items() if at not in steps}
        return replace(
            self,
            region=region,
            values={at: among(value, which) for at, value in self.values.items()},
            steps={**kept, **steps},
            off={at: among(off, which) for at, off in self.off.items()},
        )

    def rows_at_once(self, batch: int) -> int:
        """How many rows of so many sets are taken in one pass."""
        width = batch * max(self.graph.nodes[position].size for position in self.values)
        return max(1, min(ELEMENT_BUDGET // width, max(FEW_ROWS, CACHED // width)))

    def minimum(
        self,
        start: Mapping[int, FloatArray],
        loss: FloatArray,
        offset: FloatArray | None = None,
        signs: bool = False,
        terms: Mapping[int, Terms] | None = None,
    ) -> FloatArray:
        """Lower bounds, (batch, rows), of ``sum_v start[v] . v + offset - loss`` and ``terms``.

        ``start`` maps nodes to exact coefficients (batch or 1, rows, *shape). With ``signs`` of
        that times positive numbers.
        """
        left = dict(terms or {})
        walk = _Walk(dict(start), np.zeros((1, loss.shape[1])) if offset is None else offset, loss)
        given: dict[int, FloatArray] = {}
        for position in reversed(list(self.values)):
            if position in left:
                self._put(position, left.pop(position), walk)
            if position not in walk.pending:
                continue
            c = walk.pending.pop(position)
            if position in self.off:
                walk.loss = walk.loss + dot(np.abs(c), self.off[position])
            if position in self.given:
                given[position] = c
                continue
            step = self.steps[position]
            alone = not walk.pending and not given and not left
            if alone and isinstance(step, Normalized) and step.one_group:
                back = step.direction(c)
                if not signs:
                    operand = self.graph.nodes[position].inputs[0]
                    before = self.pushed(operand, back)
                    found = step.divided(before, c)
                    bent = self.pushed(operand, step.bent(c, before))
                    walk.shift(np.fmax(found, bent))
                    break
                walk.multiply(step.divisor)
            else:
                back = step.back(c)
            walk.book(back)
            operands = self.graph.nodes[position].inputs if back.parts else ()
            for operand, part in zip(operands, back.parts, strict=True):
                self._add(operand, part, walk)
        if left:
            raise ValueError("a term is not of one of the graph's nodes")
        if given:
            shape = (self.region.batch, loss.shape[1])
            enough = np.broadcast_to(POSITIVE - walk.sure(), shape) if signs else None
            walk.shift(self.region.minimum(given, enough))
        return walk.sure()

    def pushed(self, operand: int, back: Back) -> FloatArray:
        """Lower bounds, (batch, rows), of what one step back found for its one operand."""
        shift, lost = (np.asarray(x, dtype=np.float64) for x in (back.shift, back.lost))
        return self.minimum({operand: back.parts[0]}, lost, np.broadcast_to(shift, lost.shape))

    def _add(self, operand: int, part: FloatArray, walk: _Walk) -> None:
        if operand in walk.pending:
            earlier, far = walk.pending[operand], reach(self.values[operand])
            part = earlier + part
            walk.loss = walk.loss + Loss.of(2 * U * far + TINY, 4 * TINY * total(far)).at(
                np.abs(part)
            )
            if self.contract is not None:  # one reader may read zero where another does not
                apart = np.full((1, *far.shape[1:]), 2 * self.contract.flush)
                walk.loss = walk.loss + dot(np.abs(part) + np.abs(earlier), apart)
        walk.pending[operand] = part

    def _put(self, position: int, terms: Terms, walk: _Walk) -> None:
        shape = (self.region.batch, walk.loss.shape[1], *self.graph.nodes[position].shape)
        flush = 0.0 if self.contract is None else self.contract.flush
        earlier, far = walk.pending.get(position), reach(self.values[position])
        walk.pending[position], loss = terms.added(earlier, shape, far, flush)
        walk.loss = walk.loss + loss


@dataclass
class _Walk:
    """The state of one backward pass: coefficients to be pushed on, offset so far, loss so far."""

    pending: dict[int, FloatArray]
    offset: FloatArray
    loss: FloatArray

    def shift(self, amount: FloatArray | float) -> None:
        self.offset = self.offset + amount
        self.loss = self.loss + 2 * U * np.abs(self.offset)

    def book(self, back: Back) -> None:
        self.shift(back.shift)
        self.loss = self.loss + back.lost

    def sure(self) -> FloatArray:
        """At most what offset less loss is exactly."""
        lost = self.loss * (1 + 2.0**-20) + TINY * 2.0**40
        found: FloatArray = np.nextafter(self.offset - lost, -np.inf)
        return found

    def multiply(self, factor: Interval) -> None:
        """The offset for the same row times a positive factor with these bounds, (batch, 1)."""
        base = self.sure() - TINY
        self.offset = down(base * np.where(base >= 0, factor[0], factor[1]))
        self.loss = np.zeros_like(self.offset)
