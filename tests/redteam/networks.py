"""Random small ONNX networks whose float32 runs are exact: short dyadic weights, no smooth ops."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from onnx import helper
from onnxmodels import Array, model

Shape = tuple[int, ...]
OPSETS = (7, 9, 10, 11, 12, 13, 14, 17, 18, 21)
MAX_SIZE = 40


@dataclass
class Draft:
    """A model under construction, and the shape of the tensor that the next block reads."""

    rng: random.Random
    opset: int
    name: str
    shape: Shape
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    constants: dict[str, Array] = field(default_factory=dict)

    def const(self, array: Any, dtype: type = np.float32) -> str:
        name = f"c{len(self.constants)}"
        self.constants[name] = np.asarray(array, dtype)
        return name

    def weights(self, *shape: int) -> str:
        values = self.rng.choices((-2, -1, -1, 0, 0.5, 1, 1, 2), k=math.prod(shape))
        return self.const(np.array(values).reshape(shape))

    def integers(self, *values: int) -> str:
        return self.const(values, np.int64)

    def add(self, op: str, *operands: str, **attributes: Any) -> str:
        name = f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, operands, [name], **attributes))
        return name

    def then(self, op: str, *operands: str, shape: Shape | None = None, **attributes: Any) -> None:
        """Adds a node that the next block reads."""
        self.name = self.add(op, *operands, **attributes)
        self.shape = self.shape if shape is None else shape

    def narrowed(self) -> Shape:
        """A shape that broadcasts to this one."""
        shape = tuple(n if self.rng.random() < 0.6 else 1 for n in self.shape)
        return shape[self.rng.randrange(len(shape)) :]


def _dense(d: Draft) -> None:
    rows, inner = d.shape[-2:]
    width, kind = d.rng.randint(1, 4), d.rng.choice(("right", "left", "gemm"))
    if kind == "gemm" and len(d.shape) == 2:
        flip = d.rng.randrange(2)
        w = d.weights(width, inner) if flip else d.weights(inner, width)
        c = d.weights(*d.rng.choice(((width,), (rows, width), (rows, 1), (1,))))
        scale = {"alpha": d.rng.choice((1.0, 0.5, -2.0)), "beta": d.rng.choice((1.0, 0.0, -0.5))}
        d.then("Gemm", d.name, w, c, shape=(rows, width), transB=flip, **scale)
    elif kind == "left":
        w = d.weights(width, rows)
        d.then("MatMul", w, d.name, shape=(*d.shape[:-2], width, inner))
    else:
        d.then("MatMul", d.name, d.weights(inner, width), shape=(*d.shape[:-1], width))


def _activation(d: Draft) -> None:
    kind = d.rng.choice(("Relu", "Relu", "LeakyRelu", "Abs", "Clip", "PRelu"))
    if kind == "LeakyRelu":
        d.then(kind, d.name, alpha=d.rng.choice((0.5, 0.25, -0.5, 2.0)))
    elif kind == "Clip" and d.opset < 11:
        d.then(kind, d.name, min=-1.0, max=2.0)
    elif kind == "Clip":
        d.then(kind, d.name, d.const(-1), d.const(2))
    elif kind == "PRelu":
        d.then(kind, d.name, d.weights(*d.shape))
    else:
        d.then(kind, d.name)


def _constant(d: Draft) -> None:
    op, operands = d.rng.choice(("Add", "Mul", "Sub")), [d.name, d.weights(*d.narrowed())]
    d.rng.shuffle(operands)
    d.then(op, *operands)


def _residual(d: Draft) -> None:
    before, shape = d.name, d.shape
    d.rng.choice((_activation, _constant, _dense))(d)
    if d.shape == shape:
        d.then(d.rng.choice(("Add", "Sub")), before, d.name)


def _transpose(d: Draft) -> None:
    order = d.rng.sample(range(len(d.shape)), len(d.shape))
    d.then("Transpose", d.name, perm=order, shape=tuple(d.shape[i] for i in order))


def _reshape(d: Draft) -> None:
    size = math.prod(d.shape)
    fits = [(1, size), *((1, n, size // n) for n in (2, 3) if size % n == 0)]
    shape = d.rng.choice([*fits, *((1, n, 1, size // n) for n in (2, 3) if size % n == 0)])
    d.then("Reshape", d.name, d.integers(*shape[:-1], -1), shape=shape)


def _slice(d: Draft) -> None:
    """Bounds far outside and negative; negative steps where the opset has them."""
    axis = d.rng.randrange(len(d.shape))
    step = 1 if d.opset < 10 else d.rng.choice((1, -1, -2, 2))
    extent = d.shape[axis]
    first = d.rng.choice((0, -1, 1, -extent, extent, 2**31 - 1, -(2**31)))
    last = d.rng.choice((extent, -1, -extent - 1, 100, 2**63 - 1, -(2**63)))
    left = len(range(*slice(first, last, step).indices(extent)))
    if not left:
        return
    shape = (*d.shape[:axis], left, *d.shape[axis + 1 :])
    if d.opset < 10:
        d.then("Slice", d.name, starts=[first], ends=[last], axes=[axis], shape=shape)
    else:
        bounds = [d.integers(v) for v in (first, last, axis - len(d.shape), step)]
        d.then("Slice", d.name, *bounds, shape=shape)


def _pad(d: Draft) -> None:
    pads = [d.rng.choice((0, 0, 1)) for _ in range(2 * len(d.shape))]
    shape = tuple(n + a + b for n, a, b in zip(d.shape, pads, pads[len(d.shape) :], strict=False))
    mode = d.rng.choice(("constant", "edge"))
    if d.opset < 11:
        d.then("Pad", d.name, pads=pads, mode=mode, value=1.5, shape=shape)
    else:
        d.then("Pad", d.name, d.integers(*pads), d.const(1.5), mode=mode, shape=shape)


def _gather(d: Draft) -> None:
    axis = d.rng.randrange(len(d.shape))
    index = [d.rng.randrange(-d.shape[axis], d.shape[axis]) for _ in range(2)]
    shape = (*d.shape[:axis], 2, *d.shape[axis + 1 :])
    d.then("Gather", d.name, d.integers(*index), axis=axis, shape=shape)


def _concat(d: Draft) -> None:
    axis, parts = d.rng.randrange(len(d.shape)), [d.name, d.weights(*d.shape), d.add("Neg", d.name)]
    d.rng.shuffle(parts)
    shape = (*d.shape[:axis], 3 * d.shape[axis], *d.shape[axis + 1 :])
    d.then("Concat", *parts, axis=axis, shape=shape)


def _convolution(d: Draft) -> None:
    if len(d.shape) != 4:
        return
    _, channels, *space = d.shape
    kernel = [d.rng.randint(1, min(2, n)) for n in space]
    pads = [d.rng.randint(0, k - 1) for k in kernel * 2]
    stride, out = d.rng.randint(1, 2), d.rng.randint(1, 2)
    ends = zip(space, kernel, pads, pads[2:], strict=False)
    shape = (1, out, *((n + a + b - k) // stride + 1 for n, k, a, b in ends))
    operands = [d.name, d.weights(out, channels, *kernel), d.weights(out)]
    d.then("Conv", *operands, strides=[stride] * 2, pads=pads, shape=shape)


def _normalisation(d: Draft) -> None:
    """Variances whose square roots are short once epsilon is added."""
    c = d.shape[1]
    parts = [d.weights(c), d.weights(c), d.weights(c)]
    variance = d.const(np.array(d.rng.choices((4, 1, 0.25), k=c)) - 2.0**-4)
    d.then("BatchNormalization", d.name, *parts, variance, epsilon=2.0**-4)


BLOCKS: tuple[Callable[[Draft], None], ...] = (
    *(_dense, _dense, _activation, _activation, _activation, _constant, _residual, _transpose),
    *(_reshape, _slice, _pad, _gather, _concat, _convolution, _convolution, _normalisation),
)


def network(rng: random.Random) -> tuple[onnx.ModelProto, Shape]:
    """A model with one input, and the shape of that."""
    shape = rng.choice(((1, 2), (1, 3), (2, 2), (1, 2, 2), (1, 1, 2, 3), (1, 2, 2, 2)))
    draft = Draft(rng, rng.choice(OPSETS), "inp", shape)
    for _ in range(rng.randint(2, 7)):
        rng.choice(BLOCKS)(draft)
        if math.prod(draft.shape) > MAX_SIZE:
            draft.then(
                "MatMul",
                draft.name,
                draft.weights(draft.shape[-1], 1),
                shape=(*draft.shape[:-1], 1),
            )
    draft.then("Identity", draft.name)
    free: list[int | str] = ["N" if shape[0] == 1 and rng.random() < 0.5 else shape[0], *shape[1:]]
    parts = (draft.nodes, {"inp": free}, [draft.name], draft.constants)
    return model(*parts, opset=draft.opset), shape
