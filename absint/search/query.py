"""A cell's constraints as float rows for the domains, and what bounds of those rows decide."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from absint.domains.product import Query
from absint.problem import Cell, LinearConstraint
from absint.proofs.stream import Rule
from absint.search.mix import Forms, best_mix

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

LARGEST = Fraction(float(np.finfo(np.float64).max))


@dataclass(frozen=True)
class Decision:
    """Per box: ``score`` above zero means that ``rules`` with ``operands`` closes it.

    ``focus`` (batch, rows) is the weighted sum of rows that decides the score: of the conjunction
    that is furthest from being refuted.
    """

    score: FloatArray
    focus: FloatArray
    rules: list[Rule]
    operands: list[tuple[int, ...]]


@dataclass(frozen=True)
class CellQuery:
    """The rows of one cell: its conjunctions one after another, then the region's constraints.

    A row's minimum above zero over a box means that its constraint fails on the whole box;
    ``members[i]`` are the rows that may refute conjunction i (its own, then the region's).
    """

    query: Query
    members: list[IntArray]
    region: IntArray

    def decide(self, forms: Forms, slack: float) -> Decision:
        """What linear lower bounds of the rows say about each box.

        A box that no single row a conjunction settles gets weighted sums of rows, where a
        conjunction has several.
        """
        margin = forms.minimum()
        own = [m[: len(m) - len(self.region)] for m in self.members]
        choices = np.stack([m[margin[:, m].argmax(axis=1)] for m in own], axis=1)
        found = np.take_along_axis(margin, choices, axis=1)
        rules = [Rule.SAFE] * len(margin)
        operands = [self._safe(row) for row in choices]
        rest = np.flatnonzero(found.min(axis=1) <= slack)
        focus = _one_hot(choices[np.arange(len(margin)), found.argmin(axis=1)], margin.shape[1])
        score = found.min(axis=1)
        for box in rest[self._outside(margin[rest]) > slack]:
            rules[box] = Rule.EMPTY
            operands[box] = (int(margin[box, self.region].argmax()),)
            score[box] = margin[box, self.region].max()
        rest = rest[score[rest] <= slack]
        if len(rest) and max(len(m) for m in self.members) > 1:
            self._mix(forms, rest, rules, operands, score, focus)
        return Decision(score, focus, rules, operands)

    def _mix(
        self,
        forms: Forms,
        rest: IntArray,
        rules: list[Rule],
        operands: list[tuple[int, ...]],
        score: FloatArray,
        focus: FloatArray,
    ) -> None:
        """Replaces the decision of the boxes ``rest`` by one with weighted sums."""
        part = forms.take(rest)
        mixes = [best_mix(part.rows(members)) for members in self.members]
        margins = np.stack([mix.margin for mix in mixes], axis=1)
        worst = margins.argmin(axis=1)
        score[rest] = margins.min(axis=1)
        for place, box in enumerate(rest):
            weights = [mix.weights[place] for mix in mixes]
            rules[box] = Rule.MIX
            operands[box] = tuple(int(w) for row in weights for w in row)
            focus[box] = 0.0
            chosen = weights[worst[place]]
            focus[box, self.members[worst[place]]] = chosen / max(1, chosen.sum())

    def _safe(self, rows: IntArray) -> tuple[int, ...]:
        """Rows as the operands of SAFE: places within each conjunction."""
        return tuple(int(row - m[0]) for row, m in zip(rows, self.members, strict=True))

    def _outside(self, margin: FloatArray) -> FloatArray:
        if not len(self.region):
            return np.full(len(margin), -np.inf)
        best: FloatArray = margin[:, self.region].max(axis=1)
        return best

    def violation(self, margin: FloatArray) -> tuple[FloatArray, FloatArray]:
        """At points: how far each is from the catastrophe (<= 0: in it), and which way it lies.

        The distance is to the nearest conjunction; ``weights`` (batch, rows) are those of its
        rows that do not hold, in proportion to what each misses by.
        """
        misses = np.stack([margin[:, m].max(axis=1) for m in self.members], axis=1)
        nearest = misses.argmin(axis=1)
        weights = np.zeros(margin.shape)
        for conjunction, members in enumerate(self.members):
            points = np.flatnonzero(nearest == conjunction)
            part = margin[np.ix_(points, members)]
            floor = part.max(axis=1, keepdims=True) * (part >= part.max(axis=1, keepdims=True))
            share = np.where(part > 0, part, floor)
            total = np.abs(share).sum(axis=1, keepdims=True)
            weights[np.ix_(points, members)] = np.abs(share) / np.where(total > 0, total, 1.0)
        return misses.min(axis=1), weights


def cell_query(cell: Cell, input_size: int, output_size: int) -> CellQuery:
    """The rows of a cell, rounded to float64 (the search needs no more)."""
    flat = [row for group in (*cell.catastrophe, cell.constraints) for row in group]
    ends = np.cumsum([0, *(len(conjunction) for conjunction in cell.catastrophe)])
    region = np.arange(ends[-1], len(flat))
    query = Query(
        _matrix(flat, "inputs", input_size),
        _matrix(flat, "outputs", output_size),
        np.array([_float(row.bound) for row in flat]),
    )
    members = [np.concatenate([np.arange(first, last), region]) for first, last in pairwise(ends)]
    return CellQuery(query, members, region)


def _matrix(rows: list[LinearConstraint], side: str, size: int) -> FloatArray:
    matrix = np.zeros((len(rows), size))
    for index, row in enumerate(rows):
        for column, coefficient in getattr(row, side):
            matrix[index, column] = _float(coefficient)
    return matrix


def _float(value: Fraction) -> float:
    """A float near ``value``: the largest where it lies beyond all of them."""
    return float(max(-LARGEST, min(LARGEST, value)))


def _one_hot(index: IntArray, size: int) -> FloatArray:
    hot = np.zeros((len(index), size))
    hot[np.arange(len(index)), index] = 1.0
    return hot
