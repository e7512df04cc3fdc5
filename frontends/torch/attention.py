"""Softmax, attention and normalisation."""

from __future__ import annotations

import math

import numpy as np

from absint.frontends.lowering import masks
from absint.frontends.lowering.arithmetic import plus, times
from absint.frontends.lowering.emit import Emitter
from absint.frontends.lowering.linear import product
from absint.frontends.lowering.moments import normalize
from absint.frontends.lowering.values import (
    Array,
    Const,
    NotLoweredError,
    Value,
    Var,
    axis_of,
    broadcast,
    number,
    require,
)
from absint.frontends.torch.call import Call, rounded
from absint.frontends.torch.movement import swap, take


def softmax(call: Call) -> Value:
    call.ignore("dtype", "half_to_float")
    x, axis = call.raw(), axis_of(call.integer("dim"), len(call.shape))
    if isinstance(x, Const):
        raise NotLoweredError("the softmax of a constant")
    turned = swap(call.emit, x, axis, -1)
    assert isinstance(turned, Var)
    return swap(call.emit, masks.softmax(call.emit, turned), axis, -1)


def attention(call: Call) -> Value:
    """``softmax(scale q k^T + mask) v``; keys and values may be shared by heads in a row."""
    emit, q = call.emit, call.value("query")
    k, v = call.value("key"), call.value("value")
    require(not call.number("dropout_p"), "dropout_p above 0: give the module in eval mode")
    if call.flag("enable_gqa"):
        k, v = _shared(emit, k, q), _shared(emit, v, q)
    width = q.shape[-1]
    scale = call.number("scale") if call.given("scale") else rounded(width**-0.5, q.dtype)
    scores = times(emit, product(emit, q, swap(emit, k)), number(scale, q.dtype))
    if isinstance(scores, Const):
        raise NotLoweredError("attention with constant scores")
    return product(emit, masks.softmax(emit, _masked(call, scores)), v)


def _shared(emit: Emitter, x: Value, q: Value) -> Value:
    """Each head of ``x`` as often as the queries' heads share it."""
    require(q.shape[-3] % x.shape[-3] == 0, f"{q.shape[-3]} heads share {x.shape[-3]}")
    positions = np.arange(math.prod(x.shape)).reshape(x.shape)
    return take(emit, x, np.repeat(positions, q.shape[-3] // x.shape[-3], axis=-3))


def _masked(call: Call, scores: Var) -> Var:
    """Scores with the mask that the arguments say."""
    if call.flag("is_causal"):
        require(not call.given("attn_mask"), "is_causal and attn_mask exclude each other")
        return _only(call.emit, scores, np.tril(np.ones(scores.shape[-2:], dtype=bool)))
    if not call.given("attn_mask"):
        return scores
    mask = call.value("attn_mask")
    if mask.dtype != "bool":
        biased = plus(call.emit, scores, mask)
        assert isinstance(biased, Var)
        return biased
    if isinstance(mask, Var):
        raise NotLoweredError("attn_mask that depends on the input")
    return _only(call.emit, scores, mask.value)


def _only(emit: Emitter, scores: Var, mask: Array) -> Var:
    """``scores`` where ``mask`` is true."""
    require(broadcast(mask.shape, scores.shape) == scores.shape, "a mask that does not fit")
    return masks.fill(emit, scores, np.broadcast_to(mask, scores.shape), -math.inf)


def layer_norm(call: Call) -> Value:
    call.ignore("cudnn_enable")
    y = _normalized(call, call.var("input"), True)
    return scaled(call.emit, y, call.optional("weight"), call.optional("bias"))


def rms_norm(call: Call) -> Value:
    y = _normalized(call, call.var("input"), False)
    return scaled(call.emit, y, call.optional("weight"), None)


def _normalized(call: Call, x: Var, centered: bool) -> Var:
    """Without an epsilon it is the element type's machine epsilon."""
    epsilon = call.number("eps") if call.given("eps") else float(np.finfo(x.dtype).eps)
    return normalize(call.emit, x, len(call.integers("normalized_shape")), centered, epsilon)


def scaled(emit: Emitter, x: Var, weight: Const | None, bias: Const | None) -> Var:
    """``weight x + bias``, where they are given."""
    return x if weight is None and bias is None else emit.scale(x, weight, bias)


def group_norm(call: Call) -> Value:
    call.ignore("cudnn_enabled")
    x, groups = call.var("input"), call.integer("num_groups")
    flat = call.emit.reshape(x, (x.shape[0], groups, math.prod(x.shape[1:]) // groups))
    y = call.emit.reshape(normalize(call.emit, flat, 1, True, call.number("eps")), x.shape)
    consts = (call.optional("weight"), call.optional("bias"))
    return scaled(call.emit, y, *(channels(c, len(x.shape)) for c in consts))


def channels(const: Const | None, rank: int) -> Const | None:
    """One number a channel, on axis 1 of tensors of ``rank`` axes."""
    if const is None:
        return None
    shape = (-1, *(1,) * (rank - 2))
    radius = None if const.radius is None else const.radius.reshape(shape)
    return Const(const.value.reshape(shape), const.dtype, radius)


def argmax(call: Call) -> Value:
    """The lowest position of the largest entry."""
    x, axis = call.var(), 0
    if call.given("dim"):
        axis = axis_of(call.integer("dim"), len(x.shape))
    else:
        x = call.emit.reshape(x, (math.prod(x.shape),))
    call.ignore("keepdim")
    positions = np.arange(math.prod(x.shape)).reshape(x.shape)
    turned = call.emit.gather(x, np.moveaxis(positions, axis, -1))
    return call.emit.reshape(call.emit.add("argmax", [turned], dtype="int64"), call.shape)
