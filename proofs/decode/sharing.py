"""Which texts of a batch share a node's value: those with the same tokens in the slots it reads."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int64]

Group = tuple[IntArray, IntArray]
"""The texts that stand for all others, and for each text the place of the one that does."""


class Sharing:
    """Texts (count, slots), of which tokens are known so far; ``slots`` is what each node reads.

    A node is computed for its group's representatives. Once tokens are appended, each text is on
    its own.
    """

    def __init__(self, slots: Sequence[frozenset[int]], texts: IntArray) -> None:
        self._slots, self._tokens = slots, list(texts.T)
        self._varying = frozenset(np.flatnonzero((texts != texts[:1]).any(axis=0)).tolist())
        self._groups: dict[frozenset[int], Group | None] = {self._varying: None}
        self._alone = False

    @property
    def count(self) -> int:
        return len(self._tokens[0])

    def _group(self, position: int) -> Group | None:
        """None: every text stands for itself."""
        if self._alone:
            return None
        key = self._slots[position] & self._varying
        if key not in self._groups:
            columns = [self._tokens[slot] for slot in sorted(key)]
            rows = np.stack(columns, axis=1) if columns else np.zeros((self.count, 1), np.int64)
            _, first, inverse = np.unique(rows, axis=0, return_index=True, return_inverse=True)
            self._groups[key] = first, inverse.reshape(-1)
        return self._groups[key]

    def index(self, operand: int, reader: int | None) -> IntArray | None:
        """Where the values of ``operand`` stand that its reader needs; None: as they are."""
        own, wanted = self._group(operand), None if reader is None else self._group(reader)
        if own is None or own is wanted:
            return None
        found: IntArray = own[1] if wanted is None else own[1][wanted[0]]
        return found

    def tokens(self, position: int, reader: int | None) -> IntArray:
        """The tokens of the one slot that a node reads, of the texts that its reader needs.

        The first slot's for a node that reads none.
        """
        tokens = self._tokens[min(self._slots[position], default=0)]
        wanted = None if reader is None else self._group(reader)
        found: IntArray = tokens if wanted is None else tokens[wanted[0]]
        return found

    def spread(self, position: int, found: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """What was found of a node's values, for every text."""
        own = self._group(position)
        spread: NDArray[np.bool_] = found if own is None else found[own[1]]
        return spread

    def among(self, position: int, more: IntArray) -> IntArray:
        """Where a node's values stand of the texts ``more``."""
        own = self._group(position)
        return more if own is None else own[1][more]

    def append(self, chosen: IntArray, more: IntArray) -> None:
        """One more token a text; those with indices ``more`` are left."""
        self._tokens = [own[more] for own in (*self._tokens, chosen)]
        self._alone = True
