"""One property from start to verdict: attack, branch and bound, certificate, independent check.

The search proposes and the checker disposes: ``verified`` is returned here only, and only where
``CheckReport.accepted`` holds for the bytes that the result carries.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from absint.domains.arrays import Arrays, numpy_arrays, torch_arrays
from absint.ir import Graph
from absint.ir import digest as graph_digest
from absint.problem import InputError, Problem
from absint.proofs.arithmetic import keep_freed_memory
from absint.proofs.bounds import Bounds
from absint.proofs.check import CheckReport, check
from absint.proofs.coverage import survey
from absint.proofs.format import Certificate, CertificateError
from absint.proofs.regions import Boxes
from absint.proofs.rows import float_rows
from absint.proofs.stream import Arity
from absint.search.attack import Counterexample, Runtime
from absint.search.cell import CellProof
from absint.search.confirm import RealArithmetic, real_arithmetic
from absint.search.farm import Crew, farm_out
from absint.search.options import Deadline, SearchOptions
from absint.search.result import Effort, Result, Verdict
from absint.search.tree import Tree

SLICE = 1.0
"""Seconds of search between two looks at how long the check of what is closed will take."""
ATTACK_SHARE = 0.5
"""The part of the time that the attacks before any proof may take."""
SAMPLES = (8, 64)
"""Boxes on which the checker's speed is measured; the last are one of its batches."""
MEASURING = 2.0
"""Seconds that measuring it may take."""


@dataclass(frozen=True)
class Binding:
    """The digests (SHA-256, hexadecimal) of the files that a certificate speaks for."""

    model: str
    spec: str


def prove(
    graph: Graph,
    problem: Problem,
    binding: Binding,
    runtime: Runtime,
    options: SearchOptions,
    resume: Certificate | None = None,
    attack_first: bool = True,
    crew: Crew | None = None,
) -> Result:
    """Verifies one property within ``options.timeout`` seconds, its check included.

    What is not soon proved here is given to the ``crew``, if there is one.
    ``resume``: a certificate of the same graph and problem whose open leaves are worked on. Points
    of open sets are tried on the way, also without ``attack_first`` over whole cells.
    Raises InputError for a device that is not there, or a certificate of something else.
    """
    keep_freed_memory()
    started, arrays = time.monotonic(), arrays_of(options)
    cells = [
        CellProof(graph, problem, index, arrays, runtime, options, tree)
        for index, tree in enumerate(_trees(resume, graph, problem))
    ]
    proof = _Proof(graph, problem, binding, options, cells, crew, started)
    found = (proof.attack() if attack_first else None) or proof.branch()
    while found is None and not proof.open_leaves():
        proof.merge()
        certificate, report = proof.check()
        if report is None:
            break
        if report.accepted or not report.rejected:
            return proof.checked(certificate, report)
        proof.reopen(report)
        found = proof.branch()
    return proof.unknown() if found is None else proof.refuted(found)


class _StoppedError(Exception):
    """Somebody asked for an end during the check."""


@dataclass
class _Proof:
    """The searches of a property's cells, and the clock that they share with the check."""

    graph: Graph
    problem: Problem
    binding: Binding
    options: SearchOptions
    cells: Sequence[CellProof]
    crew: Crew | None
    started: float
    check_seconds: float = 0.0
    leaf_seconds: float | None = None

    def left(self) -> float:
        if self.options.stop():
            return 0.0
        return self.started + self.options.timeout - time.monotonic()

    def attack(self) -> Counterexample | None:
        """Tries the cells before any proof; where there are many, half the time is for proofs."""
        reserve = self.left() * (1 - ATTACK_SHARE)
        for cell in self.cells:
            if self.left() <= reserve:
                return None
            if (found := cell.falsify()) is not None:
                return found
        return None

    def branch(self) -> Counterexample | None:
        """Works on the cells in turn, leaving time for the check of what is closed."""
        for cell in self.cells:
            while cell.unfinished():
                left = self.left() - self._check_estimate(cell)
                before = cell.batches
                found = cell.run(Deadline.after(min(SLICE, left)))
                if found is None and self.crew is not None and cell.unfinished():
                    found = self._farm_out(cell, self.crew)
                if found is not None:
                    return found
                if cell.batches == before or (self.crew is not None and cell.unfinished()):
                    return None  # out of time or memory
        return None

    def _farm_out(self, cell: CellProof, crew: Crew) -> Counterexample | None:
        done, boxes = cell.closed_leaves(), cell.checks()
        each = boxes / max(1, done)

        def left(closed: int) -> float:
            return self.left() - self._check_estimate(cell, (closed - done) * each)

        return farm_out(cell, crew, left)

    def open_leaves(self) -> int:
        return sum(cell.open_leaves() for cell in self.cells)

    def merge(self) -> None:
        """Makes the cells' proofs smaller, where there is time for it."""
        for cell in self.cells:
            if self.left() > (time.monotonic() - self.started) / 2:
                cell.merge()

    def check(self) -> tuple[Certificate, CheckReport | None]:
        """The whole proof and what the checker says; None where it was asked to stop."""
        started, certificate = time.monotonic(), self._certificate()
        try:
            jobs = self.options.jobs
            return certificate, check(certificate, self.graph, self.problem, self._watch, jobs)
        except _StoppedError:
            return certificate, None
        finally:
            self.check_seconds += time.monotonic() - started

    def _watch(self, leaves: int) -> None:
        if self.options.stop():
            raise _StoppedError

    def _certificate(self) -> Certificate:
        return Certificate(
            self.binding.model,
            self.binding.spec,
            graph_digest(self.graph),
            self.problem,
            tuple(cell.tree.stream() for cell in self.cells),
        )

    def reopen(self, report: CheckReport) -> None:
        """Gives leaves that the checker turned down back to the search."""
        for index, cell in enumerate(self.cells):
            rejected = [item.leaf for item in report.rejected if item.cell == index]
            if rejected:
                cell.reopen(rejected)

    def checked(self, certificate: Certificate, report: CheckReport) -> Result:
        return Result(
            self.problem,
            Verdict.VERIFIED if report.accepted else Verdict.UNKNOWN,
            self._effort(),
            certificate=certificate.to_bytes(),
            coverage=report,
            check=report,
        )

    def unknown(self) -> Result:
        certificate = self._certificate()
        return Result(
            self.problem,
            Verdict.UNKNOWN,
            self._effort(),
            certificate=certificate.to_bytes(),
            coverage=survey(certificate, self.graph),
            reason=self._reason(),
        )

    def refuted(self, found: Counterexample) -> Result:
        return Result(self.problem, Verdict.FALSIFIED, self._effort(), counterexample=found)

    def _effort(self) -> Effort:
        total = time.monotonic() - self.started
        nodes = sum(len(cell.tree.rules) for cell in self.cells)
        return Effort(total - self.check_seconds, self.check_seconds, nodes)

    def _reason(self) -> str:
        lowest = min(cell.lowest() for cell in self.cells)
        bound = f"the loosest bound misses by {-lowest:.3g}" if -math.inf < lowest < 0 else ""
        parts = [bound]
        if self.options.stop():
            parts.insert(0, "interrupted")
        elif any(cell.short_of_memory() for cell in self.cells):
            parts.insert(0, "out of memory")
        elif any(cell.unfinished() for cell in self.cells):
            limit = f"{self.options.timeout:.4g} s, the check's share included"
            parts.insert(0, f"out of time ({limit})")
        if any(cell.stuck for cell in self.cells):
            parts.append("some boxes are too small to split")
        parts += sorted({cell.trouble for cell in self.cells})
        parts.append(self._not_reproduced())
        return "; ".join(part for part in parts if part)

    def _not_reproduced(self) -> str:
        """What is to be said of points that the search's arithmetic takes for catastrophic."""
        found = {
            real_arithmetic(self.problem.cells[cell.index], self.graph, cell.attack.nearest)
            for cell in self.cells
            if cell.attack.near <= 0 and cell.attack.nearest is not None
        }
        if RealArithmetic.AGREES in found:
            return "violated in real arithmetic, not reproduced on the runtime"
        if RealArithmetic.UNDECIDED in found:
            return "some points are too near to the catastrophe to tell"
        return ""

    def _check_estimate(self, cell: CellProof, more: float = 0.0) -> float:
        """Seconds that the check of all closed leaves, and of so many boxes more, will take, from a
        measured sample."""
        if time.monotonic() - self.started < SLICE:
            return 0.0
        if self.leaf_seconds is None:
            self.leaf_seconds = self._measure(cell)
        boxes = (more + sum(cell.checks() for cell in self.cells)) / self.options.jobs
        if boxes * self.leaf_seconds >= self.left():  # a busy moment is no reason to end
            self.leaf_seconds = min(self.leaf_seconds, self._measure(cell))
        return boxes * self.leaf_seconds

    def _measure(self, cell: CellProof) -> float:
        """Seconds a box, in batches as large as are quickly bounded: one alone costs far more."""
        each = min(self._bound(cell, 1), self._bound(cell, 1))
        for size in SAMPLES:
            if each * size > MEASURING:
                break
            each = min(each, self._bound(cell, size) / size)
        return each

    def _bound(self, cell: CellProof, size: int) -> float:
        """Seconds that the checker takes to bound ``size`` open boxes (some twice where fewer)."""
        shape = (size, self.graph.input_size)
        lower, upper = (np.resize(e, shape) for e in cell.some_boxes())
        started = time.perf_counter()
        rows, _ = float_rows(self.problem.cells[cell.index], self.graph)
        contract = self.problem.semantics.contract
        Bounds(self.graph, Boxes(self.graph, lower, upper), contract).minimum(rows)
        return time.perf_counter() - started


def arrays_of(options: SearchOptions) -> Arrays:
    """What bounds are computed with. Raises InputError for a device that is not there."""
    if options.device == "cpu":
        return numpy_arrays()
    try:
        return torch_arrays(options.device)
    except ValueError as error:
        raise InputError(str(error)) from error


def _trees(resume: Certificate | None, graph: Graph, problem: Problem) -> list[Tree | None]:
    if resume is None:
        return [None] * len(problem.cells)
    if resume.graph != graph_digest(graph) or resume.problem != problem:
        raise InputError(f"{problem.name}: the certificate to resume is of another proof")
    try:
        return [
            Tree.from_stream(stream, Arity.of(cell, graph))
            for stream, cell in zip(resume.proofs, problem.cells, strict=True)
        ]
    except CertificateError as error:
        raise InputError(f"{problem.name}: cannot be resumed: {error}") from error
