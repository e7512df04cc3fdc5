"""How much of its region a certificate leaves open: exact, from the splits alone, no bounds."""

from __future__ import annotations

import functools
from collections import Counter
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
        """Counts leaves of the cell whose box is [lower, upper].

        Volumes are taken over the dimensions in which that box has width.
        """
        root = list(zip(lower.tolist(), upper.tolist(), strict=True))
        wide = [dimension for dimension, (low, high) in enumerate(root) if low < high]
        volumes: Counter[int] = Counter()  # whole numbers, by how many binary places they have
        for leaf in batch:
            self.leaves += 1
            if leaf.rule is Rule.OPEN:
                self.open_leaves += 1
                volume, places = _volume([(leaf.lower[d], leaf.upper[d]) for d in wide])
                volumes[places] += volume
        whole, places = _volume([root[d] for d in wide])
        total = sum((Fraction(v, 1 << p) for p, v in volumes.items()), Fraction(0))
        self.open_share[-1] += total / Fraction(whole, 1 << places)

    def mean_open_share(self) -> float:
        """The mean over the cells (1 where there is none)."""
        if not self.open_share:
            return 1.0
        return float(sum(self.open_share) / len(self.open_share))


def _volume(ends: Iterable[tuple[float, float]]) -> tuple[int, int]:
    """(n, p): the product of the widths is n / 2^p, exactly."""
    volume, places = 1, 0
    for low, high in ends:
        width, more = _width(low, high)
        volume *= width
        places += more
    return volume, places


@functools.lru_cache(maxsize=1 << 16)
def _width(low: float, high: float) -> tuple[int, int]:
    width = Fraction(high) - Fraction(low)
    return width.numerator, width.denominator.bit_length() - 1


def root_box(problem: Problem, cell: Cell) -> tuple[FloatArray, FloatArray]:
    """The box at the root of a cell's proof, (input_size,) each. Raises CertificateError."""
    try:
        return problem.network_box(cell)
    except ProblemError as error:
        raise CertificateError(f"the problem has no region to check: {error}") from error


def survey(certificate: Certificate) -> Coverage:
    """The coverage of a certificate. Raises CertificateError where a proof is not well-formed."""
    coverage, problem = Coverage(), certificate.problem
    if not isinstance(problem, Problem):
        raise CertificateError("the certificate is about a decoding network")
    for cell, proof in zip(problem.cells, certificate.proofs, strict=True):
        lower, upper = root_box(problem, cell)
        coverage.begin_cell()
        coverage.add(leaves(proof, lower.tolist(), upper.tolist(), Arity.of(cell)), lower, upper)
    return coverage
