"""Boxes that somebody else's proof consists of, turned into a proof of ours.

Nothing about the list is trusted. It only says where to split: the splits become a certificate,
and the checker recomputes every bound and that the leaves cover the region.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from absint.domains.arrays import numpy_arrays
from absint.domains.product import analyse
from absint.ir import Graph
from absint.ir import digest as graph_digest
from absint.problem import Cell, Problem
from absint.proofs.check import CheckReport, check
from absint.proofs.format import Certificate
from absint.proofs.stream import Rule
from absint.search.mix import Forms
from absint.search.prove import Binding
from absint.search.query import cell_query
from absint.search.tree import Tree

FloatArray = NDArray[np.float64]
BATCH_ELEMENTS = 1 << 21


@dataclass(frozen=True)
class Boxes:
    """``lower`` and ``upper``, (count, input_size), on the network's flat inputs."""

    lower: FloatArray
    upper: FloatArray

    def __len__(self) -> int:
        return len(self.lower)


@dataclass(frozen=True)
class Confirmation:
    """What a list of leaves came to: what the checker says of the proof that they make, and a
    certificate of as much of it as holds."""

    certificate: Certificate
    report: CheckReport
    listed: int
    refused: tuple[int, ...]
    """Of the listed leaves those of which some part does not hold."""
    outside: int
    """How many boxes lie outside of the region altogether."""
    boxes: bool = True
    """Whether the leaves are boxes; else sets that phases give."""


def confirm(
    graph: Graph,
    problem: Problem,
    binding: Binding,
    boxes: Boxes,
    jobs: int = 1,
    progress: Callable[[int], None] | None = None,
) -> Confirmation:
    """Recomputes every bound on the boxes of a list, and whether they cover the region."""
    cells = [_Cell(graph, problem, cell, boxes) for cell in problem.cells]
    binds = (binding.model, binding.spec, graph_digest(graph), problem)
    whole = Certificate(*binds, tuple(cell.tree.stream() for cell in cells))
    report = check(whole, graph, problem, progress, jobs)
    refused = {cells[item.cell].reopen(item.leaf) for item in report.rejected}
    outside = np.logical_and.reduce([cell.outside for cell in cells])
    return Confirmation(
        Certificate(*binds, tuple(cell.tree.stream() for cell in cells)),
        report,
        len(boxes),
        tuple(sorted(refused)),
        int(outside.sum()),
    )


@dataclass(frozen=True)
class _Part:
    """A node of the tree with its box, and the listed boxes that meet it."""

    node: int
    lower: FloatArray
    upper: FloatArray
    meeting: NDArray[np.int64]


class _Cell:
    """One cell's tree: splits along the boxes' faces until each part lies in a box, or in none."""

    def __init__(self, graph: Graph, problem: Problem, cell: Cell, boxes: Boxes) -> None:
        self.graph, self.boxes, self.tree = graph, boxes, Tree()
        lower, upper = problem.network_box(cell)
        wide = lower < upper  # a box that only touches the region covers nothing of it
        apart = np.where(
            wide,
            (boxes.upper <= lower) | (boxes.lower >= upper),
            (boxes.upper < lower) | (boxes.lower > upper),
        )
        self.outside = apart.any(axis=1)
        self._origin: dict[int, int] = {}
        self._close(self._divide(lower, upper), cell, problem)
        self._leaves = self.tree.leaves()

    def reopen(self, leaf: int) -> int:
        """The listed box that a leaf, by its place in the stream, is a part of; it is open now."""
        node = self._leaves[leaf]
        self.tree.reopen(node)
        return self._origin[node]

    def _divide(self, lower: FloatArray, upper: FloatArray) -> list[_Part]:
        """Splits until nothing is left to be split; the parts that lie in a listed box."""
        done, todo = [], [_Part(0, lower, upper, np.flatnonzero(~self.outside))]
        while todo:
            part = todo.pop()
            own = self._holding(part)
            if own is not None:
                self._origin[part.node] = own
                done.append(part)
            elif len(part.meeting):
                todo += self._split(part)
        return done

    def _holding(self, part: _Part) -> int | None:
        """A listed box that holds the whole part."""
        lower, upper = self.boxes.lower[part.meeting], self.boxes.upper[part.meeting]
        holds = ((lower <= part.lower) & (part.upper <= upper)).all(axis=1)
        return int(part.meeting[holds.argmax()]) if holds.any() else None

    def _split(self, part: _Part) -> list[_Part]:
        dimension, cut = self._cut(part)
        first = self.tree.split(part.node, dimension, cut, (part.lower, part.upper))
        high, low = part.upper.copy(), part.lower.copy()
        high[dimension] = low[dimension] = cut
        lower, upper = (
            end[part.meeting, dimension] for end in (self.boxes.lower, self.boxes.upper)
        )
        return [
            _Part(first, part.lower, high, part.meeting[lower < cut]),
            _Part(first + 1, low, part.upper, part.meeting[upper > cut]),
        ]

    def _cut(self, part: _Part) -> tuple[int, float]:
        """The face that cuts the fewest boxes in two; of equals the one nearest to the median."""
        best: tuple[int, int, int, float] | None = None
        for dimension in range(len(part.lower)):
            ends = [end[part.meeting, dimension] for end in (self.boxes.lower, self.boxes.upper)]
            faces = np.unique(np.concatenate(ends))
            inside = (part.lower[dimension] < faces) & (faces < part.upper[dimension])
            for face, cost in _costs(faces[inside], *ends):
                if best is None or cost < best[:2]:
                    best = (*cost, dimension, face)
        assert best is not None, "a box that meets the part and does not hold it has a face inside"
        return best[2], best[3]

    def _close(self, parts: list[_Part], cell: Cell, problem: Problem) -> None:
        """Says of each part why it is safe; where the bounds do not, the checker will refuse it."""
        query = cell_query(cell, problem.input_size, problem.output_size)
        arrays, rows = numpy_arrays(), len(query.query.bound)
        contract = problem.semantics.contract
        size = max(1, BATCH_ELEMENTS // (rows * max(node.size for node in self.graph.nodes)))
        for begin in range(0, len(parts), size):
            some = parts[begin : begin + size]
            box = np.array([p.lower for p in some]), np.array([p.upper for p in some])
            with np.errstate(all="ignore"):
                found = analyse(self.graph, box, query.query, arrays, contract)
            shape = (len(some), *found.coefficients.shape[1:])
            forms = Forms(
                np.broadcast_to(found.coefficients, shape),
                np.broadcast_to(found.centre, shape[:2]),
                (box[1] - box[0]) / 2,
            )
            decision = query.decide(forms, 0.0)
            for part, rule, operands in zip(some, decision.rules, decision.operands, strict=True):
                self.tree.close(part.node, Rule(rule), operands)


def _costs(
    faces: FloatArray, lower: FloatArray, upper: FloatArray
) -> list[tuple[float, tuple[int, int]]]:
    """For each face how many boxes it cuts, and how far it is from having half on each side."""
    before = np.searchsorted(np.sort(lower), faces, side="left")
    ended = np.searchsorted(np.sort(upper), faces, side="right")
    crossing, balance = before - ended, np.abs(before + ended - len(lower))
    return [
        (float(face), (int(cross), int(off)))
        for face, cross, off in zip(faces, crossing, balance, strict=True)
    ]
