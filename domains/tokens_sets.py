"""A batch of products of token sets, and what of a graph depends on one position's token alone."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from absint.ir import Graph

BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]

SEVERAL = -1
"""In ``ports_read``: the node depends on the tokens of several positions."""


class TokenSets:
    """For each case of a batch, a set of tokens for each of the graph's inputs.

    ``allowed`` is (batch, ports, vocabulary), True for the tokens in the set. Tables have a row for
    each *candidate* of a port: a token that is in its set in some case.

    Raises:
        ValueError: a set is empty, or ``allowed`` has another number of axes.
    """

    def __init__(self, allowed: BoolArray) -> None:
        if allowed.ndim != 3 or not allowed.any(axis=2).all():
            raise ValueError("token sets are (batch, ports, vocabulary), and none may be empty")
        self.allowed = allowed
        self.candidates: list[IntArray] = [
            np.flatnonzero(allowed[:, port].any(axis=0)) for port in range(allowed.shape[1])
        ]

    @property
    def batch(self) -> int:
        return len(self.allowed)

    def members(self, port: int) -> BoolArray:
        """(batch, candidates): which of the port's candidates are in its set."""
        return self.allowed[:, port, self.candidates[port]]

    def single(self, port: int) -> IntArray | None:
        """(batch,): the candidate that each case's set holds, where all hold just one."""
        members = self.members(port)
        return members.argmax(axis=1) if (members.sum(axis=1) == 1).all() else None

    @cached_property
    def _distinct(self) -> list[tuple[BoolArray, IntArray]]:
        found = []
        for port in range(self.allowed.shape[1]):
            members = self.members(port)
            if (members == members[0]).all():
                found.append((members[:1], np.zeros(len(members), dtype=np.int64)))
                continue
            sets, place = np.unique(members, axis=0, return_inverse=True)
            found.append((sets, place.reshape(-1)))
        return found

    def distinct(self, ports: Sequence[int], width: int) -> tuple[IntArray, BoolArray, IntArray]:
        """The different sets at ``ports``: most cases share most of them.

        Returns each set's place in ``ports``, its members (sets, ``width``) padded with False, and
        the set of each case at each of the ports, (batch, len(ports)).
        """
        owners, members, places, count = [], [], [], 0
        for place, port in enumerate(ports):
            sets, which = self._distinct[port]
            owners += [place] * len(sets)
            members.append(padded(sets, width))
            places.append(which + count)
            count += len(sets)
        return np.array(owners), np.concatenate(members), np.stack(places, axis=1)


def padded(sets: BoolArray, width: int) -> BoolArray:
    """(sets, candidates) to (sets, ``width``), with False."""
    wide = np.zeros((len(sets), width), dtype=bool)
    wide[:, : sets.shape[1]] = sets
    return wide


def ports_read(graph: Graph) -> list[int]:
    """For each node the one input (its number) whose token it depends on, or SEVERAL.

    Raises:
        ValueError: an input is not a single token.
    """
    if any(port.shape != () for port in graph.inputs):
        raise ValueError("each input of the graph must be one token, of shape ()")
    number = {port.node: index for index, port in enumerate(graph.inputs)}
    read: list[int] = []
    for position, node in enumerate(graph.nodes):
        if node.op == "input":
            read.append(number[position])
            continue
        ports = {read[i] for i in node.inputs}
        read.append(ports.pop() if len(ports) == 1 else SEVERAL)
    return read
