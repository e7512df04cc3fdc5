"""What the network computes on a slice, in plain floating point: an illustration, no proof."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from absint.ir import Graph, evaluate
from absint.problem import Cell, LinearConstraint

FloatArray = NDArray[np.float64]
RESOLUTION = 360
MAX_WORK = 1 << 30
"""Numbers that may be computed; a larger network gets fewer points."""
MIN_RESOLUTION = 24
BATCH = 2048
MAX_CLASSES = 20
SHOWN = 0.012
"""A decision is named where it takes up at least this share of the picture."""


@dataclass(frozen=True)
class Landscape:
    """``x`` (columns,) and ``y`` (rows,) span a grid.

    ``outputs`` are (rows, columns, classes): the first output's scores, none where they are no
    classes. ``margin`` (rows, columns): how far the point is from the catastrophe (<= 0: in it).
    """

    x: FloatArray
    y: FloatArray
    outputs: FloatArray
    margin: FloatArray

    def leads(self) -> list[FloatArray]:
        """For each decision that occurs beside others: by how much it leads the rest."""
        if self.outputs.shape[2] < 2:
            return []
        found = np.unique(self._decision()).tolist()
        return [self._lead(k) for k in (found if len(found) > 2 else found[1:])]

    def places(self) -> dict[int, tuple[int, int]]:
        """For each decision of some size: (row, column) of a point well inside it."""
        if self.outputs.shape[2] < 2:
            return {}
        decision = self._decision()
        return {
            int(k): _inside(decision == k)
            for k in np.unique(decision)
            if (decision == k).mean() >= SHOWN
        }

    def _decision(self) -> NDArray[np.int64]:
        decision: NDArray[np.int64] = np.argmax(self.outputs, axis=2)
        return decision

    def _lead(self, k: int) -> FloatArray:
        others = np.delete(self.outputs, k, axis=2)
        lead: FloatArray = self.outputs[:, :, k] - others.max(axis=2)
        return lead


def survey(
    graph: Graph,
    cell: Cell,
    point: FloatArray,
    dimensions: tuple[int, int],
    extents: tuple[tuple[float, float], tuple[float, float]],
) -> Landscape:
    """Evaluates the network on a grid over two dimensions, the others being those of ``point``."""
    work = sum(node.size for node in graph.nodes)
    size = int(np.clip(np.sqrt(MAX_WORK / work), MIN_RESOLUTION, RESOLUTION))
    x, y = (np.linspace(low, high, size) for low, high in extents)
    points = np.tile(point, (size * size, 1))
    points[:, dimensions[0]] = np.tile(x, size)
    points[:, dimensions[1]] = np.repeat(y, size)
    with np.errstate(all="ignore"):
        parts = [evaluate(graph, part) for part in np.array_split(points, -(-size * size // BATCH))]
    outputs: FloatArray = np.nan_to_num(np.concatenate(parts))
    margin = np.min(
        [
            np.max([_value(row, points, outputs) for row in rows], axis=0)
            for rows in cell.catastrophe
        ],
        axis=0,
    )
    classes = graph.outputs[0].size if graph.outputs[0].size <= MAX_CLASSES else 0
    grid = outputs[:, :classes].reshape((size, size, classes))
    return Landscape(x, y, grid, margin.reshape((size, size)))


def _value(row: LinearConstraint, x: FloatArray, y: FloatArray) -> FloatArray:
    total = np.full(len(x), -float(row.bound))
    for values, terms in ((x, row.inputs), (y, row.outputs)):
        for index, coefficient in terms:
            total += float(coefficient) * values[:, index]
    return total


def _inside(mask: NDArray[np.bool_]) -> tuple[int, int]:
    """A point of the mask that is about as far from its border as can be: the last to erode."""
    core = mask
    while True:
        padded = np.pad(core, 1)
        smaller = core & padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
        if not smaller.any():
            rows, columns = np.nonzero(core)
            middle = len(rows) // 2
            return int(rows[middle]), int(columns[middle])
        core = smaller
