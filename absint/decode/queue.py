"""What a search has to decide, in the order in which it does."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable

from absint.decode.tree import Branch


class Queue:
    """Branches that are not decided: urgent ones first, then the largest."""

    def __init__(self, branches: Iterable[Branch]) -> None:
        self._heap: list[tuple[float, int, Branch]] = []
        self._count = 0
        self.add(branches)

    def __len__(self) -> int:
        return len(self._heap)

    def add(self, branches: Iterable[Branch], urgent: bool = False) -> None:
        for branch in branches:
            size = sum(math.log(mask.bit_count()) for mask in branch.state.sets)
            size += math.inf if urgent else 0.0
            heapq.heappush(self._heap, (-size, self._count, branch))
            self._count += 1

    def pop(self) -> Branch:
        """The largest, which the queue loses."""
        return heapq.heappop(self._heap)[2]
