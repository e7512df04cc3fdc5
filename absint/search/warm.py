"""Proving a changed network from the proof of the one before it.

The old proof's splits and leaves are checked for the new network first. What holds stays as it is;
what does not is given to the search as open work. The result is a whole certificate of the new
network, in which nothing is taken over on trust.
"""

from __future__ import annotations

import time
from dataclasses import replace

from absint.ir import Graph
from absint.ir import digest as graph_digest
from absint.problem import InputError, Problem
from absint.proofs.check import CheckReport, check
from absint.proofs.format import Certificate, CertificateError
from absint.proofs.stream import Arity
from absint.search.attack import Runtime
from absint.search.farm import Crew
from absint.search.options import SearchOptions
from absint.search.prove import Binding, prove
from absint.search.result import Effort, Result, Verdict
from absint.search.tree import Tree


def prove_from(
    earlier: Certificate,
    graph: Graph,
    problem: Problem,
    binding: Binding,
    runtime: Runtime,
    options: SearchOptions,
    crew: Crew | None = None,
) -> Result:
    """``prove``, from a certificate that may be of another network, spec or meaning.

    Raises InputError as ``prove`` does, and where the certificate's proofs do not fit: their splits
    are of dimensions, boxes or neurons that are not there.
    """
    started = time.monotonic()
    claim = Certificate(binding.model, binding.spec, graph_digest(graph), problem, earlier.proofs)
    try:
        report = check(claim, graph, problem, jobs=options.jobs)
        trees = [_opened(claim, graph, problem, report, i) for i in range(len(problem.cells))]
    except CertificateError as error:
        raise InputError(f"{problem.name}: cannot be started from: {error}") from error
    seconds = time.monotonic() - started
    if report.accepted:
        return Result(
            problem,
            Verdict.VERIFIED,
            Effort(0.0, seconds, sum(len(tree.rules) for tree in trees)),
            certificate=claim.to_bytes(),
            coverage=report,
            check=report,
        )
    opened = replace(claim, proofs=tuple(tree.stream() for tree in trees))
    left = replace(options, timeout=max(0.0, options.timeout - seconds))
    mostly = 2 * len(report.rejected) < report.leaves  # then a counterexample is not likely
    result = prove(graph, problem, binding, runtime, left, opened, not mostly, crew)
    effort = replace(result.effort, check_seconds=result.effort.check_seconds + seconds)
    return replace(result, effort=effort)


def _opened(
    claim: Certificate, graph: Graph, problem: Problem, report: CheckReport, index: int
) -> Tree:
    """A cell's tree, with the leaves that the checker refused open."""
    tree = Tree.from_stream(claim.proofs[index], Arity.of(problem.cells[index], graph))
    numbers = tree.leaves()
    for item in report.rejected:
        if item.cell == index:
            tree.reopen(numbers[item.leaf])
    return tree
