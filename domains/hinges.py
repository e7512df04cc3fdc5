"""Hinges: piecewise linear functions with one knot, whose neurons can be split at it.

On either side of the knot such a function is linear. Where a neuron's interval has the knot inside,
the chord bounds the function on one side, and on the other any line through the knot's corner with
a slope between the two pieces' does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from absint.domains.arrays import Array, Arrays
from absint.domains.interval import Interval
from absint.domains.linear import Rule
from absint.domains.product import propagate
from absint.domains.relaxation import Relaxation
from absint.ir import OPS, Graph, PiecewiseLinear
from absint.problem.contract import Contract

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Hinge:
    """A node with one knot. ``place``: its entries in the flat vector of all hinges' entries."""

    position: int
    operand: int
    place: slice
    knot: float
    value: float
    left: float
    right: float

    @property
    def size(self) -> int:
        return int(self.place.stop) - int(self.place.start)

    @property
    def convex(self) -> bool:
        return self.left <= self.right

    def offset(self, slope: FloatArray | float) -> FloatArray | float:
        """Of the line through the corner with that slope."""
        return self.value - slope * self.knot


def hinges(graph: Graph) -> tuple[Hinge, ...]:
    """The graph's hinges in its order; none where some node has no line on either side.

    Products of variables and cuts are of that sort: a backward pass through them says nothing of
    what a neuron before them is worth.
    """
    found, end = list[Hinge](), 0
    for position, node in enumerate(graph.nodes):
        op = OPS[node.op]
        if op.joint is not None:
            return ()
        facts = None if op.univariate is None else op.univariate.facts(node)
        if isinstance(facts, PiecewiseLinear) and len(facts.knots) == 1:
            place, end = slice(end, end + node.size), end + node.size
            corner = (facts.knots[0], facts.values[0], facts.slopes[0], facts.slopes[1])
            found.append(Hinge(position, node.inputs[0], place, *corner))
    return tuple(found)


@dataclass(frozen=True)
class Frame:
    """What one box makes of a graph, for all sets that phases cut out of it.

    Flat vectors over all hinges' entries, (entries,): ``lower`` and ``upper`` bound the operands,
    ``knot``, ``corner`` (the value there), ``left`` and ``right`` are the functions'; ``slope`` is
    the default of the free line; ``chord`` and ``chord_offset`` are the other line. ``rows``: how
    many were pushed back for it.
    """

    graph: Graph
    box: Interval
    arrays: Arrays
    hinges: tuple[Hinge, ...]
    rules: dict[int, Rule]
    deviations: dict[int, FloatArray]
    lower: FloatArray
    upper: FloatArray
    knot: FloatArray
    corner: FloatArray
    left: FloatArray
    right: FloatArray
    convex: NDArray[np.bool_]
    slope: FloatArray
    chord: FloatArray
    chord_offset: FloatArray
    rows: int

    @property
    def size(self) -> int:
        return len(self.knot)

    @property
    def unstable(self) -> NDArray[np.bool_]:
        """Where the knot lies inside the operand's bounds."""
        inside: NDArray[np.bool_] = (self.lower < self.knot) & (self.upper > self.knot)
        return inside


def frame(
    graph: Graph,
    lower: FloatArray,
    upper: FloatArray,
    arrays: Arrays,
    contract: Contract | None = None,
    shares: FloatArray | None = None,
) -> Frame:
    """Bounds a graph that has hinges on the box [lower, upper], each (input_size,).

    ``shares`` (entries,) of the free lines' slopes, in place of the default ones.
    """
    box, own = (arrays.asarray(lower[None]), arrays.asarray(upper[None])), hinges(graph)
    slopes = None if shares is None else slopes_of(graph, own, arrays.asarray(shares[None]))
    known = propagate(graph, box, arrays, contract, slopes)
    below, above = (_flat([known.bounds[h.operand][end] for h in own], arrays) for end in (0, 1))
    lines = [_lines(known.rules[h.position], h, arrays) for h in own]
    slope, chord, offset = (np.concatenate(part) for part in zip(*lines, strict=True))
    sizes = [h.size for h in own]
    facts = [(h.knot, h.value, h.left, h.right) for h in own]
    knot, corner, left, right = (np.repeat(np.array(f), sizes) for f in zip(*facts, strict=True))
    return Frame(
        graph, box, arrays, own, dict(known.rules), dict(known.deviations), below, above,
        knot, corner, left, right, left <= right, slope, chord, offset, known.rows,
    )  # fmt: skip


def slopes_of(graph: Graph, own: Sequence[Hinge], shares: Array) -> dict[int, Array]:
    """By node, slopes (batch, *shape) of shares (batch, entries) between the pieces': 0 is the left
    one's, 1 the right one's."""
    found = {}
    for hinge in own:
        slope = hinge.left + (hinge.right - hinge.left) * shares[:, hinge.place]
        found[hinge.position] = slope.reshape((len(shares), *graph.nodes[hinge.position].shape))
    return found


def _flat(parts: list[FloatArray], arrays: Arrays) -> FloatArray:
    return np.concatenate([arrays.numpy(part).reshape(-1) for part in parts])


def _lines(rule: Rule, hinge: Hinge, arrays: Arrays) -> tuple[FloatArray, FloatArray, FloatArray]:
    """The free line's slope, the other line's slope and offset, flat."""
    assert isinstance(rule, Relaxation)
    names = (rule.slope, rule.half_slope, rule.offset, rule.half_offset)
    slope, half, offset, half_offset = (arrays.numpy(part).reshape(-1) for part in names)
    sign = 1 if hinge.convex else -1
    return slope - sign * half, slope + sign * half, offset + sign * half_offset
