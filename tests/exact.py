"""An independent reference: networks evaluated and relaxed in exact arithmetic.

Written with plain loops over numbers, and nothing taken from the IR's array rules. Numbers are
``Fraction`` where every op is rational, and ``flint.arb`` balls of 300 bits where one is not.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import flint
import numpy as np
from numpy.typing import NDArray

from absint.ir import Constant, Graph, Node
from absint.problem import Cell, Problem

Number = Any  # Fraction or flint.arb
Numbers = NDArray[Any]  # of dtype object
Pick = Callable[[Constant], Numbers]
"""Which exact numbers a constant stands for (one known up to a radius has a choice)."""

BITS = 300
flint.ctx.prec = BITS


def exactly(array: NDArray[Any]) -> Numbers:
    """The entries of a float array as fractions."""
    result = np.empty(array.shape, dtype=object)
    for index in np.ndindex(array.shape):
        result[index] = Fraction(float(array[index]))
    return result


def centre(constant: Constant) -> Numbers:
    return exactly(constant.value)


def anywhere(rng: np.random.Generator) -> Pick:
    """Picks numbers at the ends and inside of the radii, the same for each use of a constant."""
    chosen: dict[int, Numbers] = {}

    def pick(constant: Constant) -> Numbers:
        if id(constant) not in chosen:
            value = exactly(constant.value)
            if constant.radius is not None:
                sign = exactly(rng.choice([-1.0, 0.25, 1.0], size=constant.value.shape))
                value = value + sign * exactly(constant.radius)
            chosen[id(constant)] = value
        return chosen[id(constant)]

    return pick


def ball(value: Number) -> Any:
    """A number as an arb ball."""
    if isinstance(value, Fraction):
        return flint.arb(flint.fmpq(value.numerator, value.denominator))
    return value


def is_rational(graph: Graph) -> bool:
    return not any(node.op in FUNCTIONS and node.op not in RATIONAL for node in graph.nodes)


def evaluate(graph: Graph, x: Sequence[Fraction], pick: Pick = centre) -> list[Numbers]:
    """The values of all nodes at one flat input."""
    rational, cursor = is_rational(graph), 0
    values: list[Numbers] = []
    for node in graph.nodes:
        if node.op == "input":
            part = x[cursor : cursor + node.size]
            cursor += node.size
            flat = np.array([*(v if rational else ball(v) for v in part), None], dtype=object)[:-1]
            values.append(flat.reshape(node.shape))
        else:
            values.append(_STEPS[node.op](node, [values[i] for i in node.inputs], pick))
    return values


def outputs(graph: Graph, values: Sequence[Numbers]) -> list[Number]:
    """The flat output vector."""
    return [v for port in graph.outputs for v in values[port.node].reshape(-1)]


def _filled(shape: tuple[int, ...], entry: Callable[[tuple[int, ...]], Number]) -> Numbers:
    result = np.empty(shape, dtype=object)
    for index in np.ndindex(shape):
        result[index] = entry(index)
    return result


def _biased(node: Node, y: Numbers, pick: Pick) -> Numbers:
    if "bias" not in node.consts:
        return y
    bias = np.broadcast_to(pick(node.consts["bias"]), node.shape)
    return _filled(node.shape, lambda i: y[i] + _like(y[i], bias[i]))


def _like(sample: Number, value: Fraction) -> Number:
    return ball(value) if isinstance(sample, flint.arb) else value


def _times(weight: Fraction, x: Number) -> Number:
    return _like(x, weight) * x


def _dense(node: Node, xs: list[Numbers], pick: Pick) -> Numbers:
    (x,), w = xs, pick(node.consts["weight"])
    y = _filled(
        node.shape,
        lambda i: sum(_times(w[k, i[-1]], x[(*i[:-1], k)]) for k in range(w.shape[0])),
    )
    return _biased(node, y, pick)


def _conv(node: Node, xs: list[Numbers], pick: Pick) -> Numbers:
    (x,), w = xs, pick(node.consts["weight"])
    strides, dilations = node.integers("strides"), node.integers("dilations")
    pads, groups = node.integers("pads"), node.integer("groups")
    space = x.shape[2:]

    def entry(index: tuple[int, ...]) -> Number:
        batch, out, *place = index
        total: Number = _like(x.reshape(-1)[0], Fraction(0))
        first = out // (w.shape[0] // groups) * w.shape[1]
        for channel, *offset in np.ndindex(*w.shape[1:]):
            at = [
                p * s + o * d - pads[i]
                for i, (p, s, o, d) in enumerate(
                    zip(place, strides, offset, dilations, strict=True)
                )
            ]
            if all(0 <= a < n for a, n in zip(at, space, strict=True)):
                total += _times(w[(out, channel, *offset)], x[(batch, first + channel, *at)])
        return total

    return _biased(node, _filled(node.shape, entry), pick)


def _scale(node: Node, xs: list[Numbers], pick: Pick) -> Numbers:
    (x,) = xs
    if "weight" in node.consts:
        w = np.broadcast_to(pick(node.consts["weight"]), node.shape)
        x = _filled(node.shape, lambda i: _times(w[i], xs[0][i]))
    return _biased(node, x, pick)


def _gather(node: Node, xs: list[Numbers], pick: Pick) -> Numbers:
    flat, index = xs[0].reshape(-1), node.consts["index"].value
    zero = _like(flat[0], Fraction(0))
    y = _filled(node.shape, lambda i: flat[index[i]] if index[i] >= 0 else zero)
    return _biased(node, y, pick)


def _sum(node: Node, xs: list[Numbers], pick: Pick) -> Numbers:
    signs = node.integers("coefficients")
    return _filled(node.shape, lambda i: sum(s * x[i] for s, x in zip(signs, xs, strict=True)))


def _each(function: Callable[[Node, Number], Number]) -> Callable[..., Numbers]:
    return lambda node, xs, pick: _filled(node.shape, lambda i: function(node, xs[0][i]))


def _leaky(node: Node, x: Number, alpha: Fraction | None = None) -> Number:
    slope = Fraction(node.number("alpha")) if alpha is None else alpha
    if not isinstance(x, flint.arb):
        return x if x > 0 else slope * x
    ends = [x, _times(slope, x)] if not (x > 0 or x < 0) else [x if x > 0 else _times(slope, x)]
    return ends[0].union(ends[-1])  # a ball about the knot covers both pieces


def _clip(node: Node, x: Number) -> Number:
    lower, upper = node.extended("lower"), node.extended("upper")
    if lower > -np.inf:
        x = _largest(x, _like(x, Fraction(lower)))
    return x if upper == np.inf else -_largest(-x, -_like(x, Fraction(upper)))


def _largest(x: Number, y: Number) -> Number:
    if isinstance(x, flint.arb):
        return x.max(y)
    return max(x, y)


def _elu(node: Node, x: Number) -> Number:
    return x if x > 0 else _times(Fraction(node.number("alpha")), x.expm1())


GELU_SCALE, GELU_CUBIC = (2 / flint.arb.pi()).sqrt(), ball(Fraction(44715, 10**6))


def _gelu_tanh(node: Node, x: Number) -> Number:
    return x / (1 + (-2 * GELU_SCALE * (x + GELU_CUBIC * x**3)).exp())


def _mish(node: Node, x: Number) -> Number:
    return x * x.exp().log1p().tanh()


def _hard_swish(node: Node, x: Number) -> Number:
    return x * _clip_to(x + 3, 0, 6) / 6


def _clip_to(x: Number, lower: int, upper: int) -> Number:
    return -_largest(-_largest(x, _like(x, Fraction(lower))), -_like(x, Fraction(upper)))


def _sign(node: Node, x: Number) -> Number:
    return x.sgn() if isinstance(x, flint.arb) else Fraction((x > 0) - (x < 0))


def _floor(node: Node, x: Number) -> Number:
    return x.floor() if isinstance(x, flint.arb) else Fraction(math.floor(x))


def _round(node: Node, x: Number) -> Number:
    """Half to even; of a ball, both integers at a tie."""
    if isinstance(x, flint.arb):
        half = flint.arb(1) / 2
        return (x + half).floor().union((x - half).ceil())
    return Fraction(round(x))


FUNCTIONS: dict[str, Callable[[Node, Number], Number]] = {
    "relu": lambda node, x: _leaky(node, x, Fraction(0)),
    "leaky_relu": _leaky,
    "abs": lambda node, x: abs(x),
    "clip": _clip,
    "sigmoid": lambda node, x: 1 / (1 + (-x).exp()),
    "tanh": lambda node, x: x.tanh(),
    "erf": lambda node, x: x.erf(),
    "exp": lambda node, x: x.exp(),
    "log": lambda node, x: x.log(),
    "sqrt": lambda node, x: x.sqrt(),
    "reciprocal": lambda node, x: 1 / x,
    "power": lambda node, x: x ** node.integer("exponent"),
    "sin": lambda node, x: x.sin(),
    "cos": lambda node, x: x.cos(),
    "gelu": lambda node, x: x * (-x / flint.arb(2).sqrt()).erfc() / 2,
    "gelu_tanh": _gelu_tanh,
    "silu": lambda node, x: x / (1 + (-x).exp()),
    "mish": _mish,
    "softplus": lambda node, x: x.exp().log1p(),
    "elu": _elu,
    "hard_swish": _hard_swish,
    "sign": _sign,
    "floor": _floor,
    "round": _round,
}
"""Elementwise functions of one number."""
RATIONAL = frozenset(
    {"relu", "leaky_relu", "abs", "clip", "hard_swish", "reciprocal", "power"}
    | {"sign", "floor", "round"}
)
"""Those of rational values."""
KNOTS: dict[str, Callable[[Node], list[Fraction]]] = {
    "relu": lambda node: [Fraction(0)],
    "leaky_relu": lambda node: [Fraction(0)],
    "abs": lambda node: [Fraction(0)],
    "clip": lambda node: [
        Fraction(end) for end in map(node.extended, ("lower", "upper")) if np.isfinite(end)
    ],
}
"""Where the piecewise linear ones bend."""

_STEPS: dict[str, Callable[[Node, list[Numbers], Pick], Numbers]] = {
    "dense": _dense,
    "conv": _conv,
    "scale": _scale,
    "gather": _gather,
    "sum": _sum,
    "reshape": lambda node, xs, pick: xs[0].reshape(node.integers("shape")),
    "concat": lambda node, xs, pick: np.concatenate(xs, axis=node.integer("axis")),
    **{name: _each(function) for name, function in FUNCTIONS.items()},
}


def surely_below(value: Number, bound: float) -> bool:
    """Whether ``value < bound``, and for a ball: certainly."""
    if bound == -np.inf or np.isnan(bound):
        return False
    if bound == np.inf:
        return True
    return bool(value < ball(Fraction(bound)) if isinstance(value, flint.arb) else value < bound)


def surely_above(value: Number, bound: float) -> bool:
    return surely_below(-value, -bound)


def points(
    lower: Sequence[float], upper: Sequence[float], rng: np.random.Generator, count: int = 4
) -> Iterator[list[Fraction]]:
    """Points of a box: its centre, corners, and rational points with some dimensions at an end."""
    low, high = [Fraction(v) for v in lower], [Fraction(v) for v in upper]
    yield [(a + b) / 2 for a, b in zip(low, high, strict=True)]
    corners = itertools.product((0, 1), repeat=min(3, len(low)))
    for corner in corners:
        sides = [*corner, *rng.integers(0, 2, max(0, len(low) - 3)).tolist()]
        yield [(a, b)[s] for a, b, s in zip(low, high, sides, strict=True)]
    for _ in range(count):
        shares = [Fraction(int(n), 97) for n in rng.choice([0, 1, 13, 50, 96, 97], len(low))]
        yield [a + s * (b - a) for a, b, s in zip(low, high, shares, strict=True)]


def knots(graph: Graph, start: list[Fraction], end: list[Fraction]) -> Iterator[list[Fraction]]:
    """Points between two others where the operand of a node is at a knot, or nearly.

    Exactly there where the operand is linear on the way.
    """
    first, last = evaluate(graph, start), evaluate(graph, end)
    for node in graph.nodes:
        for knot in KNOTS[node.op](node) if node.op in KNOTS else []:
            (operand,) = node.inputs
            for a, b in zip(first[operand].reshape(-1), last[operand].reshape(-1), strict=True):
                if (a - knot) * (b - knot) < 0:
                    share = (a - knot) / (a - b)
                    yield [p + share * (q - p) for p, q in zip(start, end, strict=True)]


@dataclass(frozen=True)
class LinearBounds:
    """Backward linear bounds in exact rationals, with given slopes and intermediate intervals.

    ``slopes[p]`` are the (lower, upper) slopes of nonlinear node p and ``intervals[i]`` the bounds
    of node i, float arrays of the nodes' shapes.
    """

    graph: Graph
    lower: list[Fraction]
    upper: list[Fraction]
    slopes: dict[int, tuple[Numbers, Numbers]]
    intervals: dict[int, tuple[Numbers, Numbers]]

    def minimum(self, start: dict[int, Numbers]) -> Fraction:
        """The least value of the linear lower bound of ``sum_v start[v] . v``."""
        pending, total = {k: v.copy() for k, v in start.items()}, Fraction(0)
        cursor = sum(port.size for port in self.graph.inputs)
        for position in reversed(range(len(self.graph.nodes))):
            node = self.graph.nodes[position]
            if node.op == "input":
                cursor -= node.size
            if position not in pending:
                continue
            c = pending.pop(position)
            if node.op == "input":
                ends = zip(c.reshape(-1), range(cursor, cursor + node.size), strict=True)
                total += sum(v * (self.lower[i] if v > 0 else self.upper[i]) for v, i in ends)
                continue
            for operand, part, constant in self._step(position, node, c):
                total += constant
                known = pending.get(operand)
                pending[operand] = part if known is None else known + part
        return total

    def _step(
        self, position: int, node: Node, c: Numbers
    ) -> Iterator[tuple[int, Numbers, Fraction]]:
        if position in self.slopes:
            yield self._relaxed(position, node, c)
            return
        zeros = [_filled(self.graph.nodes[i].shape, lambda _: Fraction(0)) for i in node.inputs]
        base = _dot(c, _STEPS[node.op](node, zeros, centre))
        for slot, operand in enumerate(node.inputs):
            part = np.empty(zeros[slot].shape, dtype=object)
            for index in np.ndindex(part.shape):  # the adjoint, one unit vector at a time
                units = list(zeros)
                units[slot] = zeros[slot].copy()
                units[slot][index] = Fraction(1)
                part[index] = _dot(c, _STEPS[node.op](node, units, centre)) - base
            yield operand, part, base if slot == 0 else Fraction(0)

    def _relaxed(self, position: int, node: Node, c: Numbers) -> tuple[int, Numbers, Fraction]:
        (operand,) = node.inputs
        low, high = self.intervals[operand]
        part, constant = np.empty(c.shape, dtype=object), Fraction(0)
        for index in np.ndindex(c.shape):
            sign = 1 if c[index] > 0 else -1
            slope = self.slopes[position][0 if sign > 0 else 1][index]
            inside = [t for t in KNOTS[node.op](node) if low[index] < t < high[index]]
            ends = [low[index], high[index], *inside]
            gaps = [sign * (FUNCTIONS[node.op](node, t) - slope * t) for t in ends]
            part[index] = c[index] * slope
            constant += c[index] * sign * min(gaps)
        return operand, part, constant


def _dot(a: Numbers, b: Numbers) -> Fraction:
    return sum((p * q for p, q in zip(a.reshape(-1), b.reshape(-1), strict=True)), Fraction(0))


def violation(problem: Problem, cell: Cell, graph: Graph, x: Sequence[Fraction]) -> bool:
    """Whether the exact network is catastrophic at x, a point of the cell's box."""
    if not all(row.holds(x, ()) for row in cell.constraints):
        return False
    y = outputs(graph, evaluate(graph, x))
    return any(all(row.holds(x, y) for row in rows) for rows in cell.catastrophe)
