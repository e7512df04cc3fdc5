"""Vacuous problems are errors: an empty region, or a catastrophe that no outputs can satisfy."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from absint.problem import Cell, LinearConstraint, Problem, ProblemError

SOLVER_TIMEOUT_MS = 10_000


def require_meaning(problem: Problem) -> None:
    """Raises ProblemError when a region is empty, or no conjunction of any cell is satisfiable.

    Satisfiable means: by some input of the cell's box and some outputs whatever. Decided exactly;
    what the solver cannot decide in time counts as satisfiable (the search then has the say).
    """
    for cell in problem.cells:
        problem.network_box(cell)
        if cell.constraints and not _satisfiable(cell, cell.constraints, problem):
            raise ProblemError(f"{problem.name}: no input satisfies the region's constraints")
    if not any(
        _satisfiable(cell, (*conjunction, *cell.constraints), problem)
        for cell in problem.cells
        for conjunction in cell.catastrophe
    ):
        raise ProblemError(
            f"{problem.name}: no outputs whatever satisfy the catastrophe, so nothing is claimed"
        )


def _satisfiable(cell: Cell, rows: Sequence[LinearConstraint], problem: Problem) -> bool:
    return _has_common_direction(rows) or _solve(cell, rows, problem)


def _has_common_direction(rows: Sequence[LinearConstraint]) -> bool:
    """Whether moving the outputs far in one direction satisfies all rows (cheap; most problems)."""
    direction: dict[int, Fraction] = {}
    for row in rows:
        for index, coefficient in row.outputs:
            direction[index] = direction.get(index, Fraction(0)) - coefficient
    return all(sum(c * direction[i] for i, c in row.outputs) < 0 for row in rows)


def _solve(cell: Cell, rows: Sequence[LinearConstraint], problem: Problem) -> bool:
    """Exact linear arithmetic over the inputs of the box and free outputs."""
    import z3

    solver = z3.Solver()
    solver.set("timeout", SOLVER_TIMEOUT_MS)
    lower, upper = problem.network_box(cell)
    used = sorted({index for row in rows for index, _ in row.inputs})
    x = {i: z3.Real(f"x{i}") for i in used}
    for i in used:
        solver.add(x[i] >= _number(Fraction(float(lower[i]))))
        solver.add(x[i] <= _number(Fraction(float(upper[i]))))
    for row in rows:
        terms = [_number(c) * x[i] for i, c in row.inputs]
        terms += [_number(c) * z3.Real(f"y{i}") for i, c in row.outputs]
        left, right = z3.Sum(*terms) if terms else z3.RealVal(0), _number(row.bound)
        solver.add(left < right if row.strict else left <= right)
    return bool(solver.check() != z3.unsat)


def _number(value: Fraction) -> object:
    import z3

    return z3.Q(value.numerator, value.denominator)
