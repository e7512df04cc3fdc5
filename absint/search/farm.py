"""Farming out the open leaves of a cell's proof to workers, any of which may be lost.

The coordinator keeps the tree; a worker gets a piece of it for some seconds. The piece of a lost
worker is given to another one. The first counterexample that holds here, too, ends all.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from absint.search.attack import Counterexample
from absint.search.bab import CellSearch
from absint.search.cell import CellProof
from absint.search.options import Status
from absint.search.phases.search import PhaseSearch
from absint.search.pieces import Answer, Piece, SharedTree, groups

FIRST_SECONDS, MOST_SECONDS = 0.5, 8.0
"""What a piece is worked on for: little at first, so that there is soon enough for everybody."""
RETURN = 0.2
"""Seconds that the last pieces get to come back."""
MAX_LOST = 3
"""Workers that a piece may lose before it is given up."""


@dataclass(frozen=True)
class Lost:
    """A worker that gave no answer, and why."""

    reason: str


class Crew(Protocol):
    """Workers for one property. ``size``: how many there are."""

    size: int

    def give(self, number: int, piece: Piece, seconds: float) -> None:
        """Has a piece worked on for about so many seconds."""

    def answers(self) -> list[tuple[int, Answer | Lost]]:
        """What has come back, by the numbers under which it was given; waits a moment for it."""

    def drop(self) -> None:
        """Ends the work on everything that was given."""


def farm_out(cell: CellProof, crew: Crew, left: Callable[[int], float]) -> Counterexample | None:
    """Has a cell's open leaves worked on until none is left, or no time.

    ``left``: from the number of leaves closed to the seconds left for the search.
    """
    search = cell.settle()
    farm = _Farm(cell, search, crew, left, SharedTree(search.tree, cell.arity, search.stuck))
    try:
        return farm.run()
    finally:
        crew.drop()
        search.take_up(farm.tree.tree, farm.tree.stuck)


@dataclass
class _Given:
    leaves: Sequence[int]
    lost: int = 0


@dataclass
class _Farm:
    cell: CellProof
    search: CellSearch | PhaseSearch
    crew: Crew
    left: Callable[[int], float]
    tree: SharedTree
    waiting: deque[_Given] = field(default_factory=deque)
    given: dict[int, _Given] = field(default_factory=dict)
    numbers: int = 0
    seconds: float = FIRST_SECONDS
    started: float = field(default_factory=time.monotonic)

    def run(self) -> Counterexample | None:
        self._queue(self.tree.in_order())
        while self.waiting or self.given:
            left = self.left(self.tree.closed)
            if left <= 0 or self.cell.over_memory():
                return None
            while self.waiting and len(self.given) < self.crew.size and left > RETURN:
                self._give(self.waiting.popleft(), min(self.seconds, left - RETURN))
            if not self.given:
                return None
            for number, answer in self.crew.answers():
                found = self._take(self.given.pop(number), answer)
                if found is not None:
                    return found
            self._report()
        return None

    def _report(self) -> None:
        if self.cell.options.progress is not None:
            tree, seconds = self.tree, time.monotonic() - self.started
            still = len(tree.open) + len(tree.stuck)
            self.cell.options.progress(
                Status(len(tree.parent), tree.closed, still, -math.inf, seconds)
            )

    def _give(self, group: _Given, seconds: float) -> None:
        self.numbers += 1
        self.given[self.numbers] = group
        stream, phased = self.tree.piece(group.leaves), self.search is self.cell.phases
        piece = Piece(self.cell.index, stream, phased, self.search.slack)
        self.crew.give(self.numbers, piece, seconds)

    def _queue(self, leaves: Sequence[int]) -> None:
        """Divides leaves among those who have nothing to do."""
        idle = self.crew.size - len(self.given) - len(self.waiting)
        self.waiting.extend(_Given(group) for group in groups(leaves, max(1, idle)))

    def _take(self, group: _Given, answer: Answer | Lost) -> Counterexample | None:
        if isinstance(answer, Lost):
            group.lost += 1
            if group.lost < MAX_LOST:
                self.waiting.append(group)
            else:
                self.tree.give_up(group.leaves)
                self.cell.trouble = f"{MAX_LOST} workers were lost on one piece: {answer.reason}"
            return None
        self.seconds = min(MOST_SECONDS, 1.5 * self.seconds)
        self._queue(self.tree.merge(group.leaves, answer))
        found = answer.counterexample
        return None if found is None else self.cell.attack.replay(found.x[None], np.zeros(1))
