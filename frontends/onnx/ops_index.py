"""Gathering and scattering at constant indices, and other fixed rearrangements."""

from __future__ import annotations

import math

import numpy as np

from absint.frontends.lowering import compose
from absint.frontends.lowering.values import (
    Array,
    Const,
    NotLoweredError,
    Value,
    axis_of,
    check_size,
    require,
)
from absint.frontends.onnx.call import Call
from absint.frontends.onnx.tensors import dtype_name


def _indices(call: Call, index: int, extent: int | Array) -> Array:
    """A constant operand of indices, counted from the front."""
    const = call.const(index, "indices")
    require(const.value.dtype.kind == "i", f"indices of type {const.dtype}")
    inside = (const.value >= -np.asarray(extent)) & (const.value < extent)
    require(bool(inside.all()), f"an index lies outside an axis of {extent}")
    return np.where(const.value < 0, const.value + extent, const.value)


def gather_elements(call: Call) -> Value:
    x = call.value()
    axis = axis_of(call.integer("axis", 0), len(x.shape))
    at = _indices(call, 1, x.shape[axis])
    require(at.ndim == len(x.shape), f"indices {at.shape} for a tensor {x.shape}")
    grids: list[Array] = list(np.indices(at.shape))
    grids[axis] = at
    return call.emit.rearrange(x, lambda a: a[tuple(grids)])


def gather_nd(call: Call) -> Value:
    x, batch = call.value(), call.integer("batch_dims", 0)
    const = call.const(1, "indices")
    depth = const.shape[-1] if const.shape else 0
    require(batch >= 0 and 1 <= depth <= len(x.shape) - batch, f"indices {const.shape}")
    at = _indices(call, 1, np.array(x.shape[batch : batch + depth]))
    lead = np.indices(at.shape[:-1])[:batch]
    key = (*lead, *(at[..., i] for i in range(depth)))
    return call.emit.rearrange(x, lambda a: a[key])


def scatter_elements(call: Call) -> Value:
    """``updates`` put over entries of the first operand."""
    x, updates = call.value(), call.value(2)
    _only_replacing(call)
    axis = axis_of(call.integer("axis", 0), len(x.shape))
    at = _indices(call, 1, x.shape[axis])
    require(at.shape == updates.shape and at.ndim == len(x.shape), "indices that do not fit")
    grids: list[Array] = list(np.indices(at.shape))
    grids[axis] = at
    return _replaced(call, x, updates, tuple(grids))


def scatter_nd(call: Call) -> Value:
    x, updates = call.value(), call.value(2)
    _only_replacing(call)
    const = call.const(1, "indices")
    depth = const.shape[-1] if const.shape else 0
    require(1 <= depth <= len(x.shape), f"indices {const.shape} for a tensor {x.shape}")
    at = _indices(call, 1, np.array(x.shape[:depth]))
    require(updates.shape == (*at.shape[:-1], *x.shape[depth:]), "updates that do not fit")
    return _replaced(call, x, updates, tuple(at[..., i] for i in range(depth)))


def _only_replacing(call: Call) -> None:
    reduction = call.text("reduction", "none")
    if reduction != "none":
        raise NotLoweredError(f"reduction={reduction!r}")


def _replaced(call: Call, x: Value, updates: Value, key: tuple[Array, ...]) -> Value:
    require(x.dtype == updates.dtype, f"updates of type {updates.dtype} for {x.dtype}")
    size = math.prod(x.shape)
    index = np.arange(size).reshape(x.shape)
    index[key] = size + np.arange(math.prod(updates.shape)).reshape(updates.shape)
    return compose.pick(call.emit, [x, updates], index)


def triangle(call: Call) -> Value:
    """The upper or lower triangle, the rest zero."""
    x, upper = call.value(), call.integer("upper", 1)
    k = int(call.scalar(1, "a diagonal")) if call.has(1) else 0
    require(len(x.shape) >= 2, f"the triangle of a tensor of shape {x.shape}")
    if isinstance(x, Const):
        part = np.triu if upper else np.tril
        radius = None if x.radius is None else part(x.radius, k)
        return Const(part(x.value, k), x.dtype, radius)
    index = np.arange(math.prod(x.shape)).reshape(x.shape) + 1
    return call.emit.gather(x, (np.triu if upper else np.tril)(index, k) - 1)


def depth_to_space(call: Call) -> Value:
    x, block = call.value(), call.integer("blocksize")
    mode = call.text("mode", "DCR")
    require(len(x.shape) == 4 and block >= 1 and x.shape[1] % block**2 == 0, f"{x.shape}")
    n, c, h, w = x.shape
    if mode == "DCR":
        parts, order = (n, block, block, c // block**2, h, w), (0, 3, 4, 1, 5, 2)
    else:
        require(mode == "CRD", f"there is no mode={mode!r}")
        parts, order = (n, c // block**2, block, block, h, w), (0, 1, 4, 2, 5, 3)
    shape = (n, c // block**2, h * block, w * block)
    return call.emit.rearrange(x, lambda a: a.reshape(parts).transpose(order).reshape(shape))


def space_to_depth(call: Call) -> Value:
    x, block = call.value(), call.integer("blocksize")
    require(len(x.shape) == 4 and block >= 1, f"blocks of {block} in {x.shape}")
    n, c, h, w = x.shape
    require(h % block == 0 and w % block == 0, f"blocks of {block} in {x.shape}")
    parts = (n, c, h // block, block, w // block, block)
    shape = (n, c * block**2, h // block, w // block)
    return call.emit.rearrange(
        x, lambda a: a.reshape(parts).transpose((0, 3, 5, 1, 2, 4)).reshape(shape)
    )


def one_hot(call: Call) -> Value:
    """Of constant indices; those outside are off everywhere."""
    indices, depth = call.const(0, "indices"), int(call.scalar(1, "a depth"))
    off, on = call.const(2, "values").value.reshape(-1)
    axis = axis_of(call.integer("axis", -1), len(indices.shape) + 1)
    check_size((*indices.shape, depth))
    require(indices.radius is None and depth >= 1, f"depth {depth}")
    at = np.where(indices.value < 0, indices.value + depth, indices.value)
    hot = np.moveaxis(at[..., None] == np.arange(depth), -1, axis)
    return Const(np.where(hot, on, off), call.const(2, "values").dtype)


def eye_like(call: Call) -> Value:
    x, k = call.value(), call.integer("k", 0)
    require(len(x.shape) == 2, f"a diagonal of shape {x.shape}")
    dtype = dtype_name(call.integer("dtype")) if call.present("dtype") else x.dtype
    kind = np.float64 if dtype.startswith("float") else np.bool_ if dtype == "bool" else np.int64
    return Const(np.eye(x.shape[0], x.shape[1], k=k).astype(kind), dtype)


def compress(call: Call) -> Value:
    """Entries where a constant condition holds."""
    x, condition = call.value(), call.const(1, "a condition")
    require(condition.dtype == "bool" and len(condition.shape) == 1, "a condition")
    keep = np.flatnonzero(condition.value)
    if not call.present("axis"):
        return call.emit.rearrange(x, lambda a: a.reshape(-1)[keep])
    axis = axis_of(call.integer("axis"), len(x.shape))
    return call.emit.rearrange(x, lambda a: np.take(a, keep, axis=axis))


def reverse_sequence(call: Call) -> Value:
    """The first entries of each sequence in reverse, as many as constant lengths say."""
    x, lengths = call.value(), call.integer_list(1, "lengths")
    time, batch = call.integer("time_axis", 0), call.integer("batch_axis", 1)
    require({time, batch} == {0, 1} and len(x.shape) >= 2, "axes 0 and 1")
    require(len(lengths) == x.shape[batch], "a length for each sequence")
    require(all(0 <= n <= x.shape[time] for n in lengths), "a length beyond the axis")

    def move(a: Array) -> Array:
        rows = np.moveaxis(a, batch, 0).copy()
        for row, n in zip(rows, lengths, strict=True):
            row[:n] = row[:n][::-1].copy()
        return np.moveaxis(rows, 0, batch)

    return call.emit.rearrange(x, move)


def nonzero(call: Call) -> Value:
    const = call.const(0, "a tensor whose entries other than zero are listed")
    require(const.radius is None, "entries that are the result of rounding arithmetic")
    return Const(np.array(np.nonzero(np.atleast_1d(const.value)), dtype=np.int64), "int64")
