"""A counterexample held against every meaning it could have: what ran, and what is exact."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from absint.ir import Graph
from absint.problem import Cell, LinearConstraint, Problem, violated
from absint.proofs.bounds import Bounds
from absint.proofs.regions import Boxes
from absint.search.attack import Counterexample

FloatArray = NDArray[np.float64]


class RealArithmetic(StrEnum):
    """What the network's outputs in real arithmetic say about a point."""

    AGREES = "agrees"
    DISAGREES = "disagrees"
    UNDECIDED = "cannot be told apart"


@dataclass(frozen=True)
class Confirmation:
    """A counterexample on the runtime with optimisations off (``y``, the one that counts) and with
    its defaults, and in real arithmetic."""

    x: FloatArray
    y: FloatArray
    y_default: FloatArray
    catastrophic: bool
    catastrophic_default: bool
    real: RealArithmetic
    margins: tuple[tuple[str, float], ...]
    """Each constraint of the conjunction that holds, with its value minus its bound (<= 0)."""


def confirm(
    problem: Problem,
    graph: Graph,
    found: Counterexample,
    run: Callable[[FloatArray], FloatArray],
    run_default: Callable[[FloatArray], FloatArray],
) -> Confirmation:
    """Runs ``found`` again on both settings of the runtime, and bounds it in real arithmetic."""
    cell = problem.cells[found.cell]
    y, y_default = run(found.x[None])[0], run_default(found.x[None])[0]
    conjunction = violated(cell, found.x, y)
    rows = cell.catastrophe[found.conjunction if conjunction is None else conjunction]
    return Confirmation(
        found.x,
        y,
        y_default,
        conjunction is not None,
        violated(cell, found.x, y_default) is not None,
        real_arithmetic(cell, graph, found.x),
        tuple((str(row), _value(row, found.x, y)) for row in rows),
    )


def _value(row: LinearConstraint, x: FloatArray, y: FloatArray) -> float:
    if not np.isfinite(y).all():
        return float("nan")
    exact = row.value([Fraction(float(v)) for v in x], [Fraction(float(v)) for v in y])
    try:
        return float(exact)
    except OverflowError:
        return math.inf if exact > 0 else -math.inf


def real_arithmetic(cell: Cell, graph: Graph, x: FloatArray) -> RealArithmetic:
    """Whether the exact network is catastrophic at x, from rigorous bounds of its outputs there."""
    bounds = Bounds(graph, Boxes(graph, x[None], x[None]))
    ends = [
        np.concatenate([bounds.values[p.node][side].reshape(-1) for p in graph.outputs])
        for side in (0, 1)
    ]
    if not all(np.isfinite(end).all() for end in ends):
        return RealArithmetic.UNDECIDED
    exact_x = [Fraction(float(v)) for v in x]
    if not all(row.holds(exact_x, ()) for row in cell.constraints):
        return RealArithmetic.DISAGREES
    lower, upper = ([Fraction(float(v)) for v in end] for end in ends)
    verdicts = []
    for conjunction in cell.catastrophe:
        ranges = [_range(row, exact_x, lower, upper) for row in conjunction]
        rows = list(zip(conjunction, ranges, strict=True))
        if all(high < 0 if row.strict else high <= 0 for row, (_, high) in rows):
            return RealArithmetic.AGREES
        verdicts.append(any(low >= 0 if row.strict else low > 0 for row, (low, _) in rows))
    return RealArithmetic.DISAGREES if all(verdicts) else RealArithmetic.UNDECIDED


def _range(
    row: LinearConstraint, x: list[Fraction], lower: list[Fraction], upper: list[Fraction]
) -> tuple[Fraction, Fraction]:
    """The exact range of the row's value minus its bound over the outputs' bounds."""
    low = high = sum((c * x[i] for i, c in row.inputs), -row.bound)
    for i, c in row.outputs:
        low += c * (lower[i] if c > 0 else upper[i])
        high += c * (upper[i] if c > 0 else lower[i])
    return low, high
