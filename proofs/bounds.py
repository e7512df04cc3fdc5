"""Rigorous bounds of a graph on a batch of regions: intervals, and backward linear bounds.

The same product as the search's default analysis (Zhang et al. 2018, Singh et al. 2019), with every
rounding accounted for: coefficients are taken as exact once computed, and what their computation
may have lost, times the largest value of what they multiply, goes into ``loss``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from absint.ir import OPS, Graph, Node
from absint.ir.slopes import default_slopes
from absint.proofs.arithmetic import (
    TINY,
    FloatArray,
    U,
    gamma,
    midpoint_radius,
    without_subnormals,
)
from absint.proofs.transformers import affine, joint, univariate
from absint.proofs.transformers.affine import AFFINE_OPS, Interval
from absint.proofs.transformers.joint import JOINT_OPS
from absint.proofs.transformers.univariate import UNIVARIATE_OPS, Function, Relaxation

ELEMENT_BUDGET = 1 << 23
"""Coefficients held at once; more rows are taken in several passes."""


@dataclass(frozen=True)
class Rows:
    """Linear rows ``inputs . x + outputs . y - bound``, as floats with what each is off by.

    ``inputs`` and ``inputs_off`` are (batch or 1, rows, input_size), ``outputs`` and
    ``outputs_off`` (batch or 1, rows, output_size), ``bound`` (batch or 1, rows) is rounded up.
    No row has input terms where ``inputs`` has no columns.
    """

    inputs: FloatArray
    inputs_off: FloatArray
    outputs: FloatArray
    outputs_off: FloatArray
    bound: FloatArray

    def take(self, which: slice | list[int]) -> Rows:
        """Some of the rows."""
        parts = (self.inputs, self.inputs_off, self.outputs, self.outputs_off, self.bound)
        return Rows(*(part[:, which] for part in parts))


class Region(Protocol):
    """A batch of sets of inputs: what is known of some nodes, by other means than their operands.

    Backward bounds end at the given nodes.
    """

    batch: int
    order: Sequence[int]
    """The nodes to be bounded, in topological order."""

    def given(self, position: int, values: Mapping[int, Interval]) -> Interval | None:
        """Bounds (batch, *shape) of a given node; None where it is not one.

        ``values`` holds the bounds of the nodes before it in ``order``.
        """

    def minimum(self, parts: Mapping[int, FloatArray]) -> FloatArray:
        """At most the least value, (batch, rows), of ``sum_v parts[v] . v`` over given nodes v.

        ``parts`` holds exact coefficients (batch or 1, rows, *shape).
        """


class Boxes:
    """The boxes [lower, upper], each (batch, input_size)."""

    def __init__(self, graph: Graph, lower: FloatArray, upper: FloatArray) -> None:
        self.batch = lower.shape[0]
        self.order: Sequence[int] = range(len(graph.nodes))
        box, self._values = without_subnormals(lower, upper), dict[int, Interval]()
        for position, place in graph.input_slices().items():
            shape = (-1, *graph.nodes[position].shape)
            self._values[position] = (
                box[0][:, place].reshape(shape),
                box[1][:, place].reshape(shape),
            )

    def given(self, position: int, values: Mapping[int, Interval]) -> Interval | None:
        return self._values.get(position)

    def minimum(self, parts: Mapping[int, FloatArray]) -> FloatArray:
        total: FloatArray = np.zeros((1, 1))
        for position, c in parts.items():
            total = np.nextafter(total + box_minimum(c, self._values[position]), -np.inf)
        return total


def box_minimum(c: FloatArray, values: Interval) -> FloatArray:
    """At most the least value, (batch, rows), of ``c . x`` for x in a box (batch, *shape)."""
    middle, radius = midpoint_radius(*values)
    size, reach = np.abs(c), np.maximum(np.abs(values[0]), np.abs(values[1])) + TINY
    loss = Loss.of(2 * gamma(c[0, 0].size + 2) * reach + TINY, 8 * TINY * _total(reach))
    found = _rows(c, middle) - _rows(size, radius)
    lost = (_rows(size, loss.unit) + loss.under[:, None]) * (1 + 2.0**-20)
    return np.nextafter(found - (lost + 2 * U * np.abs(found)), -np.inf)


class Bounds:
    """Bounds of the nodes of ``graph`` that ``region`` names, on every set of its batch."""

    def __init__(self, graph: Graph, region: Region) -> None:
        self.graph, self.region = graph, region
        self.values: dict[int, Interval] = {}
        self._given: set[int] = set()
        self._relaxations: dict[int, Relaxation] = {}
        self._lines: dict[int, _Lines] = {}
        self._losses: dict[int, Loss] = {}
        self._refined: set[int] = set()
        self._defined = np.ones(region.batch, dtype=bool)
        gamma(sum(graph.nodes[position].size for position in region.order))  # at most MAX_TERMS
        with np.errstate(all="ignore"):
            for position in region.order:
                if graph.nodes[position].op in JOINT_OPS:
                    self._refine_operands(graph.nodes[position])
                given = region.given(position, self.values)
                if given is None:
                    self.values[position] = self._transform(position, graph.nodes[position])
                else:
                    self._given.add(position)
                    self.values[position] = given
                for end in self.values[position]:
                    self._defined &= ~np.isnan(end.reshape((end.shape[0], -1))).any(axis=1)

    def _transform(self, position: int, node: Node) -> Interval:
        operands = [self.values[i] for i in node.inputs]
        if node.op in AFFINE_OPS:
            self._losses[position] = Loss.of(*affine.backward_loss(node, operands))
            return affine.interval(node, operands)
        if node.op in JOINT_OPS:
            return joint.interval(node, [self.values[i] for i in node.inputs])
        (operand,), function = node.inputs, UNIVARIATE_OPS[node.op](node)
        self._refine(operand, function)
        x = self.values[operand]
        self._defined &= function.defined(x).reshape((self.region.batch, -1)).all(axis=1)
        slopes = default_slopes(node, *x, np)
        relaxation = univariate.relax(node, x, slopes)
        self._relaxations[position], self._lines[position] = relaxation, _Lines.of(relaxation)
        self._losses[position] = _relaxing_loss(node, relaxation, self._reach(operand))
        return function.image(x)

    def _refine_operands(self, node: Node) -> None:
        """Those that are bounded here; a region may give a node by other means."""
        for operand in set(node.inputs) & set(self.values):
            self._refine(operand, None)

    def _refine(self, target: int, function: Function | None) -> None:
        """Intersects the bounds of a pre-activation with backward linear bounds.

        Of those that its ``function`` is curved on; None stands for any.
        """
        node, batch, x = self.graph.nodes[target], self.region.batch, self.values[target]
        if target in self._given or target in self._refined:
            return
        if function is None:
            self._refined.add(target)
        curved = (x[0] < x[1] if function is None else function.curved(x)).reshape((batch, -1))
        chosen = np.flatnonzero(curved.any(axis=0))
        lower, upper = (end.reshape((batch, -1)).copy() for end in self.values[target])
        step = max(1, self._rows_at_once() // 2)
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
        """Lower bounds of each row over each box, (batch, rows).

        NaN where an elementwise function is not certainly defined: a later node would have a bound
        all the same, if only that of its range.
        """
        count, step = rows.bound.shape[1], self._rows_at_once()
        with np.errstate(all="ignore"):
            parts = [
                np.nextafter(self._backward(*self._start(some)) - some.bound, -np.inf)
                for some in (rows.take(slice(b, b + step)) for b in range(0, count, step))
            ]
            found = np.concatenate(parts, axis=1)
        return np.where(self._defined[:, None], found, np.nan)

    def _rows_at_once(self) -> int:
        widest = max(self.graph.nodes[position].size for position in self.values)
        return max(1, ELEMENT_BUDGET // (self.region.batch * widest))

    def _start(self, rows: Rows) -> tuple[dict[int, FloatArray], FloatArray]:
        """Coefficients (batch or 1, rows, *shape) by node; what they are off by, (batch, rows)."""
        start: dict[int, FloatArray] = {}
        loss = np.zeros((self.region.batch, rows.bound.shape[1]))
        ports = [(n, rows.outputs, rows.outputs_off, p) for n, p in self.graph.output_slices()]
        if rows.inputs.size:
            places = self.graph.input_slices().items()
            ports += [(n, rows.inputs, rows.inputs_off, p) for n, p in places]
        for node, parts, offs, place in ports:
            if node not in self.values:
                raise ValueError("a port of the graph is not one of its nodes")
            shape = (*parts.shape[:2], *self.graph.nodes[node].shape)
            part, off = parts[..., place].reshape(shape), offs[..., place].reshape(shape)
            if node in start:  # several ports of one node
                part = start[node] + part
                off = off + 2 * U * np.abs(part) + TINY
            start[node] = part
            loss = loss + _rows(off, self._reach(node))
        return start, loss

    def _reach(self, node: int) -> FloatArray:
        """The largest |value| of each entry, (batch, *shape); not zero, to cover underflow."""
        return np.maximum(np.abs(self.values[node][0]), np.abs(self.values[node][1])) + TINY

    def _backward(self, start: Mapping[int, FloatArray], loss: FloatArray) -> FloatArray:
        """Lower bounds, (batch, rows), of ``sum_v start[v] . v`` less ``loss``.

        ``start`` maps nodes to exact coefficients (batch or 1, rows, *shape).
        """
        walk = _Walk(dict(start), np.zeros((1, loss.shape[1])), loss)
        given: dict[int, FloatArray] = {}
        for position in reversed(list(self.values)):
            if position not in walk.pending:
                continue
            c, node = walk.pending.pop(position), self.graph.nodes[position]
            if position in self._given:
                given[position] = c
                continue
            if node.op in JOINT_OPS:
                walk.shift(box_minimum(c, self.values[position]))
                continue
            if position in self._lines:
                parts = [self._through(c, position, walk)]
            else:
                parts = self._affine_step(c, position, walk)
            for operand, part in zip(node.inputs, parts, strict=True):
                self._add(operand, part, walk)
        walk.shift(self.region.minimum(given))
        return np.nextafter(walk.offset - (walk.loss * (1 + 2.0**-20) + TINY * 2.0**40), -np.inf)

    def _affine_step(self, c: FloatArray, position: int, walk: _Walk) -> list[FloatArray]:
        node = self.graph.nodes[position]
        rule = OPS[node.op].affine
        assert rule is not None
        walk.lose(np.abs(c), self._losses[position])
        if "bias" in node.consts:
            walk.shift(_rows(c, np.broadcast_to(node.consts["bias"].value, (1, *node.shape))))
        weight = node.consts["weight"].value if "weight" in node.consts else None
        return rule.backward(node, c, weight, np)

    def _through(self, c: FloatArray, position: int, walk: _Walk) -> FloatArray:
        """Coefficients before a nonlinear node; its offsets and their rounding are booked."""
        lines, size = self._lines[position], np.abs(c)
        walk.shift(_rows(c, lines.offset) - _rows(size, lines.half_offset))
        walk.lose(size, self._losses[position])
        part: FloatArray = c * lines.slope[:, None]
        part -= size * lines.half_slope[:, None]
        return part

    def _add(self, operand: int, part: FloatArray, walk: _Walk) -> None:
        if operand in walk.pending:
            part, reach = walk.pending[operand] + part, self._reach(operand)
            walk.lose(np.abs(part), Loss.of(2 * U * reach + TINY, 4 * TINY * _total(reach)))
        walk.pending[operand] = part


@dataclass(frozen=True)
class Loss:
    """What a step may lose: ``unit`` (batch, *shape) a unit of |coefficient|, ``under`` (batch,) a
    row, whatever its coefficients."""

    unit: FloatArray
    under: FloatArray

    @staticmethod
    def of(unit: FloatArray, under: FloatArray) -> Loss:
        """A coefficient so small that it reads as zero still weighs ``unit``: that is added."""
        return Loss(unit, under + TINY * _total(unit))


@dataclass(frozen=True)
class _Lines:
    """A relaxation's two lines as their middle and half their difference.

    ``c+ lower + c- upper`` is ``c middle - |c| half``: fewer passes over the coefficients. The
    rounding of middle and half is part of ``_relaxing_loss``.
    """

    slope: FloatArray
    half_slope: FloatArray
    offset: FloatArray
    half_offset: FloatArray

    @staticmethod
    def of(lines: Relaxation) -> _Lines:
        return _Lines(
            0.5 * lines.lower_slope + 0.5 * lines.upper_slope,
            0.5 * lines.upper_slope - 0.5 * lines.lower_slope,
            0.5 * lines.lower_offset + 0.5 * lines.upper_offset,
            0.5 * lines.upper_offset - 0.5 * lines.lower_offset,
        )


def _relaxing_loss(node: Node, relaxation: Relaxation, reach: FloatArray) -> Loss:
    """Of one step through a relaxed node whose operand lies within +-reach."""
    size = np.maximum(np.abs(relaxation.lower_offset), np.abs(relaxation.upper_offset))
    steep = np.maximum(np.abs(relaxation.lower_slope), np.abs(relaxation.upper_slope))
    unit = 2 * gamma(node.size + 2) * size + 16 * U * steep * reach + 8 * TINY * (1 + reach)
    return Loss.of(unit, 16 * TINY * _total((1 + steep) * reach + size))


@dataclass
class _Walk:
    """The state of one backward pass: coefficients to be pushed on, offset so far, loss so far."""

    pending: dict[int, FloatArray]
    offset: FloatArray
    loss: FloatArray

    def shift(self, amount: FloatArray) -> None:
        self.offset = self.offset + amount
        self.loss = self.loss + 2 * U * np.abs(self.offset)

    def lose(self, size: FloatArray, by: Loss) -> None:
        """Books what a step loses for coefficients of this size."""
        self.loss = self.loss + _rows(size, by.unit) + by.under[:, None]


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


def _total(x: FloatArray) -> FloatArray:
    """(batch,): the sums of all entries of a non-negative (batch, *shape) array."""
    total: FloatArray = x.reshape((x.shape[0], -1)).sum(axis=1)
    return total
