"""Large sets of prompts in disjoint pieces: products of token sets, and decision diagrams.

The leaves of one tree of splits are disjoint. Their union as a diagram may need exponentially many
nodes; their number, a random member and whether a prompt is in it do not need the union at all.
"""

from __future__ import annotations

import itertools
import math
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from random import Random

from absint.problem.promptset import PromptSet, PromptSpace, members


@dataclass(frozen=True)
class Box:
    """The product of a token set for each slot, as bits."""

    sets: tuple[int, ...]

    @property
    def count(self) -> int:
        """How many prompts, exactly."""
        return math.prod(mask.bit_count() for mask in self.sets)

    def __contains__(self, prompt: Sequence[int]) -> bool:
        return all(mask >> token & 1 for mask, token in zip(self.sets, prompt, strict=True))

    def __iter__(self) -> Iterator[tuple[int, ...]]:
        """The prompts in lexicographic order, one by one."""
        return itertools.product(*(list(members(mask)) for mask in self.sets))

    def draw(self, source: Random) -> tuple[int, ...]:
        """One prompt, all being equally likely."""
        return tuple(source.choice(list(members(mask))) for mask in self.sets)

    def within(self, space: PromptSpace) -> PromptSet:
        """The same as a diagram. Raises TooLargeError."""
        return space.product([frozenset(members(mask)) for mask in self.sets])


@dataclass(frozen=True, eq=False)
class Pieces:
    """The prompts of ``parts``, no two of which have one in common.

    ``exact`` is False where the set was too large to be told and this is a larger one.
    """

    space: PromptSpace
    parts: Sequence[Box | PromptSet] = ()
    exact: bool = True

    @property
    def count(self) -> int:
        """How many prompts, exactly."""
        return self._ends[-1] if self._ends else 0

    @cached_property
    def _ends(self) -> list[int]:
        return list(itertools.accumulate(part.count for part in self.parts))

    def __bool__(self) -> bool:
        return self.count > 0

    def __contains__(self, prompt: Sequence[int]) -> bool:
        return any(prompt in part for part in self.parts)

    def __iter__(self) -> Iterator[tuple[int, ...]]:
        """The prompts one by one, part by part."""
        return itertools.chain.from_iterable(self.parts)

    def draw(self, source: Random) -> tuple[int, ...]:
        """One prompt, all being equally likely. Raises ValueError: the set is empty."""
        if not self:
            raise ValueError("no prompt to draw")
        return self.parts[bisect_right(self._ends, source.randrange(self.count))].draw(source)

    def united(self) -> PromptSet:
        """The same as one diagram. Raises TooLargeError."""
        sets = [p.within(self.space) if isinstance(p, Box) else p for p in self.parts]
        return self.space.union(sets)
