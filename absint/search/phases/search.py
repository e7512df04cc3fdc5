"""Branch and bound over one box by the phases of its neurons.

Intermediate bounds and slopes are those of the box, computed once; below, a set costs a few final
passes. The sets are worked on for one conjunction at a time, and closed when sums refute all.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from absint.domains.arrays import Arrays
from absint.domains.hinges import Frame, frame
from absint.ir import Graph
from absint.problem.contract import Contract
from absint.proofs.stream import Rule
from absint.search.attack import Counterexample
from absint.search.outlook import outlook
from absint.search.phases.ascent import Slopes, choose_slopes, climb, given_slopes
from absint.search.phases.branching import choose_neurons
from absint.search.phases.sets import OpenSet, Store, Sum
from absint.search.query import CellQuery
from absint.search.tree import Tree

FloatArray = NDArray[np.float64]

SLOPE_STEPS = 60
STEPS = 4
LAST_STEPS = 400
"""Steps for a set of which no neuron is left to be split: the last chance that it has."""
BATCH_ELEMENTS = 1 << 19
"""Values of the widest layers that one pass holds."""
MAX_PAIRS = 256

OUTLOOK_SAMPLE = 1024
"""Open sets by which the outlook is judged."""


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
class Ground:
    """What all sets of one box share."""

    frame: Frame
    query: CellQuery
    slopes: Slopes
    store: Store
    batch: int

    @staticmethod
    def of(task: Task, slopes: bytes | None, enough: float) -> Ground:
        """Bounds the box; finds slopes for it, or takes those of a proof."""
        with np.errstate(all="ignore"):
            found = frame(task.graph, *task.box, task.arrays, task.contract)
            if slopes is None:
                chosen = choose_slopes(found, task.query, SLOPE_STEPS, enough)
            else:
                chosen = given_slopes(found, task.query, slopes)
        widest = max(node.size for node in task.graph.nodes)
        batch = max(8, min(MAX_PAIRS, BATCH_ELEMENTS // widest))
        return Ground(found, task.query, chosen, Store.of(found, chosen.slope), batch)

    def neuron(self, entry: int) -> tuple[int, int]:
        """The node and the place in it of an entry of the flat vector."""
        for hinge in self.frame.hinges:
            if entry < hinge.place.stop:
                return hinge.position, entry - hinge.place.start
        raise IndexError(entry)

    def entry(self, position: int, place: int) -> int:
        """The entry of the flat vector of a place in a node."""
        starts = {hinge.position: hinge.place.start for hinge in self.frame.hinges}
        return int(starts[position]) + place


@dataclass(frozen=True)
class _Found:
    """A sum against one conjunction on a set, and the neuron to split if it is not enough."""

    item: OpenSet
    conjunction: int
    sum: Sum
    split: int


class PhaseSearch:
    """The open sets of one box, as a heap by score, and the proof tree that they belong to.

    ``work`` counts rows pushed through the network, to and fro; not those for what the box shares.
    """

    def __init__(self, task: Task, tree: Tree, slack: float) -> None:
        self.task, self.tree, self.slack = task, tree, slack
        self.heap: list[tuple[float, int, OpenSet]] = []
        self.waiting = [node for node, _ in tree.open_phases()]
        """Open nodes of the tree of which nothing is known yet."""
        self.stuck = list[int]()
        self.batches, self.work, self.root = 0, 0.0, -np.inf
        self._ground: Ground | None = None
        self._found: Counterexample | None = None

    @property
    def started(self) -> bool:
        return self._ground is not None

    @property
    def ground(self) -> Ground:
        if self._ground is None:
            first = self.tree.rules[0]
            slopes = first.slopes if first.rule is Rule.SLOPES else None
            self._ground = Ground.of(self.task, slopes, self.slack)
            self.root = float(self._ground.slopes.best.value.min())
        return self._ground

    def workable(self) -> bool:
        """Whether there are open sets that can be split."""
        return bool(self.heap or self.waiting)

    def open_leaves(self) -> int:
        return len(self.heap) + len(self.waiting) + len(self.stuck)

    def closed_leaves(self) -> int:
        return (len(self.tree.rules) + 1) // 2 - self.open_leaves()

    def checks(self) -> float:
        """What the check of the closed leaves will cost, in boxes bounded."""
        if self._ground is None:
            return 0.0
        rows = len(self.task.query.members) / max(1.0, self._ground.frame.rows / 2)
        return 1 + self.closed_leaves() * rows

    def lowest(self) -> float:
        return self.heap[0][0] if self.heap else np.inf

    def outlook(self) -> float:
        """How many splits are still needed, in doublings (``absint.search.outlook``)."""
        stride = max(1, len(self.heap) // OUTLOOK_SAMPLE)
        some = [item for _, _, item in self.heap[::stride]]
        score = np.array([item.score for item in some])
        depth = np.array([len(item.entries) for item in some], dtype=np.float64)
        return outlook(score, depth, self.root) + float(np.log2(stride))

    def reopen(self, leaves: Iterable[int]) -> None:
        """Takes back leaves (by their place in the proof stream) that the checker turned down."""
        numbers = self.tree.leaves()
        for leaf in leaves:
            self.tree.reopen(numbers[leaf])
            self.waiting.append(numbers[leaf])
        self.slack *= 10

    def step(self, pool: ThreadPoolExecutor) -> Counterexample | None:
        """Splits a batch of the sets that are furthest from being refuted."""
        self._found, self.batches = None, self.batches + 1
        if self.waiting:
            self._settle(self._begun())
            return self._found
        count = min(len(self.heap), max(1, self.ground.batch // 2))
        parts = []
        for _ in range(count):
            item = heapq.heappop(self.heap)[2]
            first = self.tree.phase(item.number, *self.ground.neuron(item.split))
            parts += [item.part(first, -1), item.part(first + 1, 1)]
        self._settle(parts)
        return self._found

    def _begun(self) -> list[OpenSet]:
        """The sets that wait, with what is known of the whole box."""
        ground, found = self.ground, list[OpenSet]()
        if self.tree.rules[0].rule is not Rule.SLOPES and not ground.slopes.default:
            self.waiting = [self.tree.slopes(0, ground.slopes.to_bytes())]
        best, wanted = ground.slopes.best, set(self.waiting)
        sums = tuple(ground.store.sum(best, row, 0) for row in range(len(best.value)))
        for number, phases in self.tree.open_phases():
            if number in wanted:
                entries = tuple(ground.entry(*phase[:2]) for phase in phases)
                sides = tuple(1 if above else -1 for _, _, above in phases)
                found.append(OpenSet(number, entries, sides, sums, int(best.value.argmin())))
        self.waiting = []
        return found

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
        """Sums against conjunctions, in batches; sets without a neuron to split get more steps."""
        size, found = self.ground.batch, list[_Found]()
        for begin in range(0, len(wanted), size):
            found += self._evaluate_batch(wanted[begin : begin + size], steps)
        if 0 < steps < LAST_STEPS:
            last = [i for i, f in enumerate(found) if f.split < 0 and not f.sum.value > self.slack]
            again = [
                (found[i].item.with_sum(wanted[i][1], found[i].sum), wanted[i][1]) for i in last
            ]
            for i, better in zip(last, self._evaluate(again, LAST_STEPS), strict=True):
                found[i] = better
        return found

    def _evaluate_batch(self, some: Sequence[tuple[OpenSet, int]], steps: int) -> list[_Found]:
        """One ascent; the points of weak bounds are tried."""
        ground = self.ground
        pairs, slopes = ground.store.pairs(some), ground.slopes.slope
        with np.errstate(all="ignore"):
            best = climb(ground.frame, ground.query, pairs, slopes, steps, self.slack)
        self.work += 2 * (steps + 1) * len(some)
        weak = ~(best.value > self.slack)
        if steps and weak.any() and self._found is None:
            self._found = self.task.probe(best.x[weak], int(weak.sum()))
        splits = choose_neurons(
            ground.frame, pairs, slopes[pairs.conjunction], best.coefficients, best.operands
        )
        return [
            _Found(item, j, ground.store.sum(best, row, len(item.entries)), int(splits[row]))
            for row, (item, j) in enumerate(some)
        ]

    def _queue(self, found: _Found) -> None:
        item = found.item.with_sum(found.conjunction, found.sum)
        item = replace(item, focus=found.conjunction, split=found.split)
        if item.split < 0:
            self.stuck.append(item.number)
        else:
            heapq.heappush(self.heap, (item.score, item.number, item))

    def _close(self, item: OpenSet) -> None:
        operands = []
        for members, found in zip(self.ground.query.members, item.sums, strict=True):
            operands += [*found.weights[members].tolist(), *found.multipliers]
        self.tree.close(item.number, Rule.MIX, operands)
