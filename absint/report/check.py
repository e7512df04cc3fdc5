"""The checker's report, for people and machines."""

from __future__ import annotations

import json
from pathlib import Path

from absint.proofs.check import CheckReport

SHOWN = 5


def show(style: str, path: Path, report: CheckReport | None, error: str, seconds: float) -> None:
    """Prints what the checker found; ``report`` is None where it could not start, by ``error``."""
    if style == "json":
        print(json.dumps(_facts(path, report, error, seconds), indent=2))
    elif report is None:
        print(f"{path}: rejected: {error}")
    elif report.accepted:
        print(f"{path}: accepted: all {report.leaves} leaves hold and cover the region "
              f"({seconds:.2f} s)")  # fmt: skip
    elif report.rejected:
        print(f"{path}: rejected: {len(report.rejected)} of {report.leaves} leaves do not hold")
        for item in report.rejected[:SHOWN]:
            print(f"  cell {item.cell}, leaf {item.leaf}: {item.reason}")
    else:
        share = float(sum(report.open_share) / len(report.open_share))
        print(f"{path}: incomplete: what is proved holds, but {share:.3%} of the region is open "
              f"({report.open_leaves} of {report.leaves} leaves)")  # fmt: skip


def _facts(path: Path, report: CheckReport | None, error: str, seconds: float) -> dict[str, object]:
    verdict = "rejected"
    if report is not None:
        verdict = "accepted" if report.accepted else "rejected" if report.rejected else "incomplete"
    rejected = report.rejected if report is not None else []
    return {
        "certificate": str(path),
        "result": verdict,
        "error": error,
        "leaves": report.leaves if report is not None else 0,
        "open_leaves": report.open_leaves if report is not None else 0,
        "open_share": [str(s) for s in report.open_share] if report is not None else [],
        "rejected": [{"cell": r.cell, "leaf": r.leaf, "reason": r.reason} for r in rejected],
        "seconds": round(seconds, 3),
    }
