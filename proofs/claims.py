"""What the leaves of a proof claim about one cell's rows, and whether bounds prove it."""

from __future__ import annotations

import itertools
import operator
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
from absint.proofs.stream import MULTIPLIERS, SUMS, Rule, farkas_numbers
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
    EMPTY that of one row of the region's for all of them; in MIX and FARKAS the leaf's phases take
    part.
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
        known, failed = [self._names_rows(leaf) for leaf in batch.closed], list[Failure]()
        if not all(known):
            unknown = itertools.compress(batch.closed, [not right for right in known])
            failed = [(leaf, "it names a constraint that does not exist") for leaf in unknown]
        for rules in ((Rule.SAFE, Rule.EMPTY), (Rule.MIX,), (Rule.FARKAS,)):
            some = [
                (leaf, place)
                for leaf, place, right in zip(batch.closed, batch.places, known, strict=True)
                if right and leaf.rule in rules
            ]
            if some:
                leaves, places = [leaf for leaf, _ in some], [place for _, place in some]
                sets = Subsets(self.graph, self.knots, batch.blocks, leaves, places)
                failed += _not_proved(leaves, sets, self.sums(leaves, sets))
        return failed

    def sums(self, leaves: Sequence[Leaf], sets: Subsets) -> Sums:
        """What leaves claim to be positive: all of them of one rule, or SAFE and EMPTY."""
        mixed = leaves[0].rule in SUMS
        return self._mixed(leaves, sets) if mixed else self._single(leaves)

    def _names_rows(self, leaf: Leaf) -> bool:
        """Whether all rows that the leaf names exist."""
        if leaf.rule in SUMS:
            return True
        if leaf.rule is Rule.EMPTY:
            return leaf.choices[0] < len(self.region)
        return all(map(operator.lt, leaf.choices, self.own))

    def _single(self, leaves: Sequence[Leaf]) -> Sums:
        """SAFE and EMPTY: each conjunction fails by one row."""
        first = [members[0] for members in self.members]
        none = [0] * len(self.own)
        safe = np.array([none if x.rule is Rule.EMPTY else x.choices for x in leaves])
        empty = np.array([x.choices[0] if x.rule is Rule.EMPTY else -1 for x in leaves])[:, None]
        index = np.where(empty < 0, safe + first, sum(self.own) + empty)
        return Sums(choose(self.rows, index), self.strict[index], np.ones(index.shape, dtype=bool))

    def _mixed(self, leaves: Sequence[Leaf], sets: Subsets) -> Sums:
        """Each conjunction fails by a weighted sum of rows and of the leaf's phases."""
        data, factors = _numbers(leaves)
        phases = np.array([len(leaf.phases) for leaf in leaves])
        sizes = sum(map(len, self.members)) + len(self.members) * phases
        begin = np.cumsum(sizes) - sizes
        own, number = np.repeat(np.arange(len(leaves)), phases), _counted(phases)
        sums, strict, used, multipliers = [], [], [], []
        for members in self.members:
            weights = data[begin[:, None] + np.arange(len(members))]
            begin = begin + len(members)
            pulls = factors[begin[own] + number]
            begin = begin + phases
            sums.append(mix(self.rows.take(members), weights[:, None]))
            strict.append(((weights > 0) & self.strict[members]).any(axis=1))
            used.append(weights.any(axis=1) | (np.bincount(own, pulls, len(leaves)) > 0))
            multipliers.append(pulls)
        exact = leaves[0].rule is Rule.MIX
        rows = sets.weighed(join(sums), np.stack(multipliers, axis=1), exact)
        return Sums(rows, np.stack(strict, axis=1), np.stack(used, axis=1))


def _numbers(leaves: Sequence[Leaf]) -> tuple[FloatArray, FloatArray]:
    """The operands of leaves, one after another, as weights and as multipliers."""
    data = b"".join(bytes(leaf.choices) for leaf in leaves)
    if leaves[0].rule is Rule.FARKAS:
        return (farkas_numbers(data),) * 2
    read = np.frombuffer(data, dtype=np.uint8)
    return read.astype(np.float64), _MULTIPLIERS[read]


def _counted(sizes: NDArray[np.int64]) -> NDArray[np.int64]:
    """The numbers from 0 of the members of groups of these sizes, group after group."""
    ends = np.cumsum(sizes)
    return np.arange(sizes.sum()) - np.repeat(ends - sizes, sizes)


def _not_proved(leaves: Sequence[Leaf], sets: Subsets, sums: Sums) -> list[Failure]:
    margin: FloatArray = sets.minimum(sums.rows)
    holds = sums.used & np.where(sums.strict, margin >= 0, margin > 0)
    proved = holds.all(axis=1) | sets.empty()
    reason = "its bound does not prove it (margin {:.3g})"
    return [
        (leaves[i], reason.format(float(np.min(margin[i]))))
        for i in np.flatnonzero(~proved).tolist()
    ]
