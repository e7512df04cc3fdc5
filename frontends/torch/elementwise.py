"""Functions of one variable."""

from __future__ import annotations

import math

import numpy as np

from absint.frontends.lowering import compose, elementary, enclosure, gated, masks
from absint.frontends.lowering.arithmetic import times
from absint.frontends.lowering.compose import raised
from absint.frontends.lowering.values import Const, NotLoweredError, Value, Var, number, require
from absint.frontends.torch.arithmetic import operand
from absint.frontends.torch.call import Call, Rule


def smooth(op: str) -> Rule:
    """A row of the core; of constants it is an enclosure."""

    def rule(call: Call) -> Value:
        x = call.value()
        return elementary.image(op, x) if isinstance(x, Const) else call.emit.add(op, [x])

    return rule


def plain(op: str, name: str = "self") -> Rule:
    """A row of the core without attributes, of variables only."""
    return lambda call: call.emit.add(op, [call.var(name)])


def relu(call: Call) -> Value:
    """On a constant: its radius still holds, since relu moves no two points further apart."""
    x = call.value()
    if isinstance(x, Const):
        return Const(np.maximum(x.value, 0), x.dtype, x.radius)
    return call.emit.add("relu", [x])


def leaky_relu(call: Call) -> Value:
    return call.emit.add("leaky_relu", [call.var()], {"alpha": call.number("negative_slope")})


def prelu(call: Call) -> Value:
    """``relu(x) + slope (x - relu(x))``; one slope for all is a leaky relu."""
    x, slope = call.var(), call.const("weight")
    alpha = slope.common()
    if alpha is not None:
        return call.emit.add("leaky_relu", [x], {"alpha": alpha})
    radius = None if slope.radius is None else slope.radius.reshape(_along(x))
    column = Const(slope.value.reshape(_along(x)), slope.dtype, radius)
    positive = call.emit.add("relu", [x])
    bent = call.emit.scale(compose.total(call.emit, x, positive, -1), column)
    return compose.total(call.emit, positive, bent)


def _along(x: Var) -> tuple[int, ...]:
    """The shape that puts a vector on axis 1 of ``x`` (on axis 0 of a vector)."""
    return (-1, *(1,) * (len(x.shape) - 2)) if len(x.shape) > 1 else (-1,)


def clamp(call: Call) -> Value:
    """``min(max(x, min), max)``: max for all where min > max."""
    lower = call.number("min") if call.given("min") else -math.inf
    upper = call.number("max") if call.given("max") else math.inf
    return clipped(call, call.value(), lower, upper)


def hard_tanh(call: Call) -> Value:
    return clipped(call, call.value(), call.number("min_val"), call.number("max_val"))


def relu6(call: Call) -> Value:
    return clipped(call, call.value(), 0.0, 6.0)


def clipped(call: Call, x: Value, lower: float, upper: float) -> Value:
    lower = min(lower, upper)
    if isinstance(x, Const):  # no two points move further apart: the radius still holds
        return Const(np.asarray(np.clip(x.value, lower, upper)), x.dtype, x.radius)
    return call.emit.clip(x, lower, upper)


def hard_sigmoid(call: Call) -> Value:
    """``relu6(x + 3) / 6``, as PyTorch computes it."""
    x = call.var()
    six = call.emit.clip(call.emit.scale(x, bias=number(3.0, x.dtype)), 0.0, 6.0)
    return call.emit.scale(six, enclosure.divide(number(1.0, x.dtype), number(6.0, x.dtype)))


def gelu(call: Call) -> Value:
    kind = call.text("approximate")
    require(kind in ("none", "tanh"), f"there is no approximate={kind!r}")
    return call.emit.add("gelu" if kind == "none" else "gelu_tanh", [call.var()])


def elu(call: Call) -> Value:
    """``scale elu(input_scale x, alpha)``."""
    x, inner, outer = call.var(), call.number("input_scale"), call.number("scale")
    if inner != 1.0:
        raise NotLoweredError(f"input_scale={inner}")
    y = call.emit.add("elu", [x], {"alpha": call.number("alpha")})
    return y if outer == 1.0 else call.emit.scale(y, number(outer, x.dtype))


def selu(call: Call) -> Value:
    x = call.var()
    alpha, gamma = float(np.float32(_SELU_ALPHA)), float(np.float32(_SELU_SCALE))
    if x.dtype == "float64":
        alpha, gamma = _SELU_ALPHA, _SELU_SCALE
    return call.emit.scale(call.emit.add("elu", [x], {"alpha": alpha}), number(gamma, x.dtype))


_SELU_ALPHA, _SELU_SCALE = 1.6732632423543772848170429916717, 1.0507009873554804934193349852946


def celu(call: Call) -> Value:
    """``alpha elu(x / alpha)``."""
    x, alpha = call.var(), call.number("alpha")
    if alpha <= 0:
        raise NotLoweredError(f"alpha={alpha}")
    by = number(alpha, x.dtype)
    inner = call.emit.scale(x, enclosure.divide(number(1.0, x.dtype), by))
    return call.emit.scale(call.emit.add("elu", [inner], {"alpha": 1.0}), by)


_EXACT_THRESHOLD = {"float32": 18.0, "float64": 38.0}
"""From here on ln(1 + e^t) rounds to t."""


def softplus(call: Call) -> Value:
    """``softplus(beta x) / beta``, which PyTorch replaces by x where beta x is above a threshold.

    In float32 the default threshold changes nothing; a lower one is another function.
    """
    x, beta, threshold = call.var(), call.number("beta"), call.number("threshold")
    least = _EXACT_THRESHOLD.get(x.dtype, math.inf)
    if threshold < least:
        raise NotLoweredError(f"threshold={threshold} in {x.dtype}", f"threshold={least} is")
    if beta <= 0:
        raise NotLoweredError(f"beta={beta}")
    if beta == 1.0:
        return call.emit.add("softplus", [x])
    by = number(beta, x.dtype)
    y = call.emit.add("softplus", [call.emit.scale(x, by)])
    return call.emit.scale(y, enclosure.divide(number(1.0, x.dtype), by))


def log_sigmoid(call: Call) -> Value:
    """``-softplus(-x)``."""
    x = call.var()
    minus = number(-1.0, x.dtype)
    return call.emit.scale(call.emit.add("softplus", [call.emit.scale(x, minus)]), minus)


def glu(call: Call) -> Value:
    """``a sigmoid(b)`` of the two halves."""
    x, axis = call.var(), call.integer("dim") % len(call.shape)
    positions = np.arange(math.prod(x.shape)).reshape(x.shape)
    a, b = (call.emit.gather(x, half) for half in np.split(positions, 2, axis))
    return times(call.emit, a, call.emit.add("sigmoid", [b]))


def ceil(call: Call) -> Value:
    """``-floor(-x)``."""
    x = call.var()
    minus = number(-1.0, x.dtype)
    return call.emit.scale(call.emit.add("floor", [call.emit.scale(x, minus)]), minus)


def rounding(call: Call) -> Value:
    """To nearest, ties to even."""
    return call.emit.add("round", [call.var()])


def square_root(call: Call) -> Value:
    x = call.value()
    return enclosure.square_root(x) if isinstance(x, Const) else compose.square_root(call.emit, x)


def reciprocal(call: Call) -> Value:
    return _inverse(call, call.value())


def inverse_root(call: Call) -> Value:
    return _inverse(call, square_root(call))


def _inverse(call: Call, x: Value) -> Value:
    if isinstance(x, Const):
        return enclosure.divide(Const(np.ones(x.shape), x.dtype), x)
    return compose.reciprocal(call.emit, x)


def silu(call: Call) -> Value:
    return gated.silu(call.emit, call.var(), None)


def tangent(call: Call) -> Value:
    x = call.var()
    return compose.quotient(call.emit, call.emit.add("sin", [x]), call.emit.add("cos", [x]))


def power(call: Call) -> Value:
    """A constant exponent (integers, halves), or a positive constant base."""
    x, y = masks.plain(operand(call, "self")), masks.plain(operand(call, "exponent"))
    if isinstance(x, Var) and isinstance(y, Var):
        raise NotLoweredError("a power of which base and exponent depend on the input")
    if isinstance(x, Var):
        assert isinstance(y, Const)
        exponent = y.common()
        if exponent is None:
            raise NotLoweredError("exponents that differ from entry to entry")
        return raised(call.emit, x, exponent)
    if isinstance(y, Const) and y.common() in (2.0, 1.0):
        return x if y.common() == 1.0 else enclosure.multiply(x, x)
    if not (x.value > 0).all():
        raise NotLoweredError("a power of a base that is not positive")
    rate = times(call.emit, y, elementary.image("log", x))
    if isinstance(rate, Const):
        return elementary.image("exp", rate)
    return call.emit.add("exp", [rate])
