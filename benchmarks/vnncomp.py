"""A VNN-COMP set, instance by instance, as a user would run it: verify, then check or replay.

Every command is a fresh process. A verdict counts only with its evidence: a certificate that
``absint check`` accepts, or a counterexample that ``absint replay`` reproduces.
"""

from __future__ import annotations

import csv
import json
import os
import random
import statistics
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from benchmarks.measure import ROOT, conditions, run

SETS = ROOT.parent / "shared" / "vnncomp"
ABSINT = [sys.executable, "-m", "absint"]
GRACE = 30.0


@dataclass(frozen=True)
class Row:
    """One instance. Seconds; ``evidence`` says whether the fresh check or replay confirmed it."""

    model: str
    property: str
    expected: str
    verdict: str
    evidence: str
    wall: float
    cpu: float
    search: float
    check: float
    recheck: float
    leaves: int
    bytes: int
    bytes_a_leaf: float
    peak_mib: float
    reason: str


def instances(name: str) -> list[tuple[str, str, float, str]]:
    """(model, property, timeout, expected) of every row of a set."""
    with (SETS / name / "instances.csv").open() as file:
        return [
            (row["onnx"], row["vnnlib"], float(row["timeout_s"]), row["expected"])
            for row in csv.DictReader(file)
        ]


def drawn(
    items: list[tuple[str, str, float, str]], sample: int, seed: int
) -> list[tuple[str, str, float, str]]:
    """``sample`` of them, drawn with ``seed``, in their order; all of them where it is 0."""
    if not 0 < sample < len(items):
        return items
    return [items[i] for i in sorted(random.Random(seed).sample(range(len(items)), sample))]


def measure(name: str, item: tuple[str, str, float, str], jobs: int) -> Row:
    """Runs one instance of set ``name``."""
    model, prop, timeout, expected = item
    files = [str(SETS / name / model), "--region", str(SETS / name / prop)]
    with tempfile.TemporaryDirectory() as folder:
        cert, found = f"{folder}/proof.cert", f"{folder}/counterexample.npz"
        done = run(
            [*ABSINT, "verify", *files, "--timeout", str(timeout), "--jobs", str(jobs),
             "--certificate", cert, "--counterexample", found, "--format", "json"],
            timeout + GRACE,
        )  # fmt: skip
        verdict, facts = f"error {done.code}", {}
        if done.code in (0, 1, 3):
            facts = json.loads(done.out)["properties"][0]
            verdict = facts["verdict"]
        evidence, recheck = "", 0.0
        if verdict == "verified":
            again = run([*ABSINT, "check", cert, "--model", *files, "--jobs", str(jobs)])
            evidence = "accepted" if again.code == 0 else f"check {again.code}"
            recheck = again.wall
        elif verdict == "falsified":
            again = run([*ABSINT, "replay", found, "--model", *files])
            evidence = "replayed" if again.code == 1 else f"replay {again.code}"
            recheck = again.wall
    proof = facts.get("certificate") or {}
    leaves, size = proof.get("leaves", 0), proof.get("bytes", 0)
    stream = proof.get("proof_bytes", 0)
    reason = facts.get("reason", "") or (done.err.strip().splitlines() or [""])[-1]
    return Row(
        Path(model).stem, Path(prop).stem, expected, verdict, evidence, round(done.wall, 2),
        round(done.cpu, 2), facts.get("search_seconds", 0.0), facts.get("check_seconds", 0.0),
        round(recheck, 2), leaves, size, round(stream / leaves, 1) if leaves else 0.0,
        round(done.peak), reason if verdict not in ("verified", "falsified") else "",
    )  # fmt: skip


def bench(name: str, workers: int, only: str = "", sample: int = 0, seed: int = 1) -> None:
    """Runs a set, printing each row as it ends; writes results/NAME.csv and NAME.md.

    With ``sample`` so many of its instances, drawn with ``seed``, in their order.
    """
    items = drawn([i for i in instances(name) if only in i[0] + i[1]], sample, seed)
    rows: list[Row] = []
    jobs = max(1, len(os.sched_getaffinity(0)) // workers)
    with ThreadPoolExecutor(workers) as pool:
        for row in pool.map(lambda item: measure(name, item, jobs), items):
            rows.append(row)
            print(f"{row.model} {row.property}: {row.verdict} {row.evidence} ({row.expected}) "
                  f"{row.wall:.2f} s {row.reason}", flush=True)  # fmt: skip
    command = f"python benchmarks/run.py {name} --workers {workers}"
    command += f" --sample {sample} --seed {seed}" if sample else ""
    folder = ROOT / "benchmarks" / "results"
    suffix = "-part" if only else "-sample" if sample else ""
    with (folder / f"{name}{suffix}.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(Row)])
        writer.writeheader()
        writer.writerows(asdict(row) for row in rows)
    (folder / f"{name}{suffix}.md").write_text(summary(name, rows, conditions(command)))


def summary(name: str, rows: list[Row], lines: list[str]) -> str:
    """The result of a set in Markdown."""
    says = {"verified": "unsat", "falsified": "sat"}
    decided = [row for row in rows if row.evidence in ("accepted", "replayed")]
    wrong = [r for r in decided if r.expected in says.values() and says[r.verdict] != r.expected]
    proved = [row for row in decided if row.verdict == "verified"]
    text = [f"# {name}", "", *lines, "", f"- instances: {len(rows)}"]
    text.append(f"- decided, with evidence confirmed by a fresh process: {len(decided)} "
                f"({len(proved)} verified, {len(decided) - len(proved)} falsified)")  # fmt: skip
    text.append(f"- against the expected verdicts: {len(wrong)} wrong")
    if rows:
        text.append(f"- whole process: median {statistics.median(r.wall for r in rows):.2f} s, "
                    f"total {sum(r.wall for r in rows):.0f} s wall, "
                    f"{sum(r.cpu for r in rows):.0f} s CPU, verify alone")  # fmt: skip
    if proved:
        ratio = sum(r.check for r in proved) / max(1e-9, sum(r.search for r in proved))
        leaves = sum(r.leaves for r in proved)
        text.append(f"- verified: {leaves} leaves; check / search {ratio:.2f} in total, "
                    f"streams of {sum(r.bytes_a_leaf * r.leaves for r in proved) / leaves:.1f}"
                    " bytes a leaf")  # fmt: skip
    lost = [row for row in rows if row not in decided]
    if lost:
        text += ["", "Not decided:", ""]
    text += [f"- {r.model} {r.property} ({r.expected}): {r.verdict}, {r.reason}" for r in lost]
    text += [
        "",
        "| model | property | verdict | evidence | wall s | search s | check s | recheck s "
        "| leaves | bytes a leaf |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    text += [
        f"| {r.model} | {r.property} | {r.verdict} | {r.evidence} | {r.wall:.2f} | {r.search:.2f} "
        f"| {r.check:.2f} | {r.recheck:.2f} | {r.leaves or ''} | {r.bytes_a_leaf or ''} |"
        for r in rows
    ]
    return "\n".join(text) + "\n"
