"""A statement that the checker rests on, and its proof by z3.

A lemma is about real numbers: what roundings add is derived in docs/rigor.md.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import z3

Claim = tuple[list[z3.BoolRef], z3.BoolRef]
"""Premises and conclusion; their free variables stand for all numbers."""


@dataclass(frozen=True)
class Lemma:
    """``covers`` names what rests on it: ``op:relu``, ``rule:mix``, ``rule:decode.cases``."""

    name: str
    says: str
    covers: frozenset[str]
    claim: Callable[[], Claim]

    def refuted_by(self, seconds: float = 60.0) -> z3.ModelRef | None:
        """A counterexample; None where there is none. Raises TimeoutError where z3 cannot tell."""
        premises, conclusion = self.claim()
        return satisfied([*premises, z3.Not(conclusion)], seconds)


def ops(names: str) -> frozenset[str]:
    """The ops of these names, as ``Lemma.covers`` has them."""
    return frozenset(f"op:{name}" for name in names.split())


def satisfied(formulas: list[z3.BoolRef], seconds: float = 60.0) -> z3.ModelRef | None:
    """Values that make all of them true; None where there are none. Raises TimeoutError."""
    solver = z3.Solver()
    solver.set("timeout", round(1000 * seconds))
    solver.add(*formulas)
    found = solver.check()
    if found == z3.unknown:
        raise TimeoutError(solver.reason_unknown())
    return solver.model() if found == z3.sat else None


def real(name: str) -> z3.ArithRef:
    return z3.Real(name)


def reals(names: str) -> list[z3.ArithRef]:
    return [z3.Real(name) for name in names.split()]


def maximum(first: z3.ArithRef, *others: z3.ArithRef) -> z3.ArithRef:
    """The largest of some terms."""
    largest = first
    for other in others:
        largest = z3.If(other > largest, other, largest)
    return largest


def minimum(first: z3.ArithRef, *others: z3.ArithRef) -> z3.ArithRef:
    """The least of some terms."""
    least = first
    for other in others:
        least = z3.If(other < least, other, least)
    return least


def within(x: z3.ArithRef, lower: z3.ArithRef, upper: z3.ArithRef) -> z3.BoolRef:
    return z3.And(lower <= x, x <= upper)
