"""Elementwise functions of one variable."""

from __future__ import annotations

import numpy as np

from absint.frontends.onnx.call import Call
from absint.frontends.onnx.values import Const, Value


def relu(call: Call) -> Value:
    """On a constant: its radius still holds, since relu moves no two points further apart."""
    x = call.value()
    if isinstance(x, Const):
        return Const(np.maximum(x.value, 0), x.dtype, x.radius)
    return call.emit.add("relu", [x])


def leaky_relu(call: Call) -> Value:
    alpha = call.number("alpha", 0.01)
    return call.emit.add("leaky_relu", [call.var()], {"alpha": alpha})


def sigmoid(call: Call) -> Value:
    return call.emit.add("sigmoid", [call.var()])


def tanh(call: Call) -> Value:
    return call.emit.add("tanh", [call.var()])
