"""A 2-D slice through a certificate's partition: which leaves it meets, and in which rectangles."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from absint.ir import Graph
from absint.problem import InputError, Problem
from absint.proofs.check import CheckReport
from absint.proofs.format import Certificate
from absint.proofs.leaves import Leaf, leaves
from absint.proofs.stream import SUMS, Arity, Rule, steps

FloatArray = NDArray[np.float64]
MAX_TILES = 500_000


class Kind(Enum):
    """What is known of a box, in the order of the legend; of several leaves the last counts."""

    SAFE = "safe"
    MIXED = "safe, by a weighted sum"
    PHASED = "safe, by phases of neurons"
    EMPTY = "outside the region"
    OPEN = "open: not decided"
    REJECTED = "rejected by the checker"


_ORDER = list(Kind)
KINDS = {
    Rule.SAFE: Kind.SAFE,
    Rule.MIX: Kind.MIXED,
    Rule.FARKAS: Kind.MIXED,
    Rule.EMPTY: Kind.EMPTY,
    Rule.OPEN: Kind.OPEN,
}


@dataclass(frozen=True)
class Tile:
    """A box's rectangle in the slice: lower and upper corner, in the network's units."""

    kind: Kind
    x: tuple[float, float]
    y: tuple[float, float]


@dataclass(frozen=True)
class Slice:
    """Dimensions ``x`` and ``y`` vary, the others stay at ``point`` (input_size,)."""

    x: int
    y: int
    point: FloatArray
    tiles: tuple[Tile, ...]
    boxes: tuple[tuple[FloatArray, FloatArray], ...]
    """The region's boxes that the slice meets: lower and upper, (input_size,) each."""

    @property
    def axes(self) -> tuple[int, int]:
        return self.x, self.y

    def span(self, axis: int) -> tuple[float, float]:
        """The slice's extent: axis 0 is x, axis 1 is y."""
        ends = [(tile.x, tile.y)[axis] for tile in self.tiles]
        return min(low for low, _ in ends), max(high for _, high in ends)

    def counts(self) -> dict[Kind, int]:
        found = Counter(tile.kind for tile in self.tiles)
        return {kind: found[kind] for kind in Kind if found[kind]}


def problem_of(certificate: Certificate) -> Problem:
    """What the certificate is about. Raises InputError for a network that decodes."""
    if not isinstance(certificate.problem, Problem):
        raise InputError("is about a network that decodes; see absint explain")
    return certificate.problem


def most_split(certificate: Certificate, graph: Graph) -> list[int]:
    """The input dimensions, those with most splits first; ties go to the wider, then the earlier.

    Dimensions without width in every cell are left out.
    """
    problem, splits = problem_of(certificate), Counter[int]()
    for cell, proof in zip(problem.cells, certificate.proofs, strict=True):
        rules = steps(proof, Arity.of(cell, graph))
        splits.update(s.choices[0] for s in rules if s.rule in (Rule.HALVE, Rule.SPLIT))
    boxes = [problem.network_box(cell) for cell in problem.cells]
    width = np.max([upper - lower for lower, upper in boxes], axis=0)
    wide = np.flatnonzero(width > 0).tolist()
    return sorted(wide, key=lambda d: (-splits[d], -width[d], d))


def cut(
    certificate: Certificate,
    graph: Graph,
    report: CheckReport,
    x: int,
    y: int,
    fixed: Mapping[int, float],
    point: FloatArray | None = None,
) -> Slice:
    """The slice through ``point`` (default: where the proof is finest) with ``fixed`` values.

    Raises InputError where it misses the region.
    """
    problem = problem_of(certificate)
    at = _finest(certificate, graph) if point is None else point.copy()
    for dimension, value in fixed.items():
        at[dimension] = value
    rejected = {(item.cell, item.leaf) for item in report.rejected}
    tiles = tuple(_tiles(certificate, graph, rejected, x, y, at))
    if not tiles:
        raise InputError(f"the slice does not meet the region of {problem.name}")
    if len(tiles) > MAX_TILES:
        raise InputError(f"the slice meets {len(tiles)} boxes, more than {MAX_TILES}")
    boxes = [problem.network_box(cell) for cell in problem.cells]
    return Slice(x, y, at, tiles, tuple(box for box in boxes if _within(box, at, (x, y))))


def _finest(certificate: Certificate, graph: Graph) -> FloatArray:
    """The middle of the smallest leaf (by its share of its cell): where the proof was hardest."""
    problem, best = problem_of(certificate), (math.inf, np.zeros(0))
    for cell, proof in zip(problem.cells, certificate.proofs, strict=True):
        lower, upper = problem.network_box(cell)
        width = np.where(upper > lower, upper - lower, 1.0)
        for leaf in leaves(proof, lower.tolist(), upper.tolist(), Arity.of(cell, graph)):
            low, high = np.array(leaf.lower), np.array(leaf.upper)
            share = float(np.log2(np.where(high > low, (high - low) / width, 1.0)).sum())
            if share < best[0]:
                best = share, (low + high) / 2
    return best[1]


def _within(box: tuple[FloatArray, FloatArray], at: FloatArray, axes: tuple[int, int]) -> bool:
    inside = (box[0] <= at) & (at <= box[1])
    inside[list(axes)] = True
    return bool(inside.all())


def _tiles(
    certificate: Certificate,
    graph: Graph,
    rejected: set[tuple[int, int]],
    x: int,
    y: int,
    at: FloatArray,
) -> list[Tile]:
    """One a box; where phases lie above boxes these overlap, and what is not proved lies on top."""
    problem, found = problem_of(certificate), list[Tile]()
    rest = [d for d in range(problem.input_size) if d not in (x, y)]
    for index, cell in enumerate(problem.cells):
        lower, upper = (ends.tolist() for ends in problem.network_box(cell))
        stream = leaves(certificate.proofs[index], lower, upper, Arity.of(cell, graph))
        for _, group in groupby(stream, key=lambda leaf: leaf.block.number):
            some = list(group)
            if not _meets(some[0], rest, at, upper):
                continue
            kinds = [
                Kind.REJECTED if (index, leaf.ordinal) in rejected else _kind(leaf) for leaf in some
            ]
            low, high = some[0].lower, some[0].upper
            kind = max(kinds, key=_ORDER.index)
            found.append(Tile(kind, (low[x], high[x]), (low[y], high[y])))
    return sorted(found, key=lambda tile: tile.kind in (Kind.OPEN, Kind.REJECTED))


def _kind(leaf: Leaf) -> Kind:
    phased = leaf.phases and leaf.rule in (Rule.SAFE, *SUMS)
    return Kind.PHASED if phased else KINDS[leaf.rule]


def _meets(leaf: Leaf, rest: Sequence[int], at: FloatArray, upper: Sequence[float]) -> bool:
    """Whether the point lies in the leaf; on a cut it counts as in the upper part only."""
    return all(
        leaf.lower[d] <= at[d] and (at[d] < leaf.upper[d] or at[d] == leaf.upper[d] == upper[d])
        for d in rest
    )
