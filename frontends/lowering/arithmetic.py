"""Elementwise arithmetic: affine where one side is constant, folded where both are."""

from __future__ import annotations

import numpy as np

from absint.frontends.lowering import compose, enclosure, masks, moments
from absint.frontends.lowering.emit import Emitter
from absint.frontends.lowering.values import (
    FLOATS,
    MASKING,
    Const,
    Masked,
    Value,
    Var,
    broadcast,
    require,
)


def fold(operation: str, a: Const, b: Const) -> Const:
    """``a (+, -, *, /) b`` of two constants of one type."""
    broadcast(a.shape, b.shape)
    if a.dtype in FLOATS:
        return enclosure.FLOAT[operation](a, b)
    require(a.dtype != "bool", "arithmetic on booleans")
    result = enclosure.integer(operation, a, b)
    info = np.iinfo(a.dtype)
    fits = ((result.value >= int(info.min)) & (result.value <= min(int(info.max), 2**63 - 1))).all()
    require(bool(fits), f"{a.dtype} arithmetic overflows")
    return result


def plus(emit: Emitter, a: Value, b: Value, fuse: tuple[bool, bool] = (False, False)) -> Value:
    """``a + b``. ``fuse``: whether the node that gave each operand may take the bias."""
    if isinstance(a, Const) and isinstance(b, Const):
        return fold("+", a, b)
    shape = broadcast(a.shape, b.shape)
    if isinstance(a, Const):
        a, b, fuse = b, a, (fuse[1], fuse[0])
    x = emit.broadcast(a, shape)
    assert isinstance(x, Var)
    if isinstance(b, Var):
        return compose.total(emit, x, b)
    if isinstance(x, Masked) or bool((b.value <= MASKING).any()):
        return masks.add(emit, x, b, fuse[0])
    y = emit.add_bias(x, b, fuse[0])
    moments.shifted(emit, a, b, y)
    return y


def times(emit: Emitter, a: Value, b: Value) -> Value:
    """``a * b`` with broadcasting."""
    if isinstance(a, Const) and isinstance(b, Const):
        return fold("*", a, b)
    if isinstance(a, Const):
        a, b = b, a
    assert isinstance(a, Var)
    if isinstance(b, Var):
        return compose.product(emit, a, b)
    x = compose.spread(emit, a, broadcast(a.shape, b.shape))
    return x if b.common() == 1.0 else emit.scale(x, b)
