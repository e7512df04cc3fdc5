"""Contradictions and the limits of the disjunctive normal form."""

from fractions import Fraction

import pytest

from absint.frontends.spec.formula import (
    And,
    Formula,
    FormulaSizeError,
    Or,
    disjuncts,
    negate,
    simplified,
)
from absint.problem import LinearConstraint, constraint


def row(*terms: tuple[int, int], bound: int = 0, strict: bool = False) -> LinearConstraint:
    outputs = [(i, Fraction(c)) for i, c in terms]
    return constraint((), outputs, Fraction(bound), strict)


@pytest.mark.parametrize(
    ("atoms", "contradicts"),
    [
        ([row((0, 1), bound=1), row((0, -1), bound=-1)], False),  # y0 = 1
        ([row((0, 1), bound=1), row((0, -1), bound=-1, strict=True)], True),
        ([row((0, 1), bound=1, strict=True), row((0, -1), bound=-1)], True),
        ([row((0, 2), bound=1), row((0, -3), bound=-2)], True),  # y0 <= 1/2, y0 >= 2/3
        ([row((0, 3), bound=2), row((0, -2), bound=-1)], False),
        ([row((0, 1), (1, -1)), row((0, -1), (1, 1), strict=True)], True),
        ([row((0, 1), (1, -1)), row((0, -1), (1, 1))], False),
        ([row((0, 1), (1, -1), bound=-1), row((0, -2), (1, 2), bound=1)], True),
        ([row((0, 1), bound=-1), row((1, -1), bound=-1)], False),
        ([row(bound=-1)], True),
        ([row(bound=0, strict=True)], True),
        ([row(bound=0)], False),
    ],
)
def test_contradictions(atoms: list[LinearConstraint], contradicts: bool) -> None:
    assert (simplified(atoms) is None) is contradicts


def test_constant_and_repeated_atoms_go() -> None:
    atom = row((0, 1), bound=3)
    assert simplified([atom, row(bound=1), atom]) == (atom,)


def test_true_and_false() -> None:
    assert disjuncts(And(())) == [()]
    assert disjuncts(Or(())) == []
    assert disjuncts(negate(And(()))) == []


def test_repeated_parts_and_alternatives_are_taken_once() -> None:
    a, b = row((0, 1)), row((1, 1))
    assert disjuncts(And((Or((a, b)),) * 60)) == [(a,), (b,)]
    assert disjuncts(Or((And((a, b)), And((b, a))))) == [(a, b)]


def test_expansion_is_bounded() -> None:
    choice = Or(tuple(row((i, 1)) for i in range(10)))
    assert len(disjuncts(And((choice, choice)), prune=False)) == 100
    choices = [Or(tuple(row((i, 1), bound=k) for i in range(10))) for k in range(60)]
    blown: Formula = And(tuple(choices))
    with pytest.raises(FormulaSizeError):
        disjuncts(blown)
    with pytest.raises(FormulaSizeError):
        disjuncts(Or((And(tuple(choices[:5])), row((0, 1)))))
