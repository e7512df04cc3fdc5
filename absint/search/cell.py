"""One cell's proof, by splitting inputs or neurons: both are tried, and work goes where it pays.

Either search has a proof tree of its own; the first that leaves nothing open is the proof. Work is
counted in rows pushed through the network, not in seconds, so that a search is repeatable
(docs/decisions/0011-splitting-neurons.md).
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from absint.domains.arrays import Arrays
from absint.domains.hinges import hinges
from absint.ir import Graph
from absint.problem import Problem
from absint.search.attack import Counterexample, Runtime
from absint.search.bab import CellSearch
from absint.search.options import BACKENDS, Deadline, SearchOptions, Status
from absint.search.outlook import share
from absint.search.phases.ground import Task
from absint.search.phases.search import PhaseSearch
from absint.search.pieces import Piece
from absint.search.tree import Tree

FloatArray = NDArray[np.float64]

BOXES_FIRST = 256
"""Boxes that are bounded before neurons are split, over the number of inputs with a width."""


class CellProof:
    """The two searches for one cell's proof."""

    def __init__(
        self,
        graph: Graph,
        problem: Problem,
        index: int,
        arrays: Arrays,
        runtime: Runtime,
        options: SearchOptions,
        tree: Tree | None = None,
    ) -> None:
        phased = tree is not None and tree.by_phases()
        self.boxes = CellSearch(
            graph, problem, index, arrays, runtime, options, None if phased else tree
        )
        self.index, self.options, self.attack = index, options, self.boxes.attack
        self.arity = self.boxes.arity
        self.phases: PhaseSearch | None = None
        self._settled: CellSearch | PhaseSearch | None = None
        if hinges(graph) and options.backend == BACKENDS[0]:
            box = (self.boxes.lower, self.boxes.upper)
            contract = problem.semantics.contract
            task = Task(graph, box, self.boxes.query, arrays, self.boxes.try_points, contract)
            own = tree if phased and tree is not None else Tree()
            self.phases = PhaseSearch(task, own, self.boxes.slack)
        wide = int((self.boxes.upper > self.boxes.lower).sum())
        self.trouble = ""
        """Why some of it was given up."""
        self._boxes_first = 0.0 if phased else BOXES_FIRST / max(1, wide)

    @property
    def best(self) -> CellSearch | PhaseSearch:
        """The search that is done, or has the better outlook."""
        boxes, phases = self.boxes, self.phases
        if self._settled is not None:
            return self._settled
        if phases is None or not boxes.open_leaves():
            return boxes
        if not phases.open_leaves():
            return phases
        if not phases.started or not boxes.batches:
            return phases if phases.started else boxes
        return phases if phases.outlook() < boxes.outlook() else boxes

    @property
    def tree(self) -> Tree:
        return self.best.tree

    @property
    def stuck(self) -> bool:
        return all(search.stuck for search in self._searches())

    def _searches(self) -> list[CellSearch | PhaseSearch]:
        if self._settled is not None:
            return [self._settled]
        return [self.boxes] if self.phases is None else [self.boxes, self.phases]

    def unfinished(self) -> bool:
        """Whether there is something open that can be worked on."""
        if not self.open_leaves():
            return False
        return any(search.workable() for search in self._searches())

    def settle(self) -> CellSearch | PhaseSearch:
        """Leaves it at the better search for good."""
        self._settled = self.best
        return self._settled

    def take_up(self, piece: Piece) -> CellSearch | PhaseSearch:
        """The search of the piece's kind, which then is of that piece. Raises ValueError."""
        search = self.phases if piece.phased else self.boxes
        if search is None:
            raise ValueError("no neuron of this network can be split")
        search.take_up(Tree.from_stream(piece.stream, self.arity))
        search.slack = piece.slack
        return search

    def open_leaves(self) -> int:
        return self.best.open_leaves()

    def closed_leaves(self) -> int:
        return self.best.closed_leaves()

    def checks(self) -> float:
        """What the check of all closed leaves will cost, in boxes bounded."""
        return self.best.checks()

    def some_boxes(self) -> tuple[FloatArray, FloatArray]:
        """Open boxes, or the whole one where none is: (count, input_size) each."""
        boxes, frontier = self.boxes, self.boxes.frontier
        if len(frontier):
            return frontier.lower, frontier.upper
        return boxes.lower[None], boxes.upper[None]

    def lowest(self) -> float:
        """The lowest bound of an open set: how far the loosest is from being proved."""
        return self.best.lowest()

    @property
    def batches(self) -> int:
        return sum(search.batches for search in self._searches())

    def falsify(self) -> Counterexample | None:
        """The attack before any proof: gradient descent over the whole cell."""
        return self.boxes.falsify()

    def run(self, deadline: Deadline) -> Counterexample | None:
        """Works until nothing is open, a counterexample is found, or time or memory is used up."""
        started = time.monotonic()
        with ThreadPoolExecutor(self.options.jobs) as pool:
            while self._goes_on(deadline):
                found = self._next().step(pool)
                if self.options.progress is not None:
                    self.options.progress(self._status(started))
                if found is not None:
                    return found
        return None

    def _goes_on(self, deadline: Deadline) -> bool:
        in_time = deadline.left() > 0 and not self.options.stop()
        return self.unfinished() and in_time and not self.short_of_memory()

    def _next(self) -> CellSearch | PhaseSearch:
        """The search that is furthest behind its share of the work."""
        boxes, phases = self.boxes, self.phases
        if self._settled is not None:
            return self._settled
        if phases is None or not phases.workable():
            return boxes
        if not boxes.workable():
            return phases
        if not phases.started:
            return boxes if boxes.analysed + 1 <= self._boxes_first else phases
        part = share(phases.outlook(), boxes.outlook())
        return phases if phases.work <= part * (phases.work + boxes.work) else boxes

    def reopen(self, leaves: Iterable[int]) -> None:
        """Takes back leaves (by their place in the proof stream) that the checker turned down."""
        self.best.reopen(leaves)

    def merge(self) -> None:
        """Makes a proof by phases that is done smaller."""
        if self.phases is not None and self.best is self.phases:
            self.phases.merge()

    def short_of_memory(self) -> bool:
        return self.batches % 16 == 15 and self.over_memory()

    def over_memory(self) -> bool:
        """Whether this process holds more than it may."""
        return _resident() > self.options.memory

    def _status(self, started: float) -> Status:
        return Status(
            len(self.tree.rules),
            self.closed_leaves(),
            self.open_leaves(),
            self.lowest(),
            time.monotonic() - started,
        )


def _resident() -> int:
    """The process's resident memory in bytes."""
    import psutil

    return int(psutil.Process().memory_info().rss)
