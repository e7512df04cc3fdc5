"""Bounds of rows over the sets of leaves: points of a box that have some phases.

All leaves of a box share its bounds, which hold on each of their sets. A phase replaces the
relaxation of its neuron by a line, so a leaf costs one pass back from its rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import chain, pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from absint.ir import Graph
from absint.proofs.arithmetic import FloatArray, gamma, inflate, up
from absint.proofs.blocks import Blocks
from absint.proofs.leaves import Leaf
from absint.proofs.regions import Rows
from absint.proofs.terms import Terms
from absint.proofs.transformers.affine import Interval
from absint.proofs.transformers.knots import Knot, Sides, Slopes
from absint.proofs.transformers.steps import Relaxed, Step, Which, among

BoolArray = NDArray[np.bool_]


class Subsets:
    """The sets of some leaves; ``places`` are those of their boxes among the blocks."""

    def __init__(
        self,
        graph: Graph,
        knots: Mapping[int, Knot],
        blocks: Blocks,
        leaves: Sequence[Leaf],
        places: Sequence[int],
    ) -> None:
        self._graph, self._knots, self._leaves = graph, knots, leaves
        self._boxes, self._bounds = blocks.bounds()
        self._which = _which(places, self._boxes.batch)
        own = np.repeat(np.arange(len(leaves)), [len(leaf.phases) for leaf in leaves])
        listed = chain.from_iterable(chain.from_iterable(leaf.phases for leaf in leaves))
        table = np.fromiter(listed, dtype=np.int64, count=3 * len(own)).reshape((-1, 3))
        self._phases, self._above = np.column_stack([own, table[:, :2]]), table[:, 2] > 0
        """The phases of one leaf after another: leaf, node, entry; and on which side."""
        by_node = np.argsort(table[:, 0], kind="stable")
        ends = np.searchsorted(table[by_node, 0], [*knots, len(graph.nodes)])
        self._of_node = {at: by_node[a:b] for at, (a, b) in zip(knots, pairwise(ends), strict=True)}

    def minimum(self, rows: Rows) -> FloatArray:
        """Lower bounds, (leaves, rows), of a row for each conjunction on each leaf's set."""
        count, step = rows.bound.shape[1], self._bounds.rows_at_once(len(self._leaves))
        region, found = self._boxes.take(self._which, len(self._leaves)), []
        for begin in range(0, count, step):
            some = slice(begin, begin + step)
            with np.errstate(all="ignore"):
                steps = self._steps(some, count)
            bounds = self._bounds.within(region, self._which, steps)
            found.append(bounds.minimum(rows.take(some)))
        return np.concatenate(found, axis=1)

    def empty(self) -> BoolArray:
        """(leaves,): where no point of the box has all the phases."""
        found = np.zeros(len(self._leaves), dtype=bool)
        for node, knot in self._knots.items():
            sides = self._sides(node)
            found[sides.leaves[knot.impossible(self._operand(knot), sides)]] = True
        return found

    def weighed(self, rows: Rows, multipliers: FloatArray, exact: bool) -> Rows:
        """The rows and multiples (phases, rows) of ``knot - v <= 0``, or ``v - knot <= 0``.

        ``rows`` are one for each leaf. ``exact``: multipliers are added up without rounding.
        """
        leaf, node, _ = self._phases.T
        values = np.where(self._above[:, None], -multipliers, multipliers)
        at = self._by_node(node, [knot.at for knot in self._knots.values()])
        products = values * at[:, None]
        shift, size = np.zeros(rows.bound.shape), np.zeros(rows.bound.shape)
        np.add.at(shift, leaf, products)
        np.add.at(size, leaf, np.abs(products))
        terms = int(np.bincount(leaf).max(initial=0)) + 2
        bound = up(rows.bound + up(shift + inflate(gamma(terms) * size, terms)))
        return replace(rows, bound=bound, terms=self._terms(values, exact))

    def _terms(self, values: FloatArray, exact: bool) -> dict[int, Terms]:
        """By the nodes that are divided, which several functions may read."""
        leaf, node, entry = self._phases.T
        operands = self._by_node(node, [knot.operand for knot in self._knots.values()])
        used, found = values.any(axis=1), {}
        for operand in np.unique(operands[used]).tolist():
            own = used & (operands == operand)
            size = self._graph.nodes[operand].size
            keys, inverse = np.unique(leaf[own] * size + entry[own], return_inverse=True)
            sums, sizes = np.zeros((2, len(keys), values.shape[1]))
            np.add.at(sums, inverse, values[own])
            np.add.at(sizes, inverse, np.abs(values[own]))
            readers = len(inverse)
            lost = 0 * sizes if exact else inflate(gamma(readers) * sizes, readers)
            found[operand] = Terms(keys // size, keys % size, sums, sizes + lost, lost)
        return found

    def _by_node(self, node: NDArray[np.int64], facts: Sequence[float]) -> NDArray[Any]:
        """What is known of each of the knots, for each of some of their nodes."""
        places = np.searchsorted(list(self._knots), node)
        return np.array(facts)[places] if len(facts) else np.zeros(0)

    def _steps(self, some: slice, count: int) -> dict[int, Step]:
        slopes, begin, steps = self._slopes(some, count), 0, dict[int, Step]()
        for position, knot in self._knots.items():
            sides, size = self._sides(position), knot.node.size
            own = None if slopes is None else slopes.of(slice(begin, begin + size), knot.node.shape)
            begin += size
            relaxed = self._bounds.steps[position]
            if isinstance(relaxed, Relaxed) and (own is not None or len(sides.leaves)):
                relaxed = among(relaxed, self._which)
                operand, leaves = self._operand(knot), len(self._leaves)
                steps[position] = knot.step(relaxed, operand, sides, own, leaves)
        return steps

    def _operand(self, knot: Knot) -> Interval:
        return among(self._bounds.values[knot.operand], self._which)

    def _sides(self, node: int) -> Sides:
        own = self._of_node[node]
        return Sides(self._phases[own, 0], self._phases[own, 2], self._above[own])

    def _slopes(self, some: slice, count: int) -> Slopes | None:
        """Of some of the conjunctions; None where no leaf has any."""
        each = [leaf.slopes for leaf in self._leaves]
        if all(slopes is each[0] for slopes in each):
            each = each[:1]
        given = np.array([slopes is not None for slopes in each])
        if not given.any():
            return None
        size = next(len(slopes) for slopes in each if slopes is not None)
        table = np.zeros((len(each), size), dtype=np.uint8)
        for row, slopes in enumerate(each):
            if slopes is not None:
                table[row] = np.frombuffer(slopes, dtype=np.uint8)
        return Slopes(table.reshape((len(each), count, -1))[:, some], given)


def _which(places: Sequence[int], count: int) -> Which:
    """The places of leaves' boxes among ``count`` of them, as a slice where that serves."""
    if all(place == places[0] for place in places):
        return slice(places[0], places[0] + 1)
    if list(places) == list(range(count)):
        return slice(None)
    return np.array(places, dtype=np.int64)
