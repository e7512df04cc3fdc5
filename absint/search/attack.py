"""The search for counterexamples: projected gradient descent, replayed on the real runtime.

Madry et al. 2018 (PGD), with steps in units of each input's width. A find counts only when the
runtime's own outputs, in exact arithmetic, satisfy a conjunction of the catastrophe.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from absint.domains.arrays import Arrays
from absint.ir import Graph
from absint.problem import Cell, violated
from absint.search.gradient import row_gradient, row_values
from absint.search.query import CellQuery

FloatArray = NDArray[np.float64]

Runtime = Callable[[FloatArray], FloatArray]
"""The deployed network: flat inputs (batch, input_size) to flat outputs (batch, output_size)."""

STARTS = 128
STEPS = 40
FIRST_STEP, LAST_STEP = 0.25, 1e-3
"""The length of the first and last step, in widths of the box."""
REPLAYS = 4
"""How many of the best points of one round are replayed."""


@dataclass(frozen=True)
class Counterexample:
    """An input on which the runtime's outputs satisfy a conjunction of the catastrophe."""

    cell: int
    conjunction: int
    x: FloatArray
    y: FloatArray


@dataclass
class Attack:
    """Looks for counterexamples in one cell.

    Points nearer to the catastrophe than ``reach`` are replayed: the runtime's rounding may decide.
    ``near`` is the closest that any replayed point came in the search's arithmetic (<= 0: it is
    catastrophic there, but not on the runtime), and ``nearest`` is that point.
    """

    graph: Graph
    cell: Cell
    index: int
    query: CellQuery
    arrays: Arrays
    runtime: Runtime
    dtype: str
    reach: float
    near: float = np.inf
    nearest: FloatArray | None = None
    _replayed: set[bytes] = field(default_factory=set)

    def descend(
        self, lower: FloatArray, upper: FloatArray, rng: np.random.Generator, starts: int = STARTS
    ) -> Counterexample | None:
        """Gradient descent in the box from its centre, random points, and points of its faces.

        Extreme inputs are where networks misbehave, and a point inside a face has no other way in:
        a step clipped to the box rarely ends in several bounds at once.
        """
        width = upper - lower
        unit = rng.random((starts, len(lower)))
        on_face = (rng.random(unit.shape) < 0.5) & (np.arange(starts) % 2 == 0)[:, None]
        unit = np.where(on_face, np.round(unit), unit)
        unit[0] = 0.5
        x = np.clip(lower + unit * width, lower, upper)
        return self.descend_from(x, lower, upper)

    def descend_from(
        self, x: FloatArray, lower: FloatArray, upper: FloatArray, steps: int = STEPS
    ) -> Counterexample | None:
        """Gradient descent from points x (batch, input_size); boxes may differ by point."""
        width = upper - lower
        shrink = (LAST_STEP / FIRST_STEP) ** (1 / steps)
        best, nearest = x, np.full(len(x), np.inf)
        for step in range(steps):
            values, inner = row_values(self.graph, self.query.query, self._load(x), self.arrays)
            distance, weights = self.query.violation(self.arrays.numpy(values))
            better = distance < nearest
            best, nearest = np.where(better[:, None], x, best), np.where(better, distance, nearest)
            if (distance <= 0).any() and (found := self.replay(x, distance)):
                return found
            slope = self.arrays.numpy(
                row_gradient(self.graph, self.query.query, weights, inner, self.arrays)
            )
            size = np.abs(slope * width).max(axis=1, keepdims=True)
            move = np.where(step % 2, np.sign(slope), slope * width / np.where(size > 0, size, 1.0))
            x = np.clip(x - FIRST_STEP * shrink**step * move * width, lower, upper)
        return self.replay(best, nearest)

    def probe(self, x: FloatArray) -> tuple[FloatArray, Counterexample | None]:
        """The points' distances from the catastrophe, and a counterexample if one of them is."""
        values, _ = row_values(self.graph, self.query.query, self._load(x), self.arrays)
        distance, _ = self.query.violation(self.arrays.numpy(values))
        found = self.replay(x, distance) if (distance <= 0).any() else None
        return distance, found

    def replay(self, x: FloatArray, distance: FloatArray) -> Counterexample | None:
        """Runs the best points, rounded to the input's type, on the runtime."""
        for index in np.argsort(distance, kind="stable")[:REPLAYS]:
            point = x[index].astype(self.dtype).astype(np.float64)
            key = point.tobytes()
            if not distance[index] <= self.reach or key in self._replayed:
                continue
            self._replayed.add(key)
            if distance[index] < self.near:
                self.near, self.nearest = float(distance[index]), point
            y = self.runtime(point[None])[0]
            conjunction = violated(self.cell, point, y)
            if conjunction is not None:
                return Counterexample(self.index, conjunction, point, y)
        return None

    def _load(self, x: FloatArray) -> FloatArray:
        loaded: FloatArray = self.arrays.asarray(x)
        return loaded
