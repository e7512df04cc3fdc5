"""What all sets that phases cut out of one box share, and sums against conjunctions on them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from absint.domains.arrays import Arrays
from absint.domains.hinges import Frame, frame
from absint.ir import Graph
from absint.problem.contract import Contract
from absint.search.attack import Counterexample
from absint.search.phases.ascent import (
    LEVELS,
    Climbed,
    climb,
    default_slopes,
    first_pairs,
    slopes,
)
from absint.search.phases.branching import choose_neurons
from absint.search.phases.sets import OpenSet, Store, Sum
from absint.search.query import CellQuery

FloatArray = NDArray[np.float64]

ROOT_STEPS = 60
ROW_SHARE = 0.5
"""The part of the network that a row for an intermediate neuron passes, on average."""
SLOPE_BYTES = 8
"""Bytes of slopes for each set below them, about, where they are chosen again."""
BATCH_ELEMENTS = 1 << 19
"""Values of the widest layer that one pass holds."""
MAX_PAIRS = 256


@dataclass(frozen=True)
class Task:
    """What is to be proved: that on the box every conjunction of the query fails.

    ``probe`` is given points at which bounds are least, and the number of sets that they are from.
    """

    graph: Graph
    box: tuple[FloatArray, FloatArray]
    query: CellQuery
    arrays: Arrays
    probe: Callable[[FloatArray, int], Counterexample | None]
    contract: Contract | None = None


@dataclass(frozen=True)
class Found:
    """A sum against one conjunction on a set, with its slopes, and the neuron to split if it is not
    enough (-1: none is left); ``x`` is where the bound is least."""

    item: OpenSet
    conjunction: int
    sum: Sum
    slopes: NDArray[np.uint8]
    split: int
    x: FloatArray


@dataclass(frozen=True)
class Ground:
    """The box's bounds; ``default`` (entries,) are the slopes where none are named, and ``root``
    what good ones give for each conjunction; ``slope_levels``: the levels of splits from which on
    other slopes are worth their bytes."""

    frame: Frame
    query: CellQuery
    store: Store
    default: NDArray[np.uint8]
    root: Climbed
    batch: int
    slope_levels: float

    @staticmethod
    def of(task: Task, enough: float, relaxed: bytes | None = None) -> Ground:
        """Bounds the box, and finds slopes until every bound is ``enough``.

        With the slopes ``relaxed`` in all bounds of the box, where they are given.
        """
        shares = None if relaxed is None else np.frombuffer(relaxed, dtype=np.uint8) / LEVELS
        with np.errstate(all="ignore"):
            found = frame(task.graph, *task.box, task.arrays, task.contract, shares)
            default = default_slopes(found)
            pairs = first_pairs(task.query, default)
            root = climb(found, task.query, pairs, ROOT_STEPS, enough, steer=True)
        widest = max(node.size for node in task.graph.nodes)
        batch = max(8, min(MAX_PAIRS, BATCH_ELEMENTS // widest))
        levels = math.log2(len(pairs) * found.size / SLOPE_BYTES)
        return Ground(found, task.query, Store.of(found), default, root, batch, levels)

    def neuron(self, entry: int) -> tuple[int, int]:
        """The node and the place in it of an entry of the flat vector."""
        for hinge in self.frame.hinges:
            if entry < hinge.place.stop:
                return hinge.position, entry - int(hinge.place.start)
        raise IndexError(entry)

    def entry(self, position: int, place: int) -> int:
        """The entry of the flat vector of a place in a node."""
        starts = {hinge.position: int(hinge.place.start) for hinge in self.frame.hinges}
        return starts[position] + place

    def root_sums(self) -> tuple[Sum, ...]:
        """One a conjunction, on the whole box."""
        return tuple(self.store.sums(self.root, [0] * len(self.root.value)))

    def sums(
        self,
        wanted: Sequence[tuple[OpenSet, int]],
        steps: int,
        enough: float,
        steer: bool = False,
    ) -> list[Found]:
        """Sums against conjunctions on sets, by an ascent of so many steps, in batches."""
        found = list[Found]()
        for begin in range(0, len(wanted), self.batch):
            found += self._sums(wanted[begin : begin + self.batch], steps, enough, steer)
        return found

    def _sums(
        self, some: Sequence[tuple[OpenSet, int]], steps: int, enough: float, steer: bool
    ) -> list[Found]:
        pairs = self.store.pairs(some)
        with np.errstate(all="ignore"):
            best = climb(self.frame, self.query, pairs, steps, enough, steer)
        lines = slopes(self.frame, best.slopes)
        splits = choose_neurons(self.frame, pairs, lines, best.coefficients, best.operands)
        sums = self.store.sums(best, [len(item.entries) for item, _ in some])
        chosen = splits.tolist()
        return [
            Found(item, conjunction, sums[row], best.slopes[row], chosen[row], best.x[row])
            for row, (item, conjunction) in enumerate(some)
        ]
