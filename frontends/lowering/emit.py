"""Emits core ops, keeping the graph short: identities are dropped and index maps composed."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from absint.frontends.lowering.values import (
    FLOATS,
    Array,
    Const,
    MalformedError,
    Masked,
    NotLoweredError,
    Shape,
    Value,
    Var,
    broadcast,
    check_size,
    number,
)
from absint.ir import Constant, GraphBuilder
from absint.ir.graph import Attribute

Move = Callable[[Array], Array]
"""A rearrangement of entries, written once for constants and for index maps."""

_TAKES_BIAS = ("dense", "conv", "scale")


@dataclass(frozen=True)
class Moment:
    """What a node holds of its ``base``, on the way to a normalisation over its last ``axes``."""

    kind: str
    base: Var
    axes: int
    epsilon: float = 0.0


@dataclass
class Emitter:
    """A graph builder for lowering rules. ``name`` is that of the node being lowered."""

    builder: GraphBuilder = field(default_factory=GraphBuilder)
    name: str = ""
    moments: dict[int, Moment] = field(default_factory=dict)
    """What is known of nodes as moments (see ``moments``)."""

    def real_only(self, what: str) -> None:
        """Notes that ``what`` is lowered to nodes that are equal to it in real arithmetic only:
        it may be computed in ways that roundings of these nodes do not cover."""
        self.builder.real_only.add(what)

    @property
    def real(self) -> str:
        """The float type of the model's inputs: for exact numbers, whose type means nothing."""
        given = [port.dtype for port in self.builder.inputs if port.dtype in FLOATS]
        return given[0] if given else "float64"

    def add(
        self,
        op: str,
        operands: Sequence[Var],
        attrs: Mapping[str, Attribute] | None = None,
        consts: Mapping[str, Constant] | None = None,
        dtype: str | None = None,
    ) -> Var:
        """One node of the core, of the first operand's type unless ``dtype`` says otherwise.

        Raises ShapeError when its parts do not fit.
        """
        node = self.builder.add(
            op, [v.node for v in operands], attrs=attrs, consts=consts, name=self.name
        )
        kind = dtype or operands[0].dtype
        given = {port.dtype for port in self.builder.inputs} & set(FLOATS) or {"float32"}
        if kind in FLOATS and given - {kind}:
            self.real_only(f"arithmetic in {kind}")
        return Var(node, check_size(self.builder.shape(node)), kind)

    def reshape(self, x: Var, shape: Shape) -> Var:
        """``x``'s entries in row-major order under another shape."""
        if shape == x.shape:
            return x
        source = self.builder.nodes[x.node]
        if source.op == "gather" and "bias" not in source.consts:
            index = source.consts["index"].value.reshape(shape)
            return self.add("gather", [self.operand(x)], consts={"index": Constant(index)})
        base = self.operand(x) if source.op == "reshape" else x
        if base.shape == shape:
            return base
        return self.add("reshape", [base], {"shape": tuple(shape)})

    def operand(self, x: Var) -> Var:
        """What the one-operand node ``x`` reads."""
        node = self.builder.nodes[x.node]
        return Var(node.inputs[0], node.in_shapes[0], x.dtype)

    def gather(self, x: Var, index: Array, fill: float | None = None) -> Var:
        """``x``'s flat entries at ``index``, of index's shape; -1 reads ``fill`` (default 0)."""
        if index.size == 0:
            raise NotLoweredError("an empty tensor that depends on the input")
        bias = None if fill is None else np.where(index < 0, fill, 0.0)
        if _is_identity(index, math.prod(x.shape)):
            return self.reshape(x, tuple(index.shape))
        source = self.builder.nodes[x.node]
        if source.op == "reshape":
            x = self.operand(x)
        elif source.op == "gather" and "bias" not in source.consts:
            earlier = source.consts["index"].value.reshape(-1)
            index = np.where(index < 0, -1, earlier[index])
            x = self.operand(x)
        consts = {"index": Constant(index)}
        if bias is not None and bias.any():
            consts["bias"] = Constant(bias)
        return self.add("gather", [x], consts=consts)

    def rearrange(self, value: Value, move: Move) -> Value:
        """A data movement: ``move`` on a constant's entries, or on a variable's indices."""
        if isinstance(value, Const):
            radius = None if value.radius is None else move(value.radius)
            return Const(move(value.value), value.dtype, radius)
        index = np.arange(math.prod(value.shape), dtype=np.int64).reshape(value.shape)
        moved = self.gather(value, move(index))
        if isinstance(value, Masked):
            plain = None if value.plain is None else self.gather(value.plain, move(index))
            return Masked(moved.node, moved.shape, moved.dtype, move(value.keep), plain)
        return moved

    def turn(self, value: Value, axis: int, place: int) -> Value:
        """``value`` with one axis at another place."""
        return self.rearrange(value, lambda array: np.moveaxis(array, axis, place))

    def take(self, value: Value, at: int, axis: int) -> Value:
        """The entries at one position of an axis, which goes."""
        return self.rearrange(value, lambda array: np.take(array, at, axis=axis))

    def broadcast(self, value: Value, shape: Shape) -> Value:
        """``value`` expanded to ``shape``. Raises MalformedError where it does not fit."""
        if value.shape == shape:
            return value
        if broadcast(value.shape, shape) != shape:
            raise MalformedError(f"shape {value.shape} does not expand to {shape}")
        return self.rearrange(value, lambda array: np.broadcast_to(array, shape))

    def variable(self, value: Value, anchor: Var) -> Var:
        """``value`` as a node: a constant becomes an index map that reads nothing of ``anchor``."""
        if isinstance(value, Var):
            return value
        if value.dtype != anchor.dtype:
            raise MalformedError(f"operands of types {value.dtype} and {anchor.dtype}")
        index = Constant(np.full(value.shape, -1, dtype=np.int64))
        return self.add("gather", [anchor], consts={"index": index, "bias": value.ir()})

    def dense(self, x: Var, weight: Const, bias: Const | None = None) -> Var:
        """``x W + b`` on the last axis."""
        return self.add("dense", [x], consts=_weights(weight, bias))

    def scale(self, x: Var, weight: Const | None = None, bias: Const | None = None) -> Var:
        """``w x + b`` elementwise; the constants broadcast to ``x``, never beyond it."""
        return self.add("scale", [x], consts=_weights(weight, bias))

    def scaled(self, x: Var) -> tuple[Var, Const | None, Const | None]:
        """``x = w y + b`` taken apart: y, and w and b as scalars; x itself where it is not so."""
        node = self.builder.nodes[x.node]
        if node.op != "scale":
            return x, None, None
        parts: dict[str, Const] = {}
        for name, const in node.consts.items():
            if const.value.size != 1:
                return x, None, None
            radius = None if const.radius is None else const.radius.reshape(())
            parts[name] = Const(const.value.reshape(()), x.dtype, radius)
        return self.operand(x), parts.get("weight"), parts.get("bias")

    def clip(self, x: Var, lower: float, upper: float) -> Var:
        """``min(max(x, lower), upper)`` in the fewest ops; ``lower <= upper``, either infinite.

        An end at or beyond the largest number of x's type is none: so ONNX writes that there is
        none. A clip of a clip (or relu) is one clip, whether or not their intervals meet.
        """
        largest = float(np.finfo(x.dtype).max)
        lower = -math.inf if lower <= -largest else lower + 0.0  # no negative zero
        upper = math.inf if upper >= largest else upper + 0.0
        inner = self._ends(x)
        ends = min(max(inner[0], lower), upper), min(max(inner[1], lower), upper)
        if ends == inner:
            return x
        x = x if inner == (-math.inf, math.inf) else self.operand(x)
        lower, upper = ends
        if lower == upper:
            return self.scale(x, number(0.0, x.dtype), number(lower, x.dtype))
        if (lower, upper) == (0.0, math.inf):
            return self.add("relu", [x])
        return self.add("clip", [x], {"lower": lower, "upper": upper})

    def _ends(self, x: Var) -> tuple[float, float]:
        """The ends to which the node that gave ``x`` clips its operand."""
        node = self.builder.nodes[x.node]
        if node.op == "relu":
            return 0.0, math.inf
        if node.op == "clip":
            return node.extended("lower"), node.extended("upper")
        return -math.inf, math.inf

    def add_bias(self, x: Var, bias: Const, fuse: bool) -> Var:
        """``x + b``; with ``fuse``, as the bias of the affine node that gave ``x``.

        The node without its bias stays behind unused, and is dropped when the graph is built.
        """
        node = self.builder.nodes[x.node]
        if not fuse or node.op not in _TAKES_BIAS or "bias" in node.consts:
            return self.scale(x, bias=bias)
        consts = {**node.consts, "bias": bias.ir()}
        fused = self.builder.add(
            node.op, node.inputs, attrs=node.attrs, consts=consts, name=node.name
        )
        return Var(fused, x.shape, x.dtype)


def _weights(weight: Const | None, bias: Const | None) -> dict[str, Constant]:
    given = {"weight": weight, "bias": bias}
    return {name: const.ir() for name, const in given.items() if const is not None}


def _is_identity(index: Array, size: int) -> bool:
    flat = index.reshape(-1)
    return flat.size == size and bool((flat == np.arange(size)).all())
