"""Elementwise functions that are rows of the core, and those composed of them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from absint.frontends.lowering import compose, elementary, enclosure, gated
from absint.frontends.lowering.arithmetic import times
from absint.frontends.lowering.compose import raised
from absint.frontends.lowering.values import (
    FLOATS,
    Array,
    Const,
    NotLoweredError,
    Value,
    Var,
    broadcast,
    number,
    require,
)
from absint.frontends.onnx.call import Call

Rule = Callable[[Call], Value]


def function(op: str) -> Rule:
    """A row of the core of the same meaning; constants become enclosures."""

    def rule(call: Call) -> Value:
        x = call.value()
        require(x.dtype in FLOATS, f"{op} of {x.dtype}")
        return elementary.image(op, x) if isinstance(x, Const) else call.emit.add(op, [x])

    return rule


def stepped(op: str, on_constants: Callable[[Array], Array]) -> Rule:
    """A row of the core that jumps; exact constants are folded."""

    def rule(call: Call) -> Value:
        x = call.value()
        if isinstance(x, Var):
            return call.emit.add(op, [x])
        if x.radius is not None:
            raise NotLoweredError(f"{op} of the result of rounding arithmetic")
        return Const(np.asarray(on_constants(x.value)), x.dtype)

    return rule


def plain(op: str) -> Rule:
    """A row of the core without attributes, of variables only."""
    return lambda call: call.emit.add(op, [call.var()])


def ceil(call: Call) -> Value:
    """``-floor(-x)``."""
    x = call.value()
    if isinstance(x, Const):
        return stepped("ceil", np.ceil)(call)
    minus = number(-1.0, x.dtype)
    return call.emit.scale(call.emit.add("floor", [call.emit.scale(x, minus)]), minus)


def gelu(call: Call) -> Value:
    kind = call.text("approximate", "none")
    require(kind in ("none", "tanh"), f"there is no approximate={kind!r}")
    return call.emit.add("gelu" if kind == "none" else "gelu_tanh", [call.var()])


def swish(call: Call) -> Value:
    alpha = call.number("alpha", 1.0)
    x = call.var()
    if alpha == 0.0:
        return call.emit.scale(x, number(0.5, x.dtype))
    return gated.silu(call.emit, x, None if alpha == 1.0 else number(alpha, x.dtype))


def elu(call: Call) -> Value:
    return call.emit.add("elu", [call.var()], {"alpha": call.number("alpha", 1.0)})


def selu(call: Call) -> Value:
    """``gamma elu(x, alpha)``."""
    x = call.var()
    alpha, gamma = call.number("alpha", 1.67326319217681884765625), call.number("gamma", _GAMMA)
    return call.emit.scale(call.emit.add("elu", [x], {"alpha": alpha}), number(gamma, x.dtype))


_GAMMA = 1.05070102214813232421875


def celu(call: Call) -> Value:
    """``alpha elu(x / alpha)`` for positive alpha, where x above zero stays x."""
    x, alpha = call.var(), call.number("alpha", 1.0)
    if alpha <= 0:
        raise NotLoweredError(f"alpha={alpha}")
    by = number(alpha, x.dtype)
    inner = call.emit.scale(x, enclosure.divide(number(1.0, x.dtype), by))
    return call.emit.scale(call.emit.add("elu", [inner], {"alpha": 1.0}), by)


def softsign(call: Call) -> Value:
    """``x / (1 + |x|)``."""
    x = call.var()
    size = call.emit.scale(call.emit.add("abs", [x]), bias=number(1.0, x.dtype))
    return compose.quotient(call.emit, x, size)


def tangent(call: Call) -> Value:
    x = call.var()
    return compose.quotient(call.emit, call.emit.add("sin", [x]), call.emit.add("cos", [x]))


def hyperbolic(sign: int) -> Rule:
    """``(exp(x) + sign exp(-x)) / 2``."""

    def rule(call: Call) -> Value:
        x, emit = call.var(), call.emit
        mirrored = emit.scale(x, number(-1.0, x.dtype))
        y = compose.total(emit, emit.add("exp", [x]), emit.add("exp", [mirrored]), sign)
        return emit.scale(y, number(0.5, x.dtype))

    return rule


def power(call: Call) -> Value:
    """A constant exponent (integers, halves), or a positive constant base."""
    x, y = call.value(0), call.value(1)
    if isinstance(y, Const):
        exponent = y.common()
        if isinstance(x, Const):
            return _folded(x, y)
        if exponent is None:
            raise NotLoweredError("exponents that differ from entry to entry")
        return raised(
            call.emit, compose.spread(call.emit, x, broadcast(x.shape, y.shape)), exponent
        )
    if isinstance(x, Var):
        raise NotLoweredError("a power of which base and exponent depend on the input")
    if x.dtype != y.dtype or not (x.value > 0).all():
        raise NotLoweredError("a power of a base that is not positive")
    rate = times(call.emit, y, elementary.image("log", x))
    assert isinstance(rate, Var)
    return call.emit.add("exp", [rate])


def _folded(x: Const, y: Const) -> Const:
    """A constant power: integers exactly, floats by a row of products or as an enclosure."""
    exponent = y.common()
    if x.value.dtype.kind == "i":
        whole = y.value.astype(np.int64)
        if not ((whole == y.value) & (whole >= 0)).all():
            raise NotLoweredError("a power of integers that is none")
        with np.errstate(over="ignore"):
            enclosure.check_integers(np.asarray(np.abs(x.value.astype(float)) ** whole))
        return Const(np.asarray(x.value**whole), x.dtype)
    if exponent is not None and exponent == int(exponent) and 1 <= exponent <= MAX_FOLDED:
        result = x
        for _ in range(int(exponent) - 1):
            result = enclosure.multiply(result, x)
        return result
    if exponent == 0.5:
        return enclosure.square_root(x)
    if not ((x.value > 0).all() and y.value.dtype.kind == "f"):
        raise NotLoweredError("a power of these constants")
    return elementary.image("exp", enclosure.multiply(elementary.image("log", x), y))


MAX_FOLDED = 16
