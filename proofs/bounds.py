"""Rigorous bounds of a graph on a batch of boxes: intervals, and backward linear bounds.

The same product as the search's default analysis (Zhang et al. 2018, Singh et al. 2019), with every
rounding accounted for: coefficients are taken as exact once computed, and what their computation
may have lost, times the largest value of what they multiply, goes into ``loss``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from absint.ir import OPS, Graph, Node
from absint.ir.slopes import default_slopes
from absint.proofs.arithmetic import TINY, FloatArray, U, gamma, inflate, midpoint_radius
from absint.proofs.transformers import affine, univariate
from absint.proofs.transformers.affine import AFFINE_OPS, Interval
from absint.proofs.transformers.univariate import UNIVARIATE_OPS, Function, Relaxation

ELEMENT_BUDGET = 1 << 23
"""Coefficients held at once; more rows are taken in several passes."""


@dataclass(frozen=True)
class Rows:
    """Linear rows ``inputs . x + outputs . y - bound``, as floats with what each is off by.

    ``inputs`` and ``inputs_off`` are (batch or 1, rows, input_size), ``outputs`` and
    ``outputs_off`` (batch or 1, rows, output_size), ``bound`` (batch or 1, rows) is rounded up.
    """

    inputs: FloatArray
    inputs_off: FloatArray
    outputs: FloatArray
    outputs_off: FloatArray
    bound: FloatArray


class Bounds:
    """Bounds of every node of ``graph`` on the boxes [lower, upper], each (batch, input_size)."""

    def __init__(self, graph: Graph, lower: FloatArray, upper: FloatArray) -> None:
        self.graph = graph
        self.box = (lower, upper)
        self.values: list[Interval] = []
        self._relaxations: dict[int, Relaxation] = {}
        self._losses: dict[int, tuple[FloatArray, FloatArray]] = {}
        places = graph.input_slices()
        with np.errstate(all="ignore"):
            for position, node in enumerate(graph.nodes):
                if node.op == "input":
                    ends = [end[:, places[position]].reshape((-1, *node.shape)) for end in self.box]
                    self.values.append((ends[0], ends[1]))
                else:
                    self.values.append(self._transform(position, node))

    def _transform(self, position: int, node: Node) -> Interval:
        operands = [self.values[i] for i in node.inputs]
        if node.op in AFFINE_OPS:
            under = affine.underflow_loss(node, operands)
            self._losses[position] = (affine.backward_loss(node, operands), under)
            return affine.interval(node, operands)
        (operand,), function = node.inputs, UNIVARIATE_OPS[node.op](node)
        self._refine(operand, function)
        x = self.values[operand]
        slopes = default_slopes(node, *x, np)
        self._relaxations[position] = univariate.relax(node, x, slopes)
        return function.image(x)

    def _refine(self, target: int, function: Function) -> None:
        """Intersects the bounds of a pre-activation with backward linear bounds."""
        node = self.graph.nodes[target]
        if node.op == "input":
            return
        batch = self.box[0].shape[0]
        curved = function.curved(self.values[target]).reshape((batch, -1))
        chosen = np.flatnonzero(curved.any(axis=0))
        lower, upper = (end.reshape((batch, -1)).copy() for end in self.values[target])
        widest = max(n.size for n in self.graph.nodes[: target + 1])
        step = max(1, ELEMENT_BUDGET // (2 * batch * widest))
        for begin in range(0, len(chosen), step):
            some = chosen[begin : begin + step]
            start = _signed_units(some, node)
            value = self._backward({target: start}, np.zeros((1, 2 * len(some))))
            low = np.maximum(lower[:, some], value[:, : len(some)])
            high = np.minimum(upper[:, some], -value[:, len(some) :])
            lower[:, some] = np.where(curved[:, some], low, lower[:, some])
            upper[:, some] = np.where(curved[:, some], high, upper[:, some])
        self.values[target] = (
            lower.reshape((batch, *node.shape)),
            upper.reshape((batch, *node.shape)),
        )

    def minimum(self, rows: Rows) -> FloatArray:
        """Lower bounds of each row over each box, (batch, rows)."""
        with np.errstate(all="ignore"):
            start: dict[int, FloatArray] = {}
            loss = np.zeros((self.box[0].shape[0], rows.bound.shape[1]))
            for node, place in self.graph.output_slices():
                self._start(start, node, rows.outputs[..., place])
                loss = loss + self._off(node, rows.outputs_off[..., place])
            for node, place in self.graph.input_slices().items():
                if rows.inputs[..., place].any():
                    self._start(start, node, rows.inputs[..., place])
                    loss = loss + self._off(node, rows.inputs_off[..., place])
            if not start:
                return np.broadcast_to(-rows.bound, loss.shape).copy()
            value = self._backward(start, inflate(loss, self.graph.output_size + 4)) - rows.bound
            return np.nextafter(value, -np.inf)

    def _start(self, start: dict[int, FloatArray], node: int, part: FloatArray) -> None:
        part = part.reshape((*part.shape[:2], *self.graph.nodes[node].shape))
        if node in start:  # two ports of one node: exact only where they do not overlap
            part = _exact_sum(start[node], part)
        start[node] = part

    def _off(self, node: int, off: FloatArray) -> FloatArray:
        return _rows(
            off.reshape((*off.shape[:2], *self.graph.nodes[node].shape)), self._reach(node)
        )

    def _reach(self, node: int) -> FloatArray:
        return np.maximum(np.abs(self.values[node][0]), np.abs(self.values[node][1]))

    def _backward(self, start: Mapping[int, FloatArray], loss: FloatArray) -> FloatArray:
        """Lower bounds, (batch, rows), of ``sum_v start[v] . v`` less ``loss``.

        ``start`` maps nodes to exact coefficients (batch or 1, rows, *shape).
        """
        walk = _Walk(dict(start), np.zeros((1, loss.shape[1])), loss)
        total: FloatArray | float = 0.0
        for position in reversed(range(max(walk.pending) + 1)):
            if position not in walk.pending:
                continue
            c, node = walk.pending.pop(position), self.graph.nodes[position]
            if node.op == "input":
                total = total + self._concretise(position, c, walk)
                continue
            if position in self._relaxations:
                parts = [self._through(c, position, walk)]
            else:
                parts = self._affine_step(c, position, walk)
            for operand, part in zip(node.inputs, parts, strict=True):
                self._add(operand, part, walk)
        safe_loss = walk.loss * (1 + 2.0**-20) + TINY * 2.0**40
        value = total + walk.offset
        spare = gamma(len(self.graph.nodes) + 4) * (np.abs(total) + np.abs(walk.offset))
        return np.nextafter(value - (safe_loss + spare), -np.inf)

    def _affine_step(self, c: FloatArray, position: int, walk: _Walk) -> list[FloatArray]:
        node, (unit, under) = self.graph.nodes[position], self._losses[position]
        rule = OPS[node.op].affine
        assert rule is not None
        walk.lose(_rows(np.abs(c), unit) + under[:, None])
        if "bias" in node.consts:
            walk.shift(_rows(c, np.broadcast_to(node.consts["bias"].value, (1, *node.shape))))
        weight = node.consts["weight"].value if "weight" in node.consts else None
        return rule.backward(node, c, weight, np)

    def _through(self, c: FloatArray, position: int, walk: _Walk) -> FloatArray:
        """Coefficients before a nonlinear node; its offsets and their rounding are booked."""
        node, relaxation = self.graph.nodes[position], self._relaxations[position]
        positive, negative = np.maximum(c, 0.0), np.minimum(c, 0.0)
        part = (
            positive * relaxation.lower_slope[:, None] + negative * relaxation.upper_slope[:, None]
        )
        walk.shift(
            _rows(positive, relaxation.lower_offset) + _rows(negative, relaxation.upper_offset)
        )
        size = np.maximum(np.abs(relaxation.lower_offset), np.abs(relaxation.upper_offset))
        reach = self._reach(node.inputs[0])
        steep = np.maximum(np.abs(relaxation.lower_slope), np.abs(relaxation.upper_slope))
        unit = gamma(node.size + 2) * size + 4 * U * steep * reach
        under = 4 * TINY * reach.reshape((reach.shape[0], -1)).sum(axis=1)
        walk.lose(_rows(np.abs(c), unit) + under[:, None])
        return part

    def _add(self, operand: int, part: FloatArray, walk: _Walk) -> None:
        if operand in walk.pending:
            part = walk.pending[operand] + part
            walk.lose(_rows(np.abs(part), 2 * U * self._reach(operand)))
        walk.pending[operand] = part

    def _concretise(self, position: int, c: FloatArray, walk: _Walk) -> FloatArray:
        """The least value of ``c . x`` over the box of one input, before losses."""
        batch, size = self.box[0].shape[0], self.graph.nodes[position].size
        middle, radius = midpoint_radius(*self.values[position])
        value = _rows(c, middle) - _rows(np.abs(c), radius)
        walk.lose(_rows(np.abs(c), gamma(size + 2) * (np.abs(middle) + radius)))
        return np.broadcast_to(value, (batch, c.shape[1]))


@dataclass
class _Walk:
    """The state of one backward pass: coefficients to be pushed on, offset so far, loss so far."""

    pending: dict[int, FloatArray]
    offset: FloatArray
    loss: FloatArray

    def shift(self, amount: FloatArray) -> None:
        self.offset = self.offset + amount
        self.loss = self.loss + 2 * U * np.abs(self.offset)

    def lose(self, amount: FloatArray) -> None:
        self.loss = self.loss + amount


def _rows(c: FloatArray, x: FloatArray) -> FloatArray:
    """(batch, rows): inner products of (batch or 1, rows, *shape) with (batch or 1, *shape)."""
    flat = c.reshape((*c.shape[:2], -1))
    product: FloatArray = (flat @ x.reshape((x.shape[0], -1, 1)))[..., 0]
    return product


def _signed_units(chosen: NDArray[np.int64], node: Node) -> FloatArray:
    """Coefficients (1, 2 k, *shape): the chosen neurons, then their negatives."""
    units = np.zeros((1, 2 * len(chosen), node.size))
    rows = np.arange(len(chosen))
    units[0, rows, chosen] = 1.0
    units[0, len(chosen) + rows, chosen] = -1.0
    return units.reshape((1, -1, *node.shape))


def _exact_sum(a: FloatArray, b: FloatArray) -> FloatArray:
    """a + b where that is exact, NaN (which proves nothing) where it is not."""
    total = a + b
    return np.where((total - a == b) & (total - b == a), total, np.nan)
