"""Branch and bound over one box by the phases of its neurons.

Intermediate bounds and slopes are those of the box, computed once; below, a set costs a few final
passes. The sets are worked on for one conjunction at a time, and closed when sums refute all.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from absint.domains.arrays import Arrays
from absint.domains.hinges import Frame, frame
from absint.ir import Graph
from absint.proofs.stream import Rule
from absint.search.phases.ascent import Slopes, choose_slopes, climb
from absint.search.phases.branching import choose_neurons
from absint.search.phases.sets import OpenSet, Store, Sum
from absint.search.query import CellQuery
from absint.search.tree import Tree

FloatArray = NDArray[np.float64]

SLOPE_STEPS = 60
STEPS = 4
BATCH_ELEMENTS = 1 << 19
"""Values of the widest layers that one pass holds."""
MAX_PAIRS = 256

Probe = Callable[[FloatArray], None]
"""Called with points at which bounds are least."""


@dataclass(frozen=True)
class Ground:
    """What all sets of one box share."""

    frame: Frame
    query: CellQuery
    slopes: Slopes
    store: Store
    batch: int

    @staticmethod
    def of(graph: Graph, box: tuple[FloatArray, FloatArray], query: CellQuery, arrays: Arrays) -> Ground:
        """Bounds the box and finds slopes for it."""
        with np.errstate(all="ignore"):
            found = frame(graph, *box, arrays)
            slopes = choose_slopes(found, query, SLOPE_STEPS, np.inf)
        widest = max(node.size for node in graph.nodes)
        batch = max(8, min(MAX_PAIRS, BATCH_ELEMENTS // widest))
        return Ground(found, query, slopes, Store.of(found, slopes.slope), batch)

    def neuron(self, entry: int) -> tuple[int, int]:
        """The node and the place in it of an entry of the flat vector."""
        for hinge in self.frame.hinges:
            if entry < hinge.place.stop:
                return hinge.position, entry - hinge.place.start
        raise IndexError(entry)


@dataclass(frozen=True)
class _Found:
    """A sum against one conjunction on a set, and the neuron to split if it is not enough."""

    item: OpenSet
    conjunction: int
    sum: Sum
    split: int


@dataclass
class PhaseSearch:
    """The open sets of one box, as a heap by score, and the proof tree that they belong to."""

    ground: Ground
    tree: Tree
    slack: float
    probe: Probe
    heap: list[tuple[float, int, OpenSet]] = field(default_factory=list)
    stuck: int = 0
    closed: int = 0

    def begin(self, node: int) -> None:
        """Makes the tree's open ``node``, which stands for the whole box, the first open set."""
        slopes = self.ground.slopes
        number = self.tree.slopes(node, slopes.to_bytes())
        count = len(slopes.best.value)
        sums = tuple(self.ground.store.sum(slopes.best, row, 0) for row in range(count))
        focus = int(slopes.best.value.argmin())
        self._settle([OpenSet(number, (), (), sums, focus)])

    def step(self) -> None:
        """Splits a batch of the sets that are furthest from being refuted."""
        taken = [heapq.heappop(self.heap)[2] for _ in range(min(len(self.heap), self.ground.batch // 2))]
        parts = []
        for item in taken:
            first = self.tree.phase(item.number, *self.ground.neuron(item.split))
            parts += [item.part(first, -1), item.part(first + 1, 1)]
        self._settle(parts)

    def lowest(self) -> float:
        return self.heap[0][0] if self.heap else np.inf

    def _settle(self, sets: Sequence[OpenSet]) -> None:
        """Closes what can be refuted, and queues the rest with the neuron to split."""
        refuted = []
        for found in self._evaluate([(item, item.focus) for item in sets], STEPS):
            if found.sum.value > self.slack:
                refuted.append(found.item.with_sum(found.conjunction, found.sum))
            else:
                self._queue(found)
        for item, others in zip(refuted, self._others(refuted), strict=True):
            worst = min(others, key=lambda found: found.sum.value, default=None)
            for found in others:
                item = item.with_sum(found.conjunction, found.sum)
            if worst is None or worst.sum.value > self.slack:
                self._close(item)
            else:
                self._queue(replace(worst, item=item))

    def _others(self, sets: Sequence[OpenSet]) -> list[list[_Found]]:
        """For sets of which one conjunction is refuted: the same for the others."""
        count = len(self.ground.query.members)
        wanted = [(item, j) for item in sets for j in range(count) if j != item.focus]
        found = self._evaluate(wanted, 0)
        open_ = [i for i, other in enumerate(found) if not other.sum.value > self.slack]
        better = self._evaluate([wanted[i] for i in open_], STEPS)
        for i, other in zip(open_, better, strict=True):
            found[i] = other
        return [found[i * (count - 1) : (i + 1) * (count - 1)] for i in range(len(sets))]

    def _evaluate(self, wanted: Sequence[tuple[OpenSet, int]], steps: int) -> list[_Found]:
        """Sums against conjunctions, in batches; the points of weak bounds are tried."""
        found, ground = list[_Found](), self.ground
        for begin in range(0, len(wanted), ground.batch):
            some = wanted[begin : begin + ground.batch]
            pairs = ground.store.pairs(some)
            with np.errstate(all="ignore"):
                best = climb(
                    ground.frame, ground.query, pairs, ground.slopes.slope, steps, self.slack
                )
            weak = ~(best.value > self.slack)
            if steps and weak.any():
                self.probe(best.x[weak])
            slope = ground.slopes.slope[pairs.conjunction]
            splits = choose_neurons(ground.frame, pairs, slope, best.coefficients, best.operands)
            found += [
                _Found(item, j, ground.store.sum(best, row, len(item.entries)), int(splits[row]))
                for row, (item, j) in enumerate(some)
            ]
        return found

    def _queue(self, found: _Found) -> None:
        item = found.item.with_sum(found.conjunction, found.sum)
        item = replace(item, focus=found.conjunction, split=found.split)
        if item.split < 0:
            self.stuck += 1
        else:
            heapq.heappush(self.heap, (item.score, item.number, item))

    def _close(self, item: OpenSet) -> None:
        operands = []
        for members, found in zip(self.ground.query.members, item.sums, strict=True):
            operands += [*found.weights[members].tolist(), *found.multipliers]
        self.tree.close(item.number, Rule.MIX, operands)
        self.closed += 1
