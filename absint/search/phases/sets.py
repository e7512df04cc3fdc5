"""Open sets of a box that is split by phases: what is known of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from absint.domains.hinges import Frame
from absint.search.phases.ascent import Climbed, slopes
from absint.search.phases.branching import first_multipliers
from absint.search.phases.pairs import Pairs, nearest_bytes

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class Sum:
    """The best weighted sum of constraints and phases against a conjunction, on some set around.

    ``multipliers`` are bytes for as many of the set's phases as it was found with, oldest first;
    ``coefficients`` (unstable neurons,) those of the bound.
    """

    value: float
    weights: IntArray
    multipliers: tuple[int, ...]
    coefficients: NDArray[np.float32]


@dataclass(frozen=True)
class OpenSet:
    """A part of the box: node ``number`` of the proof tree.

    ``entries`` and ``sides`` are its phases, oldest first; ``slopes`` (conjunctions, entries) are
    those that hold there, as bytes; ``sums`` has one a conjunction, and ``focus`` is the
    conjunction that is worked on, by splitting neuron ``split``.
    """

    number: int
    entries: tuple[int, ...]
    sides: tuple[int, ...]
    slopes: NDArray[np.uint8]
    sums: tuple[Sum, ...]
    focus: int
    split: int = -1

    @property
    def score(self) -> float:
        return self.sums[self.focus].value

    def part(self, number: int, side: int) -> OpenSet:
        """One side of its split."""
        entries, sides = (*self.entries, self.split), (*self.sides, side)
        return replace(self, number=number, entries=entries, sides=sides)

    def steered(self, number: int, chosen: NDArray[np.uint8]) -> OpenSet:
        """As node ``number``, with other slopes (entries,) for the conjunction worked on."""
        slopes = self.slopes.copy()
        slopes[self.focus] = chosen
        return replace(self, number=number, slopes=slopes)

    def with_sum(self, conjunction: int, found: Sum) -> OpenSet:
        sums = (*self.sums[:conjunction], found, *self.sums[conjunction + 1 :])
        return replace(self, sums=sums)


@dataclass(frozen=True)
class Store:
    """Makes pairs of sets, and sums of what was found for pairs."""

    frame: Frame
    live: IntArray
    """The unstable entries."""
    place: IntArray
    """The place of each entry among them; -1 where it is stable."""

    @staticmethod
    def of(frame: Frame) -> Store:
        live = np.flatnonzero(frame.unstable)
        place = np.full(frame.size, -1)
        place[live] = np.arange(len(live))
        return Store(frame, live, place)

    def pairs(self, wanted: Sequence[tuple[OpenSet, int]]) -> Pairs:
        """Sets with a conjunction each. Phases that a sum was found without start with multipliers
        that leave its coefficients as they were."""
        depth = max(len(item.entries) for item, _ in wanted)
        shape = (len(wanted), depth)
        entries, multipliers = np.zeros((2, *shape), dtype=np.int64)
        sides, fresh = np.zeros(shape, dtype=np.int8), np.zeros(shape, dtype=bool)
        for row, (item, conjunction) in enumerate(wanted):
            known = item.sums[conjunction].multipliers
            entries[row, : len(item.entries)] = item.entries
            sides[row, : len(item.sides)] = item.sides
            multipliers[row, : len(known)] = known
            fresh[row, len(known) : len(item.entries)] = True
        sums = [item.sums[conjunction] for item, conjunction in wanted]
        conjunctions = np.array([conjunction for _, conjunction in wanted])
        weights = np.stack([known.weights for known in sums])
        chosen = np.stack([item.slopes[conjunction] for item, conjunction in wanted])
        new, at = np.nonzero(fresh & (self.place[entries] >= 0))
        split = entries[new, at]
        coefficients = np.stack([known.coefficients for known in sums]).astype(np.float64)
        start = first_multipliers(
            self.frame,
            slopes(self.frame, chosen)[new, split],
            coefficients[new, self.place[split]],
            split,
        )
        force = np.where(sides[new, at] < 0, start.below, start.above)
        multipliers[new, at] = nearest_bytes(force * weights.sum(axis=1)[new])
        return Pairs(conjunctions, weights, chosen, entries, sides, multipliers)

    def sums(self, climbed: Climbed, depths: Sequence[int]) -> list[Sum]:
        """What was found for pairs of sets that have so many phases."""
        coefficients = climbed.coefficients[:, self.live].astype(np.float32)
        values, multipliers = climbed.value.tolist(), climbed.multipliers.tolist()
        return [
            Sum(
                values[row],
                climbed.weights[row],
                tuple(multipliers[row][:depth]),
                coefficients[row],
            )
            for row, depth in enumerate(depths)
        ]
