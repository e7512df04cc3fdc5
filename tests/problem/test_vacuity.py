"""Vacuous problems are refused: verdicts against Fourier-Motzkin elimination in fractions."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Literal

import numpy as np
import pytest

from absint.problem import (
    Box,
    Cell,
    LinearConstraint,
    Problem,
    ProblemError,
    Semantics,
    constraint,
)
from absint.search.vacuity import require_meaning

F = Fraction
Row = tuple[list[Fraction], Fraction, bool]
"""``coefficients . v <= bound``, or ``<`` where True."""


def satisfiable(rows: Sequence[Row], size: int) -> bool:
    """Whether some point satisfies all rows, by eliminating one variable after another."""
    rows = list(rows)
    for variable in range(size):
        upper = [r for r in rows if r[0][variable] > 0]
        lower = [r for r in rows if r[0][variable] < 0]
        rows = [r for r in rows if r[0][variable] == 0]
        for a, high, strict_a in upper:
            for b, low, strict_b in lower:
                p, q = -b[variable], a[variable]
                sums = [p * u + q * v for u, v in zip(a, b, strict=True)]
                rows.append((sums, p * high + q * low, strict_a or strict_b))
    return all(bound > 0 if strict else bound >= 0 for _, bound, strict in rows)


def as_row(row: LinearConstraint, inputs: int, outputs: int) -> Row:
    coefficients = [F(0)] * (inputs + outputs)
    for index, value in row.inputs:
        coefficients[index] = value
    for index, value in row.outputs:
        coefficients[inputs + index] = value
    return coefficients, row.bound, row.strict


def reference(problem: Problem, cell: Cell, rows: Sequence[LinearConstraint]) -> bool:
    """Whether inputs of the cell's box, as rounded, and any outputs satisfy ``rows``."""
    n, m = problem.input_size, problem.output_size
    system = [as_row(row, n, m) for row in rows]
    for i, (low, high) in enumerate(zip(*problem.network_box(cell), strict=True)):
        unit = [F(j == i) for j in range(n + m)]
        system += [(unit, F(high), False), ([-c for c in unit], -F(low), False)]
    return satisfiable(system, n + m)


def meaningful(problem: Problem) -> bool:
    if not all(reference(problem, cell, cell.constraints) for cell in problem.cells):
        return False
    return any(
        reference(problem, cell, (*conjunction, *cell.constraints))
        for cell in problem.cells
        for conjunction in cell.catastrophe
    )


def random_problem(rng: np.random.Generator) -> Problem:
    """Two inputs, two outputs; small coefficients, so that ties are common."""

    def row(inputs: bool, outputs: bool) -> LinearConstraint:
        xs = [(i, F(int(c))) for i, c in enumerate(rng.integers(-1, 2, 2)) if inputs]
        ys = [(i, F(int(c))) for i, c in enumerate(rng.integers(-1, 2, 2)) if outputs]
        return constraint(xs, ys, F(int(rng.integers(-2, 2))), bool(rng.integers(2)))

    def cell() -> Cell:
        low = [F(int(v)) for v in rng.integers(-1, 2, 2)]
        high = [v + int(d) for v, d in zip(low, rng.integers(0, 2, 2), strict=True)]
        conjunctions = tuple(
            tuple(row(bool(rng.integers(2)), bool(rng.integers(4))) for _ in range(k))
            for k in rng.integers(1, 4, int(rng.integers(1, 3)))
        )
        region = tuple(row(True, False) for _ in range(int(rng.integers(0, 3))))
        return Cell(Box(tuple(low), tuple(high)), conjunctions, region)

    return Problem("p", 2, 2, tuple(cell() for _ in range(int(rng.integers(1, 3)))))


def test_verdicts_on_random_systems_are_those_of_elimination() -> None:
    rng, seen = np.random.default_rng(0), {True: 0, False: 0}
    for _ in range(400):
        problem = random_problem(rng)
        expected = meaningful(problem)
        seen[expected] += 1
        try:
            require_meaning(problem)
            found = True
        except ProblemError:
            found = False
        assert found is expected, problem
    assert min(seen.values()) > 50, "both verdicts were tried"


def one(
    *conjunctions: tuple[LinearConstraint, ...],
    region: tuple[LinearConstraint, ...] = (),
    box: tuple[object, object] = (0, 1),
    inputs: Literal["rounded", "representable"] = "rounded",
) -> Problem:
    ends = Box((F(str(box[0])),), (F(str(box[1])),))
    return Problem("p", 1, 2, (Cell(ends, conjunctions, region),), Semantics(inputs=inputs))


def y(index: int, sign: int, bound: object, strict: bool = False) -> LinearConstraint:
    return constraint([], [(index, F(sign))], F(str(bound)), strict)


def x(sign: int, bound: object, strict: bool = False) -> LinearConstraint:
    return constraint([(0, F(sign))], [], F(str(bound)), strict)


MEANINGFUL = {
    "one bound": one((y(0, 1, 0),)),
    "an exact point": one((y(0, 1, 1), y(0, -1, -1))),
    "one of two conjunctions": one((y(0, 1, 0, True), y(0, -1, 0)), (y(1, 1, 0),)),
    "on the region's edge": one((y(0, 1, 0),), region=(x(-1, -1),)),
    "inputs at the box's end": one((x(-1, -1), y(0, 1, 0))),
    "a fixed input": one((x(1, 0), y(0, 1, 0)), box=(0, 0)),
    "the rounded end": one((x(-1, "-0.100000001"),), box=(0, "0.1")),
    "always true": one((constraint([], [], F(0)),)),
}
VACUOUS = {
    "a strict point": (one((y(0, 1, 1), y(0, -1, -1, True))), "no outputs"),
    "opposite bounds": (one((y(0, 1, 0), y(0, -1, -1))), "no outputs"),
    "always false": (one((constraint([], [], F(-1)),)), "no outputs"),
    "strictly zero": (one((constraint([], [], F(0), True),)), "no outputs"),
    "inputs past the box": (one((x(-1, -2), y(0, 1, 0))), "no outputs"),
    "a cycle of outputs": (
        one(
            (
                constraint([], [(0, F(1)), (1, F(-1))], F(0), True),
                constraint([], [(1, F(1)), (0, F(-1))], F(0)),
            )
        ),
        "no outputs",
    ),
    "an empty region": (one((y(0, 1, 0),), region=(x(1, -1),)), "no input"),
    "a region of opposite constraints": (
        one((y(0, 1, 0),), region=(x(1, "0.5", True), x(-1, "-0.5"))),
        "no input",
    ),
    "a catastrophe outside the region": (
        one((x(-1, -1), y(0, 1, 0)), region=(x(1, "0.5"),)),
        "no outputs",
    ),
    "no float in the box": (
        one((y(0, 1, 0),), box=("0.1", "0.1"), inputs="representable"),
        "no float32 lies",
    ),
}


@pytest.mark.parametrize("problem", MEANINGFUL.values(), ids=MEANINGFUL.keys())
def test_problems_that_claim_something_pass(problem: Problem) -> None:
    require_meaning(problem)


@pytest.mark.parametrize(("problem", "match"), VACUOUS.values(), ids=VACUOUS.keys())
def test_vacuous_problems_are_named(problem: Problem, match: str) -> None:
    with pytest.raises(ProblemError, match=match):
        require_meaning(problem)


def test_every_cell_needs_inputs_but_one_catastrophe_is_enough() -> None:
    good, never = one((y(0, 1, 0),)), one((constraint([], [], F(-1)),))
    empty = one((y(0, 1, 0),), region=(x(1, -1),))
    require_meaning(Problem("p", 1, 2, (*never.cells, *good.cells)))
    with pytest.raises(ProblemError, match="no input"):
        require_meaning(Problem("p", 1, 2, (*good.cells, *empty.cells)))
