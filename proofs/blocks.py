"""Leaves in batches, over boxes that are bounded once however many leaves they have."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from threading import Lock

import numpy as np

from absint.ir import Graph
from absint.problem.contract import Contract
from absint.proofs.bounds import Bounds
from absint.proofs.leaves import Block, Leaf
from absint.proofs.regions import Boxes
from absint.proofs.stream import Rule
from absint.proofs.transformers.knots import named_slopes


class Blocks:
    """Boxes that are bounded together, by whoever asks first."""

    def __init__(self, graph: Graph, contract: Contract | None) -> None:
        self._graph, self._contract, self._blocks = graph, contract, list[Block]()
        self._bounds: tuple[Boxes, Bounds] | None = None
        self._lock = Lock()

    def place(self, block: Block) -> int:
        """The block's place in the batch, the last one or a new one."""
        if not self.ends_with(block):
            if self._bounds is not None:
                raise RuntimeError("the boxes are bounded already")
            self._blocks.append(block)
        return len(self._blocks) - 1

    def __len__(self) -> int:
        return len(self._blocks)

    def ends_with(self, block: Block) -> bool:
        return bool(self._blocks) and self._blocks[-1].number == block.number

    def bounds(self) -> tuple[Boxes, Bounds]:
        """Of the boxes that have been placed; there is at least one."""
        with self._lock:
            if self._bounds is None:
                lower = np.array([block.lower for block in self._blocks])
                upper = np.array([block.upper for block in self._blocks])
                boxes = Boxes(self._graph, lower, upper)
                named = named_slopes(self._graph, [block.slopes for block in self._blocks])
                self._bounds = boxes, Bounds(self._graph, boxes, self._contract, named)
            return self._bounds


@dataclass
class Batch:
    """Leaves that follow one another; ``places[i]`` is that of the i-th closed leaf's box."""

    blocks: Blocks
    leaves: list[Leaf] = field(default_factory=list)
    closed: list[Leaf] = field(default_factory=list)
    places: list[int] = field(default_factory=list)

    def add(self, leaf: Leaf) -> None:
        self.leaves.append(leaf)
        if leaf.rule is not Rule.OPEN:
            self.closed.append(leaf)
            self.places.append(self.blocks.place(leaf.block))


def batches(
    stream: Iterator[Leaf],
    graph: Graph,
    most: tuple[int, int],
    contract: Contract | None = None,
) -> Iterator[Batch]:
    """All leaves, up to so many together over up to so many boxes; where the last box of a batch
    goes on, the next batch is of that box alone and shares its bounds."""
    batch, shared = Batch(Blocks(graph, contract)), False
    for leaf in stream:
        goes_on = batch.blocks.ends_with(leaf.block)
        full = len(batch.leaves) == most[0] or (not goes_on and len(batch.blocks) == most[1])
        if full or (shared and not goes_on):
            yield batch
            blocks = batch.blocks if goes_on else Blocks(graph, contract)
            batch, shared = Batch(blocks), goes_on
        batch.add(leaf)
    if batch.leaves:
        yield batch
