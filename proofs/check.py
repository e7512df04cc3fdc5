"""The checker: walks a certificate's proofs and recomputes every bound. Accepts nothing by default.

It trusts nothing that the search wrote. What it trusts: this package, ``absint.ir`` and
``absint.problem``; that the graph is the model's and the problem the spec's is for the caller to
establish (``absint check --model --region`` re-lowers both and compares digests).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TypeVar

from absint.ir import Graph
from absint.ir import digest as graph_digest
from absint.problem import Cell, Problem, to_json
from absint.problem.contract import Contract
from absint.proofs.arithmetic import MAX_TERMS, FloatArray, keep_freed_memory
from absint.proofs.blocks import batches
from absint.proofs.claims import Claims
from absint.proofs.coverage import Coverage, root_box
from absint.proofs.format import Certificate, CertificateError
from absint.proofs.leaves import leaves
from absint.proofs.stream import Arity
from absint.proofs.transformers.affine import AFFINE_OPS
from absint.proofs.transformers.joint import JOINT_OPS
from absint.proofs.transformers.rounding import uncovered
from absint.proofs.transformers.univariate import UNIVARIATE_OPS

KNOWN_OPS = {"input"} | AFFINE_OPS | JOINT_OPS | set(UNIVARIATE_OPS)
BATCH = 64
BATCH_ELEMENTS = 1 << 21
"""Boxes that are bounded together, and how many values of the widest node these may have."""
LEAVES = 512
LEAF_ELEMENTS = 1 << 15
"""Leaves that are checked together, or as many as boxes where the network is not small."""

Progress = Callable[[int], None]
"""Called with the number of leaves checked so far."""


@dataclass(frozen=True)
class Rejection:
    """A leaf whose bound does not prove what it claims."""

    cell: int
    leaf: int
    reason: str


@dataclass
class CheckReport(Coverage):
    """What the checker found: the coverage, and every leaf that does not hold."""

    rejected: list[Rejection] = field(default_factory=list)
    name: str = ""
    """The property that the certificate is about."""
    contract: Contract | None = None
    """What the claim lets a runtime compute; None: real arithmetic."""

    @property
    def accepted(self) -> bool:
        """The certificate proves its problem: every leaf was visited and holds, none is open."""
        return self.leaves > 0 and not self.rejected and not self.open_leaves


def check(
    certificate: Certificate,
    graph: Graph,
    problem: Problem | None = None,
    progress: Progress | None = None,
    jobs: int = 1,
) -> CheckReport:
    """Checks a certificate against a lowered graph and, where given, the problem it must be about.

    ``jobs`` batches of leaves are checked side by side.

    Raises:
        CertificateError: the certificate is about another graph or problem, is not well-formed, or
            uses an op that the checker has no rule for.
    """
    if certificate.graph != graph_digest(graph):
        raise CertificateError("the certificate is about another network (the graphs differ)")
    claim = certificate.problem
    if not isinstance(claim, Problem):
        raise CertificateError("the certificate is about a decoding network")
    if problem is not None and to_json(problem) != to_json(claim):
        raise CertificateError("the certificate is about another problem (the specs differ)")
    problem = claim
    if len(certificate.proofs) != len(problem.cells):
        raise CertificateError("a certificate holds one proof for each cell of its problem")
    if (problem.input_size, problem.output_size) != (graph.input_size, graph.output_size):
        raise CertificateError("the problem's sizes are not the network's")
    if any(port.dtype != problem.semantics.dtype for port in graph.inputs):
        raise CertificateError("the problem rounds to another type than the network's inputs have")
    for node in graph.nodes:
        if node.op not in KNOWN_OPS:
            raise CertificateError(f"the checker has no rule for {node.op!r}")
    require_contract(graph, problem.semantics.contract)
    if sum(node.size for node in graph.nodes) > MAX_TERMS:
        raise CertificateError("the network is too large for the checker's error bounds")
    keep_freed_memory()
    contract = problem.semantics.contract
    report = CheckReport(name=problem.name, contract=contract)
    for index, cell in enumerate(problem.cells):
        box, proof = root_box(problem, cell), certificate.proofs[index]
        _check_cell(index, cell, box, proof, graph, contract, report, progress, jobs)
    return report


def require_contract(graph: Graph, contract: Contract | None) -> None:
    """Raises CertificateError where the contract, if any, says nothing about some of the graph."""
    if contract is not None and (gaps := uncovered(graph, contract)):
        raise CertificateError(f"semantics float32 does not cover {gaps[0]}")


def _check_cell(
    index: int,
    cell: Cell,
    box: tuple[FloatArray, FloatArray],
    proof: bytes,
    graph: Graph,
    contract: Contract | None,
    report: CheckReport,
    progress: Progress | None,
    jobs: int,
) -> None:
    lower, upper = box
    claims = Claims(cell, graph)
    report.begin_cell()
    stream = leaves(proof, lower.tolist(), upper.tolist(), Arity.of(cell, graph))
    batched = batches(stream, graph, batch_limits(graph), contract)
    for batch, failures in side_by_side(claims.failures, batched, jobs):
        for leaf, reason in failures:
            report.rejected.append(Rejection(index, leaf.ordinal, reason))
        report.add(batch.leaves, lower, upper)
        if progress is not None:
            progress(report.leaves)


def batch_limits(graph: Graph) -> tuple[int, int]:
    """How many leaves are checked together, and over how many boxes at the most."""
    widest = max(node.size for node in graph.nodes)
    boxes = max(1, min(BATCH, BATCH_ELEMENTS // widest))
    return max(boxes, min(LEAVES, LEAF_ELEMENTS // widest)), boxes


Item = TypeVar("Item")
Found = TypeVar("Found")


def side_by_side(
    work: Callable[[Item], Found], items: Iterator[Item], jobs: int
) -> Iterator[tuple[Item, Found]]:
    """Each item with what ``work`` makes of it, in order; no more than ``2 jobs`` are held."""
    waiting: deque[tuple[Item, Future[Found]]] = deque()
    with ThreadPoolExecutor(jobs) as pool:
        for item in items:
            waiting.append((item, pool.submit(work, item)))
            if len(waiting) >= 2 * jobs:
                done, future = waiting.popleft()
                yield done, future.result()
        while waiting:
            done, future = waiting.popleft()
            yield done, future.result()
