"""Rigorous bounds of a graph on a batch of regions: intervals, and backward linear bounds.

The same product as the search's default analysis (Zhang et al. 2018, Singh et al. 2019), with every
rounding accounted for: coefficients are taken as exact once computed, and what their computation
may have lost, times the largest value of what they multiply, goes into ``loss``.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from absint.ir import Graph, Node
from absint.ir.slopes import default_slopes
from absint.problem.contract import Contract
from absint.proofs.arithmetic import TINY, FloatArray, U, down, gamma, without_subnormals
from absint.proofs.backward import Backward
from absint.proofs.regions import Region, Rows
from absint.proofs.transformers import forward, rounding
from absint.proofs.transformers.affine import AFFINE_OPS, Interval
from absint.proofs.transformers.bilinear import Bilinear
from absint.proofs.transformers.directions import Normalized
from absint.proofs.transformers.factors import parabolas
from absint.proofs.transformers.joint import JOINT_OPS
from absint.proofs.transformers.steps import Affine, Cut, Relaxed, Step, Which, among, reach
from absint.proofs.transformers.steps import rows as dot
from absint.proofs.transformers.univariate import UNIVARIATE_OPS, Function, relax


class Bounds:
    """Bounds of the nodes of ``graph`` that ``region`` names, on every set of its batch.

    Of their real values, or under a ``contract`` of all values that it allows to be computed.
    ``slopes`` (batch or 1, *shape) replace the default ones of nodes, where they are not NaN.
    """

    def __init__(
        self,
        graph: Graph,
        region: Region,
        contract: Contract | None = None,
        slopes: Mapping[int, FloatArray] | None = None,
    ) -> None:
        self.graph, self.region, self.contract = graph, region, contract
        self._slopes = slopes or {}
        self._back = Backward(graph, region, contract)
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
                    self._back.given.add(position)
                    self.values[position] = self._read(position, given)
                self._defined &= ~forward.undefined(self.values[position])

    @property
    def values(self) -> dict[int, Interval]:
        """Bounds of each node, (batch or 1, *shape)."""
        return self._back.values

    @property
    def steps(self) -> Mapping[int, Step]:
        """What replaces each node that is not given, on the way back."""
        return self._back.steps

    def _transform(self, position: int, node: Node) -> Interval:
        function = UNIVARIATE_OPS[node.op](node) if node.op in UNIVARIATE_OPS else None
        if function is not None:
            self._refine(node.inputs[0], function)
        xs = [self.values[i] for i in node.inputs]
        value = forward.interval(node, xs, self.contract)
        self._back.steps[position] = step = _step(node, xs, value, self._slopes.get(position))
        if isinstance(step, Normalized) and step.one_group:
            self._back.steps[position] = step = self._measured(step)
            value = step.bounds(value)
        if self.contract is None:
            return value
        divisor = step.divisor if isinstance(step, Normalized) else None
        off = rounding.error(node, xs, value, divisor, self.contract)
        self._back.off[position] = off + self.contract.flush
        return rounding.widened(value, off, self.contract)

    def _read(self, position: int, given: Interval) -> Interval:
        """A given node's bounds, as the nodes after it may read it."""
        if self.contract is None:
            return given
        self._back.off[position] = np.full((1, *given[0].shape[1:]), self.contract.flush)
        return rounding.as_read(given, self.contract)

    def _measured(self, step: Normalized) -> Normalized:
        """With bounds of the sum of squares by linear ones, which see what the entries share."""
        operand, ends = step.node.inputs[0], []
        for c, offset in parabolas(step.entries()):
            back = step.direction(c.reshape((-1, 1, *step.node.shape)))
            ends.append(down(self._back.pushed(operand, back) + offset))
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
        if target in self._back.given or target in self._refined:
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
            value = self._back.minimum({target: start}, np.zeros((1, 2 * len(some))))
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
        part.region, part._back = region, self._back.within(region, which, steps)
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
                self._back.minimum(*self._start(some), -some.bound, signs, some.terms)
                for some in (rows.take(slice(b, b + step)) for b in range(0, count, step))
            ]
            found = np.concatenate(parts, axis=1)
        return np.where(self._defined[:, None], found, -np.inf)

    def rows_at_once(self, batch: int) -> int:
        """How many rows of so many sets are taken in one pass."""
        return self._back.rows_at_once(batch)

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


def _step(node: Node, xs: Sequence[Interval], value: Interval, slopes: FloatArray | None) -> Step:
    """The step back from a node with the given bounds, through operands with theirs; with slopes
    in place of the default ones."""
    if node.op in AFFINE_OPS:
        return Affine.of(node, xs)
    if node.op in UNIVARIATE_OPS:
        chosen = default_slopes(node, *xs[0], np, slopes)
        return Relaxed.of(node, relax(node, xs[0], chosen), reach(xs[0]))
    ends = [without_subnormals(*x) for x in xs]
    if node.op in ("mul", "matmul"):
        return Bilinear.of(node, ends)
    if node.op == "normalize":
        return Normalized.of(node, ends[0], value)
    return Cut(value)


def _signed_units(chosen: NDArray[np.int64], node: Node) -> FloatArray:
    """Coefficients (1, 2 k, *shape): the chosen neurons, then their negatives."""
    units = np.zeros((1, 2 * len(chosen), node.size))
    rows = np.arange(len(chosen))
    units[0, rows, chosen] = 1.0
    units[0, len(chosen) + rows, chosen] = -1.0
    return units.reshape((1, -1, *node.shape))
