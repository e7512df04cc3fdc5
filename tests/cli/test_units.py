"""Constraints in the words of the spec."""

from __future__ import annotations

from fractions import Fraction

import pytest

from absint.problem import LinearConstraint, constraint
from absint.report.units import Units
from absint.report.words import share

PLAIN = Units(["a", "b"], ["u", "v"])
SCALED = Units(
    ["a", "b"], ["u", "v"], [Fraction(100), Fraction(0)], [Fraction(50), Fraction(1, 10)]
)


def row(
    inputs: dict[int, Fraction | int],
    outputs: dict[int, Fraction | int],
    bound: Fraction | int,
    strict: bool = False,
) -> LinearConstraint:
    terms = [[(i, Fraction(c)) for i, c in side.items()] for side in (inputs, outputs)]
    return constraint(terms[0], terms[1], Fraction(bound), strict)


@pytest.mark.parametrize(
    ("units", "given", "text"),
    [
        (PLAIN, row({}, {0: 1, 1: -1}, 0), "u <= v"),
        (PLAIN, row({}, {0: 1, 1: -1}, 0, True), "u < v"),
        (PLAIN, row({}, {0: -1}, -1500), "u >= 1500"),
        (PLAIN, row({}, {0: -1}, 5, True), "u > -5"),
        (PLAIN, row({}, {0: 1, 1: 2}, Fraction(1, 2)), "u + 2*v <= 0.5"),
        (PLAIN, row({0: 1}, {1: -1}, 3), "a <= v + 3"),
        (PLAIN, row({0: 1}, {1: -1}, -3), "a <= v - 3"),
        (PLAIN, row({}, {0: Fraction("3.991125645861615")}, Fraction("3.991125645861615")),
         "3.991125645861615*u <= 3.991125645861615"),
        (PLAIN, row({}, {0: 1}, Fraction(1, 3)), "u <= 0.333333"),
        (SCALED, row({0: -1}, {}, -1), "0.02*a >= 3"),
        (SCALED, row({1: 1}, {0: -1}, 0), "10*b <= u"),
    ],
)  # fmt: skip
def test_phrases(units: Units, given: LinearConstraint, text: str) -> None:
    assert units.phrase(given) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0%"),
        (1.0, "100%"),
        (0.5, "50.000%"),
        (1e-9, "1e-07%"),
        (1 - 2**-40, "more than 99.999%"),
    ],
)
def test_shares_are_not_rounded_to_nothing(value: float, text: str) -> None:
    assert share(value) == text
