"""What a later layer reads of a position, one token of that position's own slot at a time.

Beyond the first layer a position's key and value depend on several slots. Most of what they are
is said by the position's own token (that of the slot that its residual stream starts from), so they
are bounded for each of its tokens on its own, and each token of the slot that its first layer reads
most: an attend node then chooses between entries, a pair of tokens each, whose key and value are
narrow intervals. Many states share a prefix; each prefix is bounded once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product

import numpy as np
from numpy.typing import NDArray

from absint.ir import Graph
from absint.proofs.arithmetic import FloatArray

BoolArray = NDArray[np.bool_]

MOST = 1 << 16
"""Rows kept."""
BATCH = 256
"""Rows bounded at once."""

Pair = tuple[int, int]
Bound = Callable[[Pair, BoolArray], FloatArray]
"""Ends of the pair's bounds side by side, (rows, 2 (key size + value size)), for token sets."""


def anchors(graph: Graph, slots: Sequence[frozenset[int]]) -> list[int | None]:
    """For each node, the one slot that it depends on other than through keys and values.

    None where there are several, or none.
    """
    found: list[frozenset[int]] = []
    for position, node in enumerate(graph.nodes):
        if len(slots[position]) <= 1:
            found.append(slots[position])
            continue
        direct = node.inputs[:1] if node.op == "attend" else node.inputs
        found.append(frozenset().union(*(found[i] for i in set(direct))))
    return [next(iter(own)) if len(own) == 1 else None for own in found]


def _held(sets: BoolArray, slot: int | None, token: int | None) -> BoolArray:
    if slot is None:
        return sets
    own = sets.copy()
    own[slot] = False
    own[slot, token] = True
    return own


class Prefixes:
    """Bounds of pairs (key, value) for token sets whose own slot holds one token, each row once."""

    def __init__(self, graph: Graph, slots: Sequence[frozenset[int]]) -> None:
        self._slots = slots
        self._anchors = anchors(graph, slots)
        self._rows: dict[tuple[int, int, bytes], FloatArray] = {}

    def anchor(self, pair: Pair) -> int | None:
        """The own slot of a position, where its key and its value have the same."""
        slots = {self._anchors[i] for i in pair}
        return next(iter(slots)) if len(slots) == 1 else None

    def of(
        self, pair: Pair, reads: Sequence[int | None], sets: BoolArray, bound: Bound
    ) -> tuple[FloatArray, BoolArray]:
        """(batch, tokens, most, 2 (key size + value size)) and what is closed, (batch, tokens,
        most).

        An entry is a token that stands in the pair's own slot in some state, with a token of the
        slot that this state ``reads`` (of which there are up to ``most``; one entry where that is
        None). It is closed, and zero, in states where it does not stand there. NaN where something
        has no value.
        """
        slot = self.anchor(pair)
        assert slot is not None
        tokens = np.flatnonzero(sets[:, slot].any(axis=0)).tolist()
        rows, places = [], []
        for state, read in enumerate(reads):
            others = [None] if read is None else np.flatnonzero(sets[state, read]).tolist()
            for (one, token), (two, other) in product(enumerate(tokens), enumerate(others)):
                if sets[state, slot, token]:
                    rows.append(_held(_held(sets[state], slot, token), read, other))
                    places.append((state, one, two))
        found = self._bounds(pair, np.array(rows), bound)
        place = tuple(np.array(places).T)
        closed = np.ones((len(sets), len(tokens), int(place[2].max()) + 1), dtype=np.bool_)
        table = np.zeros((*closed.shape, found.shape[1]))
        table[place], closed[place] = found, False
        return table, closed

    def _bounds(self, pair: Pair, rows: BoolArray, bound: Bound) -> FloatArray:
        read = sorted(self._slots[pair[0]] | self._slots[pair[1]])
        packed = np.packbits(rows[:, read].reshape((len(rows), -1)), axis=1)
        keys = [(*pair, row.tobytes()) for row in packed]
        missing = {key: row for row, key in enumerate(keys) if key not in self._rows}
        if len(self._rows) + len(missing) > MOST:
            self._rows.clear()
            missing = {key: row for row, key in enumerate(keys)}
        which = list(missing.values())
        for begin in range(0, len(which), BATCH):
            some = which[begin : begin + BATCH]
            for row, values in zip(some, bound(pair, rows[some]), strict=True):
                self._rows[keys[row]] = values
        return np.stack([self._rows[key] for key in keys])
