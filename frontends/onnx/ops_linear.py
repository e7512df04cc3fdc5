"""Matrix products with a constant side, batch normalisation and reductions."""

from __future__ import annotations

from absint.frontends.lowering import moments
from absint.frontends.lowering.arithmetic import plus, times
from absint.frontends.lowering.emit import Emitter
from absint.frontends.lowering.linear import average, inference_norm, product, swap
from absint.frontends.lowering.values import (
    Const,
    NotLoweredError,
    Value,
    axes_of,
    broadcast,
    number,
    require,
)
from absint.frontends.onnx.call import Call


def matmul(call: Call) -> Value:
    return product(call.emit, call.value(0), call.value(1))


def gemm(call: Call) -> Value:
    """``alpha A' B' + beta C``; alpha and beta multiply constants where they can."""
    alpha, beta = call.number("alpha", 1.0), call.number("beta", 1.0)
    a, b = call.value(0), call.value(1)
    require(len(a.shape) == 2 and len(b.shape) == 2, "A and B must have two axes")
    if call.integer("transA", 0):
        a = swap(call.emit, a)
    if call.integer("transB", 0):
        b = swap(call.emit, b)
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
    return call.emit.scale(x, *inference_norm(gamma, beta, mean, variance, epsilon))


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


def global_average_pool(call: Call) -> Value:
    x = call.var()
    require(len(x.shape) >= 3, f"pooling of a tensor of shape {x.shape}")
    return average(call.emit, x, tuple(range(2, len(x.shape))), keep=True, mean=True)
