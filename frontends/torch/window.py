"""Convolutions, pooling, batch normalisation and resizing."""

from __future__ import annotations

import math

import numpy as np

from absint.frontends.lowering import enclosure
from absint.frontends.lowering.linear import average, inference_norm, product
from absint.frontends.lowering.values import (
    Array,
    Const,
    NotLoweredError,
    Shape,
    Value,
    Var,
    require,
)
from absint.frontends.torch.attention import channels
from absint.frontends.torch.bridge import single
from absint.frontends.torch.call import Call, Rule
from absint.frontends.torch.movement import reshape


def convolution(rank: int) -> Rule:
    """``conv1d`` and its like, with paddings as numbers."""

    def rule(call: Call) -> Value:
        sides = _each(call, "padding", rank)
        return _convolved(call, rank, sides, sides)

    return rule


def convolution_by_name(rank: int) -> Rule:
    """The same with padding "valid" or "same"; of an odd total "same" has more at the end."""

    def rule(call: Call) -> Value:
        mode, kernel = call.text("padding"), call.const("weight").shape[2:]
        require(mode in ("valid", "same"), f"padding={mode!r}")
        dilations = _each(call, "dilation", rank)
        totals = [
            d * (k - 1) if mode == "same" else 0 for d, k in zip(dilations, kernel, strict=True)
        ]
        begins = tuple(total // 2 for total in totals)
        ends = tuple(total - total // 2 for total in totals)
        return _convolved(call, rank, begins, ends)

    return rule


def general_convolution(call: Call) -> Value:
    """``aten.convolution``, which has all of them in one."""
    rank = len(call.const("weight").shape) - 2
    sides = _each(call, "padding", rank)
    if call.flag("transposed"):
        return _transposed(call, rank, sides)
    call.ignore("output_padding")
    return _convolved(call, rank, sides, sides)


def transposed_convolution(rank: int) -> Rule:
    return lambda call: _transposed(call, rank, _each(call, "padding", rank))


def _convolved(call: Call, rank: int, begins: Shape, ends: Shape) -> Value:
    x, lead = _batched(call, rank)
    operands: list[Value | None] = [x, call.const("weight"), call.optional("bias")]
    y = single(
        call,
        "Conv",
        operands,
        strides=_each(call, "stride", rank),
        dilations=_each(call, "dilation", rank),
        pads=(*begins, *ends),
        group=call.integer("groups"),
    )
    return reshape(call.emit, y, y.shape[1:]) if lead else y


def _transposed(call: Call, rank: int, sides: Shape) -> Value:
    x, lead = _batched(call, rank)
    y = single(
        call,
        "ConvTranspose",
        [x, call.const("weight"), call.optional("bias")],
        strides=_each(call, "stride", rank),
        dilations=_each(call, "dilation", rank),
        output_padding=_each(call, "output_padding", rank),
        pads=(*sides, *sides),
        group=call.integer("groups"),
    )
    return reshape(call.emit, y, y.shape[1:]) if lead else y


def _batched(call: Call, rank: int, name: str = "input") -> tuple[Var, bool]:
    """The operand with a batch axis, and whether that was missing."""
    x = call.var(name)
    require(len(x.shape) in (rank + 1, rank + 2), f"an input of shape {x.shape}")
    lead = len(x.shape) == rank + 1
    return (call.emit.reshape(x, (1, *x.shape)) if lead else x), lead


def _each(call: Call, name: str, rank: int) -> Shape:
    """A number for each spatial axis; one counts for all."""
    given = call.integers(name)
    require(len(given) in (1, rank), f"{name} has {len(given)} entries for {rank} axes")
    return given * rank if len(given) == 1 else given


def max_pool(rank: int, pair: bool = False) -> Rule:
    """With ``pair``, the positions (the second result) are left out."""

    def rule(call: Call) -> Value | tuple[Value, ...]:
        x, lead = _batched(call, rank, "self")
        y = single(
            call,
            "MaxPool",
            [x],
            **_windows(call, rank),
            dilations=_each(call, "dilation", rank),
        )
        y = reshape(call.emit, y, y.shape[1:]) if lead else y
        return (y,) if pair else y

    return rule


def average_pool(rank: int) -> Rule:
    def rule(call: Call) -> Value:
        if call.given("divisor_override"):
            raise NotLoweredError(f"divisor_override={call.read('divisor_override')}")
        x, lead = _batched(call, rank, "self")
        include = int(call.flag("count_include_pad"))
        y = single(call, "AveragePool", [x], **_windows(call, rank), count_include_pad=include)
        return reshape(call.emit, y, y.shape[1:]) if lead else y

    return rule


def _windows(call: Call, rank: int) -> dict[str, int | Shape]:
    """The attributes that pools share; without a stride it is the kernel's extent."""
    kernel, sides = _each(call, "kernel_size", rank), _each(call, "padding", rank)
    stride = _each(call, "stride", rank) if call.integers("stride") else kernel
    return {
        "kernel_shape": kernel,
        "strides": stride,
        "pads": (*sides, *sides),
        "ceil_mode": int(call.flag("ceil_mode")),
    }


def adaptive_average_pool(rank: int) -> Rule:
    """Windows from ``floor(i n / m)`` to ``ceil((i + 1) n / m)``: one product with a matrix."""

    def rule(call: Call) -> Value:
        x, outs = call.var(), _each(call, "output_size", rank)
        lead, space = x.shape[:-rank], x.shape[-rank:]
        if set(outs) == {1}:
            axes = tuple(range(len(lead), len(x.shape)))
            return average(call.emit, x, axes, keep=True, mean=True)
        flat = call.emit.reshape(x, (*lead, math.prod(space)))
        y = product(call.emit, flat, _means(space, outs, x.dtype))
        return reshape(call.emit, y, (*lead, *outs))

    return rule


def _means(space: Shape, outs: Shape, dtype: str) -> Const:
    """(entries, windows): one over the size of each window at its entries."""
    member: Array = np.ones((1, 1))
    for n, m in zip(space, outs, strict=True):
        member = np.kron(member, _covered(n, m))
    counts = member.sum(axis=0, keepdims=True)
    return enclosure.divide(Const(member, dtype), Const(counts, dtype))


def _covered(n: int, m: int) -> Array:
    """(n, m): 1 where entry i belongs to window j."""
    i, j = np.arange(n)[:, None], np.arange(m)[None, :]
    return ((i >= j * n // m) & (i < -(-(j + 1) * n // m))).astype(np.float64)


def batch_norm(call: Call) -> Value:
    """In inference: ``(x - mean) weight / sqrt(var + eps) + bias`` on axis 1, as one scale."""
    if call.flag("training"):
        raise NotLoweredError("batch normalisation in training mode", "give it in eval mode")
    return _normalized(call)


def legit_batch_norm(call: Call) -> tuple[Value, ...]:
    """The same with two more results, which are empty in inference."""
    return (_normalized(call),)


def _normalized(call: Call) -> Value:
    call.ignore("momentum", "cudnn_enabled")
    x = call.var("input")
    mean, variance = call.const("running_mean"), call.const("running_var")
    gamma = call.optional("weight") or Const(np.ones(variance.shape), variance.dtype)
    beta = call.optional("bias") or Const(np.zeros(variance.shape), variance.dtype)
    weight, bias = inference_norm(gamma, beta, mean, variance, call.number("eps"))
    rank = len(x.shape)
    return call.emit.scale(x, channels(weight, rank), channels(bias, rank))
