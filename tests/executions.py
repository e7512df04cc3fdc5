"""Float32 executions of a graph as a runtime might choose them: by definition, a step at a time.

Each draws the order of every sum, fused multiply-add or not, flush-to-zero or not, the algorithm of
composite ops, the errors of elementary functions (random or extreme within the contract), and where
a constant has a radius, a constant. Values are float64 arrays that hold float32 numbers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from irmodels import matrix
from numpy.typing import NDArray

from absint.ir import OPS, Graph, Node
from absint.ir.graph import Constant
from absint.problem.contract import FLOAT32

Array = NDArray[np.float64]


@dataclass
class Execution:
    """One way to run a network."""

    rng: np.random.Generator

    def __post_init__(self) -> None:
        self.fused, self.flushes = self.rng.random() < 0.5, self.rng.random() < 0.3
        self.extreme = self.rng.random() < 0.5

    def run(self, graph: Graph, x: Array) -> list[Array]:
        """The value of every node, (batch, *shape), for float32 inputs (batch, input_size)."""
        places, values = graph.input_slices(), list[Array]()
        with np.errstate(all="ignore"):
            for position, node in enumerate(graph.nodes):
                if node.op == "input":
                    values.append(x[:, places[position]].reshape((-1, *node.shape)))
                    continue
                values.append(self._node(node, [self.read(values[i]) for i in node.inputs]))
        return values

    def read(self, x: Array) -> Array:
        return np.where(np.abs(x) < FLOAT32.flush, 0.0, x) if self.flushes else x

    def rounded(self, x: Any) -> Array:
        """To nearest float32; a subnormal result is perhaps flushed."""
        return self.read(np.asarray(x).astype(np.float32).astype(np.float64))

    def add(self, a: Array, b: Array) -> Array:
        return self.rounded(a + b)

    def times(self, a: Array, b: Array) -> Array:
        return self.rounded(a * b)

    def sum(self, terms: list[Array]) -> Array:
        """In a drawn order: one after another, or by halves."""
        order = [terms[i] for i in self.rng.permutation(len(terms))]
        if self.rng.random() < 0.5:
            while len(order) > 1:
                pairs = [self.add(a, b) for a, b in zip(order[::2], order[1::2], strict=False)]
                order = pairs + order[len(order) - len(order) % 2 :]
            return order[0]
        total = order[0]
        for term in order[1:]:
            total = self.add(total, term)
        return total

    def dot(self, products: list[tuple[Array, Array]], bias: Array | None) -> Array:
        """``sum a b + bias`` with the bias first, last or somewhere."""
        if not self.fused:
            terms = [self.times(a, b) for a, b in products]
            return self.sum(terms + ([] if bias is None else [bias]))
        order = [products[i] for i in self.rng.permutation(len(products))]
        first = self.rng.random() < 0.5
        total = bias if bias is not None and first else self.times(*order.pop())
        for a, b in order:
            total = self.rounded(a * b + total)
        return total if bias is None or first else self.add(total, bias)

    def exp(self, x: Array) -> Array:
        wrong = 1 + 4 * FLOAT32.unit * self.rng.uniform(-1, 1, x.shape)
        return self.rounded(np.exp(x) * wrong) if self.extreme else self.rounded(np.exp(x))

    def constant(self, const: Constant) -> Array:
        """As a runtime may have it: rounded where it is no float32, or anywhere in its radius."""
        value: Array = const.value.astype(np.float64)
        if const.radius is not None:
            value = value + self.rng.uniform(-1, 1, value.shape) * const.radius * (1 - 2.0**-40)
            return self.read(value)
        return self.read(value.astype(np.float32).astype(np.float64))

    def _node(self, node: Node, xs: list[Array]) -> Array:
        op = OPS[node.op]
        if op.affine is not None:
            return self._affine(node, xs)
        if op.univariate is not None:
            return self._elementary(node, xs[0])
        return _JOINT[node.op](self, node, xs)

    def _affine(self, node: Node, xs: list[Array]) -> Array:
        rule = OPS[node.op].affine
        assert rule is not None
        if node.op not in FLOAT32.roundings or (node.op == "gather" and "bias" not in node.consts):
            return np.asarray(rule.forward(node, xs, None, np))
        consts = {
            name: Constant(c.value if c.value.dtype.kind == "i" else self.constant(c))
            for name, c in node.consts.items()
        }
        own = Node(node.op, node.inputs, node.in_shapes, node.attrs, consts, node.shape)
        weights, flat = matrix(own), np.concatenate([x.reshape((len(x), -1)) for x in xs], axis=1)
        bias = None
        if "bias" in consts:
            bias = np.broadcast_to(consts["bias"].value, node.shape).reshape(-1)
        y = np.empty((len(flat), len(weights)))
        for i, row in enumerate(weights):
            used = np.flatnonzero(row)
            used = used if len(used) else np.array([0])
            products = [(np.asarray(row[j]), flat[:, j]) for j in used]
            y[:, i] = self.dot(products, None if bias is None else np.full(len(flat), bias[i]))
        return y.reshape((-1, *node.shape))

    def _elementary(self, node: Node, x: Array) -> Array:
        """The exact value with an error within the contract, or the nearest float32 to it."""
        univariate, row = OPS[node.op].univariate, FLOAT32.elementwise[node.op]
        assert univariate is not None
        value = np.asarray(univariate.value(node, x, np), dtype=np.float64)
        scale = node.number("alpha") if node.op == "elu" else 1.0
        power = node.integer("exponent") if node.op == "power" else 1
        bound = row.absolute * abs(scale) + power * row.relative * np.abs(value)
        bound = FLOAT32.unit * (bound + row.argument * np.abs(x)) * (1 - 2.0**-20)
        if not self.extreme or not bound.any():
            return self.rounded(value) if bound.any() else self.read(value)
        return value + self.rng.choice([-1.0, 1.0], value.shape) * bound


def _mul(run: Execution, node: Node, xs: list[Array]) -> Array:
    from absint.ir.joint import aligned

    a, b = (aligned(x, len(node.shape)) for x in xs)
    return run.times(a, b)


def _matmul(run: Execution, node: Node, xs: list[Array]) -> Array:
    from absint.ir.joint import aligned

    a, b = (aligned(x, len(node.shape)) for x in xs)
    products = [(a[..., :, k, None], b[..., None, k, :]) for k in range(a.shape[-1])]
    return run.dot(products, None)


def _attend(run: Execution, node: Node, xs: list[Array]) -> Array:
    """The scale before the products, in both factors, or after; shares first, or a quotient last;
    all keys at once, or in up to three blocks with the largest score so far."""
    heads, groups, scale = node.integer("heads"), node.integer("kv_heads"), node.number("scale")
    count, scale = len(xs) // 2, float(np.float32(scale))
    q = xs[0].reshape((len(xs[0]), heads, -1))
    shape = (len(q), groups, -1)
    keys, values = (
        [np.repeat(x.reshape(shape), heads // groups, axis=1) for x in part]
        for part in (xs[1 : count + 1], xs[count + 1 :])
    )
    way = run.rng.integers(3)
    root = float(np.float32(math.sqrt(abs(scale))))
    if way == 1:
        q = run.times(q, np.asarray(scale))
    if way == 2:
        q = run.times(q, np.asarray(math.copysign(root, scale)))
        keys = [run.times(k, np.asarray(root)) for k in keys]
    dots = [run.dot([(q[..., i], k[..., i]) for i in range(q.shape[-1])], None) for k in keys]
    scores = [s if way else run.times(s, np.asarray(scale)) for s in dots]
    if run.rng.random() < 0.5:
        y = _in_blocks(run, scores, values)
    else:
        shares = _shares(run, np.stack(scores, axis=-1))
        columns = [[v[..., d] for v in values] for d in range(values[0].shape[-1])]
        sums = [run.dot([(shares[..., i], v) for i, v in enumerate(own)], None) for own in columns]
        y = np.stack(sums, axis=-1)
    return y.reshape((len(y), *node.shape))


def _in_blocks(run: Execution, scores: list[Array], values: list[Array]) -> Array:
    blocks = [b for b in np.array_split(run.rng.permutation(len(scores)), 3) if len(b)]
    peak = total = mean = None
    for block in blocks:
        own = np.stack([scores[i] for i in block], axis=-1)
        top = own.max(axis=-1) if peak is None else np.maximum(own.max(axis=-1), peak)
        e = run.exp(run.add(own, -top[..., None]))
        parts = [e[..., i] for i in range(len(block))]
        columns = range(values[0].shape[-1])
        sums = [
            run.dot([(e[..., i], values[j][..., d]) for i, j in enumerate(block)], None)
            for d in columns
        ]
        more, count = np.stack(sums, axis=-1), run.sum(parts)
        if peak is not None:
            fade = run.exp(run.add(peak, -top))
            more = run.add(more, run.times(mean, fade[..., None]))
            count = run.add(count, run.times(total, fade))
        peak, mean, total = top, more, count
    assert mean is not None
    assert total is not None
    if run.rng.random() < 0.5:
        return run.rounded(mean / total[..., None])
    return run.times(mean, run.rounded(1 / total)[..., None])


def _softmax(run: Execution, node: Node, xs: list[Array]) -> Array:
    x, takes = xs[0], np.ones(node.shape, dtype=bool)
    if "mask" in node.consts:
        takes = node.consts["mask"].value == 1
    return _shares(run, np.where(takes, x, -math.inf))


def _shares(run: Execution, x: Array) -> Array:
    e = run.exp(run.rounded(x - x.max(axis=-1, keepdims=True)))
    total = run.sum([e[..., i] for i in range(x.shape[-1])])[..., None]
    if run.rng.random() < 0.5:
        return run.rounded(e / total)
    return run.times(e, run.rounded(1 / total))


def _normalize(run: Execution, node: Node, xs: list[Array]) -> Array:
    count = int(np.prod(node.shape[len(node.shape) - node.integer("axes") :]))
    x = xs[0].reshape((len(xs[0]), -1, count))
    epsilon, parts = np.float64(np.float32(node.number("epsilon"))), range(count)
    mean: Any = np.zeros((*x.shape[:2], 1))
    if node.integer("centered"):
        mean = run.rounded(run.sum([x[..., i] for i in parts]) / count)[..., None]
    z = run.add(x, -mean)
    if run.rng.random() < 0.5 and node.integer("centered"):
        squares = run.rounded(run.sum([run.times(x[..., i], x[..., i]) for i in parts]) / count)
        variance = run.add(squares[..., None], -run.times(mean, mean))
    else:
        squares = run.sum([run.times(z[..., i], z[..., i]) for i in parts])
        variance = run.rounded(squares / count)[..., None]
    root = run.rounded(np.sqrt(run.add(variance, epsilon)))
    inverse, way = run.rounded(1 / root), run.rng.integers(3)
    if way == 0:
        y = run.rounded(z / root)
    elif way == 1:
        y = run.times(z, inverse)
    else:
        y = run.add(run.times(x, inverse), -run.times(mean, inverse))
    return y.reshape((-1, *node.shape))


def _plain(run: Execution, node: Node, xs: list[Array]) -> Array:
    rule, weight = OPS[node.op].joint, None
    assert rule is not None
    if "weight" in node.consts:
        weight = node.consts["weight"].value.astype(np.float32).astype(np.float64)
    return np.asarray(rule.value(node, xs, weight, np), dtype=np.float64)


_JOINT: dict[str, Callable[[Execution, Node, list[Array]], Array]] = {
    "mul": _mul,
    "matmul": _matmul,
    "softmax": _softmax,
    "attend": _attend,
    "normalize": _normalize,
    "embedding": _plain,
    "argmax": _plain,
}


def outputs(graph: Graph, values: Sequence[Array]) -> Array:
    """(batch, output_size)."""
    parts = [values[port.node].reshape((len(values[port.node]), -1)) for port in graph.outputs]
    return np.concatenate(parts, axis=1)
