"""Search and check of the VNN-COMP sets side by side: CPU time, leaves, bytes, and what float32
costs.

``python benchmarks/run.py ratio``. Instances are drawn with a seed, and tried in that order until
enough of a set are verified in real arithmetic. Each runs in a process of its own and is written
down as it ends, so that a run goes on where the last one was cut off.
"""

from __future__ import annotations

import csv
import json
import random
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields

from absint import api
from absint.problem.problem import Meaning
from absint.proofs.check import check
from absint.proofs.format import Certificate
from absint.search.options import SearchOptions
from benchmarks.measure import ROOT, conditions, run
from benchmarks.vnncomp import SETS, instances

RESULTS = ROOT / "benchmarks" / "results"
TABLE = RESULTS / "check_sets.csv"
ENOUGH, TRIES, TIMEOUT, GRACE = 5, 10, 20.0, 60.0
HEAD = "## Search and check"
ABOUT = (
    f"Up to {TRIES} instances a set, drawn with a seed, of those not known to be falsified, "
    f"{TIMEOUT:.0f} s each, until {ENOUGH} are verified in real arithmetic. Sums of CPU seconds "
    "over those verified: the search with the attack before it, and the check of the certificate. "
    "*Float32*: what search and check of the same instances cost relative to real arithmetic where "
    "both verify, and how many are lost.",
)
TITLES = (
    "| set | verified / tried | search | check | check / search | leaves | bytes a leaf | float32: "
    "cost | lost |",
    "|---|---:|---:|---:|---:|---:|---:|---:|---:|",
)


@dataclass(frozen=True)
class Row:
    """One instance under one meaning. Seconds of CPU; ``check`` is that of a check of its own."""

    set: str
    model: str
    property: str
    semantics: str
    verdict: str
    search: float = 0.0
    check: float = 0.0
    leaves: int = 0
    bytes: int = 0


def key(row: Row) -> tuple[str, str, str, str]:
    """What a row is about: set, model, property, semantics."""
    return row.set, row.model, row.property, row.semantics


def one(model: str, region: str, meaning: Meaning) -> dict[str, object]:
    """Verifies one property, and checks its certificate once more."""
    task = api.load(model, region, semantics=meaning)
    started = time.process_time()
    (result,) = api.verify_each(task, SearchOptions(timeout=TIMEOUT))
    spent = time.process_time() - started
    facts: dict[str, object] = {"verdict": result.verdict.value}
    if result.verdict.value != "verified" or result.certificate is None:
        return facts | {"search": spent}
    started = time.process_time()
    certificate = Certificate.from_bytes(result.certificate)
    report = check(certificate, task.model.graph, result.problem)
    again = time.process_time() - started
    if not report.accepted:
        raise RuntimeError(f"{region}: verified, but not accepted")
    size = sum(map(len, certificate.proofs))
    return facts | {
        "search": spent - again,
        "check": again,
        "leaves": report.leaves,
        "bytes": size,
    }


def bench() -> None:
    """Measures what is not in the table yet, and writes results/check.md."""
    known = {key(row): row for row in _read()}
    for name in sorted(path.name for path in SETS.iterdir() if path.is_dir()):
        verified = 0
        for model, prop in _drawn(name):
            if verified == ENOUGH:
                break
            if _measured(known, name, model, prop, "real").verdict == "verified":
                verified += 1
                _measured(known, name, model, prop, "float32")
    write(list(known.values()))


def _drawn(name: str) -> list[tuple[str, str]]:
    listed = [(m, p) for m, p, _, expected in instances(name) if expected in ("unsat", "unknown")]
    random.Random(5).shuffle(listed)
    return listed[:TRIES]


def _measured(
    known: dict[tuple[str, str, str, str], Row], name: str, model: str, prop: str, meaning: Meaning
) -> Row:
    asked = (name, model, prop, meaning)
    if asked not in known:
        files = [str(SETS / name / part) for part in (model, prop)]
        command = [sys.executable, "-m", "benchmarks.ratio", *files, meaning]
        done = run(command, TIMEOUT + GRACE)
        facts = json.loads(done.out) if done.code == 0 else {"verdict": f"error {done.code}"}
        known[asked] = Row(*asked, **facts)
        with TABLE.open("a", newline="") as file:
            writer = csv.DictWriter(file, [f.name for f in fields(Row)])
            if not file.tell():
                writer.writeheader()
            writer.writerow(asdict(known[asked]))
    return known[asked]


def _read() -> list[Row]:
    if not TABLE.exists():
        return []
    with TABLE.open() as file:
        return [
            Row(
                row["set"],
                row["model"],
                row["property"],
                row["semantics"],
                row["verdict"],
                float(row["search"]),
                float(row["check"]),
                int(row["leaves"]),
                int(row["bytes"]),
            )
            for row in csv.DictReader(file)
        ]


def write(rows: Sequence[Row]) -> None:
    """Puts the table of the sets into results/check.md."""
    lines = [HEAD, "", *conditions("python benchmarks/run.py ratio"), "", *ABOUT, "", *TITLES]
    ratios = []
    for name in sorted({row.set for row in rows}):
        real = [row for row in rows if row.set == name and row.semantics == "real"]
        good = [row for row in real if row.verdict == "verified"]
        if not good:
            lines.append(f"| {name} | 0 / {len(real)} | | | | | | | |")
            continue
        ratios.append(sum(r.check for r in good) / sum(r.search for r in good))
        lines.append(_line(name, real, good, [r for r in rows if r.semantics == "float32"]))
    lines += ["", f"Median of the sets' ratios: {statistics.median(ratios):.2f}.", ""]
    replace_section(HEAD, lines)


def _line(name: str, real: list[Row], good: list[Row], single: list[Row]) -> str:
    search, check = sum(r.search for r in good), sum(r.check for r in good)
    leaves = sum(r.leaves for r in good)
    of = {key(row)[:3]: row for row in single}
    pairs = [(r, of[key(r)[:3]]) for r in good if key(r)[:3] in of]
    both = [(r, s) for r, s in pairs if s.verdict == "verified"]
    spent = sum(r.search + r.check for r, _ in both)
    cost = f"{sum(s.search + s.check for _, s in both) / spent:.2f}" if both else ""
    size = sum(r.bytes for r in good) / leaves
    return (
        f"| {name} | {len(good)} / {len(real)} | {search:.2f} | {check:.2f} | {check / search:.2f} "
        f"| {leaves} | {size:.1f} | {cost} | {len(pairs) - len(both)} of {len(pairs)} |"
    )


def replace_section(head: str, lines: list[str]) -> None:
    """Writes a section of results/check.md, and leaves the others as they are."""
    path = RESULTS / "check.md"
    text = path.read_text() if path.exists() else "# The checker\n\n"
    before, _, rest = text.partition(head)
    after = rest[rest.index("\n## ") + 1 :] if "\n## " in rest else ""
    path.write_text(
        before.rstrip()
        + "\n\n"
        + "\n".join(lines).rstrip()
        + "\n"
        + ("\n" + after if after else "")
    )


if __name__ == "__main__":
    print(json.dumps(one(sys.argv[1], sys.argv[2], "real" if sys.argv[3] == "real" else "float32")))
