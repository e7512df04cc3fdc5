"""What became of another tool's list of boxes, for people and machines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from absint.report.check import open_share
from absint.report.document import dumps
from absint.report.words import count, share
from absint.search.listed import Confirmation

SHOWN = 5


def show(
    style: str,
    path: Path,
    found: Confirmation,
    kept: Path | None,
    seconds: float,
    exit_code: int,
) -> None:
    """Prints how many boxes were confirmed, and whether they cover the region."""
    if style == "json":
        print(dumps(_facts(path, found, kept, seconds, exit_code)))
        return
    report, confirmed = found.report, _confirmed(found)
    print(f"{path}: {report.name}: {confirmed} of {_listed(found)} confirmed")
    for number in found.refused[:SHOWN]:
        name = f"{'box' if found.boxes else 'leaf'} {number + 1}"
        print(f"  {name} is not: the bounds recomputed here do not prove it")
    if found.outside:
        print(f"  {count(found.outside, 'box lies', 'boxes lie')} outside of the region")
    left = open_share(report)
    cover = "they cover the region" if not left else f"{share(left)} of the region is in none"
    result = {0: "accepted", 1: "not confirmed", 3: "incomplete"}[exit_code]
    print(f"  {result}: {cover} ({count(report.leaves, 'leaf', 'leaves')}, {seconds:.2f} s)")
    if kept is not None:
        print(f"  certificate: {kept}")


def _listed(found: Confirmation) -> str:
    return count(found.listed, *(("box", "boxes") if found.boxes else ("leaf", "leaves")))


def _confirmed(found: Confirmation) -> int:
    return found.listed - len(found.refused) - found.outside


def _facts(
    path: Path, found: Confirmation, kept: Path | None, seconds: float, exit_code: int
) -> dict[str, Any]:
    return {
        "leaves": str(path),
        "property": found.report.name,
        "exit_code": exit_code,
        "listed": found.listed,
        "confirmed": _confirmed(found),
        "not_confirmed": [number + 1 for number in found.refused],
        "outside": found.outside,
        "open_share": [str(part) for part in found.report.open_share],
        "certificate": None if kept is None else str(kept),
        "seconds": round(seconds, 3),
    }
