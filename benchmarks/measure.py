"""Whole processes, measured: wall clock, CPU time and peak memory from the operating system."""

from __future__ import annotations

import datetime
import os
import platform
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Finished:
    """One finished process. Seconds are wall clock and CPU (user and system); memory in MiB."""

    code: int
    out: str
    err: str
    wall: float
    cpu: float
    peak: float


def run(command: Sequence[str], timeout: float = 600.0) -> Finished:
    """Runs a command to its end; what outlives ``timeout`` is killed, children too (code -9)."""
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        started = time.perf_counter()
        process = subprocess.Popen(command, stdout=out, stderr=err, cwd=ROOT,
                                   start_new_session=True)  # fmt: skip
        deadline = started + timeout
        while True:
            pid, status, usage = os.wait4(process.pid, os.WNOHANG)
            if pid:
                break
            if time.perf_counter() > deadline:
                os.killpg(process.pid, signal.SIGKILL)
                deadline = float("inf")
            time.sleep(0.002)
        wall = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        cpu = usage.ru_utime + usage.ru_stime
        return Finished(
            process.returncode, out.read(), err.read(), wall, cpu, usage.ru_maxrss / 1024
        )


def conditions(command: str) -> list[str]:
    """Lines that say where, when and how a result was measured."""
    dirty = subprocess.run(
        ["git", "status", "--porcelain", "--", "absint", "domains", "frontends", "proofs"],
        cwd=ROOT, capture_output=True, text=True,
    ).stdout.strip()  # fmt: skip
    names = ("numpy", "onnxruntime")
    return [
        f"- command: `{command}`",
        f"- date: {datetime.date.today().isoformat()}, commit {commit() or 'none'}"
        + (" with local changes" if dirty else ""),
        f"- machine: {_processor()}, {len(os.sched_getaffinity(0))} cores, "
        f"{_memory_gib():.0f} GiB, {platform.system()}",
        f"- Python {platform.python_version()}, "
        + ", ".join(f"{name} {version(name)}" for name in names),
    ]


def commit() -> str:
    """The short hash of the commit that is checked out; empty outside a repository."""
    return subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True
    ).stdout.strip()


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if "model name" in line)
    except (OSError, StopIteration):
        return platform.machine()


def _memory_gib() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30)
