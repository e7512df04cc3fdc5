"""What is to be proved, in exact numbers: regions of inputs and catastrophes.

The flat input vector x and output vector y are those of ``absint.ir.Graph``. A problem says: for no
x of any cell's region does (x, y) satisfy any conjunction of that cell's catastrophe.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from absint.problem.contract import FLOAT32, Contract
from absint.problem.errors import InputError
from absint.problem.exact import Dtype, float_text, round_all

FloatArray = NDArray[np.float64]
Term = tuple[int, Fraction]
"""(index into the flat vector, coefficient); indices ascend and coefficients are not zero."""


Meaning = Literal["real", "float32"]


class ProblemError(InputError):
    """The problem is not well-formed, or vacuous."""


@dataclass(frozen=True)
class LinearConstraint:
    """``inputs . x + outputs . y <= bound``, or ``<`` where strict."""

    inputs: tuple[Term, ...]
    outputs: tuple[Term, ...]
    bound: Fraction
    strict: bool = False

    def value(self, x: Sequence[Fraction], y: Sequence[Fraction]) -> Fraction:
        """The left side minus the bound, exactly; the constraint holds where it is negative."""
        total = -self.bound
        for index, coefficient in self.inputs:
            total += coefficient * x[index]
        for index, coefficient in self.outputs:
            total += coefficient * y[index]
        return total

    def holds(self, x: Sequence[Fraction], y: Sequence[Fraction]) -> bool:
        value = self.value(x, y)
        return value < 0 if self.strict else value <= 0

    def negated(self) -> LinearConstraint:
        """The exact complement."""
        inputs, outputs = (tuple((i, -c) for i, c in side) for side in (self.inputs, self.outputs))
        return LinearConstraint(inputs, outputs, -self.bound, not self.strict)

    def __str__(self) -> str:
        terms = [(f"x[{i}]", c) for i, c in self.inputs] + [(f"y[{i}]", c) for i, c in self.outputs]
        left = " + ".join(n if c == 1 else f"{float_text(c)}*{n}" for n, c in terms) or "0"
        return f"{left} {'<' if self.strict else '<='} {float_text(self.bound)}"


def constraint(
    inputs: Iterable[Term], outputs: Iterable[Term], bound: Fraction, strict: bool = False
) -> LinearConstraint:
    """A constraint in normal form: terms merged by index, sorted, zeros dropped."""
    return LinearConstraint(_merge(inputs), _merge(outputs), Fraction(bound), strict)


def _merge(terms: Iterable[Term]) -> tuple[Term, ...]:
    total: dict[int, Fraction] = {}
    for index, coefficient in terms:
        total[index] = total.get(index, Fraction(0)) + coefficient
    return tuple((i, total[i]) for i in sorted(total) if total[i])


Conjunction = tuple[LinearConstraint, ...]
"""All of these hold."""


@dataclass(frozen=True)
class Box:
    """The product of closed intervals [lower[i], upper[i]], as written in the spec."""

    lower: tuple[Fraction, ...]
    upper: tuple[Fraction, ...]


@dataclass(frozen=True)
class Cell:
    """A region (a box, cut by linear constraints on inputs) with its catastrophe.

    The box is one of reals that are rounded before the network; ``constraints`` and the input
    terms of the catastrophe speak of the value that the network receives.
    """

    box: Box
    catastrophe: tuple[Conjunction, ...]
    constraints: tuple[LinearConstraint, ...] = ()


@dataclass(frozen=True)
class Semantics:
    """What the network means (the contract that search and checker share)."""

    name: Meaning = "real"
    """``real``: real arithmetic on the stored weights; ``float32``: every execution that
    ``absint.problem.contract.FLOAT32`` allows."""
    dtype: Dtype = "float32"
    """The type of the network's inputs, to which regions are rounded."""
    inputs: Literal["rounded", "representable"] = "rounded"
    """``rounded``: every real of the box, rounded to nearest; ``representable``: its floats."""

    @property
    def contract(self) -> Contract | None:
        """What may be computed; None where the meaning is real arithmetic."""
        return FLOAT32 if self.name == "float32" else None


@dataclass(frozen=True)
class Problem:
    """One named property. ``cells`` is a union: all of them must be free of catastrophe."""

    name: str
    input_size: int
    output_size: int
    cells: tuple[Cell, ...]
    semantics: Semantics = Semantics()

    def __post_init__(self) -> None:
        if not self.cells:
            raise ProblemError(f"{self.name}: the region is empty")
        for cell in self.cells:
            self._check(cell)

    def _check(self, cell: Cell) -> None:
        sizes = (len(cell.box.lower), len(cell.box.upper))
        if sizes != (self.input_size, self.input_size):
            raise ProblemError(
                f"{self.name}: the region has {sizes[0]} dimensions, "
                f"the network {self.input_size} inputs"
            )
        for i, (low, high) in enumerate(zip(cell.box.lower, cell.box.upper, strict=True)):
            if low > high:
                raise ProblemError(
                    f"{self.name}: input {i} has lower bound {float_text(low)} "
                    f"above its upper bound {float_text(high)}"
                )
        if not cell.catastrophe or not all(cell.catastrophe):
            raise ProblemError(f"{self.name}: a catastrophe needs at least one constraint")
        rows = [c for conjunction in cell.catastrophe for c in conjunction] + list(cell.constraints)
        for row in rows:
            for terms, size in ((row.inputs, self.input_size), (row.outputs, self.output_size)):
                if any(a >= b for (a, _), (b, _) in pairwise(terms)):
                    raise ProblemError(f"{self.name}: the terms of {row} are not in order")
                if not all(coefficient for _, coefficient in terms):
                    raise ProblemError(f"{self.name}: {row} has a coefficient of zero")
                if terms and not (terms[0][0] >= 0 and terms[-1][0] < size):
                    raise ProblemError(f"{self.name}: {row} reads past the network's {size} values")
        if any(row.outputs for row in cell.constraints):
            raise ProblemError(f"{self.name}: a region's constraint may speak of inputs only")

    def network_box(self, cell: Cell) -> tuple[FloatArray, FloatArray]:
        """The cell's box as the network receives it: float64 arrays (input_size,), exact.

        Raises ProblemError when no representable value lies in it, or one is not finite.
        """
        dtype, inward = self.semantics.dtype, self.semantics.inputs == "representable"
        try:
            lower = round_all(cell.box.lower, dtype, "up" if inward else "nearest")
            upper = round_all(cell.box.upper, dtype, "down" if inward else "nearest")
        except OverflowError as error:
            raise ProblemError(f"{self.name}: {error}") from error
        empty = np.flatnonzero(lower > upper)
        if len(empty):
            raise ProblemError(
                f"{self.name}: no {dtype} lies between the bounds of input {int(empty[0])}"
            )
        return lower, upper


def violated(cell: Cell, x: FloatArray, y: FloatArray) -> int | None:
    """The first conjunction of the catastrophe that (x, y) satisfies, exactly; None if none.

    ``x`` must be finite. Counts as violated (conjunction 0) when an output is NaN or infinite.
    A point that breaks a constraint of the region is no violation.
    """
    exact_x = [Fraction(float(v)) for v in x]
    if not all(c.holds(exact_x, ()) for c in cell.constraints):
        return None
    if not np.isfinite(y).all():
        return 0
    exact_y = [Fraction(float(v)) for v in y]
    for index, conjunction in enumerate(cell.catastrophe):
        if all(c.holds(exact_x, exact_y) for c in conjunction):
            return index
    return None
