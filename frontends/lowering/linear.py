"""Matrix products with a constant side or without, and sums and means as such products."""

from __future__ import annotations

import math

import numpy as np

from absint.frontends.lowering import enclosure
from absint.frontends.lowering.emit import Emitter
from absint.frontends.lowering.values import (
    FLOATS,
    Const,
    Shape,
    Value,
    Var,
    broadcast,
    number,
    require,
)


def product(emit: Emitter, a: Value, b: Value) -> Value:
    """``a @ b`` as numpy defines it."""
    require(a.dtype == b.dtype and a.dtype in FLOATS, f"operands of types {a.dtype} and {b.dtype}")
    require(bool(a.shape) and bool(b.shape), "a matrix product with a scalar")
    inner = a.shape[-1], b.shape[-2] if len(b.shape) > 1 else b.shape[0]
    require(inner[0] == inner[1], f"shapes {a.shape} and {b.shape} do not fit a matrix product")
    if len(a.shape) == 1:
        row = _reshape(emit, a, (1, *a.shape))
        y = product(emit, row, b)
        return _reshape(emit, y, y.shape[:-2] + y.shape[-1:] if len(b.shape) > 1 else y.shape[:-1])
    if len(b.shape) == 1:
        y = product(emit, a, _reshape(emit, b, (*b.shape, 1)))
        return _reshape(emit, y, y.shape[:-1])
    if isinstance(a, Const) and isinstance(b, Const):
        return enclosure.matmul(a, b)
    if isinstance(a, Const):
        return swap(emit, product(emit, swap(emit, b), swap(emit, a)))
    if isinstance(b, Var):
        return emit.add("matmul", [a, b])
    return _right(emit, a, b)


def _right(emit: Emitter, x: Var, w: Const) -> Var:
    """``x @ w`` with constant matrices ``w`` of shape (*batch, k, n)."""
    batch = broadcast(x.shape[:-2], w.shape[:-2])
    if math.prod(w.shape[:-2]) == 1:
        lead = emit.reshape(x, (1,) * (len(batch) - len(x.shape) + 2) + x.shape)
        return emit.dense(lead, _constant(emit.rearrange(w, lambda m: m.reshape(m.shape[-2:]))))
    return _batched(emit, x, w, batch)


def _batched(emit: Emitter, x: Var, w: Const, batch: Shape) -> Var:
    """One matrix for each of several: a convolution of kernel 1 with as many groups."""
    groups, (m, k), n = math.prod(batch), x.shape[-2:], w.shape[-1]
    channels = swap(emit, emit.broadcast(x, (*batch, m, k)))
    columns = emit.rearrange(
        emit.broadcast(w, (*batch, k, n)),
        lambda a: np.swapaxes(a, -1, -2).reshape((groups * n, k, 1)),
    )
    assert isinstance(channels, Var)
    y = emit.add(
        "conv",
        [emit.reshape(channels, (1, groups * k, m))],
        {"strides": (1,), "pads": (0, 0), "dilations": (1,), "groups": groups},
        {"weight": _constant(columns).ir()},
    )
    result = swap(emit, emit.reshape(y, (*batch, n, m)))
    assert isinstance(result, Var)
    return result


def _constant(value: Value) -> Const:
    assert isinstance(value, Const)
    return value


def swap(emit: Emitter, value: Value) -> Value:
    """``value`` with its last two axes exchanged."""
    return emit.rearrange(value, lambda a: np.swapaxes(a, -1, -2))


def _reshape(emit: Emitter, value: Value, shape: Shape) -> Value:
    if isinstance(value, Var):
        return emit.reshape(value, shape)
    return emit.rearrange(value, lambda a: a.reshape(shape))


def inference_norm(
    scale: Const, bias: Const, mean: Const, variance: Const, epsilon: float
) -> tuple[Const, Const]:
    """w and b of ``(x - mean) scale / sqrt(variance + epsilon) + bias = w x + b``.

    b in a float type is whatever the orders of operations give that runtimes choose: ``(x - mean)
    w + bias`` or ``w x + (bias - mean w)``.
    """
    shifted = enclosure.add(variance, number(epsilon, variance.dtype))
    weight = enclosure.divide(scale, enclosure.square_root(shifted))
    moved = enclosure.multiply(mean, weight)
    return weight, enclosure.loosened(enclosure.subtract(bias, moved), moved, 2)


def average(emit: Emitter, x: Value, axes: tuple[int, ...], keep: bool, mean: bool) -> Value:
    """The sum or mean over ``axes`` (sorted), as a product with a constant column."""
    require(x.dtype in FLOATS, f"a reduction of {x.dtype}")
    kept = [axis for axis in range(len(x.shape)) if axis not in axes]
    count = math.prod(x.shape[axis] for axis in axes)
    require(count > 0, "a reduction of an empty tensor")
    shape = tuple(
        1 if axis in axes else extent
        for axis, extent in enumerate(x.shape)
        if keep or axis not in axes
    )
    lead = tuple(x.shape[axis] for axis in kept)
    flat = emit.rearrange(x, lambda a: a.transpose((*kept, *axes)).reshape((*lead, count)))
    if not lead:
        flat = _reshape(emit, flat, (1, count))
    one = Const(np.ones((count, 1)), x.dtype)
    column = enclosure.divide(one, number(count, x.dtype)) if mean else one
    return _reshape(emit, product(emit, flat, column), shape)
