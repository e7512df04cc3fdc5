"""What several rules lower to: products, quotients, extremes of variables."""

from __future__ import annotations

import numpy as np

from absint.frontends.onnx import gated, moments
from absint.frontends.onnx.emit import Emitter
from absint.frontends.onnx.values import Array, Shape, Value, Var, broadcast


def product(emit: Emitter, a: Var, b: Var) -> Var:
    """``a * b`` with broadcasting; squares, normalisations and gates are recognised."""
    if a.node == b.node and a.shape == b.shape:
        return power(emit, a, 2)
    for x, y in ((a, b), (b, a)):
        found = moments.normalised(emit, x, y) or gated.gated(emit, x, y)
        if found is not None:
            return found
    broadcast(a.shape, b.shape)
    return emit.add("mul", [a, b])


def power(emit: Emitter, x: Var, exponent: int) -> Var:
    """``x ** exponent`` for an exponent of at least 2."""
    y = emit.add("power", [x], {"exponent": exponent})
    if exponent == 2:
        moments.squared(emit, x, y)
    return y


def square_root(emit: Emitter, x: Var) -> Var:
    y = emit.add("sqrt", [x])
    moments.rooted(emit, x, y)
    return y


def reciprocal(emit: Emitter, x: Var) -> Var:
    y = emit.add("reciprocal", [x])
    moments.inverted(emit, x, y)
    return y


def quotient(emit: Emitter, a: Var, b: Var) -> Var:
    """``a / b`` with broadcasting."""
    return product(emit, a, reciprocal(emit, b))


def spread(emit: Emitter, x: Var, shape: Shape) -> Var:
    """``x`` expanded to ``shape``."""
    wide: Value = emit.broadcast(x, shape)
    assert isinstance(wide, Var)
    return wide


def total(emit: Emitter, a: Var, b: Var, sign: int = 1) -> Var:
    """``a + sign * b`` with broadcasting."""
    shape = broadcast(a.shape, b.shape)
    operands = [spread(emit, a, shape), spread(emit, b, shape)]
    return emit.add("sum", operands, {"coefficients": (1, sign)})


def maximum(emit: Emitter, a: Var, b: Var, sign: int = 1) -> Var:
    """``max(a, b) = b + relu(a - b)``; with sign -1 ``min(a, b) = b - relu(b - a)``."""
    first, second = (a, b) if sign > 0 else (b, a)
    excess = emit.add("relu", [total(emit, first, second, -1)])
    return total(emit, b, excess, sign)


def extreme(emit: Emitter, x: Var, index: Array, sign: int = 1) -> Var:
    """The largest (or smallest) of ``x``'s flat entries at ``index`` along its first axis.

    A tree of pairs: as few rounds as possible, so that relaxations stack little.
    """
    count = len(index)
    if count == 1:
        return emit.gather(x, index[0])
    half = count // 2
    best = maximum(emit, emit.gather(x, index[:half]), emit.gather(x, index[half : 2 * half]), sign)
    rows = np.arange(best.shape[0] * int(np.prod(best.shape[1:], dtype=np.int64)))
    result = extreme(emit, best, rows.reshape(best.shape), sign)
    if count % 2 == 0:
        return result
    return maximum(emit, result, emit.gather(x, index[-1]), sign)
