"""Quantised networks: rounding to a grid is part of what they mean."""

from __future__ import annotations

import math

import numpy as np

from absint.frontends.lowering import enclosure
from absint.frontends.lowering.arithmetic import fold, plus, times
from absint.frontends.lowering.emit import Emitter
from absint.frontends.lowering.linear import product
from absint.frontends.lowering.values import (
    FLOATS,
    Const,
    NotLoweredError,
    Shape,
    Value,
    Var,
    axis_of,
    require,
)
from absint.frontends.onnx.call import Call
from absint.frontends.onnx.tensors import DTYPES

GRIDS = ("int8", "uint8", "int16", "uint16")


def quantize(call: Call) -> Value:
    """``saturate(round(x / scale) + zero)``, half to even."""
    x, scale = call.value(), call.float_const(1, "a scale")
    call.ignore("saturate", "precision")
    axis, block = call.integer("axis", 1), call.integer("block_size", 0)
    target = "uint8"
    zero: Const | None = None
    if call.has(2):
        zero = call.const(2, "a zero point")
        target = zero.dtype
    elif call.integer("output_dtype", 0):
        target = DTYPES.get(call.integer("output_dtype"), "another type")
    if target not in GRIDS or block:
        raise NotLoweredError(f"quantisation to {target}" if not block else f"block_size={block}")
    return rounded(call.emit, x, _along(call, scale, x.shape, axis), target, zero and _along(
        call, zero, x.shape, axis))  # fmt: skip


def _along(call: Call, c: Const, shape: Shape, axis: int) -> Const:
    """A scalar, or one entry for each position of an axis."""
    if c.value.size == 1:
        return Const(c.value.reshape(()), c.dtype, None)
    require(len(c.shape) == 1, f"a scale or zero point of shape {c.shape}")
    place = axis_of(axis, len(shape))
    require(c.shape[0] == shape[place], f"{c.shape[0]} scales for an axis of {shape[place]}")
    value = call.emit.rearrange(c, lambda a: a.reshape((-1, *(1,) * (len(shape) - 1 - place))))
    assert isinstance(value, Const)
    return value


def rounded(emit: Emitter, x: Value, scale: Const, target: str, zero: Const | None) -> Value:
    """A grid's integers; those of a variable are held as floats, of type ``target``."""
    require(bool((scale.value > 0).all()), "a scale that is not positive")
    one = Const(np.ones(scale.shape), scale.dtype)
    if isinstance(x, Const):
        ratio = fold("/", x, scale)
        if ratio.radius is not None and _near_half(ratio):
            raise NotLoweredError("a constant on the edge between two grid points")
        near = np.round(ratio.value)
        info = np.iinfo(target)
        shifted = near if zero is None else near + zero.value
        return Const(np.clip(shifted, info.min, info.max).astype(np.int64), target)
    grid = times(emit, x, enclosure.divide(one, scale))
    assert isinstance(grid, Var)
    y: Value = emit.add("round", [grid])
    if zero is not None and zero.value.any():
        y = plus(emit, y, Const(zero.value.astype(np.float64), y.dtype))
    assert isinstance(y, Var)
    info = np.iinfo(target)
    limited = emit.clip(y, float(info.min), float(info.max))
    return Var(limited.node, limited.shape, target)


def _near_half(ratio: Const) -> bool:
    """Whether the enclosure of a quotient holds a point at which rounding jumps."""
    assert ratio.radius is not None
    low, high = ratio.value - ratio.radius, ratio.value + ratio.radius
    return bool(
        (np.round(np.nextafter(low, -math.inf)) != np.round(np.nextafter(high, math.inf))).any()
    )


def dequantize(call: Call) -> Value:
    """``(x - zero) scale``."""
    x, scale = call.value(), call.float_const(1, "a scale")
    axis = call.integer("axis", 1)
    if call.integer("block_size", 0):
        raise NotLoweredError("blocks of scales")
    if call.integer("output_dtype", 0) not in (0, 1):
        raise NotLoweredError("dequantisation to another type than float32")
    zero = _along(call, call.const(2, "a zero point"), x.shape, axis) if call.has(2) else None
    if isinstance(x, Var) and x.dtype not in GRIDS:
        raise NotLoweredError(f"dequantisation of {x.dtype}")
    return real(call.emit, x, _along(call, scale, x.shape, axis), zero)


def real(emit: Emitter, x: Value, scale: Const, zero: Const | None) -> Value:
    """What a grid's integers stand for."""
    y: Value
    if isinstance(x, Const):
        y = Const(x.value.astype(np.float64), scale.dtype)
    else:
        y = Var(x.node, x.shape, scale.dtype)
    if zero is not None and zero.value.any():
        y = plus(emit, y, Const(-zero.value.astype(np.float64), scale.dtype))
    require(scale.dtype in FLOATS, f"a scale of type {scale.dtype}")
    return times(emit, y, scale)


def quantized_matmul(call: Call) -> Value:
    """QLinearMatMul: between the grids a product of what the integers stand for."""
    parts = []
    for first in (0, 3):
        scale, zero = call.float_const(first + 1, "a scale"), call.const(first + 2, "a zero point")
        if scale.value.size != 1 or zero.value.size != 1:
            raise NotLoweredError("a scale for each row or column")
        flat = [Const(c.value.reshape(()), c.dtype) for c in (scale, zero)]
        parts.append(real(call.emit, call.value(first), *flat))
    y = product(call.emit, *parts)
    scale, zero = call.float_const(6, "a scale"), call.const(7, "a zero point")
    if scale.value.size != 1 or zero.value.size != 1:
        raise NotLoweredError("a scale for each row or column")
    flat = [Const(c.value.reshape(()), c.dtype) for c in (scale, zero)]
    return rounded(call.emit, y, flat[0], zero.dtype, flat[1])
