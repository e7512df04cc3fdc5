"""Elementwise functions of one variable."""

from __future__ import annotations

import numpy as np

from absint.frontends.lowering.values import (
    FLOATS,
    Const,
    NotLoweredError,
    Value,
    Var,
    broadcast,
    require,
)
from absint.frontends.onnx.call import Call


def relu(call: Call) -> Value:
    """On a constant: its radius still holds, since relu moves no two points further apart."""
    x = call.value()
    if isinstance(x, Const):
        return Const(np.maximum(x.value, 0), x.dtype, x.radius)
    return call.emit.add("relu", [x])


def leaky_relu(call: Call) -> Value:
    alpha = call.number("alpha", 0.01)
    return call.emit.add("leaky_relu", [call.var()], {"alpha": alpha})


def prelu(call: Call) -> Value:
    """One slope for all is a leaky relu; otherwise ``relu(x) + slope (x - relu(x))``.

    With one relu: the relaxations of ``relu(x) - slope relu(-x)`` would not know of each other. And
    with no constant such as ``1 - slope``, which may have no exact value; in floats too it is x
    where x is positive, and a single product elsewhere.
    """
    x, slope = call.var(), call.float_const(1, "a slope")
    require(slope.dtype == x.dtype, f"a slope of type {slope.dtype} for {x.dtype}")
    require(broadcast(x.shape, slope.shape) == x.shape, f"slopes {slope.shape} for {x.shape}")
    alpha = slope.common()
    if alpha is not None:
        return call.emit.add("leaky_relu", [x], {"alpha": alpha})
    positive = call.emit.add("relu", [x])
    negative = call.emit.add("sum", [x, positive], {"coefficients": (1, -1)})
    bent = call.emit.scale(negative, slope)
    return call.emit.add("sum", [positive, bent], {"coefficients": (1, 1)})


def absolute(call: Call) -> Value:
    """On a constant: its radius still holds, as for relu."""
    x = call.value()
    if isinstance(x, Var):
        return call.emit.add("abs", [x])
    if x.dtype not in FLOATS:
        raise NotLoweredError(f"the absolute value of {x.dtype}")
    return Const(np.asarray(np.abs(x.value)), x.dtype, x.radius)
