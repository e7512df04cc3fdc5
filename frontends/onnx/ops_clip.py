"""Limits: clips, and the larger or smaller of a tensor and constants."""

from __future__ import annotations

import functools
import math

import numpy as np

from absint.frontends.lowering import compose
from absint.frontends.lowering.values import (
    FLOATS,
    Const,
    NotLoweredError,
    Value,
    Var,
    broadcast,
    number,
    require,
)
from absint.frontends.onnx.call import Call


def clip(call: Call) -> Value:
    """``Min(max, Max(x, min))``: max for all where min > max, which is an error before opset 11."""
    x = call.value()
    if x.dtype not in FLOATS:
        raise NotLoweredError(f"a clip of {x.dtype}")
    largest = float(np.finfo(np.float32).max)
    if call.opset < 11:
        lower, upper = call.number("min", -largest), call.number("max", largest)
        require(lower <= upper, f"min {lower} is above max {upper}")
    elif any(call.has(i) and isinstance(call.value(i), Var) for i in (1, 2)):
        return _between(call, x)
    else:
        lower, upper = _end(call, 1, "min", x.dtype), _end(call, 2, "max", x.dtype)
    lower = min(lower, upper)
    if isinstance(x, Const):  # no two points move further apart: the radius still holds
        return Const(np.asarray(np.clip(x.value, lower, upper)), x.dtype, x.radius)
    return call.emit.clip(x, lower, upper)


def _between(call: Call, x: Value) -> Value:
    """Limits that depend on the input."""
    for index, sign in ((1, 1), (2, -1)):
        if call.has(index):
            end = call.value(index)
            require(end.dtype == x.dtype and math.prod(end.shape) == 1, "a limit that does not fit")
            x = compose.larger(
                call.emit, x, call.emit.rearrange(end, lambda a: a.reshape(())), sign
            )
    return x


def _end(call: Call, index: int, name: str, dtype: str) -> float:
    if not call.has(index):
        return -math.inf if name == "min" else math.inf
    const = call.const(index, name)
    require(const.dtype == dtype, f"{name} of type {const.dtype} for {dtype}")
    require(const.value.ndim <= 1, f"{name} must be one number, not of shape {const.shape}")
    return float(call.scalar(index, name))


def hard_sigmoid(call: Call) -> Value:
    x, alpha, beta = call.var(), call.number("alpha", 0.2), call.number("beta", 0.5)
    slanted = call.emit.scale(x, number(alpha, x.dtype), number(beta, x.dtype))
    return call.emit.clip(slanted, 0.0, 1.0)


def maximum(call: Call) -> Value:
    return _extreme(call, 1)


def minimum(call: Call) -> Value:
    return _extreme(call, -1)


def _extreme(call: Call, sign: int) -> Value:
    """``sign`` times the largest of ``sign`` times the operands."""
    operands = [call.value(i) for i in range(len(call.inputs))]
    shape = broadcast(*(value.shape for value in operands))
    require(len({value.dtype for value in operands}) == 1, "operands of different types")
    same = all(value.shape == shape for value in operands)
    require(same or call.opset >= 8, "operands of different shapes before opset 8")
    constants = [value for value in operands if isinstance(value, Const)]
    variables = [value for value in operands if isinstance(value, Var)]
    bound = functools.reduce(functools.partial(_fold, sign), constants) if constants else None
    if not variables:
        assert bound is not None
        return bound
    wide = [compose.spread(call.emit, value, shape) for value in variables]
    x = functools.reduce(lambda a, b: compose.maximum(call.emit, a, b, sign), wide)
    return x if bound is None else compose.bounded(call.emit, x, bound, sign)


def _fold(sign: int, a: Const, b: Const) -> Const:
    """It moves no further than the operand that moves most: the larger radius holds."""
    value = np.asarray((np.maximum if sign > 0 else np.minimum)(a.value, b.value))
    radii = [c.radius for c in (a, b) if c.radius is not None]
    if not radii:
        return Const(value, a.dtype)
    return Const(value, a.dtype, functools.reduce(np.maximum, radii, np.zeros(value.shape)))
