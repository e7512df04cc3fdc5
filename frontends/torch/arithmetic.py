"""Elementwise arithmetic of two operands, conversions, masks and reductions."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from absint.frontends.lowering import compose, enclosure, logic, masks, moments
from absint.frontends.lowering.arithmetic import fold, plus, times
from absint.frontends.lowering.emit import Emitter
from absint.frontends.lowering.linear import average
from absint.frontends.lowering.values import (
    FLOATS,
    MASKING,
    Array,
    Const,
    NotLoweredError,
    Value,
    Var,
    axes_of,
    broadcast,
    number,
    require,
)
from absint.frontends.torch.call import Call, Rule, rounded
from absint.frontends.torch.movement import select


def cast(emit: Emitter, value: Value, dtype: str) -> Value:
    """``value`` in another element type; constants are converted as they would be stored."""
    if value.dtype == dtype:
        return value
    if isinstance(value, Var):
        source = _variable(value)
        if dtype == "bool":
            return logic.nonzero(emit, source)
        if dtype not in FLOATS and not _widens(value.dtype, dtype):
            raise NotLoweredError(f"conversion of the network's values to {dtype}")
        return compose.converted(emit, source, dtype)
    if value.radius is not None:
        if dtype != "float64":
            raise NotLoweredError(f"conversion to {dtype} of the result of rounding arithmetic")
        return Const(value.value, dtype, value.radius)
    wide = np.float64 if dtype in FLOATS else np.bool_ if dtype == "bool" else np.int64
    return Const(value.value.astype(dtype).astype(wide), dtype)


def _widens(source: str, target: str) -> bool:
    """Whether every integer or truth value of one type is the same number in the other."""
    return source not in FLOATS and bool(np.can_cast(source, target))


def operand(call: Call, name: str) -> Value:
    """A tensor or number, in the result's element type."""
    value = call.read(name)
    if isinstance(value, Const | Var):
        return cast(call.emit, value, call.dtype)
    require(isinstance(value, int | float), f"argument {name} is no tensor and no number")
    return scalar(value, call.dtype)


def scalar(value: float, dtype: str) -> Const:
    """A number of the program, as PyTorch's kernels see it: in the tensors' element type."""
    if dtype in FLOATS:
        return number(rounded(float(value), dtype), dtype)
    return Const(np.asarray(int(value), dtype=np.int64), dtype)


def add(call: Call) -> Value:
    """``self + alpha other``."""
    a, b = operand(call, "self"), _weighted(call, "other", 1)
    fuse = call.uses.get("self", 0) == 1, call.uses.get("other", 0) == 1
    return plus(call.emit, a, b, fuse)


def subtract(call: Call) -> Value:
    """``self - alpha other``."""
    return _difference(call, "self", "other")


def reversed_subtract(call: Call) -> Value:
    """``other - alpha self``."""
    return _difference(call, "other", "self")


def _difference(call: Call, first: str, second: str) -> Value:
    a, b = operand(call, first), operand(call, second)
    if not (isinstance(a, Var) and isinstance(b, Var)) or call.read("alpha") != 1:
        return plus(call.emit, a, _weighted(call, second, -1), (call.uses.get(first) == 1, False))
    a, b = _variable(a), _variable(b)
    result = compose.total(call.emit, a, b, -1)
    moments.subtracted(call.emit, a, b, result)
    return result


def _variable(x: Var) -> Var:
    plain = masks.plain(x)
    assert isinstance(plain, Var)
    return plain


def _weighted(call: Call, name: str, sign: int) -> Value:
    """An operand times ``sign`` times alpha."""
    value, alpha = operand(call, name), call.read("alpha")
    require(isinstance(alpha, int | float), "alpha is no number")
    factor = sign * alpha
    if factor == 1:
        return value
    if factor == -1 and isinstance(value, Const):
        return Const(-value.value, value.dtype, value.radius)
    return times(call.emit, masks.plain(value), scalar(factor, call.dtype))


def multiply(call: Call) -> Value:
    a, b = masks.plain(operand(call, "self")), masks.plain(operand(call, "other"))
    for x, y in ((a, b), (b, a)):
        one = isinstance(x, Const) and x.common() == 1.0
        if one and broadcast(x.shape, y.shape) == y.shape:
            return y
    return times(call.emit, a, b)


def divide(call: Call) -> Value:
    a, b = masks.plain(operand(call, "self")), masks.plain(operand(call, "other"))
    mode = call.read("rounding_mode")
    require(b.dtype in FLOATS, f"a quotient of {b.dtype}")
    if mode not in (None, "floor"):
        raise NotLoweredError(f"rounding_mode={mode!r}")
    quotient = _quotient(call, a, b)
    if mode is None:
        return quotient
    if isinstance(quotient, Const):
        raise NotLoweredError("a rounded quotient of constants")
    return call.emit.add("floor", [quotient])


def _quotient(call: Call, a: Value, b: Value) -> Value:
    if isinstance(b, Var):
        return times(call.emit, a, compose.reciprocal(call.emit, b))
    if isinstance(a, Const):
        return fold("/", a, b)
    return times(call.emit, a, enclosure.divide(Const(np.ones(b.shape), b.dtype), b))


def negate(call: Call) -> Value:
    x = call.value()
    if isinstance(x, Const):
        return Const(-x.value, x.dtype, x.radius)
    return call.emit.scale(x, number(-1.0, x.dtype))


def extreme(sign: int, other: str = "other") -> Rule:
    """The larger (sign 1) or smaller (-1) of two operands."""

    def rule(call: Call) -> Value:
        a, b = masks.plain(operand(call, "self")), masks.plain(operand(call, other))
        return compose.larger(call.emit, a, b, sign)

    return rule


def clamp(call: Call) -> Value:
    """Between limits that are tensors: the upper one where the lower one is above it."""
    x = masks.plain(operand(call, "self"))
    for name, sign in (("min", 1), ("max", -1)):
        if call.given(name):
            x = compose.larger(call.emit, x, masks.plain(operand(call, name)), sign)
    return x


def total(call: Call) -> Value:
    return _reduce(call, mean=False)


def mean(call: Call) -> Value:
    return _reduce(call, mean=True)


def _reduce(call: Call, mean: bool) -> Value:
    call.ignore("dtype")
    x = cast(call.emit, call.value(), call.dtype)
    axes = axes_of(call.integers("dim") or tuple(range(len(x.shape))), len(x.shape))
    if not axes:
        return x
    if isinstance(x, Var) and x.dtype not in FLOATS and not mean:
        whole = Var(x.node, x.shape, call.emit.real)
        return dataclasses.replace(
            average(call.emit, whole, axes, call.flag("keepdim"), mean), dtype=x.dtype
        )
    y = average(call.emit, x, axes, call.flag("keepdim"), mean)
    if mean and call.flag("keepdim"):
        moments.averaged(call.emit, x, y, axes)
    return y


def variance(call: Call) -> Value:
    """The mean square distance from the mean, with ``correction`` (or one, if unbiased) fewer."""
    x, axes = call.var(), tuple(range(len(call.var().shape)))
    axes = axes_of(call.integers("dim") or axes, len(axes))
    fewer = call.read("correction") if "correction" in call.defaults else int(call.flag("unbiased"))
    fewer = 1 if fewer is None else fewer
    count = math.prod(x.shape[axis] for axis in axes)
    call.emit.real_only("var, which may be computed in one pass")
    middle = average(call.emit, x, axes, True, True)
    assert isinstance(middle, Var)
    square = compose.power(call.emit, compose.total(call.emit, x, middle, -1), 2)
    summed = average(call.emit, square, axes, call.flag("keepdim"), False)
    require(count > fewer, f"the variance of {count} numbers with {fewer} fewer")
    one = number(1.0, x.dtype)
    return times(call.emit, summed, enclosure.divide(one, number(count - fewer, x.dtype)))


def to_copy(call: Call) -> Value:
    call.ignore("dtype", "copy")
    x = call.raw()
    if call.dtype == "float16" != x.dtype:
        call.emit.real_only("a conversion to float16")
    return x if x.dtype == call.dtype else cast(call.emit, x, call.dtype)


def masked_fill(call: Call) -> Value:
    x, mask, given = call.raw(), call.value("mask"), call.read("value")
    filler = scalar(given, call.dtype) if isinstance(given, int | float) else call.const("value")
    if isinstance(mask, Var):
        return logic.select(call.emit, mask, filler, masks.plain(x))
    where, shape = mask.value, broadcast(x.shape, mask.shape)
    fill = call.emit.broadcast(filler, shape)
    return _chosen(call, ~np.broadcast_to(where, shape), call.emit.broadcast(x, shape), fill)


def where(call: Call) -> Value:
    condition = call.value("condition")
    a, b = operand(call, "self"), operand(call, "other")
    if isinstance(condition, Var):
        return logic.select(call.emit, condition, masks.plain(a), masks.plain(b))
    shape = broadcast(condition.shape, a.shape, b.shape)
    wide = [call.emit.broadcast(v, shape) for v in (a, b)]
    return _chosen(call, np.broadcast_to(condition.value.astype(bool), shape), *wide)


def _chosen(call: Call, condition: Array, a: Value, b: Value) -> Value:
    """``a`` where the condition holds, else ``b``; a side of -inf, or almost, is a mask."""
    for x, other, keep in ((a, b, condition), (b, a, ~condition)):
        if isinstance(x, Var) and isinstance(other, Const):
            filler = other.common()
            if filler is not None and filler <= MASKING:
                return masks.fill(call.emit, x, keep, filler)
    return select(call, condition, masks.plain(a), masks.plain(b))
