"""Normalisations over what the input gives."""

from __future__ import annotations

import math

import numpy as np

from absint.frontends.lowering import compose, enclosure, moments
from absint.frontends.lowering.arithmetic import plus, times
from absint.frontends.lowering.linear import average
from absint.frontends.lowering.values import (
    Const,
    NotLoweredError,
    Shape,
    Value,
    Var,
    axis_of,
    check_size,
    number,
    require,
)
from absint.frontends.onnx.call import Call


def layer(call: Call) -> Value | tuple[Value, ...]:
    """Also the mean, and one over the deviation, where they are asked for."""
    y = _trailing(call, centered=True)
    if len(call.node.output) == 1:
        return y
    x, emit, epsilon = call.var(), call.emit, number(call.number("epsilon", 1e-5), y.dtype)
    axes = tuple(range(axis_of(call.integer("axis", -1), len(x.shape)), len(x.shape)))
    mean = average(emit, x, axes, keep=True, mean=True)
    assert isinstance(mean, Var)
    squares = compose.power(emit, compose.total(emit, x, mean, -1), 2)
    variance = plus(emit, average(emit, squares, axes, keep=True, mean=True), epsilon)
    assert isinstance(variance, Var)
    return y, mean, compose.reciprocal(emit, compose.square_root(emit, variance))


def root_mean_square(call: Call) -> Value:
    return _trailing(call, centered=False)


def _trailing(call: Call, centered: bool) -> Value:
    """All axes from ``axis`` on."""
    x, epsilon = call.var(), call.number("epsilon", 1e-5)
    _stashed(call)
    axis = axis_of(call.integer("axis", -1), len(x.shape))
    y: Value = moments.normalize(call.emit, x, len(x.shape) - axis, centered, epsilon)
    for index, name in ((1, "scale"), (2, "bias")):
        if call.has(index):
            other = call.value(index)
            require(other.dtype == x.dtype, f"a {name} of type {other.dtype} for {x.dtype}")
            joined = times(call.emit, y, other) if index == 1 else plus(call.emit, y, other, _FUSE)
            y = _checked(joined, x.shape)
    return y


def _stashed(call: Call) -> None:
    """The type of the statistics only matters to roundings; 1 is float32."""
    if call.integer("stash_type", 1) != 1:
        call.emit.real_only("a normalisation with statistics in another type")


_FUSE = (True, False)


def _checked(y: Value, shape: Shape) -> Value:
    require(y.shape == shape, f"a scale or bias enlarges {shape} to {y.shape}")
    return y


def instance(call: Call) -> Value:
    x = call.var()
    require(len(x.shape) >= 3, f"an instance of shape {x.shape} has no spatial axis")
    y = moments.normalize(call.emit, x, len(x.shape) - 2, True, call.number("epsilon", 1e-5))
    return _affine(call, y, x.shape[1])


def group(call: Call) -> Value:
    """Scale and bias have an entry a channel since opset 21, and one a group before."""
    x, groups = call.var(), call.integer("num_groups")
    _stashed(call)
    require(len(x.shape) >= 2 and groups >= 1, f"groups of a tensor of shape {x.shape}")
    require(x.shape[1] % groups == 0, f"{x.shape[1]} channels in {groups} groups")
    check_size((x.shape[0], groups))
    parts = call.emit.reshape(x, (x.shape[0], groups, math.prod(x.shape[1:]) // groups))
    y = moments.normalize(call.emit, parts, 1, True, call.number("epsilon", 1e-5))
    y = call.emit.reshape(y, x.shape)
    return _affine(call, y, x.shape[1] if call.opset >= 21 else groups)


def _affine(call: Call, y: Var, count: int) -> Value:
    """``y * scale + bias`` with an entry a channel, or a group of channels."""
    repeats, column = y.shape[1] // count, (y.shape[1], *(1,) * (len(y.shape) - 2))
    consts = []
    for index, name in ((1, "a scale"), (2, "a bias")):
        const = call.float_const(index, name)
        require(const.shape == (count,), f"{name} of shape {const.shape}, not ({count},)")
        wide = call.emit.rearrange(const, lambda a: np.repeat(a, repeats).reshape(column))
        consts.append(wide)
    return plus(call.emit, times(call.emit, y, consts[0]), consts[1], _FUSE)


def local_response(call: Call) -> Value:
    """``x / (bias + alpha / size * sum x^2)^beta`` over a window of channels."""
    x, size = call.var(), call.integer("size")
    alpha, beta = call.number("alpha", 0.0001), call.number("beta", 0.75)
    bias = call.number("bias", 1.0)
    require(len(x.shape) >= 2 and size >= 1, f"a window of {size} in {x.shape}")
    if beta * 4 != int(beta * 4) or beta <= 0:
        raise NotLoweredError(f"beta={beta}", "multiples of 1/4 are")
    emit, channels = call.emit, x.shape[1]
    lower, upper = (size - 1) // 2, size - 1 - (size - 1) // 2
    at = np.arange(channels)
    window = ((at[:, None] >= at - lower) & (at[:, None] <= at + upper)).astype(np.float64)
    squares = emit.rearrange(compose.power(emit, x, 2), lambda a: np.moveaxis(a, 1, -1))
    assert isinstance(squares, Var)
    rate = enclosure.divide(number(alpha, x.dtype), number(float(size), x.dtype))
    weight = enclosure.multiply(Const(window, x.dtype), rate)
    root = emit.dense(squares, weight, number(bias, x.dtype))
    quarters = int(beta * 4)
    while quarters % 4:
        root, quarters = compose.square_root(emit, root), quarters * 2
    power = quarters // 4
    root = root if power == 1 else compose.power(emit, root, power)
    back = emit.rearrange(root, lambda a: np.moveaxis(a, -1, 1))
    assert isinstance(back, Var)
    return compose.quotient(emit, x, back)
