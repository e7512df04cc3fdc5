"""Matrix products with a constant side, batch normalisation and reductions."""

from __future__ import annotations

import math

import numpy as np

from absint.frontends.onnx import enclosure, moments
from absint.frontends.onnx.call import Call
from absint.frontends.onnx.emit import Emitter
from absint.frontends.onnx.ops_arithmetic import plus, times
from absint.frontends.onnx.values import (
    FLOATS,
    Const,
    NotLoweredError,
    Shape,
    Value,
    Var,
    axes_of,
    broadcast,
    number,
    require,
)


def matmul(call: Call) -> Value:
    return product(call.emit, call.value(0), call.value(1))


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
        return _swap(emit, product(emit, _swap(emit, b), _swap(emit, a)))
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
    channels = _swap(emit, emit.broadcast(x, (*batch, m, k)))
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
    result = _swap(emit, emit.reshape(y, (*batch, n, m)))
    assert isinstance(result, Var)
    return result


def _constant(value: Value) -> Const:
    assert isinstance(value, Const)
    return value


def _swap(emit: Emitter, value: Value) -> Value:
    return emit.rearrange(value, lambda a: np.swapaxes(a, -1, -2))


def _reshape(emit: Emitter, value: Value, shape: Shape) -> Value:
    if isinstance(value, Var):
        return emit.reshape(value, shape)
    return emit.rearrange(value, lambda a: a.reshape(shape))


def gemm(call: Call) -> Value:
    """``alpha A' B' + beta C``; alpha and beta multiply constants where they can."""
    alpha, beta = call.number("alpha", 1.0), call.number("beta", 1.0)
    a, b = call.value(0), call.value(1)
    require(len(a.shape) == 2 and len(b.shape) == 2, "A and B must have two axes")
    if call.integer("transA", 0):
        a = _swap(call.emit, a)
    if call.integer("transB", 0):
        b = _swap(call.emit, b)
    if isinstance(b, Const):
        b = _scaled(call.emit, b, alpha)
    else:
        a = _scaled(call.emit, a, alpha)
    y = product(call.emit, a, b)
    if not call.has(2):
        return y
    c = call.value(2)
    require(c.dtype == y.dtype, f"operands of types {y.dtype} and {c.dtype}")
    require(broadcast(c.shape, y.shape) == y.shape, f"C of shape {c.shape} does not fit {y.shape}")
    return plus(call.emit, y, _scaled(call.emit, c, beta), (True, False))


def _scaled(emit: Emitter, value: Value, factor: float) -> Value:
    if factor == 1.0:
        return value
    return times(emit, value, number(factor, value.dtype))


def batch_normalization(call: Call) -> Value:
    """``(x - mean) * gamma / sqrt(var + eps) + beta`` on axis 1, as one scale."""
    call.ignore("momentum")
    if call.integer("training_mode", 0):
        raise NotLoweredError("training_mode=1", "export the model in inference mode")
    if call.integer("spatial", 1) != 1:
        raise NotLoweredError("spatial=0")
    x, epsilon = call.var(), call.number("epsilon", 1e-5)
    require(len(x.shape) >= 2, "the input needs a channel axis")
    names = ("scale", "bias", "mean", "variance")
    consts = [call.float_const(i + 1, f"a {name}") for i, name in enumerate(names)]
    for name, const in zip(names, consts, strict=True):
        require(
            const.shape == (x.shape[1],),
            f"{name} has shape {const.shape} where the input has {x.shape[1]} channels",
        )
    gamma, beta, mean, variance = (_channels(const, len(x.shape)) for const in consts)
    shifted = enclosure.add(variance, number(epsilon, variance.dtype))
    weight = enclosure.divide(gamma, enclosure.square_root(shifted))
    return call.emit.scale(x, weight, enclosure.subtract(beta, enclosure.multiply(mean, weight)))


def _channels(const: Const, rank: int) -> Const:
    shape = (-1, *(1,) * (rank - 2))
    radius = None if const.radius is None else const.radius.reshape(shape)
    return Const(const.value.reshape(shape), const.dtype, radius)


def reduce_sum(call: Call) -> Value:
    return _reduce(call, 13, mean=False)


def reduce_mean(call: Call) -> Value:
    return _reduce(call, 18, mean=True)


def _reduce(call: Call, since: int, mean: bool) -> Value:
    """``since``: the opset in which the axes became an operand."""
    x, keep = call.value(), bool(call.integer("keepdims", 1))
    axes: tuple[int, ...] | None = None
    if call.opset < since:
        axes = call.integers("axes")
    elif call.has(1):
        axes = call.integer_list(1, "axes")
    if not axes and call.opset >= since and call.integer("noop_with_empty_axes", 0):
        return x
    call.ignore("noop_with_empty_axes")
    over = axes_of(axes or tuple(range(len(x.shape))), len(x.shape))
    y = average(call.emit, x, over, keep, mean)
    if keep and mean:
        moments.averaged(call.emit, x, y, over)
    return y


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


def global_average_pool(call: Call) -> Value:
    x = call.var()
    require(len(x.shape) >= 3, f"pooling of a tensor of shape {x.shape}")
    return average(call.emit, x, tuple(range(2, len(x.shape))), keep=True, mean=True)
