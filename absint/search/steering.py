"""Better slopes for the bounds of boxes below which many others are expected.

They serve all boxes below until others are chosen, and cost as much as a few dozen boxes: what they
have gained so far decides where they are worth that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from absint.domains.arrays import Arrays
from absint.domains.dual import Rows
from absint.domains.hinges import Hinge, slopes_of
from absint.domains.product import Slopes
from absint.domains.steering import steered
from absint.ir import Graph
from absint.problem.contract import Contract
from absint.search.adam import Adam
from absint.search.query import CellQuery

FloatArray = NDArray[np.float64]
Objects = NDArray[np.object_]

LEVELS = 255
STEPS = 6
RATE, DECAY = 0.4, 0.2
"""Step k is of size RATE / (1 + DECAY k)."""
BOXES_FIRST = 1024
"""Boxes of a cell that are bounded before any is given slopes: most proofs end sooner."""
LEAST_AGE = 5
"""Halvings between two choices: so many boxes share the bytes of one."""
LEAST_GAIN = 0.25
"""Of what a bound misses zero by, the part that slopes must win on average; else they are tried on
a box in so many:"""
RARELY = 32
MEMORY = 0.9


@dataclass
class Steering:
    """``gain``: the part of what bounds missed zero by that slopes have won, about, so far."""

    graph: Graph
    hinges: Sequence[Hinge]
    query: CellQuery
    arrays: Arrays
    contract: Contract | None
    gain: float = 1.0

    def worth(self, analysed: int, age: NDArray[np.int64]) -> NDArray[np.bool_]:
        """For boxes whose slopes are so many halvings old, when ``analysed`` have been bounded."""
        if not self.hinges or analysed < BOXES_FIRST:
            return np.zeros(len(age), dtype=bool)
        due = age >= LEAST_AGE
        if self.gain < LEAST_GAIN:
            due &= np.cumsum(due) % RARELY == 1
        return due

    def learn(self, before: FloatArray, after: FloatArray) -> None:
        """From scores of boxes before and after."""
        missed = np.maximum(-before, np.finfo(np.float64).tiny)
        won = float(np.mean(np.clip((after - before) / missed, 0.0, 1.0)))
        self.gain = MEMORY * self.gain + (1 - MEMORY) * won

    def named(self, slopes: Objects) -> Slopes | None:
        """Of boxes, of which some have bytes; None where none has."""
        if all(one is None for one in slopes):
            return None
        return slopes_of(self.graph, self.hinges, self.arrays.asarray(self._shares(slopes)))

    def _shares(self, slopes: Objects) -> FloatArray:
        shares = np.full((len(slopes), sum(hinge.size for hinge in self.hinges)), np.nan)
        for row, one in enumerate(slopes):
            if one is not None:
                shares[row] = np.frombuffer(one, dtype=np.uint8) / LEVELS
        return shares

    def better(
        self, lower: FloatArray, upper: FloatArray, slopes: Objects, focus: FloatArray
    ) -> tuple[Objects, int]:
        """Bytes for boxes (batch, input_size), whose rows ``focus`` (batch, rows) are to be higher;
        and how many rows were pushed to and fro."""
        arrays, query = self.arrays, self.query.query
        box = arrays.asarray(lower), arrays.asarray(upper)
        share = self._shares(slopes)
        share = np.where(np.isnan(share), 0.5, share)
        weights = focus[:, None]
        rows = Rows(weights @ query.inputs, weights @ query.outputs, weights @ query.bound)
        adam, best, chosen, work = Adam.like(share), np.full(len(share), -np.inf), share, 0
        for step in range(STEPS + 1):
            with np.errstate(all="ignore"):
                found = steered(
                    self.graph, box, self.hinges, arrays.asarray(share),
                    rows, np.inf, arrays, self.contract,
                )  # fmt: skip
            value = arrays.numpy(found.value)[:, 0]
            chosen = np.where((value > best)[:, None], share, chosen)
            best, work = np.fmax(best, value), work + found.rows * len(share)
            move = adam.step(arrays.numpy(found.gradient))
            share = np.clip(share + RATE / (1 + DECAY * step) * move, 0.0, 1.0)
            share = np.rint(share * LEVELS) / LEVELS
        result = np.empty(len(share), dtype=object)
        result[:] = [row.tobytes() for row in np.rint(chosen * LEVELS).astype(np.uint8)]
        return result, work
