"""Reductions other than plain sums and extremes, cumulative sums, sums of several operands."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

import numpy as np

from absint.frontends.lowering import compose, elementary, enclosure
from absint.frontends.lowering.arithmetic import plus, times
from absint.frontends.lowering.emit import Emitter
from absint.frontends.lowering.linear import average
from absint.frontends.lowering.values import (
    FLOATS,
    Const,
    NotLoweredError,
    Value,
    Var,
    axis_of,
    number,
    require,
)
from absint.frontends.onnx.call import Call
from absint.frontends.onnx.ops_compare import reduced_axes

Rule = Callable[[Call], Value]
Step = Callable[[Emitter, Value], Value]


def _same(emit: Emitter, x: Value) -> Value:
    return x


def _square(emit: Emitter, x: Value) -> Value:
    return times(emit, x, x)


def _size(emit: Emitter, x: Value) -> Value:
    if isinstance(x, Const):
        return Const(np.abs(x.value), x.dtype, x.radius)
    return emit.add("abs", [x])


def _root(emit: Emitter, x: Value) -> Value:
    return enclosure.square_root(x) if isinstance(x, Const) else compose.square_root(emit, x)


def _named(op: str) -> Step:
    def step(emit: Emitter, x: Value) -> Value:
        return elementary.image(op, x) if isinstance(x, Const) else emit.add(op, [x])

    return step


_exp, _log = _named("exp"), _named("log")


def summed(before: Step, after: Step) -> Rule:
    """``after(sum(before(x)))`` over the axes; since opset 18 these are an operand."""

    def rule(call: Call) -> Value:
        x = call.value()
        require(x.dtype in FLOATS, f"a reduction of {x.dtype}")
        axes, keep = reduced_axes(call, 18), bool(call.integer("keepdims", 1))
        if axes is None:
            return after(call.emit, before(call.emit, x))
        require(math.prod(x.shape[a] for a in axes) > 0, "a reduction of an empty tensor")
        total = average(call.emit, before(call.emit, x), axes, keep, mean=False)
        return after(call.emit, total)

    return rule


l1 = summed(_size, _same)
l2 = summed(_square, _root)
sum_square = summed(_square, _same)
log_sum = summed(_same, _log)
log_sum_exp = summed(_exp, _log)


def product(call: Call) -> Value:
    """Constants exactly; variables factor by factor."""
    x = call.value()
    axes, keep = reduced_axes(call, 18), bool(call.integer("keepdims", 1))
    if axes is None:
        return x
    kept = [axis for axis in range(len(x.shape)) if axis not in axes]
    lead = tuple(x.shape[axis] for axis in kept)
    count = math.prod(x.shape[axis] for axis in axes)
    if isinstance(x, Const) and x.value.dtype.kind == "i":
        enclosure.check_integers(np.asarray(np.prod(np.abs(x.value).astype(float), axis=axes)))
        return Const(np.asarray(np.prod(x.value, axis=axes, keepdims=keep)), x.dtype)
    if not 0 < count <= MAX_FACTORS:
        raise NotLoweredError(f"a product of {count} factors")
    flat = call.emit.rearrange(x, lambda a: a.transpose((*kept, *axes)).reshape((*lead, count)))
    factors = [call.emit.take(flat, at, -1) for at in range(count)]
    y = functools.reduce(lambda a, b: times(call.emit, a, b), factors)
    shape = tuple(
        1 if axis in axes else n for axis, n in enumerate(x.shape) if keep or axis not in axes
    )
    return call.emit.rearrange(y, lambda a: a.reshape(shape))


MAX_FACTORS = 1024


def add_all(call: Call) -> Value:
    values = [call.value(i) for i in range(len(call.inputs))]
    require(len({v.dtype for v in values}) == 1, "operands of different types")
    return functools.reduce(lambda a, b: plus(call.emit, a, b), values)


def mean_of_all(call: Call) -> Value:
    total = add_all(call)
    share = number(float(len(call.inputs)), total.dtype)
    return times(call.emit, total, enclosure.divide(number(1.0, total.dtype), share))


def cumulative_sum(call: Call) -> Value:
    """A product with a triangle of ones."""
    x = call.value()
    axis = axis_of(int(call.scalar(1, "an axis")), len(x.shape))
    exclusive, backwards = call.integer("exclusive", 0), call.integer("reverse", 0)
    n = x.shape[axis]
    triangle = np.tri(n, k=-exclusive).T  # entry (i, j): whether j's sum holds i
    weight = triangle[::-1, ::-1] if backwards else triangle
    if isinstance(x, Const):
        if x.radius is not None or x.dtype in FLOATS:
            raise NotLoweredError("a cumulative sum of constant floats")
        moved = np.moveaxis(x.value, axis, -1) @ weight.astype(np.int64)
        return Const(np.moveaxis(moved, -1, axis), x.dtype)
    turned = call.emit.rearrange(x, lambda a: np.moveaxis(a, axis, -1))
    assert isinstance(turned, Var)
    y = call.emit.dense(turned, Const(np.ascontiguousarray(weight), x.dtype))
    return call.emit.rearrange(y, lambda a: np.moveaxis(a, -1, axis))
