"""Positions of extremes, extremes, and remainders."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from absint.frontends.lowering import tokens
from absint.frontends.lowering.values import (
    Const,
    NotLoweredError,
    Value,
    Var,
    axis_of,
    number,
    require,
)
from absint.frontends.onnx.call import Call
from absint.frontends.onnx.ops_logic import exact

Rule = Callable[[Call], Value]


def modulo(call: Call) -> Value:
    """The divisor's sign; with ``fmod`` the dividend's."""
    a, b = exact(call, 0), exact(call, 1)
    fmod = call.integer("fmod", 0)
    if not (a.value.dtype.kind == "i" or fmod == 1):
        raise NotLoweredError("fmod=0 of floats")
    require(a.dtype == b.dtype, f"operands of types {a.dtype} and {b.dtype}")
    require(bool((b.value != 0).all()), "division by zero")
    return Const(np.asarray((np.fmod if fmod else np.mod)(a.value, b.value)), a.dtype)


def arg_extreme(sign: int) -> Rule:
    """ArgMax (sign 1) and ArgMin (sign -1)."""

    def rule(call: Call) -> Value:
        x = call.value()
        axis = axis_of(call.integer("axis", 0), len(x.shape))
        keep = bool(call.integer("keepdims", 1))
        if call.integer("select_last_index", 0):
            return _last(call, x, axis, keep, sign)
        if isinstance(x, Const):
            value = (np.argmax if sign > 0 else np.argmin)(x.value, axis=axis, keepdims=keep)
            require(x.radius is None, "an argmax of the results of rounding arithmetic")
            return Const(np.asarray(value), "int64")
        return tokens.argmax(call.emit, x, axis, keep, sign)

    return rule


def _last(call: Call, x: Value, axis: int, keep: bool, sign: int) -> Value:
    """The last of several extremes: counted from the end of the mirrored axis."""
    if isinstance(x, Const):
        raise NotLoweredError("select_last_index=1 of constants")
    mirrored = call.emit.rearrange(x, lambda a: np.flip(a, axis))
    assert isinstance(mirrored, Var)
    y = tokens.argmax(call.emit, mirrored, axis, keep, sign)
    assert isinstance(y, Var)
    return call.emit.scale(y, number(-1.0, "int64"), number(x.shape[axis] - 1.0, "int64"))


def top_k(call: Call) -> tuple[Value, ...]:
    """The k largest; of variables the one largest and its position."""
    x = call.value()
    axis = axis_of(call.integer("axis", -1), len(x.shape))
    count = call.integer("k") if call.opset < 10 else int(call.scalar(1, "k"))
    sign = 1 if call.opset < 11 or call.integer("largest", 1) else -1
    call.ignore("sorted")
    if isinstance(x, Const):
        return _sorted(x, axis, count, sign)
    if count != 1:
        raise NotLoweredError(f"the {count} largest entries", "k=1 is")
    return (
        tokens.best(call.emit, x, axis, sign),
        tokens.argmax(call.emit, x, axis, True, sign),
    )


def _sorted(x: Const, axis: int, count: int, sign: int) -> tuple[Value, ...]:
    require(x.radius is None and 1 <= count <= x.shape[axis], f"k={count} of {x.shape}")
    order = np.argsort(-sign * x.value, axis=axis, kind="stable")
    index = np.take(order, np.arange(count), axis=axis)
    return Const(np.take_along_axis(x.value, index, axis), x.dtype), Const(index, "int64")


def extremes(sign: int) -> Rule:
    """ReduceMax (sign 1) and ReduceMin (sign -1)."""

    def rule(call: Call) -> Value:
        x, axes, keep = call.value(), reduced_axes(call, 18), bool(call.integer("keepdims", 1))
        if axes is None:
            return x
        kept = [axis for axis in range(len(x.shape)) if axis not in axes]
        lead = tuple(x.shape[axis] for axis in kept)
        count = math.prod(x.shape[axis] for axis in axes)
        require(count > 0, "a reduction of an empty tensor")
        flat = call.emit.rearrange(x, lambda a: a.transpose((*kept, *axes)).reshape((*lead, count)))
        y = tokens.best(call.emit, flat, len(lead), sign)
        shape = tuple(
            1 if axis in axes else n for axis, n in enumerate(x.shape) if keep or axis not in axes
        )
        return call.emit.rearrange(y, lambda a: a.reshape(shape))

    return rule


def reduced_axes(call: Call, since: int) -> tuple[int, ...] | None:
    """The axes of a reduction, sorted; None where there are none and that means no reduction.

    ``since``: the opset in which the axes became an operand.
    """
    rank = len(call.value().shape)
    axes: tuple[int, ...] | None = None
    if call.opset < since:
        axes = call.integers("axes")
    elif call.has(1):
        axes = call.integer_list(1, "axes")
    if not axes and call.opset >= since and call.integer("noop_with_empty_axes", 0):
        return None
    call.ignore("noop_with_empty_axes")
    return tuple(sorted({axis_of(axis, rank) for axis in axes or range(rank)}))
