"""Bounds that end with a deadline: those of one state of a recurrent network may take minutes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from absint.ir import Graph, Node
from absint.proofs.decode.check import StepBounds
from absint.proofs.decode.state import State
from absint.proofs.tokens import BoolArray, Tables
from absint.search.options import Deadline


class OutOfTimeError(Exception):
    """The deadline was over before an answer was there."""


def require_time(deadline: Deadline) -> None:
    """Raises OutOfTimeError where none is left."""
    if deadline.left() <= 0:
        raise OutOfTimeError


class TimedBounds(StepBounds):
    """The same bounds; whatever is asked raises OutOfTimeError soon after the deadline."""

    def __init__(self, bounds: StepBounds, deadline: Deadline) -> None:
        self.__dict__ |= bounds.__dict__
        self._deadline = deadline

    def view(self, states: Sequence[State]) -> tuple[Graph, Tables, BoolArray]:
        graph, tables, sets = super().view(states)
        return replace(graph, nodes=_Timed(graph.nodes, self._deadline)), tables, sets


class _Timed(tuple[Node, ...]):
    """The nodes of a graph. Bounds look each up on every pass, forward and back."""

    deadline: Deadline

    def __new__(cls, nodes: Iterable[Node], deadline: Deadline) -> _Timed:
        made = super().__new__(cls, nodes)
        made.deadline = deadline
        return made

    def __getitem__(self, index: Any) -> Any:
        require_time(self.deadline)
        return super().__getitem__(index)
