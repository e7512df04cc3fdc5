"""A crew of worker processes on this machine."""

from __future__ import annotations

import os
from multiprocessing.connection import Connection

from absint.executors.pool import READY, Failure, Pool, Task
from absint.search.farm import Lost
from absint.search.pieces import Answer, Piece

GRACE = 30.0
"""Seconds past its time after which a piece's worker is taken to hang."""
FLOOR = 512 << 20
"""Bytes that every worker may hold: a Python process with a runtime and a small model."""


class ProcessCrew:
    """``size`` processes, started when there is work. ``memory``: bytes that they may hold in all.

    Implements ``absint.search.farm.Crew``.
    """

    def __init__(self, size: int, job: bytes, memory: int) -> None:
        self.size = size
        self._pool = Pool(size, serve, job, max(FLOOR, memory // size))
        self._numbers: dict[int, int] = {}

    def give(self, number: int, piece: Piece, seconds: float) -> None:
        self._numbers[self._pool.submit(Task((piece, seconds), seconds + GRACE))] = number

    def answers(self) -> list[tuple[int, Answer | Lost]]:
        return [
            (self._numbers.pop(task), Lost(found.reason) if isinstance(found, Failure) else found)
            for task, found in self._pool.answers()
        ]

    def drop(self) -> None:
        self._pool.drop()
        self._numbers.clear()


def serve(pipe: Connection, job: bytes) -> None:
    """Answers pieces until the pipe is closed. An error is the worker's end: its piece is lost."""
    from absint.executors.job import worker

    hand = worker(job)
    try:
        pipe.send(READY)
        while True:
            piece, seconds = pipe.recv()
            pipe.send(hand.work(piece, seconds))
    except (EOFError, OSError):
        os._exit(0)  # whoever started this process is gone
