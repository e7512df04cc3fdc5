"""Data movement: each op is a function on arrays, run on constants or on index maps."""

from __future__ import annotations

import math
from functools import partial

import numpy as np

from absint.frontends.lowering import tokens
from absint.frontends.lowering.values import (
    FLOATS,
    Array,
    Const,
    MalformedError,
    Shape,
    Value,
    Var,
    axes_of,
    axis_of,
    broadcast,
    check_size,
    require,
)
from absint.frontends.onnx.call import Call


def _reshaped(call: Call, shape: Shape) -> Value:
    x = call.value()
    require(
        math.prod(x.shape) == math.prod(shape),
        f"a tensor of shape {x.shape} cannot be reshaped to {shape}",
    )
    return call.emit.rearrange(x, lambda array: array.reshape(shape))


def flatten(call: Call) -> Value:
    x, axis = call.value(), call.integer("axis", 1)
    require(-len(x.shape) <= axis <= len(x.shape), f"axis {axis} lies outside {x.shape}")
    cut = axis if axis >= 0 else axis + len(x.shape)
    return _reshaped(call, (math.prod(x.shape[:cut]), math.prod(x.shape[cut:])))


def reshape(call: Call) -> Value:
    """0 copies an extent (unless allowzero), -1 is what is left."""
    x, target = call.value(), list(call.integer_list(1, "a shape"))
    if not call.integer("allowzero", 0):
        for axis, extent in enumerate(target):
            require(extent != 0 or axis < len(x.shape), f"shape {target} copies a missing axis")
            target[axis] = x.shape[axis] if extent == 0 else extent
    require(target.count(-1) <= 1, f"shape {target} has more than one -1")
    require(min(target, default=0) >= -1, f"shape {target} has a negative extent")
    if -1 in target:
        rest = math.prod(extent for extent in target if extent != -1)
        whole = math.prod(x.shape)
        require(
            rest > 0 and whole % rest == 0,
            f"a tensor of shape {x.shape} cannot be reshaped to {tuple(target)}",
        )
        target[target.index(-1)] = whole // rest
    return _reshaped(call, check_size(tuple(target)))


def _axes(call: Call) -> tuple[int, ...] | None:
    """Axes are an attribute before opset 13 and an operand from then on."""
    if call.opset < 13:
        return call.integers("axes")
    return call.integer_list(1, "axes") if call.has(1) else None


def squeeze(call: Call) -> Value:
    x, axes = call.value(), _axes(call)
    if axes is None:
        return _reshaped(call, tuple(extent for extent in x.shape if extent != 1))
    drop = axes_of(axes, len(x.shape))
    require(all(x.shape[a] == 1 for a in drop), f"axes {axes} of shape {x.shape} are not all 1")
    return _reshaped(call, tuple(e for axis, e in enumerate(x.shape) if axis not in drop))


def unsqueeze(call: Call) -> Value:
    x, axes = call.value(), _axes(call)
    if axes is None:
        raise MalformedError("axes are missing")
    new = axes_of(axes, len(x.shape) + len(axes))
    rest = iter(x.shape)
    shape = tuple(1 if a in new else next(rest) for a in range(len(x.shape) + len(new)))
    return _reshaped(call, shape)


def transpose(call: Call) -> Value:
    x, permutation = call.value(), call.integers("perm")
    order = tuple(reversed(range(len(x.shape)))) if permutation is None else permutation
    require(
        sorted(order) == list(range(len(x.shape))),
        f"perm {order} is no permutation of the axes of {x.shape}",
    )
    return call.emit.rearrange(x, lambda array: array.transpose(order))


def concat(call: Call) -> Value:
    values = [call.value(i) for i in range(len(call.inputs))]
    rank = len(values[0].shape)
    axis = axis_of(call.integer("axis"), rank)
    require(len({v.dtype for v in values}) == 1, "operands of different types")
    rest = {(len(v.shape), v.shape[:axis], v.shape[axis + 1 :]) for v in values}
    require(len(rest) == 1, f"shapes {[v.shape for v in values]} do not line up on axis {axis}")
    anchor = next((v for v in values if isinstance(v, Var)), None)
    if anchor is None:
        return _join([v for v in values if isinstance(v, Const)], axis)
    parts = [call.emit.variable(v, anchor) for v in values if math.prod(v.shape)]
    return parts[0] if len(parts) == 1 else call.emit.add("concat", parts, {"axis": axis})


def _join(values: list[Const], axis: int) -> Const:
    check_size((sum(v.value.size for v in values),))
    radius = None
    if any(v.radius is not None for v in values):
        parts = [np.zeros(v.shape) if v.radius is None else v.radius for v in values]
        radius = np.concatenate(parts, axis)
    return Const(np.concatenate([v.value for v in values], axis), values[0].dtype, radius)


def split(call: Call) -> tuple[Value, ...]:
    x, count = call.value(), len(call.node.output)
    axis = axis_of(call.integer("axis", 0), len(x.shape))
    sizes = _split_sizes(call, x.shape[axis], count)
    require(
        len(sizes) == count and min(sizes) >= 0 and sum(sizes) == x.shape[axis],
        f"parts {sizes} do not make up {count} outputs of an axis of {x.shape[axis]}",
    )
    ends = np.cumsum(sizes)
    return tuple(
        call.emit.rearrange(x, partial(_range, axis=axis, start=int(end) - part, stop=int(end)))
        if part
        else _empty(x, axis)
        for part, end in zip(sizes, ends, strict=True)
    )


def _empty(x: Value, axis: int) -> Const:
    """A part without entries, which depends on nothing (RotaryEmbedding has one by default)."""
    shape = (*x.shape[:axis], 0, *x.shape[axis + 1 :])
    return Const(np.zeros(shape, np.float64 if x.dtype in FLOATS else np.int64), x.dtype)


def _range(array: Array, axis: int, start: int, stop: int) -> Array:
    return array[(slice(None),) * axis + (slice(start, stop),)]


def _split_sizes(call: Call, extent: int, count: int) -> tuple[int, ...]:
    sizes = call.integers("split") if call.opset < 13 else None
    if call.has(1):
        sizes = call.integer_list(1, "part sizes")
    if sizes is not None:
        require(not call.present("num_outputs"), "part sizes and num_outputs exclude each other")
        return sizes
    if call.opset >= 18:
        parts = call.integer("num_outputs")
        require(parts == count, f"num_outputs is {parts} where there are {count} outputs")
    else:
        require(extent % count == 0, f"{count} outputs do not divide an axis of {extent}")
    part = -(-extent // count)
    return (*(part,) * (count - 1), extent - part * (count - 1))


def slice_(call: Call) -> Value:
    """Attributes before opset 10, operands since; bounds are clamped as Python's are."""
    x = call.value()
    starts, ends, axes, steps = _slice_bounds(call)
    axes = tuple(range(len(starts))) if axes is None else axes
    steps = (1,) * len(starts) if steps is None else steps
    require(
        len(starts) == len(ends) == len(axes) == len(steps),
        "starts, ends, axes and steps differ in length",
    )
    require(all(steps), "a step of 0")
    normal = [axis_of(axis, len(x.shape)) for axis in axes]
    require(len(set(normal)) == len(normal), f"axes {axes} repeat an axis")
    key = [slice(None)] * len(x.shape)
    for axis, start, end, step in zip(normal, starts, ends, steps, strict=True):
        first, last, by = slice(start, end, step).indices(x.shape[axis])
        key[axis] = slice(first, None if last < 0 else last, by)
        if len(range(first, last, by)) == 0:
            key[axis] = slice(0, 0)
    return call.emit.rearrange(x, lambda array: array[tuple(key)])


Bounds = tuple[int, ...]


def _slice_bounds(call: Call) -> tuple[Bounds, Bounds, Bounds | None, Bounds | None]:
    if call.opset < 10:
        starts, ends = call.integers("starts"), call.integers("ends")
        if starts is None or ends is None:
            raise MalformedError("starts or ends are missing")
        return starts, ends, call.integers("axes"), None
    optional = [call.integer_list(i, "bounds") if call.has(i) else None for i in (3, 4)]
    return call.integer_list(1, "starts"), call.integer_list(2, "ends"), optional[0], optional[1]


def gather(call: Call) -> Value:
    x, indices = call.value(), call.value(1)
    axis = axis_of(call.integer("axis", 0), len(x.shape))
    if isinstance(indices, Var):
        return tokens.embedding(call.emit, x, indices, axis)
    require(indices.value.dtype.kind == "i", f"indices of type {indices.dtype}")
    extent = x.shape[axis]
    outside = (indices.value < -extent) | (indices.value >= extent)
    require(not outside.any(), f"an index lies outside an axis of {extent}")
    check_size((*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :]))
    chosen = np.where(indices.value < 0, indices.value + extent, indices.value)
    return call.emit.rearrange(x, lambda array: np.take(array, chosen, axis=axis))


def expand(call: Call) -> Value:
    x, shape = call.value(), call.integer_list(1, "a shape")
    require(min(shape, default=1) >= 0, f"shape {shape} has a negative extent")
    return call.emit.broadcast(x, broadcast(x.shape, shape))


def tile(call: Call) -> Value:
    x, repeats = call.value(), call.integer_list(1, "repeats")
    require(len(repeats) == len(x.shape), f"repeats {repeats} do not fit shape {x.shape}")
    require(min(repeats, default=1) >= 0, f"repeats {repeats} are negative")
    check_size(tuple(r * extent for r, extent in zip(repeats, x.shape, strict=True)))
    return call.emit.rearrange(x, lambda array: np.tile(array, repeats))
