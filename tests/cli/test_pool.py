"""Worker processes: whatever happens to one costs its own task, and nothing is left behind."""

from __future__ import annotations

import os
from typing import Any

import psutil
import pytest
from cli import failing

from absint.executors.pool import Failure, Pool, Task

MEMORY = 300 << 20


def outcomes(payloads: list[str], count: int = 2, seconds: float = 30.0) -> list[Any]:
    tasks = [Task(payload, seconds) for payload in payloads]
    found: list[Any] = [None] * len(tasks)
    with Pool(count, failing.serve, None, MEMORY) as pool:
        for answer in pool.run(tasks):
            if answer is not None:
                index, found[index] = answer
    return found


def test_answers_keep_their_places_and_workers_serve_many() -> None:
    found = outcomes(["a", "b", "c", "d", "e"])
    assert [answer[0] for answer in found] == ["a", "b", "c", "d", "e"]
    processes = {answer[1] for answer in found}
    assert len(processes) <= 2
    assert os.getpid() not in processes
    assert not any(psutil.pid_exists(pid) for pid in processes)


@pytest.mark.parametrize(
    ("payload", "seconds", "reason"),
    [
        ("crash", 30.0, "its worker was ended by SIGSEGV"),
        ("leave", 30.0, "its worker ended with exit code 0"),
        ("hang", 0.5, "ended: no answer after 0.5 s"),
        ("eat", 30.0, "more than 300 MiB"),
    ],
)
def test_a_failure_costs_one_task(payload: str, seconds: float, reason: str) -> None:
    found = outcomes(["a", payload, "b", "c"], count=1, seconds=seconds)
    assert [answer[0] for answer in (found[0], *found[2:])] == ["a", "b", "c"]
    assert isinstance(found[1], Failure)
    assert reason in found[1].reason
    assert found[1].seconds > 0


def test_workers_that_never_start_do_not_hold_up_the_end() -> None:
    with Pool(2, failing.serve, "broken", MEMORY) as pool:
        answers = [a for a in pool.run([Task("a", 30.0), Task("b", 30.0)]) if a is not None]
    assert sorted(index for index, _ in answers) == [0, 1]
    assert all("no worker could be started" in failure.reason for _, failure in answers)


def test_leaving_early_ends_the_workers() -> None:
    before = set(psutil.Process().children())
    with Pool(2, failing.serve, None, MEMORY) as pool:
        for _ in pool.run([Task("hang", 60.0)] * 2):
            if len(pool.running()) == 2:
                break
        pids = [worker.process.pid for worker in pool.workers]
    assert len(pids) == 2
    assert not any(child.pid in pids for child in set(psutil.Process().children()) - before)
