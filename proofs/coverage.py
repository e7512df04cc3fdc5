"""How much of its region a certificate leaves open: exact, from the splits alone, no bounds."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from fractions import Fraction

from absint.problem import Cell, Problem, ProblemError
from absint.proofs.arithmetic import FloatArray
from absint.proofs.format import Certificate, CertificateError
from absint.proofs.stream import Arity, Leaf, Rule, leaves


@dataclass
class Coverage:
    """Counts of leaves, and the exact share of each cell's box that open ones take.

    Says nothing about whether the closed leaves hold: that is the checker's word.
    """

    leaves: int = 0
    open_leaves: int = 0
    open_share: list[Fraction] = field(default_factory=list)
    """One entry a cell."""

    def begin_cell(self) -> None:
        self.open_share.append(Fraction(0))

    def add(self, batch: Iterable[Leaf], lower: FloatArray, upper: FloatArray) -> None:
        """Counts leaves of the cell whose box is [lower, upper]."""
        for leaf in batch:
            self.leaves += 1
            if leaf.rule is Rule.OPEN:
                self.open_leaves += 1
                self.open_share[-1] += share(leaf, lower, upper)

    def mean_open_share(self) -> float:
        """The mean over the cells (1 where there is none)."""
        if not self.open_share:
            return 1.0
        return float(sum(self.open_share) / len(self.open_share))


def share(leaf: Leaf, lower: FloatArray, upper: FloatArray) -> Fraction:
    """The leaf's part of the box's volume, over the dimensions in which the box has width."""
    part = Fraction(1)
    for low, high, first, last in zip(leaf.lower, leaf.upper, lower, upper, strict=True):
        if (low, high) != (first, last):
            whole = Fraction(float(last)) - Fraction(float(first))
            part *= (Fraction(high) - Fraction(low)) / whole
    return part


def root_box(problem: Problem, cell: Cell) -> tuple[FloatArray, FloatArray]:
    """The box at the root of a cell's proof, (input_size,) each. Raises CertificateError."""
    try:
        return problem.network_box(cell)
    except ProblemError as error:
        raise CertificateError(f"the problem has no region to check: {error}") from error


def survey(certificate: Certificate) -> Coverage:
    """The coverage of a certificate. Raises CertificateError where a proof is not well-formed."""
    coverage = Coverage()
    for cell, proof in zip(certificate.problem.cells, certificate.proofs, strict=True):
        lower, upper = root_box(certificate.problem, cell)
        coverage.begin_cell()
        coverage.add(leaves(proof, lower.tolist(), upper.tolist(), Arity.of(cell)), lower, upper)
    return coverage
