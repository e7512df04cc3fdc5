"""Bounds of a piecewise linear graph on one box, in rationals.

The same relaxations as ``absint.proofs.bounds``: intervals, intersected with backward linear
bounds where a function bends inside them (docs/rigor.md, sections 3 and 4, without their error
terms).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from absint.ir import OPS, Constant, Graph, Node
from absint.ir.slopes import default_slopes
from absint.problem.contract import Contract
from absint.proofs.arithmetic import FloatArray
from absint.proofs.exact.numbers import (
    Array,
    chosen,
    dot,
    exact,
    exact_all,
    floats,
    negative,
    positive,
    zeros,
)
from absint.proofs.transformers import rounding
from absint.proofs.transformers.piecewise import PiecewiseLinear
from absint.proofs.transformers.univariate import UNIVARIATE_OPS

Interval = tuple[Array, Array]
Slopes = Callable[[int], Array | None]
"""Of a node the lower slopes (rows, *shape) that a proof names; None where it names none."""


def function_of(node: Node) -> PiecewiseLinear | None:
    """The node's function, where it is piecewise linear."""
    function = UNIVARIATE_OPS[node.op](node) if node.op in UNIVARIATE_OPS else None
    return function if isinstance(function, PiecewiseLinear) else None


def refused(graph: Graph) -> list[str]:
    """The ops that rationals do not do."""
    return sorted({node.op for node in graph.nodes if not _known(node)})


def _known(node: Node) -> bool:
    return node.op == "input" or OPS[node.op].affine is not None or function_of(node) is not None


@dataclass(frozen=True)
class Lines:
    """``lower_slope t + lower_offset <= f(t) <= upper_slope t + upper_offset``: (rows or 1,
    *shape)."""

    lower_slope: Array
    lower_offset: Array
    upper_slope: Array
    upper_offset: Array


class ExactBounds:
    """Bounds of all nodes over the box [lower, upper], (input_size,) of floats each.

    ``slopes`` (1, *shape) replace the default ones of nodes.
    Of their real values, or under a ``contract`` of all values that it allows to be computed.
    """

    def __init__(
        self,
        graph: Graph,
        lower: Sequence[float],
        upper: Sequence[float],
        contract: Contract | None = None,
        slopes: Mapping[int, FloatArray] | None = None,
    ) -> None:
        self.graph, self.contract, self.values = graph, contract, list[Interval]()
        self._slopes = slopes or {}
        self.defined = True
        """Whether the contract has a bound for every node's error."""
        self.consts = [
            {name: exact_all(const.value) for name, const in node.consts.items() if _real(const)}
            for node in graph.nodes
        ]
        self.box = exact_all(np.array(lower)), exact_all(np.array(upper))
        self.lines: dict[int, Lines] = {}
        self._refined: set[int] = set()
        self._off: dict[int, Array] = {}
        """What each node may be off by as computed and read."""
        for position, node in enumerate(graph.nodes):
            value = self._value(position, node)
            self.values.append(value if contract is None else self._computed(position, value))

    def _computed(self, position: int, value: Interval) -> Interval:
        """Bounds of what is computed in place of a value, and of what its readers may read."""
        assert self.contract is not None
        node, flush = self.graph.nodes[position], self.contract.flush
        off = np.zeros(node.shape)
        if node.op != "input":
            xs = [outward(self.values[i]) for i in node.inputs]
            (off,) = rounding.error(node, xs, outward(value), None, self.contract)
        if np.isnan(off).any():
            self.defined, off = False, np.zeros(node.shape)
        self._off[position] = exact_all(off) + exact(flush)
        return value[0] - self._off[position], value[1] + self._off[position]

    def _value(self, position: int, node: Node) -> Interval:
        if node.op == "input":
            place = self.graph.input_slices()[position]
            lower, upper = (end[place].reshape(node.shape) for end in self.box)
            return lower, upper
        function = function_of(node)
        if function is None:
            return self._affine(position, node)
        (operand,) = node.inputs
        self._refine(operand, function)
        named = self._slopes.get(position)
        self.lines[position] = default_lines(node, function, self.values[operand], named)
        return image(function, self.values[operand])

    def _affine(self, position: int, node: Node) -> Interval:
        xs = [self.values[i] for i in node.inputs]
        half = exact(0.5)
        centre = self._forward(position, node, [half * (low + high) for low, high in xs])
        spread = self._magnitude(position, node, [half * (high - low) for low, high in xs])
        spread = spread + self._unsure(node, xs)
        return centre - spread, centre + spread

    def _forward(self, position: int, node: Node, xs: Sequence[Array]) -> Array:
        rule, consts = OPS[node.op].affine, self.consts[position]
        assert rule is not None
        found: Array = rule.forward(node, [x[None] for x in xs], consts.get("weight"), np)[0]
        return found + consts["bias"] if "bias" in consts else found

    def _magnitude(self, position: int, node: Node, xs: Sequence[Array]) -> Array:
        rule, weight = OPS[node.op].affine, self.consts[position].get("weight")
        assert rule is not None
        size = None if weight is None else abs(weight)
        found: Array = rule.magnitude(node, [x[None] for x in xs], size, np)[0]
        return found

    def _unsure(self, node: Node, xs: Sequence[Interval]) -> Array:
        """What the radii of constants come to, *shape."""
        found, rule = zeros(*node.shape), OPS[node.op].affine
        assert rule is not None
        for name, const in node.consts.items():
            if const.radius is None:
                continue
            radius = exact_all(const.radius)
            if name == "weight":
                far = [chosen(-low > high, -low, high)[None] for low, high in xs]
                radius = rule.magnitude(node, far, radius, np)[0]
            found = found + radius
        return found

    def _refine(self, target: int, function: PiecewiseLinear) -> None:
        """Backward bounds of the entries on whose interval the function bends."""
        node = self.graph.nodes[target]
        if node.op == "input" or target in self._refined:
            return
        self._refined.add(target)
        lower, upper = (end.reshape(-1).copy() for end in self.values[target])
        bends = [(lower < exact(knot)) & (exact(knot) < upper) for knot in function.knots]
        bent = np.flatnonzero(np.logical_or.reduce(bends))
        if not len(bent):
            return
        units = zeros(2 * len(bent), node.size)
        for row, entry in enumerate(bent):
            units[row, entry], units[len(bent) + row, entry] = exact(1.0), exact(-1.0)
        found = self.minimum({target: units.reshape((-1, *node.shape))})
        low, high = found[: len(bent)], -found[len(bent) :]
        lower[bent] = chosen(low > lower[bent], low, lower[bent])
        upper[bent] = chosen(high < upper[bent], high, upper[bent])
        self.values[target] = lower.reshape(node.shape), upper.reshape(node.shape)

    def minimum(
        self, start: Mapping[int, Array], lines: Mapping[int, Lines] | None = None
    ) -> Array:
        """Lower bounds, (rows,), of ``sum_v start[v] . v``, (rows, *shape) by node.

        ``lines`` replace those of the box where a smaller set has better ones.
        """
        pending, own = dict(start), {**self.lines, **(lines or {})}
        total = zeros(len(next(iter(start.values()))))
        for position in reversed(range(len(self.values))):
            if position not in pending:
                continue
            c, node = pending.pop(position), self.graph.nodes[position]
            if position in self._off:
                total = total - dot(abs(c), self._off[position])
            if node.op == "input":
                low, high = self.values[position]
                total = total + dot(positive(c), low) + dot(negative(c), high)
            elif position in own:
                part, shift = _through(c, own[position])
                total = total + shift - self._add(pending, node.inputs[0], part)
            else:
                total = total + self._back(position, node, c, pending)
        return total

    def _back(self, position: int, node: Node, c: Array, pending: dict[int, Array]) -> Array:
        rule, consts = OPS[node.op].affine, self.consts[position]
        assert rule is not None
        shift = -dot(abs(c), self._unsure(node, [self.values[i] for i in node.inputs]))
        if "bias" in consts:
            shift = shift + dot(c, np.broadcast_to(consts["bias"], node.shape))
        parts = rule.backward(node, c, consts.get("weight"), np)
        for operand, part in zip(node.inputs, parts, strict=True):
            shift = shift - self._add(pending, operand, part)
        return shift

    def _add(self, pending: dict[int, Array], operand: int, part: Array) -> Array:
        """Books a part; what is lost, (rows,), where only some readers read zero."""
        earlier = pending.get(operand)
        pending[operand] = part if earlier is None else earlier + part
        if earlier is None or self.contract is None:
            return zeros(len(part))
        size = (abs(pending[operand]) + abs(earlier)).reshape((len(part), -1))
        lost: Array = size.sum(axis=1) * exact(2 * self.contract.flush)
        return lost


def _real(const: Constant) -> bool:
    return bool(const.value.dtype.kind == "f")


def outward(x: Interval) -> tuple[FloatArray, FloatArray]:
    """Floats around an interval, as a batch of one."""
    lower, upper = np.nextafter(floats(x[0]), -np.inf), np.nextafter(floats(x[1]), np.inf)
    return lower[None], upper[None]


def _through(c: Array, lines: Lines) -> tuple[Array, Array]:
    up, down = positive(c), negative(c)
    part = up * lines.lower_slope + down * lines.upper_slope
    terms = up * lines.lower_offset + down * lines.upper_offset
    return part, terms.reshape((len(c), -1)).sum(axis=1)


def value(function: PiecewiseLinear, x: Array) -> Array:
    """f at each entry."""
    corners = list(zip(function.knots, function.values, strict=True))
    knot, base = (exact(part) for part in corners[0])
    found: Array = base + exact(function.slopes[0]) * (x - knot)
    for (at, start), slope in zip(corners, function.slopes[1:], strict=True):
        knot = exact(at)
        found = chosen(x > knot, exact(start) + exact(slope) * (x - knot), found)
    return found


def image(function: PiecewiseLinear, x: Interval) -> Interval:
    """The least and the largest value on each interval: at an end or at a knot."""
    ends = [value(function, end) for end in x]
    lower, upper = np.minimum(*ends), np.maximum(*ends)
    for knot, at in zip(function.knots, function.values, strict=True):
        inside = (x[0] < exact(knot)) & (exact(knot) < x[1])
        lower = chosen(inside & (lower > exact(at)), exact(at), lower)
        upper = chosen(inside & (upper < exact(at)), exact(at), upper)
    return lower, upper


def default_lines(
    node: Node, function: PiecewiseLinear, x: Interval, named: FloatArray | None = None
) -> Lines:
    """With the slopes that search and checker take by default, or ``named`` ones (1, *shape): any
    are sound."""
    slopes = default_slopes(node, floats(x[0])[None], floats(x[1])[None], np, named)
    lower, upper = (exact_all(slope) for slope in slopes)
    return lines_of(function, x, lower, upper)


def lines_of(function: PiecewiseLinear, x: Interval, lower: Array, upper: Array) -> Lines:
    """Of given slopes (rows or 1, *shape), the best offsets over [x[0], x[1]]."""
    return Lines(lower, -_gap(function, x, lower, -1), upper, _gap(function, x, upper, 1))


def _gap(function: PiecewiseLinear, x: Interval, slope: Array, sign: int) -> Array:
    """The largest ``sign (f(t) - slope t)``: at an end or at a knot."""
    gap: Array = np.maximum(*(sign * (value(function, end) - slope * end) for end in x))
    for knot, at in zip(function.knots, function.values, strict=True):
        inside = (x[0] < exact(knot)) & (exact(knot) < x[1])
        there = sign * (exact(at) - slope * exact(knot))
        gap = chosen(inside & (there > gap), there, gap)
    return gap
