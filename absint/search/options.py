"""What a search may use: time, memory, cores, seed."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from absint.problem import Meaning

GIB = 1 << 30
BACKENDS = ("absint", "lirpa")
"""Whose bounds a search goes by: ours, or auto_LiRPA's."""
EXECUTORS = ("thread", "process", "ray")
"""Who works on what is open: threads of this process, processes of this machine, a Ray cluster."""


@dataclass(frozen=True)
class Status:
    """A moment of a running search, for progress displays."""

    nodes: int
    closed: int
    open: int
    lowest: float
    """The lowest bound among open boxes: how far the loosest is from being proved."""
    seconds: float

    def __str__(self) -> str:
        known = self.open and math.isfinite(self.lowest)
        bound = f", loosest bound {self.lowest:.3g}" if known else ""
        return f"{self.closed} boxes proved, {self.open} open{bound}"


def never() -> bool:
    """Nobody has asked for an end."""
    return False


@dataclass(frozen=True)
class SearchOptions:
    """Limits and choices of one search; the defaults need no thought.

    ``timeout`` is in seconds for one property, its check included; ``memory`` in bytes for the
    whole process. With ``count``, a search about a network that decodes goes on after a
    counterexample, to tell for how many prompts the property is certified. ``backend``, one of
    BACKENDS, computes the bounds that a search about numbers goes by. ``semantics`` is what the
    network means where the spec does not say; None: the default. ``executor``, one of EXECUTORS:
    whose ``jobs`` workers do what a search about numbers cannot do in a moment. Once ``stop()``
    holds, such a search ends as if its time were up.
    """

    timeout: float = 300.0
    memory: int = 8 * GIB
    jobs: int = 1
    seed: int = 0
    device: str = "cpu"
    count: bool = False
    backend: str = BACKENDS[0]
    progress: Callable[[object], None] | None = None
    """Told moments of a search, whose text says how far it is."""
    semantics: Meaning | None = None
    executor: str = EXECUTORS[0]
    stop: Callable[[], bool] = never


@dataclass(frozen=True)
class Deadline:
    """A moment on the monotonic clock."""

    at: float

    @staticmethod
    def after(seconds: float) -> Deadline:
        return Deadline(time.monotonic() + seconds)

    def left(self) -> float:
        return self.at - time.monotonic()
