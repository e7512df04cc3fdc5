"""How much of its region a certificate leaves open: in fractions, from the splits alone."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from absint.ir import Graph
from absint.problem import Cell, Problem, ProblemError
from absint.proofs.arithmetic import FloatArray
from absint.proofs.format import Certificate, CertificateError
from absint.proofs.leaves import Block, Leaf, leaves
from absint.proofs.stream import Arity, Rule


@dataclass
class Coverage:
    """Counts of leaves, and the share of each cell's box that open ones take: exactly where their
    sets are boxes, at most where neurons' phases divide them (``at_most``).

    Says nothing about whether the closed leaves hold: that is the checker's word.
    """

    leaves: int = 0
    open_leaves: int = 0
    open_share: list[Fraction] = field(default_factory=list)
    """One entry a cell."""
    at_most: bool = False
    """Whether an open leaf has phases: its box is counted, and each box once."""
    _phased: _Phased | None = None

    def begin_cell(self) -> None:
        self.open_share.append(Fraction(0))
        self._phased = None

    def add(self, batch: Iterable[Leaf], lower: FloatArray, upper: FloatArray) -> None:
        """Counts leaves of the cell whose box is [lower, upper], the next ones in their order.

        Volumes are taken over the dimensions in which that box has width.
        """
        root = list(zip(lower.tolist(), upper.tolist(), strict=True))
        wide = [dimension for dimension, (low, high) in enumerate(root) if low < high]
        volumes: Counter[int] = Counter()  # whole numbers, by how many binary places they have
        total = Fraction(0)
        for leaf in batch:
            self.leaves += 1
            if leaf.rule is not Rule.OPEN:
                continue
            self.open_leaves += 1
            if leaf.outer is not None:
                total += self._more(leaf, leaf.outer, wide)
                continue
            volume, places = _volume([(leaf.lower[d], leaf.upper[d]) for d in wide])
            volumes[places] += volume
        whole, places = _volume([root[d] for d in wide])
        total += sum((Fraction(v, 1 << p) for p, v in volumes.items()), Fraction(0))
        self.open_share[-1] += total / Fraction(whole, 1 << places)

    def _more(self, leaf: Leaf, outer: Block, wide: Sequence[int]) -> Fraction:
        """By how much an open leaf with phases adds to what those below the same oldest phase can
        take: no more than each of their boxes once, nor than the box that the phase divides."""
        self.at_most = True
        if self._phased is None or self._phased.outer != outer.number:
            self._phased = _Phased(outer.number, _measure(outer, wide))
        phased = self._phased
        if phased.last == leaf.block.number:
            return Fraction(0)
        phased.last = leaf.block.number
        more = min(_measure(leaf.block, wide), phased.rest)
        phased.rest -= more
        return more

    def mean_open_share(self) -> float:
        """The mean over the cells (1 where there is none)."""
        if not self.open_share:
            return 1.0
        return float(sum(self.open_share) / len(self.open_share))


@dataclass
class _Phased:
    """Open leaves below one phase that lies below no other."""

    outer: int
    rest: Fraction
    """Of the volume of the box that is divided, what is not counted yet."""
    last: int = -1
    """The block that was counted last."""


def _measure(block: Block, wide: Sequence[int]) -> Fraction:
    volume, places = _volume([(block.lower[d], block.upper[d]) for d in wide])
    return Fraction(volume, 1 << places)


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


def survey(certificate: Certificate, graph: Graph) -> Coverage:
    """The coverage of a certificate about a graph.

    Raises CertificateError where a proof is not well-formed.
    """
    coverage, problem = Coverage(), certificate.problem
    if not isinstance(problem, Problem):
        raise CertificateError("the certificate is about a decoding network")
    for cell, proof in zip(problem.cells, certificate.proofs, strict=True):
        lower, upper = root_box(problem, cell)
        coverage.begin_cell()
        arity = Arity.of(cell, graph)
        coverage.add(leaves(proof, lower.tolist(), upper.tolist(), arity), lower, upper)
    return coverage
