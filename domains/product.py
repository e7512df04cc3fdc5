"""The reduced product of intervals and backward linear bounds: the analysis that search runs.

Every pre-activation is bounded by intervals first; those that matter (a knot, or curvature, inside
the interval) are bounded again by linear relaxation, and each later step uses the intersection.
So are the operands of ops that mix values.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from absint.domains import interval, rounding
from absint.domains.arrays import Array, Arrays
from absint.domains.bilinear import bilinear
from absint.domains.influence import MAX_ELEMENTS, Origins, influence
from absint.domains.interval import Interval
from absint.domains.linear import Cut, Rule, backward
from absint.domains.normalize import Chord
from absint.domains.refine import Pass, refine
from absint.domains.relaxation import relax
from absint.ir import OPS, Graph, Node
from absint.problem.contract import Contract

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Query:
    """Rows ``inputs . x + outputs . y - bound`` whose minimum is asked for.

    ``inputs`` is (rows, input_size), ``outputs`` (rows, output_size), ``bound`` (rows,).
    """

    inputs: FloatArray
    outputs: FloatArray
    bound: FloatArray


@dataclass(frozen=True)
class Analysis:
    """Linear lower bounds of a query's rows on a batch of boxes.

    ``coefficients`` (batch or 1, rows, input_size); ``centre`` (batch, rows): the bounds' values
    at the boxes' centres; ``influence``, like coefficients: how much of the looseness of each
    bound each input accounts for. ``rows``: how many were pushed back for each box, all in all, or
    0 where that is not known.
    """

    coefficients: Array
    centre: Array
    influence: Array
    rows: int = 0


def analyse(
    graph: Graph,
    box: Interval,
    query: Query,
    arrays: Arrays,
    contract: Contract | None = None,
    slopes: Slopes | None = None,
) -> Analysis:
    """Bounds the query's rows on a batch of boxes (each (batch, input_size)).

    In real arithmetic, or for every execution that the contract allows.
    """
    known = propagate(graph, box, arrays, contract, slopes)
    start = row_start(graph, query.inputs[None], query.outputs[None], arrays)
    linear = backward(graph, start, known.rules, known.deviations, arrays)
    middle = (box[0] + box[1])[..., None] / 2
    centre = (linear.coefficients @ middle)[..., 0] + linear.offset - arrays.asarray(query.bound)
    shares = influence(linear, known.looseness, box, arrays)
    return Analysis(linear.coefficients, centre, shares, known.rows + len(query.bound))


def row_start(
    graph: Graph, inputs: FloatArray, outputs: FloatArray, arrays: Arrays
) -> dict[int, Array]:
    """Where a backward pass starts: rows of (batch, rows, input_size or output_size) by node."""
    start: dict[int, Array] = {}
    for node, place in graph.output_slices():
        part = outputs[..., place].reshape((*outputs.shape[:2], *graph.nodes[node].shape))
        start[node] = start.get(node, 0) + arrays.asarray(part)
    for node, place in graph.input_slices().items():
        if inputs[..., place].any():
            part = inputs[..., place].reshape((*inputs.shape[:2], *graph.nodes[node].shape))
            start[node] = start.get(node, 0) + arrays.asarray(part)
    return start


@dataclass(frozen=True)
class Propagated:
    """What a batch of boxes makes of each node: its bounds, the rule for a nonlinear one, the
    deviation of one that is not an exact function of its operands, a relaxation's looseness by
    input; and how many rows were pushed back for that."""

    bounds: Sequence[Interval]
    rules: Mapping[int, Rule]
    deviations: Mapping[int, Array]
    looseness: Mapping[int, Array]
    rows: int


Slopes = Mapping[int, Array]
"""By node with one knot, slopes (batch or 1, *shape) of the line that is free to turn about it."""


def propagate(
    graph: Graph,
    box: Interval,
    arrays: Arrays,
    contract: Contract | None = None,
    slopes: Slopes | None = None,
    passes: list[Pass] | None = None,
) -> Propagated:
    """Bounds all nodes on a batch of boxes (each (batch, input_size)).

    With ``slopes`` in place of the default ones. The passes back are appended to ``passes``.
    """
    known = _Propagation(graph, box, arrays, contract, slopes or {}, passes)
    for position, node in enumerate(graph.nodes):
        known.step(position, node)
    return Propagated(known.bounds, known.rules, known.deviations, known.looseness, known.rows)


class _Propagation:
    """What is known of the nodes so far."""

    def __init__(
        self,
        graph: Graph,
        box: Interval,
        arrays: Arrays,
        contract: Contract | None,
        slopes: Slopes,
        passes: list[Pass] | None,
    ) -> None:
        self.graph, self.box, self.arrays, self.contract = graph, box, arrays, contract
        self.slopes, self.passes = slopes, passes
        self.places = graph.input_slices()
        self.bounds: list[Interval] = []
        self.rules: dict[int, Rule] = {}
        self.deviations: dict[int, Array] = {}
        self.looseness: dict[int, Array] = {}
        self.rows = 0
        self._refined: dict[int, Array | None] = {}
        self._whole: set[int] = set()
        """Those of which every neuron was refined."""
        self._origins = Origins(graph, box, arrays)

    def step(self, position: int, node: Node) -> None:
        op = OPS[node.op]
        if node.op == "input":
            ends = (end[:, self.places[position]].reshape((-1, *node.shape)) for end in self.box)
            self.bounds.append((next(ends), next(ends)))
        elif op.univariate is not None:
            self._univariate(position, node)
        elif op.joint is not None:
            self._joint(position, node)
        else:
            operands = [self.bounds[i] for i in node.inputs]
            moved = interval.deviation(node, operands, self.arrays)
            if moved is not None:
                self.deviations[position] = moved
            self.bounds.append(interval.affine(node, operands, self.arrays))
        if self.contract is not None and node.op != "input":
            self._round(position, node, self.contract)

    def _round(self, position: int, node: Node, contract: Contract) -> None:
        """Widens the node's bounds by what a runtime may be off by."""
        operands, value = [self.bounds[i] for i in node.inputs], self.bounds[position]
        rule = self.rules.get(position)
        chord = rule if isinstance(rule, Chord) else None
        off = rounding.error(node, operands, value, chord, contract, self.arrays)
        if off is not None:
            self.bounds[position] = value[0] - off, value[1] + off
            known = self.deviations.get(position)
            self.deviations[position] = off if known is None else known + off

    def _univariate(self, position: int, node: Node) -> None:
        (operand,) = node.inputs
        if operand not in self._refined and self.graph.nodes[operand].op != "input":
            self._refine(operand, node)
        rule = relax(node, self.bounds[operand], self.arrays, self.slopes.get(position))
        self.rules[position] = rule
        if (parts := self._refined.get(operand)) is not None:
            gap = rule.mean_gap(self.bounds[operand])
            self.looseness[position] = parts * gap.reshape((gap.shape[0], -1, 1))
        self.bounds.append(interval.transform(node, [self.bounds[operand]], self.arrays))

    def _joint(self, position: int, node: Node) -> None:
        """Planes about a product of two variables, chords of a normalisation; else a cut."""
        for operand in node.inputs:
            if operand not in self._whole and self._bounds_linearly(operand):
                self._whole.add(operand)
                self._refine(operand, node)
        operands = [self.bounds[i] for i in node.inputs]
        found = interval.transform(node, operands, self.arrays)
        planes = bilinear(node, operands, self.arrays)
        self.rules[position] = Cut.of(found) if planes is None else planes
        if node.op == "normalize":
            self.rules[position] = Chord.of(node, operands[0], found, self.arrays)
        self.bounds.append(found)
        size = len(self.box[0]) * node.size * self.graph.input_size
        if size <= MAX_ELEMENTS:
            gap = found[1] - found[0] if planes is None else planes.gap
            origin = self._origins.of(position, self._refined)[:, None]
            self.looseness[position] = gap.reshape((gap.shape[0], -1, 1)) * origin

    def _bounds_linearly(self, operand: int) -> bool:
        """Whether a backward pass can know more of a node than its interval."""
        node = self.graph.nodes[operand]
        linear = not isinstance(self.rules.get(operand), Cut) and OPS[node.op].univariate is None
        return linear and node.op != "input"

    def _refine(self, operand: int, consumer: Node) -> None:
        self.bounds[operand], self._refined[operand], rows = refine(
            self.graph,
            operand,
            consumer,
            self.bounds[operand],
            self.box,
            self.rules,
            self.deviations,
            self.arrays,
            self.passes,
        )
        self.rows += rows
