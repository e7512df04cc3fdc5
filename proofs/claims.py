"""What the leaves of a proof claim about one cell's rows, and whether bounds prove it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from absint.ir import Graph
from absint.problem import Cell
from absint.proofs.arithmetic import FloatArray
from absint.proofs.blocks import Batch
from absint.proofs.leaves import Leaf
from absint.proofs.regions import Rows
from absint.proofs.rows import choose, float_rows, join, mix
from absint.proofs.stream import MULTIPLIERS, Rule
from absint.proofs.subsets import Subsets
from absint.proofs.transformers.knots import knots

BoolArray = NDArray[np.bool_]
Failure = tuple[Leaf, str]
_MULTIPLIERS = np.array(MULTIPLIERS)


@dataclass(frozen=True)
class Sums:
    """For each leaf, for each conjunction: a sum of rows with non-negative weights.

    ``strict`` and ``used`` (leaves, conjunctions) say whether a strict row has a weight, and
    whether anything has.
    """

    rows: Rows
    strict: BoolArray
    used: BoolArray


class Claims:
    """The rows of one cell, and what each leaf claims about them.

    A claim is, for each conjunction, a sum of rows with non-negative weights that is positive on
    the leaf's whole set, so that they cannot all hold. SAFE is the case of one row a conjunction,
    EMPTY that of one row of the region's for all of them; in MIX the leaf's phases take part.
    """

    def __init__(self, cell: Cell, graph: Graph) -> None:
        self.graph, self.knots = graph, knots(graph)
        self.rows, self.strict = float_rows(cell, graph)
        self.own = [len(conjunction) for conjunction in cell.catastrophe]
        self.region = list(range(sum(self.own), sum(self.own) + len(cell.constraints)))
        ends = np.cumsum([0, *self.own]).tolist()
        self.members = [[*range(first, last), *self.region] for first, last in pairwise(ends)]
        """The rows that each conjunction may use."""

    def failures(self, batch: Batch) -> list[Failure]:
        """The closed leaves of the batch whose claim the recomputed bounds do not prove."""
        failed, single, mixed = list[Failure](), list[tuple[Leaf, int]](), list[tuple[Leaf, int]]()
        for leaf, place in zip(batch.closed, batch.places, strict=True):
            if leaf.rule is Rule.MIX:
                mixed.append((leaf, place))
            elif self._indices(leaf) is None:
                failed.append((leaf, "it names a constraint that does not exist"))
            else:
                single.append((leaf, place))
        for some in (single, mixed):
            if some:
                leaves, places = [leaf for leaf, _ in some], [place for _, place in some]
                sets = Subsets(self.graph, self.knots, batch.blocks, leaves, places)
                failed += _not_proved(leaves, sets, self.sums(leaves, sets))
        return failed

    def sums(self, leaves: Sequence[Leaf], sets: Subsets) -> Sums:
        """What leaves claim to be positive: all of them MIX, or none."""
        mixed = leaves[0].rule is Rule.MIX
        return self._mixed(leaves, sets) if mixed else self._single(leaves)

    def _single(self, leaves: Sequence[Leaf]) -> Sums:
        """SAFE and EMPTY: each conjunction fails by one row."""
        index = np.array([self._indices(leaf) for leaf in leaves], dtype=np.int64)
        return Sums(choose(self.rows, index), self.strict[index], np.ones(index.shape, dtype=bool))

    def _indices(self, leaf: Leaf) -> list[int] | None:
        """The row that refutes each conjunction; None where there is no such row."""
        if leaf.rule is Rule.EMPTY:
            chosen = leaf.choices[0]
            return [self.region[chosen]] * len(self.own) if chosen < len(self.region) else None
        if any(choice >= size for choice, size in zip(leaf.choices, self.own, strict=True)):
            return None
        return [rows[choice] for rows, choice in zip(self.members, leaf.choices, strict=True)]

    def _mixed(self, leaves: Sequence[Leaf], sets: Subsets) -> Sums:
        """MIX: each conjunction fails by a weighted sum of rows and of the leaf's phases."""
        parts = [self._bytes(leaf) for leaf in leaves]
        sums, strict, used = [], [], []
        for conjunction, members in enumerate(self.members):
            weights = np.stack([own[conjunction][: len(members)] for own in parts])
            sums.append(mix(self.rows.take(members), weights[:, None].astype(np.float64)))
            strict.append(((weights > 0) & self.strict[members]).any(axis=1))
            used.append([own[conjunction].any() for own in parts])
        multipliers = [
            np.stack([own[c][len(members) :] for c, members in enumerate(self.members)], axis=1)
            for own in parts
        ]
        rows = sets.weighed(join(sums), _MULTIPLIERS[np.concatenate(multipliers)])
        return Sums(rows, np.stack(strict, axis=1), np.stack(used, axis=1))

    def _bytes(self, leaf: Leaf) -> list[NDArray[np.uint8]]:
        """For each conjunction: the weights of its rows, then the phases' multipliers."""
        ends = np.cumsum([len(members) + len(leaf.phases) for members in self.members])
        return np.split(np.array(leaf.choices, dtype=np.uint8), ends[:-1])


def _not_proved(leaves: Sequence[Leaf], sets: Subsets, sums: Sums) -> list[Failure]:
    margin: FloatArray = sets.minimum(sums.rows)
    holds = sums.used & np.where(sums.strict, margin >= 0, margin > 0)
    proved = holds.all(axis=1) | sets.empty()
    reason = "its bound does not prove it (margin {:.3g})"
    return [
        (leaf, reason.format(float(np.min(found))))
        for leaf, held, found in zip(leaves, proved, margin, strict=True)
        if not held
    ]
