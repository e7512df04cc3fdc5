"""Affine expressions over inputs and outputs, and their comparisons as formulas."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from absint.frontends.spec.formula import And, Formula, Or
from absint.problem import constraint

MAX_BITS = 1 << 18
_Terms = Mapping[int, Fraction]


@dataclass(frozen=True, slots=True)
class Affine:
    """``inputs . x + outputs . y + constant``, exactly."""

    inputs: _Terms = field(default_factory=dict)
    outputs: _Terms = field(default_factory=dict)
    constant: Fraction = Fraction(0)

    @property
    def is_constant(self) -> bool:
        return not any(self.inputs.values()) and not any(self.outputs.values())

    def plus(self, other: Affine) -> Affine:
        return Affine(
            _added(self.inputs, other.inputs),
            _added(self.outputs, other.outputs),
            self.constant + other.constant,
        )

    def times(self, factor: Fraction) -> Affine:
        """Raises ValueError where a product has more than MAX_BITS bits."""
        return Affine(
            {i: _product(c, factor) for i, c in self.inputs.items()},
            {i: _product(c, factor) for i, c in self.outputs.items()},
            _product(self.constant, factor),
        )


def _product(left: Fraction, right: Fraction) -> Fraction:
    bits = left.numerator.bit_length() + right.numerator.bit_length()
    if max(bits, left.denominator.bit_length() + right.denominator.bit_length()) > MAX_BITS:
        raise ValueError("a number is out of range")
    return left * right


def _added(left: _Terms, right: _Terms) -> _Terms:
    if not left or not right:
        return left or right
    total = dict(left)
    for index, coefficient in right.items():
        total[index] = total.get(index, Fraction(0)) + coefficient
    return total


def compare(left: Affine, operator: str, right: Affine) -> Formula:
    """The formula of ``left operator right``, for ``< <= > >= == !=``."""
    if operator in (">", ">="):
        return compare(right, operator.replace(">", "<"), left)
    if operator == "==":
        return And((compare(left, "<=", right), compare(right, "<=", left)))
    if operator == "!=":
        return Or((compare(left, "<", right), compare(right, "<", left)))
    inputs = [*left.inputs.items(), *((i, -c) for i, c in right.inputs.items())]
    outputs = [*left.outputs.items(), *((i, -c) for i, c in right.outputs.items())]
    return constraint(inputs, outputs, right.constant - left.constant, operator == "<")


def argmax_is(group: range, label: int, sign: int = 1) -> Formula:
    """Output ``label`` is the argmax of the outputs in ``group`` (argmin for ``sign=-1``).

    The lowest index wins a tie, as in numpy, PyTorch and ONNX ArgMax: ``label`` is strictly above
    the outputs before it and not below those after it.
    """
    return And(
        tuple(
            constraint((), ((j, Fraction(sign)), (label, Fraction(-sign))), Fraction(0), j < label)
            for j in group
            if j != label
        )
    )


def is_maximal(group: range, label: int, sign: int = 1) -> Formula:
    """No output in ``group`` is above ``label`` (below it for ``sign=-1``); ties count."""
    return And(
        tuple(
            constraint((), ((j, Fraction(sign)), (label, Fraction(-sign))), Fraction(0))
            for j in group
            if j != label
        )
    )
