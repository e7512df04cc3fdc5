"""What one float64 bound computation of the checker's leaves costs without its rigour.

Plain CROWN on numpy, as ``absint.domains`` computes it, on batches of the sets of leaves: bounds of
every pre-activation and of one row a conjunction, and nothing else. No error is bounded, nothing is
read or compared, and what a search wants besides (which input matters, how loose a neuron is) is
left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from absint.domains import interval
from absint.domains.arrays import Arrays, numpy_arrays
from absint.domains.interval import Interval
from absint.domains.linear import Rule, backward
from absint.domains.product import row_start
from absint.domains.relaxation import Relaxation, relax
from absint.ir import OPS, Graph, PiecewiseLinear
from absint.proofs.leaves import Leaf
from absint.proofs.stream import MULTIPLIERS

FloatArray = NDArray[np.float64]
ELEMENT_BUDGET = 1 << 17
"""Coefficients held at once: what stays in a core's cache is faster."""


@dataclass(frozen=True)
class Plain:
    """Bounds of piecewise linear graphs in float64, and of rows ``outputs`` (rows, output_size)."""

    graph: Graph
    outputs: FloatArray
    arrays: Arrays

    @staticmethod
    def of(graph: Graph, outputs: FloatArray) -> Plain:
        return Plain(graph, outputs, numpy_arrays())

    def boxes(self, lower: FloatArray, upper: FloatArray) -> FloatArray:
        """Lower bounds (batch, rows) of the rows on boxes (batch, input_size)."""
        rules = self.rules((lower, upper))[0]
        return self._rows(rules, (lower, upper), {}, len(lower))

    def leaves(self, box: Interval, leaves: list[list[Leaf]]) -> FloatArray:
        """Lower bounds (leaves, rows) of MIX leaves below one box, in the given batches."""
        rules, bounds = self.rules(box)
        return np.concatenate([self._phased(box, rules, bounds, some) for some in leaves])

    def rules(self, box: Interval) -> tuple[dict[int, Rule], list[Interval]]:
        """The relaxation of every neuron, and bounds of every node."""
        bounds, rules, places = list[Interval](), dict[int, Rule](), self.graph.input_slices()
        for position, node in enumerate(self.graph.nodes):
            if node.op == "input":
                ends = (end[:, places[position]].reshape((-1, *node.shape)) for end in box)
                bounds.append((next(ends), next(ends)))
            elif OPS[node.op].univariate is None:
                bounds.append(interval.affine(node, [bounds[i] for i in node.inputs], self.arrays))
            else:
                operand = node.inputs[0]
                bounds[operand] = self._refined(position, operand, bounds[operand], box, rules)
                rules[position] = relax(node, bounds[operand], self.arrays)
                bounds.append(interval.transform(node, [bounds[operand]], self.arrays))
        return rules, bounds

    def _refined(
        self,
        reader: int,
        target: int,
        bound: Interval,
        box: Interval,
        rules: Mapping[int, Rule],
    ) -> Interval:
        """Pre-activations whose interval has a knot inside, bounded by backward passes too."""
        node, facts = self.graph.nodes[reader], OPS[self.graph.nodes[reader].op].univariate
        assert facts is not None
        pieces = facts.facts(node)
        assert isinstance(pieces, PiecewiseLinear)
        lower, upper = (end.reshape((len(end), -1)).copy() for end in bound)
        curved = np.any([(lower < knot) & (upper > knot) for knot in pieces.knots], axis=0)
        chosen = np.flatnonzero(curved.any(axis=0))
        widest = max(n.size for n in self.graph.nodes)
        step = max(1, ELEMENT_BUDGET // (2 * len(lower) * widest))
        for begin in range(0, len(chosen), step):
            some = chosen[begin : begin + step]
            units = np.zeros((1, 2 * len(some), lower.shape[1]))
            units[0, np.arange(len(some)), some] = 1.0
            units[0, len(some) + np.arange(len(some)), some] = -1.0
            start = {target: units.reshape((1, -1, *node.in_shapes[0]))}
            value = backward(self.graph, start, rules, {}, self.arrays).minimum(box, self.arrays)
            lower[:, some] = np.maximum(lower[:, some], value[:, : len(some)])
            upper[:, some] = np.minimum(upper[:, some], -value[:, len(some) :])
        shape = (-1, *node.in_shapes[0])
        return lower.reshape(shape), upper.reshape(shape)

    def _rows(
        self, rules: Mapping[int, Rule], box: Interval, pulls: Mapping[int, FloatArray], batch: int
    ) -> FloatArray:
        inputs = np.zeros((1, len(self.outputs), self.graph.input_size))
        start = row_start(self.graph, inputs, self.outputs[None], self.arrays)
        for operand, pull in pulls.items():
            start[operand] = start.get(operand, 0) + pull
        found: FloatArray = backward(self.graph, start, rules, {}, self.arrays).minimum(
            box, self.arrays
        )
        return np.broadcast_to(found, (batch, len(self.outputs)))

    def _phased(
        self,
        box: Interval,
        rules: Mapping[int, Rule],
        bounds: list[Interval],
        leaves: list[Leaf],
    ) -> FloatArray:
        """One pass for a row, with the lines and multipliers of each leaf's phases (of ReLUs)."""
        own, pulls = dict(rules), dict[int, FloatArray]()
        table = np.array([(i, *p) for i, leaf in enumerate(leaves) for p in leaf.phases])
        forces = np.array([b for leaf in leaves for b in leaf.choices[-len(leaf.phases) :]])
        for position in np.unique(table[:, 1]).tolist():
            at = table[:, 1] == position
            rule, operand = rules[position], self.graph.nodes[position].inputs[0]
            assert isinstance(rule, Relaxation)
            row, entry, above = table[at][:, 0], table[at][:, 2], table[at][:, 3]
            parts = [rule.slope, rule.half_slope, rule.offset, rule.half_offset]
            full = [np.repeat(part.reshape((1, -1)), len(leaves), axis=0) for part in parts]
            for part, value in zip(full, (above, 0, 0, 0), strict=True):
                part[row, entry] = value
            shape = (len(leaves), *self.graph.nodes[position].shape)
            own[position] = Relaxation(*(part.reshape(shape) for part in full))
            pull = np.zeros(full[0].shape)
            force = np.array(MULTIPLIERS)[forces[at]]
            pull[row, entry] = np.where(above > 0, -force, force)
            pulls[operand] = pull.reshape((len(leaves), 1, *bounds[operand][0].shape[1:]))
        return self._rows(own, box, pulls, len(leaves))
