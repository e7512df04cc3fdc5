"""Ops that mix several variable values: products, softmax, normalisation, look-ups, attention.

Operands are ``(batch, *in_shape)``; ``xp`` is an array namespace, and ``weight`` the node's weight
constant in it (None where it has none).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from absint.ir.affine import Array, Shape, ShapeError

if TYPE_CHECKING:
    from absint.ir.graph import Node


class JointRule(ABC):
    """Semantics of one op."""

    @abstractmethod
    def shape(self, node: Node) -> Shape:
        """The output's shape. Raises ShapeError."""

    @abstractmethod
    def value(self, node: Node, xs: Sequence[Array], weight: Array, xp: Any) -> Array:
        """The output, (batch, *shape)."""

    @abstractmethod
    def vjp(self, node: Node, xs: Sequence[Array], c: Array, weight: Array, xp: Any) -> list[Array]:
        """The gradient of ``c . y``, with c (batch, *shape), by each operand."""


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ShapeError(message)


def _broadcast(op: str, *shapes: Shape) -> Shape:
    try:
        return tuple(np.broadcast_shapes(*shapes))
    except ValueError as error:
        raise ShapeError(f"{op}: shapes {shapes} do not broadcast") from error


class Embedding(JointRule):
    """Rows of a table: token ids of any shape (integers held as floats) to ``(*shape, width)``."""

    def shape(self, node: Node) -> Shape:
        weight = node.consts["weight"]
        _require(weight.value.ndim == 2, f"a table must have 2 axes, not {weight.value.shape}")
        return (*node.in_shapes[0], weight.value.shape[1])

    def value(self, node: Node, xs: Sequence[Array], weight: Array, xp: Any) -> Array:
        return weight[xp.astype(xs[0], xp.int64)]

    def vjp(self, node: Node, xs: Sequence[Array], c: Array, weight: Array, xp: Any) -> list[Array]:
        return [xp.zeros_like(xs[0])]


class Mul(JointRule):
    """The elementwise product of two operands that broadcast."""

    def shape(self, node: Node) -> Shape:
        return _broadcast(node.op, *node.in_shapes)

    def value(self, node: Node, xs: Sequence[Array], weight: Array, xp: Any) -> Array:
        first, second = (aligned(x, len(node.shape)) for x in xs)
        return first * second

    def vjp(self, node: Node, xs: Sequence[Array], c: Array, weight: Array, xp: Any) -> list[Array]:
        a, b = (aligned(x, len(node.shape)) for x in xs)
        return [folded(part, x, xp) for part, x in zip((c * b, c * a), node.in_shapes, strict=True)]


def aligned(x: Array, rank: int) -> Array:
    """(batch, *shape) with ones after the batch axis, so that it broadcasts to ``rank`` axes."""
    return x.reshape((x.shape[0], *(1,) * (rank + 1 - x.ndim), *x.shape[1:]))


def folded(x: Array, shape: Shape, xp: Any, lead: int = 1) -> Array:
    """(*lead, *full) summed to (*lead, *shape): the adjoint of broadcasting ``shape`` to ``full``.

    ``lead`` is how many axes stand before those that were broadcast.
    """
    missing = x.ndim - lead - len(shape)
    axes = [
        lead + i
        for i, size in enumerate(x.shape[lead:])
        if i < missing or shape[i - missing] != size
    ]
    total = xp.sum(x, axis=tuple(axes), keepdims=True) if axes else x
    return total.reshape((*x.shape[:lead], *shape))


class MatMul(JointRule):
    """``a @ b`` of two operands of at least two axes; the leading ones broadcast."""

    def shape(self, node: Node) -> Shape:
        a, b = node.in_shapes
        _require(len(a) >= 2 and len(b) >= 2, f"matmul of shapes {a} and {b}")
        _require(a[-1] == b[-2], f"matmul of shapes {a} and {b}")
        return (*_broadcast(node.op, a[:-2], b[:-2]), a[-2], b[-1])

    def value(self, node: Node, xs: Sequence[Array], weight: Array, xp: Any) -> Array:
        a, b = (aligned(x, len(node.shape)) for x in xs)
        return a @ b

    def vjp(self, node: Node, xs: Sequence[Array], c: Array, weight: Array, xp: Any) -> list[Array]:
        a, b = (aligned(x, len(node.shape)) for x in xs)
        parts = c @ xp.matrix_transpose(b), xp.matrix_transpose(a) @ c
        return [folded(part, x, xp) for part, x in zip(parts, node.in_shapes, strict=True)]


class Softmax(JointRule):
    """``exp(x) / sum exp(x)`` on the last axis, over the entries that ``mask`` lets take part."""

    def shape(self, node: Node) -> Shape:
        (x,) = node.in_shapes
        _require(bool(x), "softmax of a scalar")
        if "mask" in node.consts:
            mask = node.consts["mask"].value
            _require(mask.shape == x, f"a mask of shape {mask.shape} for {x}")
            _require(bool(np.isin(mask, (0, 1)).all()), "a mask holds 0 and 1 only")
            _require(bool(mask.any(axis=-1).all()), "a mask lets nothing take part in a row")
        return x

    def value(self, node: Node, xs: Sequence[Array], weight: Array, xp: Any) -> Array:
        x = xs[0]
        if "mask" in node.consts:
            mask = xp.asarray(node.consts["mask"].value == 1, device=getattr(x, "device", None))
            x = xp.where(mask, x, -math.inf)
        e = xp.exp(x - xp.max(x, axis=-1, keepdims=True))
        return e / xp.sum(e, axis=-1, keepdims=True)

    def vjp(self, node: Node, xs: Sequence[Array], c: Array, weight: Array, xp: Any) -> list[Array]:
        y = self.value(node, xs, weight, xp)
        return [y * (c - xp.sum(c * y, axis=-1, keepdims=True))]


class Normalize(JointRule):
    """``(x - c mean) / sqrt(mean((x - c mean)^2) + epsilon)`` over the last ``axes`` axes."""

    def shape(self, node: Node) -> Shape:
        axes, (x,) = node.integer("axes"), node.in_shapes
        _require(1 <= axes <= len(x), f"normalize over {axes} axes of {x}")
        _require(node.integer("centered") in (0, 1), "centered must be 0 or 1")
        _require(node.number("epsilon") >= 0, "epsilon must not be negative")
        return x

    def value(self, node: Node, xs: Sequence[Array], weight: Array, xp: Any) -> Array:
        centred, root = self._parts(node, xs[0], xp)
        return centred / root

    @staticmethod
    def _parts(node: Node, x: Array, xp: Any) -> tuple[Array, Array]:
        axes = tuple(range(-node.integer("axes"), 0))
        if node.integer("centered"):
            x = x - xp.mean(x, axis=axes, keepdims=True)
        return x, xp.sqrt(xp.mean(x * x, axis=axes, keepdims=True) + node.number("epsilon"))

    def vjp(self, node: Node, xs: Sequence[Array], c: Array, weight: Array, xp: Any) -> list[Array]:
        axes = tuple(range(-node.integer("axes"), 0))
        centred, root = self._parts(node, xs[0], xp)
        y = centred / root
        part = (c - y * xp.mean(c * y, axis=axes, keepdims=True)) / root
        if node.integer("centered"):
            part = part - xp.mean(part, axis=axes, keepdims=True)
        return [part]


class Attend(JointRule):
    """One query's attention: operands q, k_1 .. k_m, v_1 .. v_m, each a vector.

    For each head h of ``heads``, the mean of ``v_i`` weighted by ``softmax_i(scale q_h . k_i)``;
    ``heads / kv_heads`` heads in a row share one head of keys and values.
    """

    def shape(self, node: Node) -> Shape:
        heads, shared = node.integer("heads"), node.integer("kv_heads")
        _require(shared >= 1 and heads >= 1 and heads % shared == 0, f"{heads} of {shared} heads")
        node.number("scale")
        count = len(node.in_shapes) - 1
        _require(count >= 2 and count % 2 == 0, "attend takes a query, keys and as many values")
        _require(all(len(x) == 1 for x in node.in_shapes), "attend takes vectors")
        (query,), keys, values = node.in_shapes[0], *self._halves(node.in_shapes)
        _require(len(set(keys)) == 1 and len(set(values)) == 1, "keys or values of several sizes")
        _require(query % heads == 0 and keys[0] == (query // heads * shared,), "a key's size")
        _require(values[0][0] % shared == 0, "a value's size")
        return (values[0][0] // shared * heads,)

    @staticmethod
    def _halves(xs: Sequence[Any]) -> tuple[Sequence[Any], Sequence[Any]]:
        middle = (len(xs) - 1) // 2 + 1
        return xs[1:middle], xs[middle:]

    def split(self, node: Node, xs: Sequence[Array], xp: Any) -> tuple[Array, Array, Array]:
        """Queries (batch, kv_heads, heads a kv_head, dk), keys (batch, m, kv_heads, dk), values
        (batch, m, kv_heads, dv)."""
        heads, shared = node.integer("heads"), node.integer("kv_heads")
        keys, values = (xp.stack(list(part), axis=1) for part in self._halves(xs))
        batch, count = keys.shape[:2]
        q = xs[0].reshape((batch, shared, heads // shared, -1))
        return (
            q,
            keys.reshape((batch, count, shared, -1)),
            values.reshape((batch, count, shared, -1)),
        )

    def _shares(self, node: Node, q: Array, keys: Array, xp: Any) -> Array:
        """The softmax of the scores, (batch, kv_heads, heads a kv_head, m)."""
        scores = node.number("scale") * xp.einsum("bghd,bmgd->bghm", q, keys)
        e = xp.exp(scores - xp.max(scores, axis=-1, keepdims=True))
        return e / xp.sum(e, axis=-1, keepdims=True)

    def value(self, node: Node, xs: Sequence[Array], weight: Array, xp: Any) -> Array:
        q, keys, values = self.split(node, xs, xp)
        y = xp.einsum("bghm,bmgd->bghd", self._shares(node, q, keys, xp), values)
        return y.reshape((y.shape[0], *node.shape))

    def vjp(self, node: Node, xs: Sequence[Array], c: Array, weight: Array, xp: Any) -> list[Array]:
        q, keys, values = self.split(node, xs, xp)
        shares = self._shares(node, q, keys, xp)
        c = c.reshape((*q.shape[:3], -1))
        by_share = xp.einsum("bghd,bmgd->bghm", c, values)
        mean = xp.sum(by_share * shares, axis=-1, keepdims=True)
        by_score = node.number("scale") * shares * (by_share - mean)
        parts = (
            xp.einsum("bghm,bmgd->bghd", by_score, keys)[:, None],
            xp.einsum("bghm,bghd->bmgd", by_score, q),
            xp.einsum("bghm,bghd->bmgd", shares, c),
        )
        flat = [part.reshape((*part.shape[:2], -1)) for part in parts]
        return [part[:, i] for part in flat for i in range(part.shape[1])]


class ArgMax(JointRule):
    """The position of the largest entry on the last axis; the lowest of several."""

    def shape(self, node: Node) -> Shape:
        (x,) = node.in_shapes
        _require(bool(x), "argmax of a scalar")
        return x[:-1]

    def value(self, node: Node, xs: Sequence[Array], weight: Array, xp: Any) -> Array:
        return xp.astype(xp.argmax(xs[0], axis=-1), xs[0].dtype)

    def vjp(self, node: Node, xs: Sequence[Array], c: Array, weight: Array, xp: Any) -> list[Array]:
        return [xp.zeros_like(xs[0])]
