"""Sets cut out of a box by phases, each with a conjunction to refute: what one ascent works on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from absint.domains.dual import Dual, Lines, Rows
from absint.domains.product import Query
from absint.proofs.stream import multiplier

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

MULTIPLIERS = np.array([multiplier(byte) for byte in range(256)])
_BETWEEN = (MULTIPLIERS[1:] + MULTIPLIERS[:-1]) / 2


def nearest_bytes(values: FloatArray) -> IntArray:
    """The bytes whose multipliers are nearest to ``values``, none of them negative."""
    found: IntArray = np.searchsorted(_BETWEEN, values).astype(np.int64)
    return found


@dataclass(frozen=True)
class Pairs:
    """A batch of sets with a conjunction each.

    ``conjunction`` (batch,); ``weights`` (batch, rows), 0 to 255, of the query's rows; ``slopes``
    (batch, entries) of the free lines, as bytes; ``entries`` and ``sides`` (batch, depth): the
    phases from the oldest, side 0 where a set has fewer; ``multipliers`` (batch, depth) as bytes.
    """

    conjunction: IntArray
    weights: IntArray
    slopes: NDArray[np.uint8]
    entries: IntArray
    sides: NDArray[np.int8]
    multipliers: IntArray

    def __len__(self) -> int:
        return len(self.conjunction)

    def total(self) -> FloatArray:
        """What a pair's multipliers are divided by: its weights' sum, (batch,)."""
        total: FloatArray = np.maximum(1.0, self.weights.sum(axis=1))
        return total

    def rows(self, query: Query) -> Rows:
        """The weighted means of the query's rows, one a pair."""
        share = (self.weights / self.total()[:, None])[:, None]
        return Rows(share @ query.inputs, share @ query.outputs, share @ query.bound)

    def dense_sides(self, size: int) -> NDArray[np.int8]:
        """(batch, size): the side of each entry of the flat vector."""
        return self._scatter(self.sides, size).astype(np.int8)

    def pull(self, size: int) -> FloatArray:
        """(batch, size): what the multipliers add to the operands' coefficients."""
        force = -self.sides * MULTIPLIERS[self.multipliers] / self.total()[:, None]
        return self._scatter(force, size)

    def _scatter(self, values: NDArray[np.float64] | NDArray[np.int8], size: int) -> FloatArray:
        dense = np.zeros((len(self), size))
        row, place = np.nonzero(self.sides)
        dense[row, self.entries[row, place]] = values[row, place]
        return dense

    def bound(self, lines: Lines, query: Query) -> Dual:
        """Bounds of the weighted means, with the multipliers."""
        return lines.bound(self.rows(query), self.pull(lines.frame.size))
