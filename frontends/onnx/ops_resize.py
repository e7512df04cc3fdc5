"""Resize and Upsample at constant scales: a fixed linear map along each axis.

Coordinates and weights are computed in exact rationals of the scales as stored.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction

import numpy as np

from absint.frontends.lowering.linear import product
from absint.frontends.lowering.values import (
    Array,
    Const,
    NotLoweredError,
    Shape,
    Value,
    Var,
    axes_of,
    axis_of,
    check_size,
    require,
)
from absint.frontends.onnx.call import Call

Number = Fraction


def upsample(call: Call) -> Value:
    """Each output entry is that of ``floor(i / scale)``; or linear between entries."""
    x, mode = call.var(), call.text("mode", "nearest")
    scales = call.floats("scales") if call.opset < 9 else call.const(1, "scales").value
    require(scales is not None and len(scales) == len(x.shape), "a scale for each axis")
    assert scales is not None
    exact = [Fraction(float(s)) for s in scales]
    require(min(exact) > 0, "scales must be positive")
    sizes = [math.floor(n * s) for n, s in zip(x.shape, exact, strict=True)]
    if mode == "nearest":
        return _by_index(call, x, [
            [min(math.floor(Fraction(i) / s), n - 1) for i in range(size)]
            for n, s, size in zip(x.shape, exact, sizes, strict=True)
        ])  # fmt: skip
    if mode not in ("linear", "bilinear"):
        raise NotLoweredError(f"mode={mode!r}")
    return _linear(call, x, [
        [_two(Fraction(i) / s, n) for i in range(size)]
        for n, s, size in zip(x.shape, exact, sizes, strict=True)
    ])  # fmt: skip


def resize(call: Call) -> Value:
    """Modes nearest and linear; scales or sizes constant."""
    x, mode = call.var(), call.text("mode", "nearest")
    call.ignore("cubic_coeff_a", "extrapolation_value")
    for name in ("antialias", "exclude_outside"):
        if call.integer(name, 0):
            raise NotLoweredError(f"{name}=1")
    if mode not in ("nearest", "linear"):
        raise NotLoweredError(f"mode={mode!r}", "nearest and linear are")
    legacy = call.opset < 11
    scales, sizes = _targets(call, x.shape)
    name = "asymmetric" if legacy else call.text("coordinate_transformation_mode", "half_pixel")
    if name not in _COORDINATES:
        raise NotLoweredError(f"coordinate_transformation_mode={name!r}")
    rounding = call.text("nearest_mode", "floor" if legacy else "round_prefer_floor")
    require(rounding in _ROUNDINGS, f"there is no nearest_mode={rounding!r}")
    rows = [
        [_COORDINATES[name](Fraction(i), s, n, out) for i in range(out)]
        for n, s, out in zip(x.shape, scales, sizes, strict=True)
    ]
    if mode == "nearest":
        table = [
            [_clamped(_ROUNDINGS[rounding](at), n) for at in row]
            for n, row in zip(x.shape, rows, strict=True)
        ]
        return _by_index(call, x, table)
    return _linear(
        call, x, [[_two(at, n) for at in row] for n, row in zip(x.shape, rows, strict=True)]
    )


def _targets(call: Call, shape: Shape) -> tuple[list[Number], list[int]]:
    """The scale and output extent of each axis."""
    rank = len(shape)
    axes = list(range(rank))
    listed = call.integers("axes")
    if listed is not None:
        axes_of(listed, rank)
        axes = [axis_of(axis, rank) for axis in listed]
    scales, sizes = [Fraction(1)] * rank, list(shape)
    place = 1 if call.opset < 11 else 2
    given = call.const(place, "scales") if call.has(place) else None
    policy = call.text("keep_aspect_ratio_policy", "stretch")
    if given is not None and given.value.size:
        require(not call.has(3), "scales and sizes exclude each other")
        require(given.value.size == len(axes), "a scale for each axis")
        for axis, scale in zip(axes, given.value.reshape(-1), strict=True):
            scales[axis] = Fraction(float(scale))
            require(scales[axis] > 0, "scales must be positive")
            sizes[axis] = math.floor(shape[axis] * scales[axis])
    else:
        wanted = call.integer_list(3, "sizes")
        require(len(wanted) == len(axes), "a size for each axis")
        ratios = [Fraction(size, shape[axis]) for axis, size in zip(axes, wanted, strict=True)]
        if policy != "stretch":
            common = min(ratios) if policy == "not_larger" else max(ratios)
            ratios = [common] * len(axes)
            wanted = tuple(math.floor(common * shape[axis] + Fraction(1, 2)) for axis in axes)
        for axis, ratio, size in zip(axes, ratios, wanted, strict=True):
            scales[axis], sizes[axis] = ratio, size
    require(min(sizes) >= 1, f"the sizes {sizes}")
    check_size(tuple(sizes))
    return scales, sizes


Coordinate = Callable[[Number, Number, int, int], Number]
_HALF = Fraction(1, 2)
_COORDINATES: dict[str, Coordinate] = {
    "half_pixel": lambda i, s, n, out: (i + _HALF) / s - _HALF,
    "half_pixel_symmetric": lambda i, s, n, out: (
        Fraction(n, 2) * (1 - out / (n * s)) + (i + _HALF) / s - _HALF
    ),
    "pytorch_half_pixel": lambda i, s, n, out: (i + _HALF) / s - _HALF if out > 1 else Fraction(0),
    "align_corners": lambda i, s, n, out: i * (n - 1) / (n * s - 1) if out > 1 else Fraction(0),
    "asymmetric": lambda i, s, n, out: i / s,
}
_ROUNDINGS: dict[str, Callable[[Number], int]] = {
    "round_prefer_floor": lambda at: math.ceil(at - _HALF),
    "round_prefer_ceil": lambda at: math.floor(at + _HALF),
    "floor": math.floor,
    "ceil": math.ceil,
}


def _clamped(at: int, n: int) -> int:
    return min(max(at, 0), n - 1)


def _two(at: Number, n: int) -> dict[int, Number]:
    """The weights of the two entries that a coordinate lies between; beyond the ends, one."""
    low = math.floor(at)
    share = at - low
    weights: dict[int, Number] = {}
    for entry, weight in ((low, 1 - share), (low + 1, share)):
        where = _clamped(entry, n)
        weights[where] = weights.get(where, Fraction(0)) + weight
    return weights


def _by_index(call: Call, x: Var, table: list[list[int]]) -> Value:
    return call.emit.rearrange(x, lambda a: a[np.ix_(*table)])


def _linear(call: Call, x: Var, table: list[list[dict[int, Number]]]) -> Value:
    """One matrix an axis; an axis that stays as it is needs none."""
    y: Value = x
    call.emit.real_only("a linear resize, whose weights are rounded coordinates")
    for axis, rows in enumerate(table):
        n = x.shape[axis]
        if len(rows) == n and all(row.get(i) == 1 for i, row in enumerate(rows)):
            continue
        turned = call.emit.turn(y, axis, -1)
        wide = product(call.emit, turned, _matrix(rows, n, x.dtype))
        y = call.emit.turn(wide, -1, axis)
    return y


def _matrix(rows: list[dict[int, Number]], n: int, dtype: str) -> Const:
    """(n, outputs), with a radius where a weight is no float64."""
    value, radius = np.zeros((n, len(rows))), np.zeros((n, len(rows)))
    for column, row in enumerate(rows):
        for entry, weight in row.items():
            value[entry, column] = float(weight)
            if Fraction(value[entry, column]) != weight:
                radius[entry, column] = np.spacing(abs(value[entry, column]))
    return Const(value, dtype, _or_none(radius))


def _or_none(radius: Array) -> Array | None:
    return radius if radius.any() else None
