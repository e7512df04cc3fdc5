"""Rigorous bounds of a graph on a batch of regions: intervals, and backward linear bounds.

The same product as the search's default analysis (Zhang et al. 2018, Singh et al. 2019), with every
rounding accounted for: coefficients are taken as exact once computed, and what their computation
may have lost, times the largest value of what they multiply, goes into ``loss``.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from absint.ir import Graph, Node
from absint.ir.slopes import default_slopes
from absint.problem.contract import Contract
from absint.proofs.arithmetic import TINY, FloatArray, U, down, gamma, without_subnormals
from absint.proofs.terms import Terms
from absint.proofs.transformers import forward, rounding
from absint.proofs.transformers.affine import AFFINE_OPS, Interval
from absint.proofs.transformers.bilinear import Bilinear
from absint.proofs.transformers.directions import Normalized
from absint.proofs.transformers.joint import JOINT_OPS
from absint.proofs.transformers.steps import (
    Affine,
    Back,
    Cut,
    Loss,
    Relaxed,
    Step,
    Which,
    among,
    box_minimum,
    reach,
    total,
)
from absint.proofs.transformers.steps import rows as dot
from absint.proofs.transformers.univariate import UNIVARIATE_OPS, Function, relax

POSITIVE = 2.0**-20
"""A value that is certainly above zero, whatever is lost on the way."""
ELEMENT_BUDGET = 1 << 23
"""Coefficients held at once; more rows are taken in several passes."""


@dataclass(frozen=True)
class Rows:
    """Linear rows ``inputs . x + outputs . y - bound``, as floats with what each is off by.

    ``inputs`` and ``inputs_off`` are (batch or 1, rows, input_size), ``outputs`` and
    ``outputs_off`` (batch or 1, rows, output_size), ``bound`` (batch or 1, rows) is rounded up.
    No row has input terms where ``inputs`` has no columns. ``terms`` belong to other nodes.
    """

    inputs: FloatArray
    inputs_off: FloatArray
    outputs: FloatArray
    outputs_off: FloatArray
    bound: FloatArray
    terms: Mapping[int, Terms] = field(default_factory=dict)

    def take(self, which: slice | list[int]) -> Rows:
        """Some of the rows."""
        terms = {position: term.take(which) for position, term in self.terms.items()}
        return replace(self.each(lambda part: part[:, which]), terms=terms)

    def each(self, change: Callable[[FloatArray], FloatArray]) -> Rows:
        """The rows of changed arrays."""
        return Rows(
            change(self.inputs),
            change(self.inputs_off),
            change(self.outputs),
            change(self.outputs_off),
            change(self.bound),
        )


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

    def minimum(
        self, parts: Mapping[int, FloatArray], enough: FloatArray | None = None
    ) -> FloatArray:
        """At most the least value, (batch, rows), of ``sum_v parts[v] . v`` over given nodes v.

        ``parts`` holds exact coefficients (batch or 1, rows, *shape). Where the value is known to
        be ``enough`` (batch, rows), it need not be close.
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

    def take(self, which: Which, count: int) -> Boxes:
        """Of ``count`` sets, the boxes that they lie in."""
        part = copy.copy(self)
        part.batch = count
        part._values = {at: among(value, which) for at, value in self._values.items()}
        return part

    def given(self, position: int, values: Mapping[int, Interval]) -> Interval | None:
        return self._values.get(position)

    def minimum(
        self, parts: Mapping[int, FloatArray], enough: FloatArray | None = None
    ) -> FloatArray:
        total: FloatArray = np.zeros((1, 1))
        for position, c in parts.items():
            total = np.nextafter(total + box_minimum(c, self._values[position]), -np.inf)
        return total


class Bounds:
    """Bounds of the nodes of ``graph`` that ``region`` names, on every set of its batch.

    Of their real values, or under a ``contract`` of all values that it allows to be computed.
    """

    def __init__(self, graph: Graph, region: Region, contract: Contract | None = None) -> None:
        self.graph, self.region, self.contract = graph, region, contract
        self.values: dict[int, Interval] = {}
        self._given: set[int] = set()
        self.steps: dict[int, Step] = {}
        """What replaces each node that is not given, on the way back."""
        self._off: dict[int, FloatArray] = {}
        """What each node may be off by as computed and read, (batch or 1, *shape)."""
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
                    self.values[position] = self._read(position, given)
                self._defined &= ~forward.undefined(self.values[position])

    def _transform(self, position: int, node: Node) -> Interval:
        function = UNIVARIATE_OPS[node.op](node) if node.op in UNIVARIATE_OPS else None
        if function is not None:
            self._refine(node.inputs[0], function)
        xs = [self.values[i] for i in node.inputs]
        value = forward.interval(node, xs)
        self.steps[position] = step = _step(node, xs, value)
        if isinstance(step, Normalized) and step.one_group:
            self.steps[position] = step = self._measured(step)
            value = step.bounds(value)
        if self.contract is None:
            return value
        divisor = step.divisor if isinstance(step, Normalized) else None
        off = rounding.error(node, xs, value, divisor, self.contract)
        self._off[position] = off + self.contract.flush
        return rounding.widened(value, off, self.contract)

    def _read(self, position: int, given: Interval) -> Interval:
        """A given node's bounds, as the nodes after it may read it."""
        if self.contract is None:
            return given
        self._off[position] = np.full((1, *given[0].shape[1:]), self.contract.flush)
        return rounding.as_read(given, self.contract)

    def _measured(self, step: Normalized) -> Normalized:
        """With bounds of the sum of squares by linear ones, which see what the entries share."""
        operand, ends = step.node.inputs[0], []
        for c, offset in step.parabolas():
            back = step.direction(c)
            ends.append(down(self._pushed(operand, back) + offset))
        return step.within(ends[0], -ends[1])

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
        step = max(1, self.rows_at_once(batch) // 2)
        for begin in range(0, len(chosen), step):
            some = chosen[begin : begin + step]
            start = _signed_units(some, node)
            value = self._backward({target: start}, np.zeros((1, 2 * len(some))))
            low, high = value[:, : len(some)], -value[:, len(some) :]
            better = (
                curved[:, some] & (low > lower[:, some]),
                curved[:, some] & (high < upper[:, some]),
            )
            lower[:, some] = np.where(better[0], low, lower[:, some])
            upper[:, some] = np.where(better[1], high, upper[:, some])
        bounds = lower.reshape((batch, *node.shape)), upper.reshape((batch, *node.shape))
        self.values[target] = (
            bounds if self.contract is None else rounding.as_read(bounds, self.contract)
        )

    def enclosure(self, target: int) -> Interval:
        """Bounds (batch, *shape) of a node, backward ones among them; NaN where it may have no
        value."""
        with np.errstate(all="ignore"):
            self._refine(target, None)
        lost = ~self._defined.reshape((-1, *(1 for _ in self.graph.nodes[target].shape)))
        lower, upper = self.values[target]
        return np.where(lost, np.nan, lower), np.where(lost, np.nan, upper)

    def within(self, region: Region, which: Which, steps: Mapping[int, Step]) -> Bounds:
        """The same bounds, for sets that lie in those ``which`` of the batch, and are ``region``;
        with steps of some nodes that hold for them."""
        part = copy.copy(self)
        part.region = region
        part.values = {at: among(value, which) for at, value in self.values.items()}
        part.steps = {at: among(s, which) for at, s in self.steps.items() if at not in steps}
        part.steps.update(steps)
        part._off = {at: among(off, which) for at, off in self._off.items()}
        part._defined = among(self._defined, which)
        return part

    def minimum(self, rows: Rows, signs: bool = False) -> FloatArray:
        """Lower bounds of each row over each box, (batch, rows).

        With ``signs`` of the rows times positive numbers, any: they say where a row is certainly
        positive, or not negative, and nothing else. -inf where something that the nodes depend on
        is not certainly defined: a later node would have a bound all the same.
        """
        count, step = rows.bound.shape[1], self.rows_at_once(self.region.batch)
        with np.errstate(all="ignore"):
            parts = [
                self._backward(*self._start(some), -some.bound, signs, some.terms)
                for some in (rows.take(slice(b, b + step)) for b in range(0, count, step))
            ]
            found = np.concatenate(parts, axis=1)
        return np.where(self._defined[:, None], found, -np.inf)

    def rows_at_once(self, batch: int) -> int:
        """How many rows of so many sets are taken in one pass."""
        widest = max(self.graph.nodes[position].size for position in self.values)
        return max(1, ELEMENT_BUDGET // (batch * widest))

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
            loss = loss + dot(off, reach(self.values[node]))
        return start, loss

    def _backward(
        self,
        start: Mapping[int, FloatArray],
        loss: FloatArray,
        offset: FloatArray | None = None,
        signs: bool = False,
        terms: Mapping[int, Terms] | None = None,
    ) -> FloatArray:
        """Lower bounds, (batch, rows), of ``sum_v start[v] . v + offset - loss`` and ``terms``.

        ``start`` maps nodes to exact coefficients (batch or 1, rows, *shape). With ``signs`` of
        that times positive numbers.
        """
        left = dict(terms or {})
        walk = _Walk(dict(start), np.zeros((1, loss.shape[1])) if offset is None else offset, loss)
        given: dict[int, FloatArray] = {}
        for position in reversed(list(self.values)):
            if position in left:
                self._put(position, left.pop(position), walk)
            if position not in walk.pending:
                continue
            c = walk.pending.pop(position)
            if position in self._off:
                walk.loss = walk.loss + dot(np.abs(c), self._off[position])
            if position in self._given:
                given[position] = c
                continue
            step = self.steps[position]
            alone = not walk.pending and not given and not left
            if alone and isinstance(step, Normalized) and step.one_group:
                back = step.direction(c)
                if not signs:
                    operand = self.graph.nodes[position].inputs[0]
                    before = self._pushed(operand, back)
                    walk.shift(step.divided(before, c))
                    break
                walk.multiply(step.divisor)
            else:
                back = step.back(c)
            walk.book(back)
            operands = self.graph.nodes[position].inputs if back.parts else ()
            for operand, part in zip(operands, back.parts, strict=True):
                self._add(operand, part, walk)
        if left:
            raise ValueError("a term is not of one of the graph's nodes")
        if given:
            shape = (self.region.batch, loss.shape[1])
            enough = np.broadcast_to(POSITIVE - walk.sure(), shape) if signs else None
            walk.shift(self.region.minimum(given, enough))
        return walk.sure()

    def _pushed(self, operand: int, back: Back) -> FloatArray:
        """Lower bounds, (batch, rows), of what one step back found for its one operand."""
        lost = np.asarray(back.lost, dtype=np.float64)
        return self._backward({operand: back.parts[0]}, lost)

    def _add(self, operand: int, part: FloatArray, walk: _Walk) -> None:
        if operand in walk.pending:
            earlier, far = walk.pending[operand], reach(self.values[operand])
            part = earlier + part
            walk.loss = walk.loss + Loss.of(2 * U * far + TINY, 4 * TINY * total(far)).at(
                np.abs(part)
            )
            if self.contract is not None:  # one reader may read zero where another does not
                apart = np.full((1, *far.shape[1:]), 2 * self.contract.flush)
                walk.loss = walk.loss + dot(np.abs(part) + np.abs(earlier), apart)
        walk.pending[operand] = part

    def _put(self, position: int, terms: Terms, walk: _Walk) -> None:
        shape = (self.region.batch, walk.loss.shape[1], *self.graph.nodes[position].shape)
        flush = 0.0 if self.contract is None else self.contract.flush
        earlier, far = walk.pending.get(position), reach(self.values[position])
        walk.pending[position], loss = terms.added(earlier, shape, far, flush)
        walk.loss = walk.loss + loss


def _step(node: Node, xs: Sequence[Interval], value: Interval) -> Step:
    """The step back from a node with the given bounds, through operands with theirs."""
    if node.op in AFFINE_OPS:
        return Affine.of(node, xs)
    if node.op in UNIVARIATE_OPS:
        return Relaxed.of(node, relax(node, xs[0], default_slopes(node, *xs[0], np)), reach(xs[0]))
    ends = [without_subnormals(*x) for x in xs]
    if node.op in ("mul", "matmul"):
        return Bilinear.of(node, ends)
    if node.op == "normalize":
        return Normalized.of(node, ends[0], value)
    return Cut(value)


@dataclass
class _Walk:
    """The state of one backward pass: coefficients to be pushed on, offset so far, loss so far."""

    pending: dict[int, FloatArray]
    offset: FloatArray
    loss: FloatArray

    def shift(self, amount: FloatArray | float) -> None:
        self.offset = self.offset + amount
        self.loss = self.loss + 2 * U * np.abs(self.offset)

    def book(self, back: Back) -> None:
        self.shift(back.shift)
        self.loss = self.loss + back.lost

    def sure(self) -> FloatArray:
        """At most what offset less loss is exactly."""
        lost = self.loss * (1 + 2.0**-20) + TINY * 2.0**40
        found: FloatArray = np.nextafter(self.offset - lost, -np.inf)
        return found

    def multiply(self, factor: Interval) -> None:
        """The offset for the same row times a positive factor with these bounds, (batch, 1)."""
        base = self.sure() - TINY
        self.offset = down(base * np.where(base >= 0, factor[0], factor[1]))
        self.loss = np.zeros_like(self.offset)


def _signed_units(chosen: NDArray[np.int64], node: Node) -> FloatArray:
    """Coefficients (1, 2 k, *shape): the chosen neurons, then their negatives."""
    units = np.zeros((1, 2 * len(chosen), node.size))
    rows = np.arange(len(chosen))
    units[0, rows, chosen] = 1.0
    units[0, len(chosen) + rows, chosen] = -1.0
    return units.reshape((1, -1, *node.shape))
