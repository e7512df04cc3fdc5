"""A crew of actors on a Ray cluster: the one that RAY_ADDRESS names, or one on this machine."""

from __future__ import annotations

import os
from importlib.util import find_spec
from typing import Any

from absint.problem import InputError
from absint.search.farm import Lost
from absint.search.pieces import Answer, Piece

POLL = 0.1
"""Seconds that one look for answers waits."""


class RayCrew:
    """``size`` actors, each on one core, started when there is work; one that dies is replaced.

    Implements ``absint.search.farm.Crew``. Raises InputError where Ray is not installed.
    """

    def __init__(self, size: int, job: bytes) -> None:
        if find_spec("ray") is None:
            raise InputError("needs Ray: pip install 'absint[ray]'", "--executor ray")
        self.size, self._job = size, job
        self._idle: list[Any] = []
        self._given: dict[Any, tuple[int, Any]] = {}

    def give(self, number: int, piece: Piece, seconds: float) -> None:
        actor = self._idle.pop() if self._idle else self._started()
        self._given[actor.work.remote(piece, seconds)] = number, actor

    def _started(self) -> Any:
        ray = _connected(self.size)
        return ray.remote(num_cpus=1)(_Hand).remote(self._job)

    def answers(self) -> list[tuple[int, Answer | Lost]]:
        import ray

        done, _ = ray.wait(list(self._given), num_returns=1, timeout=POLL)
        return [self._taken(reference) for reference in done]

    def _taken(self, reference: Any) -> tuple[int, Answer | Lost]:
        import ray

        number, actor = self._given.pop(reference)
        try:
            answer: Answer = ray.get(reference)
        except ray.exceptions.RayError as error:
            ray.kill(actor)
            return number, Lost(str(error).strip().splitlines()[0])
        self._idle.append(actor)
        return number, answer

    def drop(self) -> None:
        for actor in [*self._idle, *(actor for _, actor in self._given.values())]:
            import ray

            ray.kill(actor)
        self._idle, self._given = [], {}


class _Hand:
    """One actor."""

    def __init__(self, job: bytes) -> None:
        from absint.executors.job import worker

        self._worker = worker(job)

    def work(self, piece: Piece, seconds: float) -> Answer:
        return self._worker.work(piece, seconds)


def _connected(size: int) -> Any:
    """The module, once it is connected to a cluster."""
    import ray

    if not ray.is_initialized():
        here = {} if "RAY_ADDRESS" in os.environ else {"num_cpus": size}
        ray.init(include_dashboard=False, log_to_driver=False, logging_level="error", **here)
    return ray
