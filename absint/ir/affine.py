"""The affine kinds of the core: ``y = W x + b``, and data movement.

Every rule gives the linear part and its adjoint on arrays with any leading axes, so that one
definition serves concrete runs, intervals (with ``|W|``), backward bounds and the checker.
``xp`` is an array namespace (numpy, or torch through array-api-compat); ``weight`` is passed apart
from the node so that a caller can hand in ``|W|``, a weight radius, or W on another device.
"""

from __future__ import annotations

import functools
import itertools
import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from absint.ir.graph import Node

Shape = tuple[int, ...]
Array = Any  # numpy.ndarray or torch.Tensor
IntArray = NDArray[np.int64]


class ShapeError(ValueError):
    """An op was given operands, attributes or constants whose shapes do not fit."""


class AffineRule(ABC):
    """Semantics of one affine op. ``x`` is ``(*lead, *in_shape)``, ``c`` is ``(*lead, *shape)``."""

    weighted = True
    """Whether the op has a ``weight`` constant (data movement and sums have none)."""

    @abstractmethod
    def shape(self, node: Node) -> Shape:
        """The output's shape. Raises ShapeError."""

    @abstractmethod
    def forward(self, node: Node, xs: Sequence[Array], weight: Array, xp: Any) -> Array:
        """``W x``, without the bias."""

    @abstractmethod
    def backward(self, node: Node, c: Array, weight: Array, xp: Any) -> list[Array]:
        """``c W``: one array per operand."""

    def magnitude(self, node: Node, xs: Sequence[Array], weight: Array, xp: Any) -> Array:
        """``|W| x``; ``weight`` is already the absolute (or radius) array."""
        return self.forward(node, xs, weight, xp)

    @abstractmethod
    def fan_in(self, node: Node) -> int:
        """The largest number of products summed in one output (bias not counted)."""

    @abstractmethod
    def fan_out(self, node: Node) -> int:
        """The largest number of products summed in one coefficient of ``backward``."""


def _lead(x: Array, rank: int) -> Shape:
    return tuple(x.shape[: x.ndim - rank])


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ShapeError(message)


class Dense(AffineRule):
    """``y[..., o] = sum_i x[..., i] W[i, o]``, on the last axis."""

    def shape(self, node: Node) -> Shape:
        (x,), w = node.in_shapes, node.consts["weight"].value
        _require(w.ndim == 2, f"weight must have 2 axes, not shape {w.shape}")
        _require(bool(x) and x[-1] == w.shape[0], f"input {x} does not fit weight {w.shape}")
        return (*x[:-1], w.shape[1])

    def forward(self, node: Node, xs: Sequence[Array], weight: Array, xp: Any) -> Array:
        (x,) = xs
        return (x.reshape((-1, x.shape[-1])) @ weight).reshape((*x.shape[:-1], weight.shape[1]))

    def backward(self, node: Node, c: Array, weight: Array, xp: Any) -> list[Array]:
        flat = c.reshape((-1, c.shape[-1])) @ weight.T
        return [flat.reshape((*c.shape[:-1], weight.shape[0]))]

    def fan_in(self, node: Node) -> int:
        return int(node.consts["weight"].value.shape[0])

    def fan_out(self, node: Node) -> int:
        return int(node.consts["weight"].value.shape[1])


class Conv(AffineRule):
    """N-dimensional cross-correlation with zero padding, on ``(batch, channel, *space)``.

    Weight ``(out, in / groups, *kernel)``; attributes ``strides``, ``dilations`` (one a spatial
    axis), ``pads`` (all begins, then all ends) and ``groups``. Computed as one matrix product per
    kernel offset, which needs no copy of the input and has an equally simple adjoint.
    """

    def shape(self, node: Node) -> Shape:
        (x,), w = node.in_shapes, node.consts["weight"].value
        rank, groups = len(x) - 2, node.integer("groups")
        _require(rank >= 1 and w.ndim == rank + 2, f"input {x} does not fit weight {w.shape}")
        _require(
            groups >= 1 and x[1] == w.shape[1] * groups and w.shape[0] % groups == 0,
            f"{x[1]} channels in {groups} groups do not fit weight {w.shape}",
        )
        _require(min(w.shape) >= 1, f"weight has the empty shape {w.shape}")
        pads = node.integers("pads")
        for name, count in (("strides", rank), ("dilations", rank), ("pads", 2 * rank)):
            _require(len(node.integers(name)) == count, f"{name} must have {count} entries")
        _require(min(pads) >= 0, "pads must not be negative")
        _require(min(node.integers("strides") + node.integers("dilations")) >= 1, "stride < 1")
        space = tuple(
            (x[2 + i] + pads[i] + pads[rank + i] - node.integers("dilations")[i] * (k - 1) - 1)
            // node.integers("strides")[i]
            + 1
            for i, k in enumerate(w.shape[2:])
        )
        _require(min(space) >= 1, "the kernel is larger than the padded input")
        return (x[0], w.shape[0], *space)

    def _offsets(
        self, node: Node, kernel: Shape, begin: Shape, end: Shape
    ) -> Iterator[tuple[Shape, tuple[Any, ...]]]:
        """Kernel offsets, each with the slice of the padded input that it multiplies for the
        outputs from ``begin`` to before ``end``."""
        strides, dilations = node.integers("strides"), node.integers("dilations")
        for offset in itertools.product(*(range(k) for k in kernel)):
            yield (
                offset,
                tuple(
                    slice(d * o + s * first, d * o + s * (last - 1) + 1, s)
                    for o, d, s, first, last in zip(
                        offset, dilations, strides, begin, end, strict=True
                    )
                ),
            )

    def _interior(self, node: Node) -> tuple[Shape, tuple[slice, ...]]:
        space, pads = node.in_shapes[0][2:], node.integers("pads")
        rank = len(space)
        padded = tuple(n + pads[i] + pads[rank + i] for i, n in enumerate(space))
        return padded, tuple(slice(pads[i], pads[i] + n) for i, n in enumerate(space))

    def forward(self, node: Node, xs: Sequence[Array], weight: Array, xp: Any) -> Array:
        (x,) = xs
        channels, space = node.in_shapes[0][1], node.in_shapes[0][2:]
        lead = _lead(x, len(node.in_shapes[0]) - 1)
        groups, outs = node.integer("groups"), node.shape[1]
        x = xp.moveaxis(x.reshape((-1, groups, channels // groups, *space)), (1, 2), (0, -1))
        padded, interior = self._interior(node)
        full = xp.zeros(
            (groups, x.shape[1], *padded, channels // groups), dtype=x.dtype, device=x.device
        )
        full[(slice(None), slice(None), *interior)] = x
        w = weight.reshape((groups, outs // groups, *weight.shape[1:]))
        total: Array = 0
        space = node.shape[2:]
        for offset, window in self._offsets(node, weight.shape[2:], (0,) * len(space), space):
            patch = full[(slice(None), slice(None), *window)]
            flat = patch.reshape((groups, -1, channels // groups))
            total = total + flat @ xp.moveaxis(w[(..., *offset)], -1, -2)
        total = total.reshape((groups, -1, *node.shape[2:], outs // groups))
        return xp.moveaxis(total, (0, -1), (1, 2)).reshape((*lead, *node.shape[1:]))

    def backward(self, node: Node, c: Array, weight: Array, xp: Any) -> list[Array]:
        in_shape, groups, outs = node.in_shapes[0], node.integer("groups"), node.shape[1]
        lead, channels = _lead(c, len(node.shape) - 1), in_shape[1]
        c = c.reshape((-1, groups, outs // groups, *node.shape[2:]))
        begin, end = _nonzero_window(c, node.shape[2:])
        c = c[(..., *map(slice, begin, end))]
        c = xp.moveaxis(c, (1, 2), (0, -1))
        rows = c.reshape((groups, -1, outs // groups))
        padded, interior = self._interior(node)
        full = xp.zeros(
            (groups, c.shape[1], *padded, channels // groups), dtype=c.dtype, device=c.device
        )
        w = weight.reshape((groups, outs // groups, *weight.shape[1:]))
        for offset, window in self._offsets(node, weight.shape[2:], begin, end):
            part = (rows @ w[(..., *offset)]).reshape((*c.shape[:-1], channels // groups))
            full[(slice(None), slice(None), *window)] += part
        inner = full[(slice(None), slice(None), *interior)]
        return [xp.moveaxis(inner, (0, -1), (1, 2)).reshape((*lead, *in_shape[1:]))]

    def fan_in(self, node: Node) -> int:
        return math.prod(node.consts["weight"].value.shape[1:])

    def fan_out(self, node: Node) -> int:
        w: Shape = node.consts["weight"].value.shape
        return (w[0] // node.integer("groups")) * math.prod(w[2:])


def _nonzero_window(c: Array, space: Shape) -> tuple[Shape, Shape]:
    """Where coefficients (..., *space) are not zero: they begin at one neuron, and stay near it.

    All of the space for arrays that are not numpy's: to look would hold up an accelerator.
    """
    if not isinstance(c, np.ndarray):
        return (0,) * len(space), space
    used: NDArray[np.bool_] = np.any(c.reshape((-1, *space)), axis=0)
    axes = range(len(space))
    others = [tuple(a for a in axes if a != axis) for axis in axes]
    lines = [np.flatnonzero(np.any(used, axis=rest)) for rest in others]
    if not len(lines[0]):
        return (0,) * len(space), (1,) * len(space)
    return tuple(int(line[0]) for line in lines), tuple(int(line[-1]) + 1 for line in lines)


class Scale(AffineRule):
    """``y = W * x`` elementwise; W (absent: one) broadcasts to the input's shape."""

    def shape(self, node: Node) -> Shape:
        (x,) = node.in_shapes
        for name, const in node.consts.items():
            try:
                fits = np.broadcast_shapes(x, const.value.shape) == x
            except ValueError:
                fits = False
            _require(fits, f"{name} of shape {const.value.shape} does not broadcast to {x}")
        return x

    def forward(self, node: Node, xs: Sequence[Array], weight: Array, xp: Any) -> Array:
        return xs[0] if weight is None else xs[0] * weight

    def backward(self, node: Node, c: Array, weight: Array, xp: Any) -> list[Array]:
        return [c if weight is None else c * weight]

    def fan_in(self, node: Node) -> int:
        return 1

    def fan_out(self, node: Node) -> int:
        return 1


class Reshape(AffineRule):
    """The same entries in row-major order under attribute ``shape``."""

    weighted = False

    def shape(self, node: Node) -> Shape:
        (x,), out = node.in_shapes, node.integers("shape")
        _require(math.prod(x) == math.prod(out), f"{x} cannot be reshaped to {out}")
        return out

    def forward(self, node: Node, xs: Sequence[Array], weight: Array, xp: Any) -> Array:
        lead = _lead(xs[0], len(node.in_shapes[0]))
        return xs[0].reshape((*lead, *node.shape))

    def backward(self, node: Node, c: Array, weight: Array, xp: Any) -> list[Array]:
        return [c.reshape((*_lead(c, len(node.shape)), *node.in_shapes[0]))]

    def fan_in(self, node: Node) -> int:
        return 1

    def fan_out(self, node: Node) -> int:
        return 1


class Gather(AffineRule):
    """An index map: entry j of the output is entry ``index[j]`` of the flattened input.

    Index -1 reads zero (padding). Transpose, slice, gather, expand, tile, flip and pad all lower to
    this. The output's shape is the shape of the constant ``index``.
    """

    weighted = False

    def shape(self, node: Node) -> Shape:
        index, size = node.consts["index"].value, math.prod(node.in_shapes[0])
        _require(
            index.size > 0 and int(index.min()) >= -1 and int(index.max()) < size,
            f"indices leave the range -1 .. {size - 1}",
        )
        return tuple(index.shape)

    def forward(self, node: Node, xs: Sequence[Array], weight: Array, xp: Any) -> Array:
        lead = _lead(xs[0], len(node.in_shapes[0]))
        flat = xs[0].reshape((*lead, -1))
        return _take(flat, node.consts["index"].value.reshape(-1), xp).reshape((*lead, *node.shape))

    def backward(self, node: Node, c: Array, weight: Array, xp: Any) -> list[Array]:
        lead = _lead(c, len(node.shape))
        flat = c.reshape((*lead, -1))
        total: Array = 0
        for inverse in _inverses(node):
            total = total + _take(flat, inverse, xp)
        return [total.reshape((*lead, *node.in_shapes[0]))]

    def fan_in(self, node: Node) -> int:
        return 1

    def fan_out(self, node: Node) -> int:
        index = node.consts["index"].value.reshape(-1)
        return max(1, int(np.bincount(index[index >= 0], minlength=1).max()))


@functools.lru_cache(maxsize=1024)
def _inverses(node: Node) -> IntArray:
    """``(fan_out, input size)``: the outputs that read each input, padded with -1."""
    index = node.consts["index"].value.reshape(-1)
    used = np.flatnonzero(index >= 0)
    order = used[np.argsort(index[used], kind="stable")]
    source = index[order]
    rank = np.arange(len(order)) - np.searchsorted(source, source, side="left")
    fan_out = int(rank.max(initial=0)) + 1
    inverse = np.full((fan_out, math.prod(node.in_shapes[0])), -1, dtype=np.int64)
    inverse[rank, source] = order
    return inverse


def _take(flat: Array, index: IntArray, xp: Any) -> Array:
    """``flat[..., index]`` with zero where index is -1."""
    if index.min() >= 0:
        return flat[..., index.copy()]  # PyTorch warns of an index that cannot be written
    zero = xp.zeros_like(flat[..., :1])
    return xp.concat([flat, zero], axis=-1)[..., np.where(index < 0, flat.shape[-1], index)]


class Sum(AffineRule):
    """``sum_i coefficient_i x_i`` over operands of one shape; ``coefficients`` are 1 or -1."""

    weighted = False

    def shape(self, node: Node) -> Shape:
        _require(len(set(node.in_shapes)) == 1, f"operands differ in shape: {node.in_shapes}")
        coefficients = node.integers("coefficients")
        _require(len(coefficients) == len(node.in_shapes), "one coefficient an operand")
        _require(set(coefficients) <= {1, -1}, "coefficients must be 1 or -1")
        return node.in_shapes[0]

    def forward(self, node: Node, xs: Sequence[Array], weight: Array, xp: Any) -> Array:
        total: Array = 0
        for coefficient, x in zip(node.integers("coefficients"), xs, strict=True):
            total = total + coefficient * x
        return total

    def magnitude(self, node: Node, xs: Sequence[Array], weight: Array, xp: Any) -> Array:
        return sum(xs[1:], xs[0])

    def backward(self, node: Node, c: Array, weight: Array, xp: Any) -> list[Array]:
        return [coefficient * c for coefficient in node.integers("coefficients")]

    def fan_in(self, node: Node) -> int:
        return len(node.in_shapes)

    def fan_out(self, node: Node) -> int:
        return 1


class Concat(AffineRule):
    """Operands joined along attribute ``axis`` (not negative)."""

    weighted = False

    def shape(self, node: Node) -> Shape:
        axis, first = node.integer("axis"), node.in_shapes[0]
        _require(0 <= axis < len(first), f"axis {axis} is outside {first}")
        rest = {s[:axis] + s[axis + 1 :] for s in node.in_shapes}
        _require(len(rest) == 1, f"operands do not line up: {node.in_shapes}")
        return (*first[:axis], sum(s[axis] for s in node.in_shapes), *first[axis + 1 :])

    def forward(self, node: Node, xs: Sequence[Array], weight: Array, xp: Any) -> Array:
        return xp.concat(list(xs), axis=node.integer("axis") - len(node.shape))

    def backward(self, node: Node, c: Array, weight: Array, xp: Any) -> list[Array]:
        axis = node.integer("axis") - len(node.shape)
        ends = list(itertools.accumulate(s[axis] for s in node.in_shapes))
        after = (slice(None),) * (-axis - 1)
        return [
            c[(..., slice(end - s[axis], end), *after)]
            for s, end in zip(node.in_shapes, ends, strict=True)
        ]

    def fan_in(self, node: Node) -> int:
        return 1

    def fan_out(self, node: Node) -> int:
        return 1
