"""The Attention op of opsets 23 and 24, as products and a softmax."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from absint.frontends.lowering import compose, enclosure, masks
from absint.frontends.lowering.arithmetic import plus, times
from absint.frontends.lowering.linear import product
from absint.frontends.lowering.values import (
    Const,
    NotLoweredError,
    Value,
    Var,
    number,
    require,
)
from absint.frontends.onnx.call import Call

_WIDE = (1, 11)
"""ONNX's numbers of float32 and float64."""


@dataclass(frozen=True)
class Heads:
    """Queries, keys and values as (batch, heads, positions, size)."""

    query: Value
    key: Value
    value: Value
    past: int
    """How many positions of the keys come before the queries' first."""


def attention(call: Call) -> tuple[Value, ...]:
    """``softmax(scale q k^T + bias) v`` for each head; also the keys and values with their past."""
    if call.integer("softmax_precision", 1) not in _WIDE:
        call.emit.real_only("a softmax in less than float32")
    mode = call.integer("qk_matmul_output_mode", 0)
    if call.has(6):
        raise NotLoweredError("nonpad_kv_seqlen")
    flat = len(call.value(0).shape) == 3
    heads = _heads(call, flat)
    scores = _scores(call, heads)
    causal = bool(call.integer("is_causal", 0))
    shares = masks.softmax(call.emit, _biased(call, scores, heads.past, causal))
    y = product(call.emit, shares, _repeated(call, heads.value, scores.shape[1]))
    if flat:
        y = call.emit.rearrange(
            y, lambda a: a.transpose((0, 2, 1, 3)).reshape((a.shape[0], a.shape[2], -1))
        )
    results = (y, heads.key, heads.value)
    if mode == 3:
        return (*results, shares)
    capped = call.number("softcap", 0.0) > 0
    return (*results, scores) if mode == int(capped) else results


def _heads(call: Call, flat: bool) -> Heads:
    parts = [call.value(i) for i in range(3)]
    require(len({v.dtype for v in parts}) == 1, "queries, keys and values of different types")
    counts = (call.integer("q_num_heads", 0), call.integer("kv_num_heads", 0))
    if flat:
        split = []
        for value, count in zip(parts, (counts[0], counts[1], counts[1]), strict=True):
            require(len(value.shape) == 3, "queries, keys and values of different ranks")
            require(count >= 1 and value.shape[2] % count == 0, f"{count} heads of {value.shape}")
            split.append(_split(call, value, count))
        parts = split
    require(all(len(value.shape) == 4 for value in parts), "attention takes 3 or 4 axes")
    query, key, value = parts
    past = 0
    if call.has(4) and call.has(5):
        past = call.value(4).shape[2]
        key, value = (_joined(call, call.value(i), new) for i, new in ((4, key), (5, value)))
    return Heads(query, key, value, past)


def _split(call: Call, value: Value, count: int) -> Value:
    batch, positions, size = value.shape
    shape = (batch, positions, count, size // count)
    return call.emit.rearrange(value, lambda a: a.reshape(shape).transpose((0, 2, 1, 3)))


def _joined(call: Call, past: Value, new: Value) -> Value:
    """``past`` before ``new`` on the axis of positions."""
    sizes = [math.prod(past.shape), math.prod(new.shape)]
    index = np.arange(sum(sizes))
    first, second = index[: sizes[0]].reshape(past.shape), index[sizes[0] :].reshape(new.shape)
    return compose.pick(call.emit, [past, new], np.concatenate([first, second], axis=2))


def _repeated(call: Call, value: Value, heads: int) -> Value:
    """Each head of keys or values as often as queries share it."""
    require(heads % value.shape[1] == 0, f"{heads} heads of queries share {value.shape[1]}")
    repeats = heads // value.shape[1]
    return call.emit.rearrange(value, lambda a: np.repeat(a, repeats, axis=1))


def _scores(call: Call, heads: Heads) -> Var:
    """``scale q k^T``, softly capped where asked."""
    query, dtype = heads.query, heads.query.dtype
    key = _repeated(call, heads.key, query.shape[1])
    turned = call.emit.rearrange(key, lambda a: np.swapaxes(a, -1, -2))
    scores = product(call.emit, query, turned)
    if call.present("scale"):
        scale = number(call.number("scale"), dtype)
    else:
        size = number(float(query.shape[3]), dtype)
        scale = enclosure.divide(number(1.0, dtype), enclosure.square_root(size))
    y = times(call.emit, scores, scale)
    if isinstance(y, Const):
        raise NotLoweredError("attention scores that are constant")
    cap = call.number("softcap", 0.0)
    if cap <= 0:
        return y
    by = number(cap, dtype)
    inner = call.emit.scale(y, enclosure.divide(number(1.0, dtype), by))
    return call.emit.scale(call.emit.add("tanh", [inner]), by)


def _biased(call: Call, scores: Var, past: int, causal: bool) -> Var:
    """The scores with the mask: additive, Boolean (True takes part), causal, or none."""
    result: Value = scores
    queries, keys = scores.shape[-2:]
    if call.has(3):
        result = _masked(call, scores, call.const(3, "a mask"))
    if causal:
        keep = np.arange(keys) <= np.arange(queries)[:, None] + past
        assert isinstance(result, Var)
        result = masks.fill(call.emit, result, np.broadcast_to(keep, scores.shape), -math.inf)
    assert isinstance(result, Var)
    require(result.shape == scores.shape, "a mask that enlarges the scores")
    return result


def _masked(call: Call, scores: Var, mask: Const) -> Value:
    keys = scores.shape[-1]
    require(bool(mask.shape) and mask.shape[-1] <= keys, f"a mask {mask.shape} for {scores.shape}")
    widths = [*[(0, 0)] * (len(mask.shape) - 1), (0, keys - mask.shape[-1])]
    if mask.dtype == "bool":
        keep = np.pad(mask.value, widths, constant_values=False)
        whole = np.broadcast_to(keep, scores.shape)
        return masks.fill(call.emit, scores, whole, -math.inf)
    require(mask.radius is None, "a mask that is the result of rounding arithmetic")
    bias = Const(np.pad(mask.value, widths, constant_values=-math.inf), scores.dtype)
    return plus(call.emit, scores, bias)
