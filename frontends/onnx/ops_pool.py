"""Pooling by extremes and norms, and transposed convolution."""

from __future__ import annotations

import itertools
import math

import numpy as np

from absint.frontends.lowering import compose
from absint.frontends.lowering.linear import average
from absint.frontends.lowering.values import (
    FLOATS,
    Array,
    Const,
    MalformedError,
    NotLoweredError,
    Shape,
    Value,
    Var,
    check_size,
    require,
)
from absint.frontends.onnx.call import Call
from absint.frontends.onnx.ops_window import Window, fits, output_extents, window
from absint.ir import Constant


def _pooled(call: Call) -> tuple[Var, Window]:
    x = call.var()
    require(len(x.shape) >= 3, f"the input of shape {x.shape} has no spatial axis")
    require(x.dtype not in ("int32", "int64"), f"pooling of {x.dtype}")
    kernel = call.integers("kernel_shape")
    if kernel is None:
        raise MalformedError("attribute kernel_shape is missing")
    slide = window(call, x.shape[2:], kernel)
    fits(slide, x.shape[1])
    return x, slide


def max_pool(call: Call) -> Value:
    """The largest of each window; padding never is."""
    x, slide = _pooled(call)
    call.ignore("storage_order")  # of the second output only
    outs, _ = output_extents(slide, bool(call.integer("ceil_mode", 0)))
    check_size((*x.shape[:2], math.prod(slide.kernel), *outs))
    return compose.extreme(call.emit, x, _windows(slide, outs, x.shape))


def _windows(slide: Window, outs: Shape, shape: Shape) -> Array:
    """(kernel offsets, batch, channel, *outs): flat indices; padding reads the window's first."""
    rank = len(outs)
    rows = []
    for offset in itertools.product(*(range(k) for k in slide.kernel)):
        flat, valid = np.zeros(outs, dtype=np.int64), np.ones(outs, dtype=np.bool_)
        for axis, o in enumerate(offset):
            at = np.arange(outs[axis]) * slide.strides[axis] - slide.begins[axis]
            at = (at + o * slide.dilations[axis]).reshape([-1] + [1] * (rank - 1 - axis))
            valid = valid & (at >= 0) & (at < slide.space[axis])
            flat = flat * slide.space[axis] + at
        rows.append(np.where(valid, flat, -1))
    table = np.stack(rows)
    first = np.take_along_axis(table, (table >= 0).argmax(axis=0)[None], axis=0)
    require(bool((first >= 0).all()), "a window that covers padding only")
    table = np.where(table >= 0, table, first)
    planes = np.arange(shape[0] * shape[1]).reshape((1, *shape[:2], *(1,) * rank))
    return np.asarray(table[:, None, None] + planes * math.prod(slide.space))


def global_max_pool(call: Call) -> Value:
    x = call.var()
    require(len(x.shape) >= 3, f"pooling of a tensor of shape {x.shape}")
    index = np.arange(math.prod(x.shape)).reshape((*x.shape[:2], -1))
    best = compose.extreme(call.emit, x, np.moveaxis(index, -1, 0))
    return call.emit.reshape(best, (*x.shape[:2], *(1,) * (len(x.shape) - 2)))


def lp_pool(call: Call) -> Value:
    """``(sum |x|^p)^(1/p)`` of each window, for p 1 and 2."""
    x, slide = _pooled(call)
    if call.integer("ceil_mode", 0):
        raise NotLoweredError("ceil_mode=1")
    order = call.integer("p", 2)
    ones = {"weight": Constant(np.ones((x.shape[1], 1, *slide.kernel)))}
    total = call.emit.add("conv", [_powered(call, x, order)], slide.attributes(x.shape[1]), ones)
    return total if order == 1 else compose.square_root(call.emit, total)


def _powered(call: Call, x: Var, order: int) -> Var:
    if order not in (1, 2):
        raise NotLoweredError(f"p={order}")
    return call.emit.add("abs", [x]) if order == 1 else compose.power(call.emit, x, 2)


def global_lp_pool(call: Call) -> Value:
    x, order = call.var(), call.integer("p", 2)
    require(len(x.shape) >= 3, f"pooling of a tensor of shape {x.shape}")
    axes = tuple(range(2, len(x.shape)))
    total = average(call.emit, _powered(call, x, order), axes, keep=True, mean=False)
    assert isinstance(total, Var)
    return total if order == 1 else compose.square_root(call.emit, total)


def conv_transpose(call: Call) -> Value:
    """A convolution of the input with zeros between its entries, by the mirrored kernel."""
    x, w = call.var(0), call.float_const(1, "a kernel")
    rank, groups = len(x.shape) - 2, call.integer("group", 1)
    require(rank >= 1 and len(w.shape) == rank + 2, f"kernel {w.shape} for input {x.shape}")
    require(w.dtype == x.dtype and w.shape[0] == x.shape[1], f"kernel {w.shape}")
    require(groups >= 1 and x.shape[1] % groups == 0, f"{groups} groups")
    strides, dilations, pads, extra = _transposed(call, x.shape[2:], w.shape[2:])
    require(min((*strides, *dilations)) >= 1, "stride or dilation below 1")
    stuffed = _stuffed(call, x, strides, dilations, pads, extra, w.shape[2:])
    outs = w.shape[1]
    kernel = call.emit.rearrange(w, lambda a: _mirrored(a, groups))
    assert isinstance(kernel, Const)
    consts = {"weight": kernel.ir()}
    if call.has(2):
        b = call.float_const(2, "a bias")
        require(b.shape == (outs * groups,), f"bias {b.shape} for {outs * groups} channels")
        column = call.emit.rearrange(b, lambda a: a.reshape((-1, *(1,) * rank)))
        assert isinstance(column, Const)
        consts["bias"] = column.ir()
    attributes: dict[str, int | float | tuple[int, ...]] = {
        "strides": (1,) * rank,
        "dilations": dilations,
        "pads": (0,) * (2 * rank),
        "groups": groups,
    }
    return call.emit.add("conv", [stuffed], attributes, consts)


def _mirrored(w: Array, groups: int) -> Array:
    """(in, out / groups, *kernel) to (out, in / groups, *kernel), reversed in space."""
    rank = w.ndim - 2
    parts = w.reshape((groups, w.shape[0] // groups, *w.shape[1:])).swapaxes(1, 2)
    joined = parts.reshape((groups * w.shape[1], w.shape[0] // groups, *w.shape[2:]))
    return joined[(slice(None), slice(None), *(slice(None, None, -1),) * rank)]


Extents = tuple[int, ...]


def _transposed(
    call: Call, space: Shape, kernel: Shape
) -> tuple[Extents, Extents, Extents, Extents]:
    """Strides, dilations, pads (begins, ends) and output padding."""
    rank = len(space)
    require(call.integers("kernel_shape") in (None, kernel), "kernel_shape does not fit")
    strides = call.integers("strides") or (1,) * rank
    dilations = call.integers("dilations") or (1,) * rank
    extra = call.integers("output_padding") or (0,) * rank
    pads = call.integers("pads") or (0,) * (2 * rank)
    shape, mode = call.integers("output_shape"), call.text("auto_pad", "NOTSET")
    lengths = (len(strides), len(dilations), len(extra), len(pads))
    require(lengths == (rank, rank, rank, 2 * rank), f"attributes for {rank} spatial axes")
    require(min(extra) >= 0, "negative output_padding")
    if mode not in ("NOTSET", "VALID") and shape is None:
        shape = tuple(n * s for n, s in zip(space, strides, strict=True))
    if shape is None:
        return strides, dilations, pads, extra
    shape = shape[-rank:]
    rows = zip(space, strides, dilations, kernel, extra, shape, strict=True)
    totals = [s * (n - 1) + e + (k - 1) * d + 1 - out for n, s, d, k, e, out in rows]
    if min(totals) < 0:
        raise NotLoweredError("an output_shape that needs negative pads")
    halves = tuple(total // 2 for total in totals)
    rest = tuple(total - half for total, half in zip(totals, halves, strict=True))
    pads = (*halves, *rest) if mode == "SAME_UPPER" else (*rest, *halves)
    return strides, dilations, pads, extra


def _stuffed(
    call: Call,
    x: Var,
    strides: Shape,
    dilations: Shape,
    pads: Extents,
    extra: Extents,
    kernel: Shape,
) -> Var:
    """``x`` with zeros between and around its entries; pads beyond the kernel's reach crop."""
    index = np.arange(math.prod(x.shape)).reshape(x.shape)
    for axis, n in enumerate(x.shape[2:]):
        reach = dilations[axis] * (kernel[axis] - 1)
        before = reach - pads[axis]
        after = reach - pads[len(strides) + axis] + extra[axis]
        length = strides[axis] * (n - 1) + 1
        check_size((*index.shape[: axis + 2], length + max(before, 0) + max(after, 0)))
        wide = np.full((*index.shape[: axis + 2], length, *index.shape[axis + 3 :]), -1)
        np.moveaxis(wide, axis + 2, 0)[:: strides[axis]] = np.moveaxis(index, axis + 2, 0)
        widths = [(0, 0)] * index.ndim
        widths[axis + 2] = (max(before, 0), max(after, 0))
        wide = np.pad(wide, widths, constant_values=-1)
        stop = wide.shape[axis + 2] - max(-after, 0)
        index = np.take(wide, np.arange(max(-before, 0), stop), axis=axis + 2)
    require(x.dtype in FLOATS, f"a convolution of {x.dtype}")
    return call.emit.gather(x, index)
