"""Comparisons, logic and selection: folded on constants, otherwise by the sign of a difference."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from absint.frontends.lowering import compose, logic, masks
from absint.frontends.lowering.values import (
    MASKING,
    Array,
    Const,
    NotLoweredError,
    Value,
    Var,
    broadcast,
    require,
)
from absint.frontends.onnx.call import Call

Rule = Callable[[Call], Value]


def exact(call: Call, index: int) -> Const:
    """An exact constant operand."""
    return _exact(call.const(index, "a value"))


def _exact(const: Const) -> Const:
    if const.radius is not None:
        raise NotLoweredError("a comparison of the results of rounding arithmetic")
    return const


def relation(on_constants: Callable[[Array, Array], Array], lowered: logic.Relation) -> Rule:
    """A comparison or connective of two tensors of one type."""

    def rule(call: Call) -> Value:
        a, b = call.value(0), call.value(1)
        require(a.dtype == b.dtype, f"operands of types {a.dtype} and {b.dtype}")
        broadcast(a.shape, b.shape)
        if isinstance(a, Var) or isinstance(b, Var):
            return lowered(call.emit, a, b)
        return Const(np.asarray(on_constants(_exact(a).value, _exact(b).value)), "bool")

    return rule


def negation(call: Call) -> Value:
    x = call.value()
    require(x.dtype == "bool", f"the negation of {x.dtype}")
    return logic.negation(call.emit, x) if isinstance(x, Var) else Const(~x.value, "bool")


def is_nan(call: Call) -> Value:
    """False: no value of a network over the reals is NaN, nor may a constant be."""
    return Const(np.zeros(call.value().shape, dtype=np.bool_), "bool")


def where(call: Call) -> Value:
    """A constant condition that takes entries out of a softmax gives a mask."""
    condition, a, b = call.value(0), call.value(1), call.value(2)
    require(condition.dtype == "bool", f"a condition of type {condition.dtype}")
    require(a.dtype == b.dtype, f"operands of types {a.dtype} and {b.dtype}")
    if isinstance(condition, Var):
        return logic.select(call.emit, condition, masks.plain(a), masks.plain(b))
    shape = broadcast(condition.shape, a.shape, b.shape)
    keep = np.broadcast_to(condition.value, shape)
    if isinstance(a, Const) and isinstance(b, Const):
        return _constants(keep, a, b)
    if isinstance(a, Const):
        a, b, keep = b, a, ~keep
    assert isinstance(a, Var)
    if isinstance(b, Const):
        low = b.common()
        if low is not None and low <= MASKING:
            wide = call.emit.broadcast(a, shape)
            assert isinstance(wide, Var)
            return masks.fill(call.emit, wide, keep, low)
    first, second = (masks.plain(value) for value in (a, b))
    sources = [call.emit.broadcast(value, shape) for value in (first, second)]
    index = np.arange(keep.size).reshape(shape)
    return compose.pick(call.emit, sources, np.where(keep, index, keep.size + index))


def _constants(keep: Array, a: Const, b: Const) -> Const:
    radius = None
    if a.radius is not None or b.radius is not None:
        zero = np.zeros(())
        radii = [zero if c.radius is None else c.radius for c in (a, b)]
        radius = np.where(keep, *radii)
    return Const(np.where(keep, a.value, b.value), a.dtype, radius)
