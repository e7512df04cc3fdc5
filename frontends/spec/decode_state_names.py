"""What a spec's named machines say about the states of the machines that a problem ends up with.

Machines are joined and minimised on the way, so a state is called by the states of the named
machines that the same texts lead to.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from absint.problem.decode import Machine

MAX_PAIRS, MAX_ENTRIES = 1 << 14, 1 << 22
"""Of two machines side by side; larger ones get no names."""
MAX_NAMES = 2


class Named(Protocol):
    """A machine of a spec as it was written, with a name for each state."""

    @property
    def written(self) -> Machine: ...

    @property
    def states(self) -> tuple[str, ...]: ...


def state_names(
    machines: Sequence[Machine], named: Mapping[str, Named]
) -> tuple[tuple[str, ...], ...]:
    """For each machine a text for each state, ``severity two``; () where none has one."""
    found = tuple(_names(machine, named) for machine in machines)
    return found if any(found) else ()


def _names(machine: Machine, named: Mapping[str, Named]) -> tuple[str, ...]:
    texts: list[list[str]] = [[] for _ in machine.table]
    for name, other in named.items():
        if other.written.reads != machine.reads:
            continue
        beside = _beside(machine, other.written)
        every = set[int]().union(*beside)
        for state, own in enumerate(beside):
            if own and own != every and len(own) <= MAX_NAMES:
                texts[state].append(f"{name} " + "|".join(other.states[q] for q in sorted(own)))
    return tuple(map(", ".join, texts)) if any(texts) else ()


def _beside(machine: Machine, other: Machine) -> list[set[int]]:
    """For each state, where ``other`` may be after the same text; empty where that is too much."""
    found: list[set[int]] = [set() for _ in machine.table]
    pairs, size = len(machine.table) * len(other.table), len(machine.table[0])
    if pairs > MAX_PAIRS or (len(machine.table) + len(other.table)) * size > MAX_ENTRIES:
        return found
    columns = set(
        zip(zip(*machine.table, strict=True), zip(*other.table, strict=True), strict=True)
    )
    waiting = [(0, 0)]
    while waiting:
        state, beside = waiting.pop()
        if beside not in found[state]:
            found[state].add(beside)
            waiting += {(own[state], theirs[beside]) for own, theirs in columns}
    return found
