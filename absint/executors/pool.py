"""Worker processes that may crash, hang or use up memory: each costs its own task and no other.

A worker is started afresh (spawn: no state, lock or thread of the parent's is inherited), serves
task after task over a pipe of its own, and is replaced when it fails.
"""

from __future__ import annotations

import multiprocessing
import signal
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

POLL = 0.1
"""Seconds between two looks at the workers' memory and clocks."""
STARTUP = 60.0
"""Seconds that a worker may take to start."""
READY = "ready"

Serve = Callable[[Connection, Any], None]
"""Sends READY, then answers each object that it receives with one, until the pipe is closed."""


@dataclass(frozen=True)
class Task:
    """``payload`` is what the worker gets; ``seconds`` after that it is taken to hang."""

    payload: Any
    seconds: float


@dataclass(frozen=True)
class Failure:
    """What became of a task whose worker gave no answer, and after how many seconds."""

    reason: str
    seconds: float = 0.0


class _Worker:
    """One process, its pipe, and the task that it works on."""

    def __init__(self, serve: Serve, settings: Any) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process: BaseProcess = context.Process(
            target=serve, args=(theirs, settings), daemon=True
        )
        with _without_interrupts():
            self.process.start()
        theirs.close()
        self.ready = False
        self.task: int | None = None
        self.deadline = time.monotonic() + STARTUP
        self.limit = STARTUP

    def give(self, index: int, task: Task) -> None:
        self.task, self.limit = index, task.seconds
        self.deadline = time.monotonic() + task.seconds
        with suppress(OSError):  # it has just died; the next look finds that
            self.pipe.send(task.payload)

    def seconds(self) -> float:
        """Since the task was given, or since the process was started."""
        return time.monotonic() - (self.deadline - self.limit)

    def end(self) -> None:
        self.process.kill()
        self.process.join()
        self.pipe.close()


class Pool:
    """``count`` workers that run ``serve``; use as a context manager, which ends them all.

    ``memory``: bytes that each may hold; one that holds more is ended.
    """

    def __init__(self, count: int, serve: Serve, settings: Any, memory: int) -> None:
        self.count, self.serve, self.settings, self.memory = count, serve, settings, memory
        self.workers: list[_Worker] = []
        self._tasks: list[Task] = []
        self._waiting = deque[int]()

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, *error: object) -> None:
        self.drop()

    def drop(self) -> None:
        """Ends all workers, and with them their tasks; those that wait are forgotten."""
        for worker in self.workers:
            worker.end()
        self.workers = []
        self._waiting.clear()

    def running(self) -> list[tuple[int, float]]:
        """The tasks that are being worked on, each with the seconds since it began."""
        return [(w.task, w.seconds()) for w in self.workers if w.task is not None]

    def submit(self, task: Task) -> int:
        """Has a task run when a worker is free; returns its number, counted from 0."""
        self._tasks.append(task)
        self._waiting.append(len(self._tasks) - 1)
        return len(self._tasks) - 1

    def run(self, tasks: Sequence[Task]) -> Iterator[tuple[int, Any] | None]:
        """(task's place, its answer or a Failure) as they come; None every now and then."""
        places = {self.submit(task): place for place, task in enumerate(tasks)}
        while places:
            self._hand_out()
            yield None
            for number, answer in self.answers():
                yield places.pop(number), answer

    def answers(self) -> list[tuple[int, Any]]:
        """(task's number, its answer or a Failure) of what is there after at most POLL seconds."""
        self._hand_out()
        handles = [w.pipe for w in self.workers] + [w.process.sentinel for w in self.workers]
        wait(handles, POLL)
        found: list[tuple[int, Any]] = []
        for worker in list(self.workers):
            message, reason = self._look(worker)
            if reason:
                found += self._failed(worker, reason)
            elif message == READY and not worker.ready:
                worker.ready = True
            elif message is not None and worker.task is not None:
                found.append((worker.task, message))
                worker.task = None
        return found

    def _hand_out(self) -> None:
        """Gives waiting tasks to idle workers, of which as many as are needed are started."""
        idle = [w for w in self.workers if w.task is None]
        missing = min(self.count - len(self.workers), len(self._waiting) - len(idle))
        self.workers += [_Worker(self.serve, self.settings) for _ in range(missing)]
        for worker in idle:
            if worker.ready and self._waiting:
                number = self._waiting.popleft()
                worker.give(number, self._tasks[number])

    def _failed(self, worker: _Worker, reason: str) -> list[tuple[int, Failure]]:
        """Ends a worker; its task is lost."""
        worker.end()
        self.workers.remove(worker)
        if not worker.ready and self._waiting:  # or what never starts would be tried for ever
            worker.task = self._waiting.popleft()
            reason = f"no worker could be started: {reason}"
        return [] if worker.task is None else [(worker.task, Failure(reason, worker.seconds()))]

    def _look(self, worker: _Worker) -> tuple[Any, str]:
        """A message that has arrived, and why the worker has failed, if it has."""
        try:
            if worker.pipe.poll():
                return worker.pipe.recv(), ""
        except (EOFError, OSError):
            worker.process.join(1.0)
            return None, _death(worker.process.exitcode)
        if not worker.process.is_alive():
            return None, _death(worker.process.exitcode)
        if (worker.task is not None or not worker.ready) and time.monotonic() > worker.deadline:
            return None, f"ended: no answer after {worker.limit:g} s"
        held = _resident(worker.process.pid)
        if held > self.memory:
            return None, f"ended: it held {held >> 20} MiB, more than {self.memory >> 20} MiB"
        return None, ""


@contextmanager
def _without_interrupts() -> Iterator[None]:
    """Processes started meanwhile never see SIGINT: Ctrl-C reaches a whole group of processes."""
    if not hasattr(signal, "pthread_sigmask"):  # not a Unix
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _death(code: int | None) -> str:
    if code is None:
        return "its worker closed the pipe"
    if code >= 0:
        return f"its worker ended with exit code {code}"
    try:
        return f"its worker was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"its worker was ended by signal {-code}"


def _resident(pid: int | None) -> int:
    """The process's resident memory in bytes; 0 where it is gone."""
    import psutil

    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.Error:
        return 0
