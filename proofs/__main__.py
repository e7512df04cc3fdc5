"""``python -m absint.proofs``: the checker alone, on a certificate and a lowered graph.

It reads no model and no spec: the problem is the one that the certificate holds, and the graph is
the file that ``absint inspect --graph`` wrote. ``absint check`` ties both to the original files.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from absint.ir import GraphFormatError, from_bytes
from absint.proofs.check import check
from absint.proofs.format import Certificate, CertificateError

ACCEPTED, REJECTED, WRONG, INCOMPLETE = 0, 1, 2, 3


def main(arguments: list[str] | None = None) -> int:
    """Checks, prints one line, and returns the exit code; anything but acceptance is not zero."""
    parser = argparse.ArgumentParser(prog="python -m absint.proofs", description=__doc__)
    parser.add_argument("certificate", type=Path)
    parser.add_argument("--graph", type=Path, required=True, help="the lowered graph's file")
    parser.add_argument("--jobs", type=int, default=1, help="how many cores to use")
    given = parser.parse_args(arguments)
    try:
        data, graph = given.certificate.read_bytes(), from_bytes(given.graph.read_bytes())
    except (OSError, GraphFormatError) as error:
        print(f"cannot be read: {error}", file=sys.stderr)
        return WRONG
    try:
        certificate = Certificate.from_bytes(data)
        report = check(certificate, graph, jobs=max(1, given.jobs))
    except CertificateError as error:
        print(f"rejected: {error}")
        return REJECTED
    tie = "graph not tied to a model file, problem not tied to a spec"
    if report.accepted:
        print(f"accepted: {certificate.problem.name}: all {report.leaves} leaves hold ({tie})")
        return ACCEPTED
    if report.rejected:
        print(f"rejected: {len(report.rejected)} of {report.leaves} leaves do not hold ({tie})")
        return REJECTED
    print(f"incomplete: {report.open_leaves} of {report.leaves} leaves are open ({tie})")
    return INCOMPLETE


if __name__ == "__main__":
    sys.exit(main())
