"""The checker's report, for people and machines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from absint.proofs.check import CheckReport
from absint.proofs.exact.check import ExactReport
from absint.report.document import dumps
from absint.report.words import count, meaning, share

SHOWN = 5


def show(
    style: str,
    path: Path,
    report: CheckReport | None,
    error: str,
    seconds: float,
    exit_code: int,
    exact: ExactReport | None = None,
) -> None:
    """Prints what the checker found; ``report`` is None where it could not start, by ``error``.

    ``exact`` is what came of leaves that were computed once more in rationals, all of which hold.
    """
    if style == "json":
        again = None if exact is None else {"leaves": exact.leaves, "checked": exact.checked}
        print(dumps(_facts(path, report, error, seconds, exit_code) | {"exact": again}))
    elif report is None:
        print(f"{path}: rejected: {error}")
    else:
        print(f"{path}: {_outcome(report, seconds)}")
        for item in report.rejected[:SHOWN]:
            print(f"  cell {item.cell}, leaf {item.leaf}: {item.reason}")
        if exact is not None:
            print(
                f"  again in rationals: {exact.checked} of {exact.leaves} closed leaves, all hold"
            )


def _outcome(report: CheckReport, seconds: float) -> str:
    name, total = report.name, count(report.leaves, "leaf", "leaves")
    if report.accepted:
        holds = "its only leaf holds" if report.leaves == 1 else f"all {total} hold"
        cover = "covers" if report.leaves == 1 else "cover"
        outcome = f"accepted: {name}: {holds} and {cover} the region"
        return f"{outcome}, {meaning(report.contract)} ({seconds:.2f} s)"
    if report.rejected:
        failed = len(report.rejected)
        return f"rejected: {name}: {failed} of {total} {'does' if failed == 1 else 'do'} not hold"
    bound = "at most " if report.at_most else ""
    return (
        f"incomplete: {name}: what is proved holds, but {bound}{share(open_share(report))} of the "
        f"region is open ({report.open_leaves} of {total})"
    )


def open_share(report: CheckReport) -> float:
    """The mean share of the cells' volume that is open."""
    return float(sum(report.open_share) / len(report.open_share))


def _facts(
    path: Path, report: CheckReport | None, error: str, seconds: float, exit_code: int
) -> dict[str, Any]:
    result = "rejected"
    if report is not None:
        result = "accepted" if report.accepted else "rejected" if report.rejected else "incomplete"
    rejected = report.rejected if report is not None else []
    return {
        "certificate": str(path),
        "property": report.name if report is not None else None,
        "exit_code": exit_code,
        "result": result,
        "error": error or None,
        "leaves": report.leaves if report is not None else 0,
        "open_leaves": report.open_leaves if report is not None else 0,
        "open_share": [str(s) for s in report.open_share] if report is not None else [],
        "open_share_exact": report is None or not report.at_most,
        "rejected": [{"cell": r.cell, "leaf": r.leaf, "reason": r.reason} for r in rejected],
        "seconds": round(seconds, 3),
    }
