"""``python -m absint.proofs``: the checker alone, on a certificate and a lowered graph.

It reads no model and no spec: the problem is the one that the certificate holds, and the graph is
the file that ``absint inspect --graph`` wrote (several where prompts have several lengths).
``absint check`` ties both to the original files.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from absint.ir import Graph, GraphFormatError, from_bytes
from absint.problem.decode import DecodeProblem
from absint.proofs.check import check
from absint.proofs.decode.check import check_decode
from absint.proofs.format import Certificate, CertificateError

ACCEPTED, REJECTED, WRONG, INCOMPLETE = 0, 1, 2, 3


def main(arguments: list[str] | None = None) -> int:
    """Checks, prints one line, and returns the exit code; anything but acceptance is not zero."""
    parser = argparse.ArgumentParser(prog="python -m absint.proofs", description=__doc__)
    parser.add_argument("certificate", type=Path)
    parser.add_argument(
        "--graph",
        type=Path,
        required=True,
        action="append",
        help="the lowered graph's file; of a network that decodes one for each length of prompt",
    )
    parser.add_argument("--jobs", type=int, default=1, help="how many cores to use")
    given = parser.parse_args(arguments)
    try:
        data = given.certificate.read_bytes()
        graphs = [from_bytes(path.read_bytes()) for path in given.graph]
    except (OSError, GraphFormatError) as error:
        print(f"cannot be read: {error}", file=sys.stderr)
        return WRONG
    try:
        certificate = Certificate.from_bytes(data)
        found = _check(certificate, graphs, max(1, given.jobs))
    except CertificateError as error:
        print(f"rejected: {error}")
        return REJECTED
    tie = "graph not tied to a model file, problem not tied to a spec"
    print(f"{found.said} ({tie})")
    return found.code


@dataclass(frozen=True)
class _Found:
    code: int
    said: str


def _check(certificate: Certificate, graphs: Sequence[Graph], jobs: int) -> _Found:
    """Raises CertificateError."""
    name = certificate.problem.name
    if isinstance(certificate.problem, DecodeProblem):
        by_length = {len(g.inputs) - len(g.outputs) + 1: g for g in graphs}
        decoded = check_decode(certificate, by_length, jobs=jobs)
        if decoded.accepted:
            return _Found(ACCEPTED, f"accepted: {name}: {decoded.cases} cases hold")
        if decoded.rejected:
            count = len(decoded.rejected)
            return _Found(REJECTED, f"rejected: {count} of {decoded.cases} cases do not hold")
        return _Found(INCOMPLETE, f"incomplete: {name}: {decoded.open_count} prompts are open")
    if len(graphs) != 1:
        raise CertificateError("the certificate is about one graph")
    report = check(certificate, graphs[0], jobs=jobs)
    if report.accepted:
        return _Found(ACCEPTED, f"accepted: {name}: all {report.leaves} leaves hold")
    if report.rejected:
        count = len(report.rejected)
        return _Found(REJECTED, f"rejected: {count} of {report.leaves} leaves do not hold")
    return _Found(
        INCOMPLETE, f"incomplete: {report.open_leaves} of {report.leaves} leaves are open"
    )


if __name__ == "__main__":
    sys.exit(main())
