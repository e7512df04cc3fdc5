"""Boolean formulas over linear constraints: negation, and disjunctive normal form of bounded size.

An atom is a ``LinearConstraint``. ``And(())`` is true and ``Or(())`` is false.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

from absint.problem import Conjunction, LinearConstraint

MAX_CONJUNCTIONS = 10_000
MAX_ATOMS = 1_000_000


class FormulaSizeError(ValueError):
    """The disjunctive normal form is larger than the limits of this module."""


@dataclass(frozen=True, slots=True)
class And:
    """All of ``parts`` hold."""

    parts: tuple[Formula, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """One of ``parts`` holds."""

    parts: tuple[Formula, ...]


Formula = LinearConstraint | And | Or


def negate(formula: Formula) -> Formula:
    """The exact complement, with the negation pushed into the atoms."""
    if isinstance(formula, And):
        return Or(tuple(negate(part) for part in formula.parts))
    if isinstance(formula, Or):
        return And(tuple(negate(part) for part in formula.parts))
    return formula.negated()


def disjuncts(formula: Formula, prune: bool = True) -> list[Conjunction]:
    """The disjunctive normal form. An empty list is false; an empty conjunction is true.

    With ``prune``, no atom is repeated and no conjunction evidently contradicts itself.

    Raises:
        FormulaSizeError: it has more than MAX_CONJUNCTIONS conjunctions or MAX_ATOMS atoms.
    """
    return _expand(formula, prune)


def _expand(formula: Formula, prune: bool) -> list[Conjunction]:
    if isinstance(formula, LinearConstraint):
        return _pruned([(formula,)]) if prune else [(formula,)]
    parts = tuple(dict.fromkeys(formula.parts)) if prune else formula.parts
    if isinstance(formula, Or):
        rows = [row for part in parts for row in _expand(part, prune)]
        _check_size(len(rows), sum(map(len, rows)))
        return _pruned(rows) if prune else rows
    rows = [()]
    for part in parts:
        rows = _product(rows, _expand(part, prune))
        rows = _pruned(rows) if prune else rows
    return rows


def _pruned(rows: list[Conjunction]) -> list[Conjunction]:
    """Each conjunction once, in whatever order its atoms stand, without contradictions."""
    kept: dict[frozenset[LinearConstraint], Conjunction] = {}
    for row in map(simplified, rows):
        if row is not None:
            kept.setdefault(frozenset(row), row)
    return list(kept.values())


def _product(left: list[Conjunction], right: list[Conjunction]) -> list[Conjunction]:
    atoms = len(right) * sum(map(len, left)) + len(left) * sum(map(len, right))
    _check_size(len(left) * len(right), atoms)
    return [a + b for a in left for b in right]


def _check_size(conjunctions: int, atoms: int) -> None:
    if conjunctions > MAX_CONJUNCTIONS or atoms > MAX_ATOMS:
        raise FormulaSizeError(
            f"the condition expands to more than {MAX_CONJUNCTIONS} alternatives "
            f"or {MAX_ATOMS} comparisons"
        )


def simplified(atoms: Iterable[LinearConstraint]) -> Conjunction | None:
    """The conjunction without repeated or constant atoms; None where it contradicts itself.

    Finds the contradictions between two bounds on one linear form (``y0 > 2`` and ``y0 < 1``,
    ``y0 < y1`` and ``y1 < y0``); others are left to the bounds of the search.
    """
    kept = [atom for atom in dict.fromkeys(atoms) if not _is_true(atom)]
    bounds: dict[object, tuple[Fraction, bool]] = {}
    for atom in kept:
        direction, bound = _upper_form(atom)
        entry = (bound, not atom.strict)
        bounds[direction] = min(bounds.get(direction, entry), entry)
    for atom in kept:
        if not atom.inputs and not atom.outputs:
            return None
        direction, bound = _upper_form(atom)
        opposite = bounds.get(_opposite(direction))
        if opposite is not None and _crossed(bound, atom.strict, opposite):
            return None
    return tuple(kept)


def _is_true(atom: LinearConstraint) -> bool:
    return not atom.inputs and not atom.outputs and atom.holds((), ())


_Direction = tuple[tuple[tuple[int, Fraction], ...], tuple[tuple[int, Fraction], ...]]


def _upper_form(atom: LinearConstraint) -> tuple[_Direction, Fraction]:
    """The atom's direction, scaled to a leading coefficient of 1 or -1, and its upper bound."""
    terms = atom.inputs or atom.outputs
    scale = abs(terms[0][1]) if terms else Fraction(1)
    if scale == 1:
        return (atom.inputs, atom.outputs), atom.bound
    scaled = tuple(tuple((i, c / scale) for i, c in part) for part in (atom.inputs, atom.outputs))
    return (scaled[0], scaled[1]), atom.bound / scale


def _opposite(direction: _Direction) -> _Direction:
    inputs, outputs = direction
    return tuple((i, -c) for i, c in inputs), tuple((i, -c) for i, c in outputs)


def _crossed(bound: Fraction, strict: bool, opposite: tuple[Fraction, bool]) -> bool:
    lower, closed = -opposite[0], opposite[1]
    return lower > bound or (lower == bound and (strict or not closed))
