"""A cell's constraints as float rows for the domains, and what margins of those rows decide."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from absint.domains.product import Query
from absint.problem import Cell, LinearConstraint

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class CellQuery:
    """The rows of one cell: its conjunctions one after another, then the region's constraints.

    A row's minimum above zero over a box means that its constraint fails on the whole box.
    ``starts[i]`` is the first row of group i; the last group is the region's (it may be empty).
    """

    query: Query
    starts: IntArray

    @property
    def conjunctions(self) -> int:
        return len(self.starts) - 2

    def decide(self, margin: FloatArray) -> Decision:
        """What lower bounds ``margin`` (batch, rows) of the rows say about each box."""
        choices = np.empty((len(margin), self.conjunctions), dtype=np.int64)
        score = np.full(len(margin), np.inf)
        worst = np.zeros(len(margin), dtype=np.int64)
        for group in range(self.conjunctions):
            part = margin[:, self.starts[group] : self.starts[group + 1]]
            choices[:, group] = part.argmax(axis=1)
            best = part.max(axis=1)
            worse = best < score
            score = np.where(worse, best, score)
            worst = np.where(worse, self.starts[group] + choices[:, group], worst)
        region = margin[:, self.starts[-2] :]
        empty = region.argmax(axis=1) if region.shape[1] else np.full(len(margin), -1)
        emptiness = region.max(axis=1) if region.shape[1] else np.full(len(margin), -np.inf)
        return Decision(score, choices, worst, emptiness, empty)

    def violation(self, margin: FloatArray) -> tuple[FloatArray, IntArray]:
        """At points: how far each is from the catastrophe (<= 0: in it), and the row that says so."""
        distance = np.full(len(margin), np.inf)
        row = np.zeros(len(margin), dtype=np.int64)
        region = np.arange(self.starts[-2], self.starts[-1])
        for group in range(self.conjunctions):
            members = np.concatenate([np.arange(self.starts[group], self.starts[group + 1]), region])
            furthest = members[margin[:, members].argmax(axis=1)]
            value = margin[np.arange(len(margin)), furthest]
            row = np.where(value < distance, furthest, row)
            distance = np.minimum(distance, value)
        return distance, row


@dataclass(frozen=True)
class Decision:
    """Per box: ``score`` above zero: safe, with ``choices``; ``emptiness`` above zero: empty, by the
    region's constraint ``empty``. ``worst`` is the row that decides the score."""

    score: FloatArray
    choices: IntArray
    worst: IntArray
    emptiness: FloatArray
    empty: IntArray


def cell_query(cell: Cell, input_size: int, output_size: int) -> CellQuery:
    """The rows of a cell, rounded to float64 (the search needs no more)."""
    groups = [*cell.catastrophe, cell.constraints]
    flat = [row for group in groups for row in group]
    starts = np.cumsum([0, *(len(group) for group in groups)])
    query = Query(
        _matrix(flat, "inputs", input_size),
        _matrix(flat, "outputs", output_size),
        np.array([float(row.bound) for row in flat]),
    )
    return CellQuery(query, starts)


def _matrix(rows: list[LinearConstraint], side: str, size: int) -> FloatArray:
    matrix = np.zeros((len(rows), size))
    for index, row in enumerate(rows):
        for column, coefficient in getattr(row, side):
            matrix[index, column] = float(coefficient)
    return matrix
