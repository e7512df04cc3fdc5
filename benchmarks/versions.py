"""Two versions of the source on the same instances, one after the other, in CPU seconds.

    python -m benchmarks.versions OTHER SECONDS SET:COUNT …

OTHER is a folder with another version of the source. Of each set COUNT instances are drawn (seed
0) that are not known to be falsified, or with SET:A+B those whose files' names contain A and B.
SECONDS is the limit of an instance, check included. Every clock counts the process's own CPU time,
so that other work on the machine changes little. Writes a table to the standard output.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.measure import ROOT
from benchmarks.vnncomp import SETS, instances

CHILD = """
import json, sys, time
time.monotonic = time.perf_counter = time.process_time
from absint.api import verify
from absint.search.options import SearchOptions
found = verify(sys.argv[1], sys.argv[2], SearchOptions(timeout=float(sys.argv[3])))[0]
effort, proof = found.effort, found.certificate or b""
print(json.dumps([found.verdict.value, effort.search_seconds, effort.check_seconds,
                  found.coverage.leaves if found.coverage else 0, len(proof)]))
"""


def run(tree: Path, name: str, item: tuple[str, str], seconds: float) -> list[Any]:
    """Verdict, seconds of search and of check, leaves, bytes."""
    model, prop = (str(SETS / name / part) for part in item)
    done = subprocess.run(
        [sys.executable, "-c", CHILD, model, prop, str(seconds)],
        env={"PYTHONPATH": str(tree), "OMP_NUM_THREADS": "1", "PATH": "/usr/bin:/bin"},
        cwd=tree,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        return [done.stderr.strip().splitlines()[-1][:40], 0.0, 0.0, 0, 0]
    found: list[Any] = json.loads(done.stdout)
    return found


def drawn(name: str, which: str) -> list[tuple[str, str]]:
    """Model and property of instances of a set."""
    items = [(m, p) for m, p, _, expected in instances(name) if expected != "sat"]
    if not which.isdigit():
        wanted = which.split("+")
        return [item for item in items if all(part in "/".join(item) for part in wanted)]
    return sorted(random.Random(0).sample(items, min(int(which), len(items))))


def main(other: str, seconds: str, *sets: str) -> None:
    trees = [Path(other).resolve(), ROOT]
    print("| instance | verdict | search s | check s | leaves | bytes |")
    print("|---|---|---:|---:|---:|---:|", flush=True)
    for name, which in (entry.split(":") for entry in sets):
        for item in drawn(name, which):
            rows = [run(tree, name, item, float(seconds)) for tree in trees]
            cells = [f"{Path(item[0]).stem} {Path(item[1]).stem}"]
            cells.append(" / ".join(row[0] for row in rows))
            cells += [" / ".join(f"{row[i]:.1f}" for row in rows) for i in (1, 2)]
            cells += [" / ".join(str(row[i]) for row in rows) for i in (3, 4)]
            print("| " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
