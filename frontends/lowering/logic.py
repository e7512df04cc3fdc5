"""Comparisons, logic and choices of variables, through the sign of a difference.

Truth values are the numbers 0 and 1. ``a < b`` is ``relu(sign(b - a))``: exact in real arithmetic,
and in floats with gradual underflow, where ``b - a`` has the sign of the true difference. Integers
are compared half-way between two of them, so that a small error of a bound decides nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from absint.frontends.lowering import compose, enclosure, masks
from absint.frontends.lowering.emit import Emitter
from absint.frontends.lowering.values import (
    FLOATS,
    Const,
    NotLoweredError,
    Shape,
    Value,
    Var,
    broadcast,
    number,
    require,
)

LARGEST = 2**53
"""Integers up to here are float64 numbers, as the graph's are."""
Relation = Callable[[Emitter, Value, Value], Var]


def less(emit: Emitter, a: Value, b: Value) -> Var:
    """``a < b`` of values of one type, at least one of them a variable."""
    return _positive(emit, _gap(emit, b, a, -0.5))


def less_or_equal(emit: Emitter, a: Value, b: Value) -> Var:
    if a.dtype in FLOATS:
        return negation(emit, less(emit, b, a))
    return _positive(emit, _gap(emit, b, a, 0.5))


def equal(emit: Emitter, a: Value, b: Value) -> Var:
    if a.dtype in FLOATS:
        return negation(emit, _truth(emit.add("abs", [emit.add("sign", [_gap(emit, a, b)])])))
    distance = emit.add("abs", [_gap(emit, a, b)])
    minus = number(-1.0, distance.dtype)
    return _positive(emit, emit.scale(distance, minus, number(0.5, distance.dtype)))


def not_equal(emit: Emitter, a: Value, b: Value) -> Var:
    return negation(emit, equal(emit, a, b))


def greater(emit: Emitter, a: Value, b: Value) -> Var:
    return less(emit, b, a)


def greater_or_equal(emit: Emitter, a: Value, b: Value) -> Var:
    return less_or_equal(emit, b, a)


def both(emit: Emitter, a: Value, b: Value) -> Var:
    """``a and b`` of truth values."""
    return _truth(emit.add("relu", [_plus(emit, a, b, 1, -1.0)]))


def either(emit: Emitter, a: Value, b: Value) -> Var:
    """``a or b`` of truth values."""
    return _truth(emit.add("clip", [_plus(emit, a, b)], {"lower": -math.inf, "upper": 1.0}))


def differ(emit: Emitter, a: Value, b: Value) -> Var:
    """``a xor b`` of truth values."""
    return _truth(emit.add("abs", [_plus(emit, a, b, -1)]))


def negation(emit: Emitter, x: Var) -> Var:
    return _truth(emit.scale(x, number(-1.0, x.dtype), number(1.0, x.dtype)))


def nonzero(emit: Emitter, x: Var) -> Var:
    """Whether ``x`` is not zero: the conversion to a truth value."""
    if x.dtype == "bool":
        return x
    return negation(emit, equal(emit, x, Const(np.zeros((), dtype=_kind(x.dtype)), x.dtype)))


def select(emit: Emitter, condition: Var, a: Value, b: Value) -> Var:
    """``a`` where the condition holds, else ``b``: ``c a + (1 - c) b``.

    Of constants ``b + c (a - b)``, whose bounds are tight.
    """
    shape = broadcast(condition.shape, a.shape, b.shape)
    if any(isinstance(v, Const) and not np.isfinite(v.value.astype(float)).all() for v in (a, b)):
        raise NotLoweredError("a mask that depends on the input")
    holds = compose.spread(emit, Var(condition.node, condition.shape, a.dtype), shape)
    if isinstance(a, Const) and isinstance(b, Const):
        first, second = (_real(v) for v in (a, b))
        return emit.scale(holds, enclosure.subtract(first, second), second)
    fails = emit.scale(holds, number(-1.0, a.dtype), number(1.0, a.dtype))
    parts = [_times(emit, c, v, shape) for c, v in ((holds, a), (fails, b))]
    kept = [part for part in parts if part is not None]
    return kept[0] if len(kept) == 1 else compose.total(emit, kept[0], kept[1])


def choose(
    emit: Emitter, condition: Var, a: Sequence[Value], b: Sequence[Value]
) -> tuple[Value, ...]:
    """The results of one of two branches, both of which are computed."""
    kinds = [[(v.shape, v.dtype) for v in results] for results in (a, b)]
    if kinds[0] != kinds[1]:
        raise NotLoweredError("branches that give different shapes or types")
    single = emit.reshape(condition, ())
    pairs = zip(a, b, strict=True)
    return tuple(select(emit, single, *(masks.plain(v) for v in pair)) for pair in pairs)


def _times(emit: Emitter, c: Var, x: Value, shape: Shape) -> Var | None:
    """``c x``; None where ``x`` is zero."""
    if isinstance(x, Var):
        return emit.add("mul", [c, compose.spread(emit, x, shape)])
    return None if x.common() == 0.0 else emit.scale(c, _real(x))


def _gap(emit: Emitter, a: Value, b: Value, offset: float = 0.0) -> Var:
    """``a - b``; of integers shifted by ``offset``."""
    require(a.dtype == b.dtype, f"operands of types {a.dtype} and {b.dtype}")
    return _plus(emit, a, b, -1, 0.0 if a.dtype in FLOATS else offset)


def _plus(emit: Emitter, a: Value, b: Value, sign: int = 1, offset: float = 0.0) -> Var:
    """``a + sign b + offset`` of values of one type, with broadcasting."""
    shape = broadcast(a.shape, b.shape)
    if isinstance(a, Var) and isinstance(b, Var):
        y = compose.total(emit, a, b, sign)
        return emit.scale(y, bias=number(offset, y.dtype)) if offset else y
    x, const, own, other = (a, b, 1, sign) if isinstance(a, Var) else (b, a, sign, 1)
    if not isinstance(x, Var) or not isinstance(const, Const):
        raise NotLoweredError("a comparison of the results of rounding arithmetic")
    constant = _real(const)
    bias = constant if other > 0 else enclosure.negate(constant)
    if offset:
        bias = enclosure.add(bias, number(offset, bias.dtype))
    wide = compose.spread(emit, x, shape)
    return emit.scale(wide, None if own > 0 else number(-1.0, x.dtype), bias)


def _real(const: Const) -> Const:
    """A constant that arithmetic takes. Raises NotLoweredError where it has no exact value."""
    if const.dtype in FLOATS:
        if not np.isfinite(const.value).all():
            raise NotLoweredError("a comparison with infinity")
        return const
    if ((const.value > LARGEST) | (const.value < -LARGEST)).any():
        raise NotLoweredError("an integer beyond 2^53 beside the network's values")
    return Const(const.value.astype(np.float64), const.dtype)


def _positive(emit: Emitter, x: Var) -> Var:
    return _truth(emit.add("relu", [emit.add("sign", [x])]))


def _truth(x: Var) -> Var:
    return Var(x.node, x.shape, "bool")


def _kind(dtype: str) -> type[np.float64] | type[np.int64]:
    return np.float64 if dtype in FLOATS else np.int64
