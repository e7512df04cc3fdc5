"""Lowering: CPU time of the largest model of each set, from the file to the graph's digest."""

from __future__ import annotations

import gzip
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

from absint.frontends.onnx import load
from absint.ir import digest
from benchmarks.measure import ROOT, conditions
from benchmarks.vnncomp import SETS

RUNS = 5
MIB = 1 << 20


def bench() -> None:
    """Writes results/lowering.md."""
    lines = ["# Lowering", "", *conditions("python benchmarks/run.py lowering"), ""]
    lines += [f"The largest model of each set and of the examples: medians of {RUNS} runs after a"]
    lines += ["warm-up, in seconds of CPU, libraries imported before. *Lowered*: read, unpacked,"]
    lines += ["parsed, checked and lowered; *digest*: of the graph."]
    lines += ["", "| model | MiB | core ops | lowered | digest |", "|---|---|---|---|---|"]
    for row in sorted(_rows(), reverse=True):
        lines.append(row[1])
        print(row[1], flush=True)
    path = ROOT / "benchmarks" / "results" / "lowering.md"
    path.write_text("\n".join(lines) + "\n")


def _rows() -> Iterator[tuple[int, str]]:
    """(size in bytes, line) of each set's largest model."""
    for folder in (*sorted(SETS.iterdir()), ROOT / "examples"):
        files = {path: _size(path) for path in folder.rglob("*.onnx*")}
        if files:
            largest = max(files, key=lambda path: files[path])
            name = f"{folder.name}/{largest.name.removesuffix('.gz')}"
            yield files[largest], f"| {name} | {files[largest] / MIB:.2f} | {_times(largest)} |"


def _size(path: Path) -> int:
    if path.suffix != ".gz":
        return path.stat().st_size
    with gzip.open(path) as file:
        return len(file.read())


def _times(path: Path) -> str:
    lowered, hashed = list[float](), list[float]()
    for _ in range(RUNS + 1):
        start = time.process_time()
        graph = load(path).graph
        between = time.process_time()
        digest(graph)
        lowered.append(between - start)
        hashed.append(time.process_time() - between)
    times = (statistics.median(part[1:]) for part in (lowered, hashed))
    return " | ".join((str(len(graph.nodes)), *(f"{seconds:.3f}" for seconds in times)))
