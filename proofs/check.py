"""The checker: walks a certificate's proofs and recomputes every bound. Accepts nothing by default.

It trusts nothing that the search wrote. What it trusts: this package, ``absint.ir`` and
``absint.problem``; that the graph is the model's and the problem the spec's is for the caller to
establish (``absint check --model --region`` re-lowers both and compares digests).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import islice

import numpy as np
from absint.proofs.arithmetic import FloatArray, above, nearest
from absint.proofs.bounds import Bounds, Rows
from absint.proofs.format import Certificate, CertificateError
from absint.proofs.stream import Leaf, Rule, leaves
from absint.proofs.transformers.affine import AFFINE_OPS
from absint.proofs.transformers.univariate import UNIVARIATE_OPS

from absint.ir import Graph
from absint.ir import digest as graph_digest
from absint.problem import Cell, LinearConstraint, Problem, to_json

BATCH = 256
BATCH_ELEMENTS = 1 << 21

Progress = Callable[[int], None]
"""Called with the number of leaves checked so far."""


@dataclass(frozen=True)
class Rejection:
    """A leaf whose bound does not prove what it claims."""

    cell: int
    leaf: int
    reason: str


@dataclass
class CheckReport:
    """What the checker found. ``open_share`` is the exact share of each cell's box left open."""

    leaves: int = 0
    open_leaves: int = 0
    open_share: list[Fraction] = field(default_factory=list)
    rejected: list[Rejection] = field(default_factory=list)

    @property
    def accepted(self) -> bool:
        """The certificate proves its problem: every leaf was visited and holds, none is open."""
        return self.leaves > 0 and not self.rejected and not self.open_leaves


def check(
    certificate: Certificate,
    graph: Graph,
    problem: Problem | None = None,
    progress: Progress | None = None,
) -> CheckReport:
    """Checks a certificate against a lowered graph and, where given, the problem it must be about.

    Raises:
        CertificateError: the certificate is about another graph or problem, is not well-formed, or
            uses an op that the checker has no rule for.
    """
    if certificate.graph != graph_digest(graph):
        raise CertificateError("the certificate is about another network (the graphs differ)")
    if problem is not None and to_json(problem) != to_json(certificate.problem):
        raise CertificateError("the certificate is about another problem (the specs differ)")
    problem = certificate.problem
    if (problem.input_size, problem.output_size) != (graph.input_size, graph.output_size):
        raise CertificateError("the problem's sizes are not the network's")
    if any(port.dtype != problem.semantics.dtype for port in graph.inputs):
        raise CertificateError("the problem rounds to another type than the network's inputs have")
    for node in graph.nodes:
        if node.op != "input" and node.op not in AFFINE_OPS and node.op not in UNIVARIATE_OPS:
            raise CertificateError(f"the checker has no rule for {node.op!r}")
    report = CheckReport()
    for index, cell in enumerate(problem.cells):
        _check_cell(index, cell, certificate, graph, report, progress)
    return report


def _check_cell(
    index: int,
    cell: Cell,
    certificate: Certificate,
    graph: Graph,
    report: CheckReport,
    progress: Progress | None,
) -> None:
    lower, upper = certificate.problem.network_box(cell)
    claims, open_share = _Claims(cell, graph), Fraction(0)
    stream = leaves(
        certificate.proofs[index], lower.tolist(), upper.tolist(), len(cell.catastrophe)
    )
    size = max(1, min(BATCH, BATCH_ELEMENTS // max(node.size for node in graph.nodes)))
    for batch in _batches(stream, size):
        closed = [leaf for leaf in batch if leaf.rule is not Rule.OPEN]
        for leaf, reason in claims.failures(closed):
            report.rejected.append(Rejection(index, leaf.ordinal, reason))
        for leaf in batch:
            if leaf.rule is Rule.OPEN:
                report.open_leaves += 1
                open_share += _share(leaf, lower, upper)
        report.leaves += len(batch)
        if progress is not None:
            progress(report.leaves)
    report.open_share.append(open_share)


def _batches(stream: Iterator[Leaf], size: int) -> Iterator[list[Leaf]]:
    while batch := list(islice(stream, size)):
        yield batch


def _share(leaf: Leaf, lower: FloatArray, upper: FloatArray) -> Fraction:
    """The leaf's part of the box's volume, over the dimensions in which the box has width."""
    share = Fraction(1)
    for low, high, first, last in zip(leaf.lower, leaf.upper, lower, upper, strict=True):
        if (low, high) != (first, last):
            whole = Fraction(float(last)) - Fraction(float(first))
            share *= (Fraction(high) - Fraction(low)) / whole
    return share


class _Claims:
    """The rows of one cell, and which of them a leaf must hold."""

    def __init__(self, cell: Cell, graph: Graph) -> None:
        self.graph = graph
        self.groups = [*cell.catastrophe, cell.constraints]
        self.starts = np.cumsum([0, *(len(group) for group in self.groups)])
        flat = [row for group in self.groups for row in group]
        self.strict = np.array([row.strict for row in flat])
        self.rows = _rows(flat, graph)

    def failures(self, batch: list[Leaf]) -> Iterator[tuple[Leaf, str]]:
        """The leaves of the batch whose claim the recomputed bounds do not prove."""
        well_formed = []
        for leaf in batch:
            if self._indices(leaf) is None:
                yield leaf, "it names a constraint that does not exist"
            else:
                well_formed.append(leaf)
        if not well_formed:
            return
        lower = np.array([leaf.lower for leaf in well_formed])
        upper = np.array([leaf.upper for leaf in well_formed])
        margin = Bounds(self.graph, lower, upper).minimum(self.rows)
        holds = np.where(self.strict, margin >= 0, margin > 0)
        for leaf, held, found in zip(well_formed, holds, margin, strict=True):
            chosen = self._indices(leaf)
            if not held[chosen].all():
                worst = float(np.min(found[chosen]))
                yield leaf, f"its bound does not prove it (margin {worst:.3g})"

    def _indices(self, leaf: Leaf) -> list[int] | None:
        first = len(self.groups) - 1 if leaf.rule is Rule.EMPTY else 0
        indices = []
        for offset, choice in enumerate(leaf.choices):
            if choice >= len(self.groups[first + offset]):
                return None
            indices.append(int(self.starts[first + offset]) + choice)
        return indices


def _rows(constraints: list[LinearConstraint], graph: Graph) -> Rows:
    """Constraints as float rows whose minimum must be positive for them to fail everywhere."""
    sides = []
    for size, side in ((graph.input_size, "inputs"), (graph.output_size, "outputs")):
        centre, off = np.zeros((len(constraints), size)), np.zeros((len(constraints), size))
        for row, item in enumerate(constraints):
            terms = getattr(item, side)
            if terms:
                index = [i for i, _ in terms]
                centre[row, index], off[row, index] = nearest([c for _, c in terms])
        sides += [centre, off]
    bound = np.array([above(item.bound) for item in constraints])
    return Rows(sides[0], sides[1], sides[2], sides[3], bound)
