"""Start-up: the smallest commands as whole processes."""

from __future__ import annotations

import statistics
import sys
import tempfile

from benchmarks.measure import ROOT, conditions, run
from benchmarks.vnncomp import SETS

RUNS = 7
ABSINT = [sys.executable, "-m", "absint"]
REGION = str(SETS / "acasxu" / "vnnlib" / "prop_3.vnnlib")
EASY_MODEL = str(SETS / "acasxu" / "onnx" / "ACASXU_run2a_4_8_batch_2000.onnx")
ADVISORY = str(ROOT / "examples" / "advisory" / "advisory.onnx")
SAFE = str(ROOT / "examples" / "advisory" / "safe.yaml")


def bench() -> None:
    """Times the commands in turn, and writes results/startup.md."""
    with tempfile.TemporaryDirectory() as folder:
        cert = f"{folder}/safe.cert"
        commands = {
            "`python -c pass`": [sys.executable, "-c", "pass"],
            "`python -c 'import numpy'`": [sys.executable, "-c", "import numpy"],
            "`absint --help`": [*ABSINT, "--help"],
            "`absint verify` of the advisory example": [
                *ABSINT, "verify", ADVISORY, "--region", SAFE, "--certificate", cert],
            "`absint check` of its certificate": [
                *ABSINT, "check", cert, "--model", ADVISORY, "--region", SAFE],
            "`absint verify` of ACAS Xu 4_8 / prop_3 (one box)": [
                *ABSINT, "verify", EASY_MODEL, "--region", REGION,
                "--certificate", f"{folder}/easy.cert"],
        }  # fmt: skip
        times: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
        for turn in range(RUNS + 1):
            for name, command in commands.items():
                done = run(command)
                if done.code != 0:
                    raise SystemExit(f"{name} ended with {done.code}: {done.err}")
                if turn:  # the first turn warms the disk cache
                    times[name].append((done.wall, done.cpu))
    lines = ["# Start-up", "", *conditions("python benchmarks/run.py startup"), ""]
    lines += [f"Whole processes, in turn, {RUNS} runs each after one warm-up; seconds.", ""]
    lines += ["| command | wall median (min to max) | CPU median |", "|---|---|---|"]
    for name, pairs in times.items():
        walls, cpus = [w for w, _ in pairs], [c for _, c in pairs]
        lines.append(
            f"| {name} | {statistics.median(walls):.2f} ({min(walls):.2f} to {max(walls):.2f}) "
            f"| {statistics.median(cpus):.2f} |"
        )
    text = "\n".join(lines) + "\n"
    (ROOT / "benchmarks" / "results" / "startup.md").write_text(text)
    print(text)
