"""What only a process of its own shows: signals, pipes, exit codes, a worker that is killed."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from cli.problems import MODEL, SAFE, hard

COMMAND = (sys.executable, "-m", "absint")
PATIENCE = 60.0


def start(folder: Path, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*COMMAND, *map(str, arguments)],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def working(process: psutil.Process, seconds: float) -> bool:
    """Whether it has used that much of the processor: it is past its start."""
    times = process.cpu_times()
    return float(times.user + times.system) > seconds


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_verify_in_one_line(number: int, code: int, tmp_path: Path) -> None:
    model, spec = hard(tmp_path)
    process = start(tmp_path, "verify", model, "--region", spec, "--jobs", "1")
    assert process.stdout is not None
    assert process.stdout.readline().startswith("hard.onnx: 12 inputs")
    time.sleep(0.5)
    process.send_signal(number)
    out, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, err) == (code, "absint: interrupted\n")
    assert "unknown" in out
    assert "interrupted" in out
    assert "--resume hard.cert" in out
    checked = start(tmp_path, "check", "hard.cert", "--model", model, "--region", spec)
    assert checked.wait(PATIENCE) == 3  # incomplete
    more = ("--resume", "hard.cert", "--timeout", "1", "--certificate", "more.cert")
    again = start(tmp_path, "verify", model, "--region", spec, *more)
    assert again.wait(PATIENCE) == 3


@pytest.mark.parametrize("style", ["text", "json"])
def test_a_second_signal_ends_verify_at_once(style: str, tmp_path: Path) -> None:
    """A moment after the first; or the first was enough already."""
    model, spec = hard(tmp_path)
    process = start(tmp_path, "verify", model, "--region", spec, "--format", style)
    wait_until(lambda: working(psutil.Process(process.pid), 2.0))
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode in (130, 143)
    assert err == "absint: interrupted\n"
    if style == "json":
        assert json.loads(out)["exit_code"] == process.returncode


@pytest.mark.parametrize("executor", ["thread", "process"])
def test_json_says_that_it_was_interrupted(executor: str, tmp_path: Path) -> None:
    model, spec = hard(tmp_path)
    options = ("--format", "json", "--executor", executor, "--jobs", "2")
    process = start(tmp_path, "verify", model, "--region", spec, *options)
    wait_until(lambda: working(psutil.Process(process.pid), 2.5))
    children = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=PATIENCE)
    facts = json.loads(out)
    assert (process.returncode, facts["exit_code"]) == (130, 130)
    assert facts["properties"][0]["verdict"] == "unknown"
    assert facts["properties"][0]["reason"].startswith("interrupted")
    wait_until(lambda: not any(child.is_running() for child in children))


def test_a_reader_that_leaves_is_no_verdict(tmp_path: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [*COMMAND, "verify", str(MODEL), "--region", str(SAFE)],
        cwd=tmp_path,
        stdout=write,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(write)
    assert (done.returncode, done.stderr) == (141, b"")


def test_a_bare_command_shows_help_and_usage_errors_are_2(tmp_path: Path) -> None:
    for arguments, code in (((), 0), (("-h",), 0), (("verify", "-h"), 0), (("verify",), 2)):
        done = subprocess.run(
            [*COMMAND, *arguments], cwd=tmp_path, capture_output=True, check=False
        )
        assert done.returncode == code
        assert (b"Usage: absint" in done.stdout) is (code == 0)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_killed_worker_loses_its_row_only(tmp_path: Path) -> None:
    hard(tmp_path)
    (tmp_path / "rows.csv").write_text(f"hard.onnx,hard.yaml,300\n{MODEL},{SAFE},60,unsat\n")
    process = start(
        tmp_path, "verify", "--instances", "rows.csv", "--results", "out.csv", "--workers", "1"
    )
    parent = psutil.Process(process.pid)
    wait_until(lambda: any(working(child, 2.5) for child in parent.children()))
    next(child for child in parent.children() if working(child, 2.5)).kill()
    out, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, err) == (70, ""), out
    first, second = rows(tmp_path / "out.csv")
    assert first["verdict"] == "error"
    assert "SIGKILL" in first["reason"]
    assert (second["verdict"], second["agrees"]) == ("verified", "yes")


def test_interrupting_a_batch_keeps_what_was_found(tmp_path: Path) -> None:
    hard(tmp_path)
    (tmp_path / "rows.csv").write_text(f"{MODEL},{SAFE},60\nhard.onnx,hard.yaml,300\n")
    process = start(
        tmp_path, "verify", "--instances", "rows.csv", "--results", "out.csv", "--workers", "1"
    )
    assert process.stdout is not None
    assert "verified" in process.stdout.readline()
    children = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, err) == (130, "absint: interrupted\n")
    assert [row["verdict"] for row in rows(tmp_path / "out.csv")] == ["verified", "interrupted"]
    wait_until(lambda: not any(child.is_running() for child in children))
