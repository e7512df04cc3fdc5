"""The checker's report on a decoding proof, for people and machines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from absint.problem.decode import DecodeProblem
from absint.proofs.decode.check import DecodeReport
from absint.proofs.format import Certificate
from absint.report.decoding import counts, words
from absint.report.document import dumps
from absint.report.words import count

SHOWN = 5


def show(
    style: str,
    path: Path,
    certificate: bytes,
    report: DecodeReport,
    seconds: float,
    exit_code: int,
) -> None:
    """Prints what the checker found of a certificate about a network that decodes."""
    problem = Certificate.from_bytes(certificate).problem
    assert isinstance(problem, DecodeProblem)
    if style == "json":
        print(dumps(_facts(path, problem, report, seconds, exit_code)))
        return
    print(f"{path}: {_outcome(problem, report, seconds)}")
    for item in report.rejected[:SHOWN]:
        print(f"  cell {item.cell}, step {item.leaf}: {item.reason}")
    if not report.accepted and not report.rejected:
        for prompt in counts.first(counts.still_open(report), SHOWN):
            print(f"  open: {words.text(problem.vocabulary, prompt)}")


def _outcome(problem: DecodeProblem, report: DecodeReport, seconds: float) -> str:
    total = counts.words(counts.of_problem(problem), counts.product(problem))
    cases = count(report.cases, "abstract case")
    if report.accepted:
        runs = f" and {count(report.runs, 'text')} one by one" if report.runs else ""
        return f"accepted: {report.name}: {cases}{runs} hold and cover {total} ({seconds:.2f} s)"
    if report.rejected:
        return f"rejected: {report.name}: {len(report.rejected)} of {cases} do not hold"
    held = counts.certified(problem, counts.still_open(report))
    return f"incomplete: {report.name}: {cases} hold; {held} ({seconds:.2f} s)"


def _facts(
    path: Path, problem: DecodeProblem, report: DecodeReport, seconds: float, exit_code: int
) -> dict[str, Any]:
    found = counts.still_open(report)
    left, total = sum(one.count for one in found), counts.of_problem(problem)
    return {
        "certificate": str(path),
        "property": report.name,
        "exit_code": exit_code,
        "result": {0: "accepted", 1: "rejected", 3: "incomplete"}[exit_code],
        "error": None,
        "steps": report.steps,
        "cases": report.cases,
        "runs": report.runs,
        "prompts": counts.digits(total),
        "certified_prompts": None if report.rejected else counts.digits(max(0, total - left)),
        "open_prompts": counts.digits(left),
        "rejected": [{"cell": r.cell, "step": r.leaf, "reason": r.reason} for r in report.rejected],
        "seconds": round(seconds, 3),
    }
