"""Convolution and average pooling."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from absint.frontends.lowering import enclosure
from absint.frontends.lowering.values import (
    Const,
    MalformedError,
    NotLoweredError,
    Shape,
    Value,
    check_size,
    number,
    require,
)
from absint.frontends.onnx.call import Call
from absint.ir import Constant


@dataclass(frozen=True)
class Window:
    """How a kernel slides over the spatial axes; every tuple has one entry an axis."""

    space: Shape
    kernel: Shape
    strides: Shape
    dilations: Shape
    begins: Shape
    ends: Shape

    @property
    def reach(self) -> Shape:
        """How many entries the dilated kernel spans."""
        return tuple(d * (k - 1) + 1 for d, k in zip(self.dilations, self.kernel, strict=True))

    def attributes(self, groups: int) -> dict[str, int | float | tuple[int, ...]]:
        return {
            "strides": self.strides,
            "dilations": self.dilations,
            "pads": (*self.begins, *self.ends),
            "groups": groups,
        }


def window(call: Call, space: Shape, kernel: Shape) -> Window:
    """The attributes that ONNX's windowed ops share. Raises MalformedError and NotLoweredError."""
    rank = len(space)
    declared = call.integers("kernel_shape")
    require(declared in (None, kernel), f"kernel_shape {declared} does not fit {kernel}")
    strides = call.integers("strides") or (1,) * rank
    dilations = call.integers("dilations") or (1,) * rank
    pads = call.integers("pads") or (0,) * (2 * rank)
    lengths = (len(kernel), len(strides), len(dilations), len(pads))
    require(lengths == (rank, rank, rank, 2 * rank), f"attributes do not fit {rank} spatial axes")
    require(min((*kernel, *strides, *dilations)) >= 1, "kernel, stride or dilation below 1")
    check_size(kernel)
    if min(pads) < 0:
        raise NotLoweredError("negative pads")
    plain = Window(space, kernel, strides, dilations, pads[:rank], pads[rank:])
    mode = call.text("auto_pad", "NOTSET")
    if mode == "NOTSET":
        return plain
    require(not any(pads), f"pads and auto_pad={mode} exclude each other")
    return _automatic(plain, mode)


def _automatic(plain: Window, mode: str) -> Window:
    if mode == "VALID":
        return plain
    require(mode in ("SAME_UPPER", "SAME_LOWER"), "there is no such auto_pad")
    if max(plain.dilations) > 1:
        raise NotLoweredError(f"auto_pad={mode} with dilations", "onnxruntime refuses it too")
    begins, ends = [], []
    for n, s, reach in zip(plain.space, plain.strides, plain.reach, strict=True):
        total = max((-(-n // s) - 1) * s + reach - n, 0)
        small, large = total // 2, total - total // 2
        begins.append(small if mode == "SAME_UPPER" else large)
        ends.append(large if mode == "SAME_UPPER" else small)
    return Window(
        plain.space, plain.kernel, plain.strides, plain.dilations, tuple(begins), tuple(ends)
    )


def conv(call: Call) -> Value:
    x, w = call.var(0), call.float_const(1, "a kernel")
    require(len(x.shape) >= 3, f"the input of shape {x.shape} has no spatial axis")
    require(len(w.shape) == len(x.shape), f"kernel {w.shape} does not fit input {x.shape}")
    require(w.dtype == x.dtype, f"operands of types {x.dtype} and {w.dtype}")
    slide = window(call, x.shape[2:], w.shape[2:])
    consts = {"weight": w.ir()}
    if call.has(2):
        b = call.float_const(2, "a bias")
        require(b.dtype == x.dtype, f"operands of types {x.dtype} and {b.dtype}")
        require(b.shape == w.shape[:1], f"bias {b.shape} does not fit kernel {w.shape}")
        column = call.emit.rearrange(b, lambda a: a.reshape((-1, *(1,) * len(slide.space))))
        assert isinstance(column, Const)
        consts["bias"] = column.ir()
    fits(slide, x.shape[1])
    return call.emit.add("conv", [x], slide.attributes(call.integer("group", 1)), consts)


def fits(slide: Window, channels: int) -> None:
    """Raises MalformedError where the padded input is too large, or smaller than the kernel."""
    extents = zip(slide.space, slide.begins, slide.ends, strict=True)
    padded = tuple(n + begin + end for n, begin, end in extents)
    check_size((channels, *padded))
    require(
        all(n >= reach for n, reach in zip(padded, slide.reach, strict=True)),
        f"a kernel of extent {slide.reach} is larger than the padded input {padded}",
    )


def average_pool(call: Call) -> Value:
    """Sums by a convolution with ones, then a product with one over each window's count."""
    x = call.var()
    require(len(x.shape) >= 3, f"the input of shape {x.shape} has no spatial axis")
    kernel = call.integers("kernel_shape")
    if kernel is None:
        raise MalformedError("attribute kernel_shape is missing")
    slide = window(call, x.shape[2:], kernel)
    fits(slide, x.shape[1])
    include = bool(call.integer("count_include_pad", 0))
    outs, ends = output_extents(slide, bool(call.integer("ceil_mode", 0)))
    if include and ends != slide.ends:
        raise NotLoweredError("count_include_pad with ceil_mode where a window leaves the padding")
    counts = _counts(slide, outs, include)
    require(bool(counts.all()), "a window that covers padding only")
    full = Window(slide.space, slide.kernel, slide.strides, slide.dilations, slide.begins, ends)
    shape, inverse = (x.shape[1], 1, *kernel), _inverse(counts, x.dtype)
    if inverse.value.size > 1:
        ones = Constant(np.ones(shape))
        y = call.emit.add("conv", [x], full.attributes(x.shape[1]), {"weight": ones})
        return call.emit.scale(y, inverse)
    weight = call.emit.broadcast(inverse, shape)
    assert isinstance(weight, Const)
    return call.emit.add("conv", [x], full.attributes(x.shape[1]), {"weight": weight.ir()})


def _inverse(counts: np.ndarray[tuple[int, ...], np.dtype[np.float64]], dtype: str) -> Const:
    """One over the counts; a single entry where all are equal."""
    if (counts == counts.flat[0]).all():
        counts = counts.reshape(-1)[:1]
    return enclosure.divide(number(1.0, dtype), Const(counts, dtype))


def output_extents(slide: Window, ceil: bool) -> tuple[Shape, Shape]:
    """The output's extents, and the end pads with which a convolution reaches as far."""
    outs, ends = [], []
    rows = zip(slide.space, slide.begins, slide.ends, slide.strides, slide.reach, strict=True)
    for n, begin, end, s, reach in rows:
        room = n + begin + end - reach
        out = (-(-room // s) if ceil else room // s) + 1
        if ceil and (out - 1) * s >= n + begin:
            out -= 1  # a window may not start beyond the input
        outs.append(out)
        ends.append(max(end, (out - 1) * s + reach - n - begin))
    return tuple(outs), tuple(ends)


def _counts(
    slide: Window, outs: Shape, include: bool
) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """How many entries each window averages: an array of shape ``outs``."""
    total = np.ones((1,) * len(outs))
    for axis, out in enumerate(outs):
        n, begin = slide.space[axis], slide.begins[axis]
        low, high = (-begin, n + slide.ends[axis]) if include else (0, n)
        at = np.arange(out)[:, None] * slide.strides[axis] - begin
        at = at + np.arange(slide.kernel[axis]) * slide.dilations[axis]
        count = ((at >= low) & (at < high)).sum(axis=1).astype(np.float64)
        total = total * count.reshape([-1 if i == axis else 1 for i in range(len(outs))])
    return total
