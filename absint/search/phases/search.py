"""Branch and bound over one box by the phases of its neurons.

Intermediate bounds are those of the box, computed once; below, a set costs a few final passes. The
sets are worked on for one conjunction at a time, and closed when sums refute all.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np

from absint.proofs.stream import SUMS, Rule
from absint.search.attack import Counterexample
from absint.search.outlook import outlook
from absint.search.phases.closer import farkas
from absint.search.phases.ground import Found, Ground, Task
from absint.search.phases.merge import merge, operands
from absint.search.phases.sets import OpenSet
from absint.search.phases.steer import better_slopes, steering_work
from absint.search.tree import Tree

STEPS = 4
STEER_STEPS = STEER_EVERY = 8
"""Levels of splits between two choices of slopes: those that suit the whole box suit its parts less
and less."""
LAST_STEPS = 400
"""Steps for a set of which no neuron is left to be split: the last chance that it has."""
MOST_LEVELS = 60.0
LEAST_GAIN = 0.05
"""The part of what the box's bound misses by that other slopes for its bounds must win."""
OUTLOOK_SAMPLE = 1024
"""Open sets by which the outlook is judged."""


class PhaseSearch:
    """The open sets of one box, as a heap by score, and the proof tree that they belong to.

    ``work`` counts rows pushed through the network, to and fro; not those for what the box shares.
    """

    def __init__(self, task: Task, tree: Tree, slack: float) -> None:
        self.task, self.slack = task, slack
        self.batches, self.work, self.root = 0, 0.0, -np.inf
        self._ground: Ground | None = None
        self._relaxed: bytes | None = None
        """The slopes that the ground's bounds have."""
        self.take_up(tree)

    def take_up(self, tree: Tree, stuck: Collection[int] = ()) -> None:
        """Goes on from a tree; its open leaves are worked on, but for those that are ``stuck``."""
        self.tree = tree
        self.heap: list[tuple[float, int, OpenSet]] = []
        self.stuck = sorted(stuck)
        self.waiting = [place.node for place in tree.open_phases() if place.node not in stuck]
        """Open nodes of the tree of which nothing is known yet."""
        self._steered = tree.child[0] >= 0
        if tree.relaxed != self._relaxed:
            self._ground = None
        self._closed = sum(rule.rule in SUMS for rule in tree.rules)

    @property
    def started(self) -> bool:
        return self._ground is not None

    @property
    def ground(self) -> Ground:
        if self._ground is None:
            relaxed = self.tree.relaxed
            self._found(Ground.of(self.task, self.slack, relaxed), relaxed)
        assert self._ground is not None
        return self._ground

    def _found(self, ground: Ground, relaxed: bytes | None) -> None:
        self._ground, self._relaxed = ground, relaxed
        self.root = float(ground.root.value.min())

    def workable(self) -> bool:
        """Whether there are open sets that can be split."""
        return bool(self.heap or self.waiting)

    def open_leaves(self) -> int:
        return len(self.heap) + len(self.waiting) + len(self.stuck)

    def closed_leaves(self) -> int:
        return self._closed

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
            self._closed -= 1
        self.slack *= 10

    def step(self, pool: ThreadPoolExecutor) -> Counterexample | None:
        """Splits a batch of the sets that are furthest from being refuted."""
        self.batches += 1
        if not self._steered and self._pays():
            self._relax()
        if self.waiting:
            return self._settle(self._begun())
        count = min(len(self.heap), max(1, self.ground.batch // 2))
        taken = [heapq.heappop(self.heap)[2] for _ in range(count)]
        due = [self._due(item) for item in taken]
        ready = [item for item, now in zip(taken, due, strict=True) if not now]
        parts = list[OpenSet]()
        for item in ready + self._steer([i for i, now in zip(taken, due, strict=True) if now]):
            first = self.tree.phase(item.number, *self.ground.neuron(item.split))
            parts += [item.part(first, -1), item.part(first + 1, 1)]
        return self._settle(parts)

    def _pays(self) -> bool:
        """Whether what is done and what is expected is more work than slopes for the box's bounds
        are."""
        levels = self.outlook() if self.heap else 0.0
        expected = 2 * (STEPS + 1) * math.exp2(min(levels, MOST_LEVELS))
        return self.work + expected > steering_work(self.ground.frame)

    def _relax(self) -> None:
        """Starts again with better slopes in all bounds of the box, where they serve."""
        ground, self._steered = self.ground, True
        self.work += steering_work(ground.frame)
        found = better_slopes(ground, self.task.contract, self.slack)
        better = Ground.of(self.task, self.slack, found)
        if float(better.root.value.min()) > self.root * (1 - LEAST_GAIN):
            self._found(better, found)
            self.tree, self.heap, self.stuck, self._closed = Tree(), [], [], 0
            self.waiting = [self.tree.relax(0, found)]

    def _due(self, item: OpenSet) -> bool:
        """Whether to choose slopes again: where many sets are likely to lie below."""
        depth = len(item.entries)
        if not depth or depth % STEER_EVERY:
            return False
        gain = (item.score - self.root) / depth
        return gain <= 0 or -item.score / gain >= self.ground.slope_levels

    def _begun(self) -> list[OpenSet]:
        """The sets that wait, with what is known of the whole box."""
        ground, found = self.ground, list[OpenSet]()
        plain = np.broadcast_to(ground.default, ground.root.slopes.shape)
        top = 0 if self.tree.relaxed is None else self.tree.child[0]
        if self.waiting == [top] and (ground.root.slopes != plain).any():
            self.waiting = [self.tree.slopes(top, ground.root.slopes.tobytes())]
        wanted, sums = set(self.waiting), ground.root_sums()
        focus = int(ground.root.value.argmin())
        for place in self.tree.open_phases():
            if place.node in wanted:
                entries = tuple(ground.entry(node, entry) for node, entry, _ in place.phases)
                sides = tuple(1 if above else -1 for _, _, above in place.phases)
                chosen = plain
                if place.slopes is not None:
                    chosen = np.frombuffer(place.slopes, dtype=np.uint8).reshape(plain.shape)
                found.append(OpenSet(place.node, entries, sides, chosen, sums, focus))
        self.waiting = []
        return found

    def _steer(self, sets: Sequence[OpenSet]) -> list[OpenSet]:
        """Better slopes for sets that are to be split; those that this refutes are settled."""
        ready, refuted = list[OpenSet](), list[OpenSet]()
        for found in self._sums([(item, item.focus) for item in sets], STEER_STEPS, steer=True):
            item = found.item
            if found.sum.value > item.score:
                number = self.tree.slopes(
                    item.number, item.steered(0, found.slopes).slopes.tobytes()
                )
                item = replace(item.steered(number, found.slopes), split=found.split)
                item = item.with_sum(found.conjunction, found.sum)
            (refuted if item.score > self.slack else ready).append(item)
        self._close_or_queue(refuted)
        return ready

    def _settle(self, sets: Sequence[OpenSet]) -> Counterexample | None:
        """Closes what can be refuted, and queues the rest with the neuron to split.

        Tries the points where bounds are weak.
        """
        refuted, weak = list[OpenSet](), list[Found]()
        for found in self._sums([(item, item.focus) for item in sets], STEPS):
            if found.sum.value > self.slack:
                refuted.append(found.item.with_sum(found.conjunction, found.sum))
            else:
                self._queue(found.item, found)
                weak.append(found)
        self._close_or_queue(refuted)
        return self.task.probe(np.stack([f.x for f in weak]), len(weak)) if weak else None

    def _close_or_queue(self, sets: Sequence[OpenSet]) -> None:
        """Sets of which one conjunction is refuted: the others decide."""
        for item, others in zip(sets, self._others(sets), strict=True):
            for found in others:
                item = item.with_sum(found.conjunction, found.sum)
            worst = min(others, key=lambda found: found.sum.value, default=None)
            if worst is None or worst.sum.value > self.slack:
                self._close(item)
            else:
                self._queue(item, worst)

    def _others(self, sets: Sequence[OpenSet]) -> list[list[Found]]:
        """For each set its sums against the conjunctions that are not its focus."""
        count = len(self.ground.query.members)
        wanted = [(item, j) for item in sets for j in range(count) if j != item.focus]
        found = self._sums(wanted, 0)
        weak = [i for i, other in enumerate(found) if not other.sum.value > self.slack]
        for i, other in zip(weak, self._sums([wanted[i] for i in weak], STEPS), strict=True):
            found[i] = other
        return [found[i * (count - 1) : (i + 1) * (count - 1)] for i in range(len(sets))]

    def _sums(
        self, wanted: Sequence[tuple[OpenSet, int]], steps: int, steer: bool = False
    ) -> list[Found]:
        """Sums against conjunctions; sets without a neuron to split get more steps."""
        found = self.ground.sums(wanted, steps, self.slack, steer)
        self.work += 2 * (steps + 1) * len(wanted)
        if not steer and 0 < steps < LAST_STEPS:
            last = [i for i, f in enumerate(found) if f.split < 0 and not f.sum.value > self.slack]
            again = [
                (wanted[i][0].with_sum(wanted[i][1], found[i].sum), wanted[i][1]) for i in last
            ]
            for i, better in zip(last, self._sums(again, LAST_STEPS), strict=True):
                found[i] = better
        return found

    def _queue(self, item: OpenSet, found: Found) -> None:
        item = item.with_sum(found.conjunction, found.sum)
        item = replace(item, focus=found.conjunction, split=found.split)
        if item.split < 0:
            self._last(item)
        else:
            heapq.heappush(self.heap, (item.score, item.number, item))

    def _last(self, item: OpenSet) -> None:
        """What to do with a set of which no neuron is left to be split."""
        with np.errstate(all="ignore"):
            found = farkas(self.ground, item, self.slack)
        if found is None:
            self.stuck.append(item.number)
        else:
            self.tree.close(item.number, Rule.FARKAS, found)
            self._closed += 1

    def _close(self, item: OpenSet) -> None:
        self.tree.close(item.number, Rule.MIX, operands(self.ground, item))
        self._closed += 1

    def merge(self) -> None:
        """Makes a proof that is done smaller (``absint.search.phases.merge``)."""
        if not self.open_leaves() and self.tree.by_phases():
            self._closed -= merge(self.tree, self.ground, self.slack)
