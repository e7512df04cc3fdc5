"""Padding: an index map with a fill, or with entries of the tensor itself."""

from __future__ import annotations

import math

import numpy as np

from absint.frontends.lowering.values import (
    Array,
    Const,
    MalformedError,
    NotLoweredError,
    Value,
    axes_of,
    axis_of,
    check_size,
    require,
)
from absint.frontends.onnx.call import Call


def pad(call: Call) -> Value:
    """Modes constant, reflect and edge; negative pads crop."""
    x, mode = call.value(), call.text("mode", "constant")
    if mode not in ("constant", "reflect", "edge"):
        raise NotLoweredError(f"mode={mode!r}")
    pads = _pads(call, len(x.shape))
    fill = _fill(call, x)
    check_size(tuple(n + max(a, 0) + max(b, 0) for n, (a, b) in zip(x.shape, pads, strict=True)))
    if isinstance(x, Const):
        if x.radius is not None and mode == "constant" and fill:
            raise NotLoweredError("padding the result of rounding arithmetic")
        return call.emit.rearrange(x, lambda array: _padded(array, pads, mode, fill))
    index = np.arange(math.prod(x.shape), dtype=np.int64).reshape(x.shape)
    return call.emit.gather(x, _padded(index, pads, mode, -1), float(fill))


def _fill(call: Call, x: Value) -> float | int:
    if call.opset < 11:
        return call.number("value", 0.0)
    if not call.has(2):
        return 0
    require(call.const(2, "a padding value").dtype == x.dtype, "a padding value of another type")
    found = call.scalar(2, "a padding value")
    return float(found) if x.dtype.startswith("float") else int(found)


def _pads(call: Call, rank: int) -> list[tuple[int, int]]:
    """Begin and end for every axis."""
    flat = call.integers("pads") if call.opset < 11 else call.integer_list(1, "pads")
    axes = list(range(rank))
    if call.has(3):
        listed = call.integer_list(3, "axes")
        axes_of(listed, rank)
        axes = [axis_of(axis, rank) for axis in listed]
    if flat is None or len(flat) != 2 * len(axes):
        raise MalformedError(f"pads must have {2 * len(axes)} entries")
    pads = [(0, 0)] * rank
    for position, axis in enumerate(axes):
        pads[axis] = (flat[position], flat[len(axes) + position])
    return pads


def _padded(array: Array, pads: list[tuple[int, int]], mode: str, fill: float | int) -> Array:
    crop = tuple(
        slice(max(-begin, 0), n - max(-end, 0))
        for n, (begin, end) in zip(array.shape, pads, strict=True)
    )
    require(all(c.start <= c.stop for c in crop), "pads crop more than there is")
    if mode != "constant" and min(min(p) for p in pads) < 0:
        raise NotLoweredError(f"negative pads with mode={mode!r}")
    if mode == "reflect":
        fits = all(max(p) < n for n, p in zip(array.shape, pads, strict=True))
        require(fits, "reflected padding must be smaller than the axis")
    widths = [(max(begin, 0), max(end, 0)) for begin, end in pads]
    if mode == "constant":
        return np.pad(array[crop], widths, constant_values=fill)
    return np.pad(array, widths, mode="reflect" if mode == "reflect" else "edge")
