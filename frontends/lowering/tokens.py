"""Token ids: integers that depend on the input, which only a look-up reads."""

from __future__ import annotations

import math

import numpy as np

from absint.frontends.lowering import compose
from absint.frontends.lowering.emit import Emitter
from absint.frontends.lowering.values import Const, NotLoweredError, Value, Var, require


def embedding(emit: Emitter, table: Value, ids: Var, axis: int) -> Value:
    """``table`` taken at ``ids`` along ``axis``.

    Where the ids are the network's input moved about, the rows are moved instead: so the input is
    read by the look-up itself.
    """
    if isinstance(table, Var):
        raise NotLoweredError("a look-up in a table that depends on the input")
    require(ids.dtype in ("int32", "int64"), f"indices of type {ids.dtype}")
    if table.radius is not None:
        raise NotLoweredError("a look-up in a table that is the result of rounding arithmetic")
    before, after = table.shape[:axis], table.shape[axis + 1 :]
    rows = np.moveaxis(table.value, axis, 0).reshape((table.shape[axis], -1))
    flat = _rows(emit, ids, Const(rows, table.dtype))
    wide = emit.reshape(flat, (*ids.shape, *before, *after))
    if not before:
        return wide
    source, rank = tuple(range(len(ids.shape))), len(before)
    return emit.rearrange(wide, lambda a: np.moveaxis(a, source, [rank + i for i in source]))


def _rows(emit: Emitter, ids: Var, table: Const) -> Var:
    """``(*ids.shape, width)``: the look-up, past a rearrangement of the ids."""
    consts = {"weight": table.ir()}
    node = emit.builder.nodes[ids.node]
    moved = node.op in ("reshape", "gather") and "bias" not in node.consts
    if not moved or (node.op == "gather" and bool((node.consts["index"].value < 0).any())):
        return emit.add("embedding", [ids], consts=consts, dtype=table.dtype)
    source = emit.operand(ids)
    rows = emit.add("embedding", [source], consts=consts, dtype=table.dtype)
    if node.op == "reshape":
        return emit.reshape(rows, (*ids.shape, table.shape[1]))
    index = node.consts["index"].value[..., None] * table.shape[1] + np.arange(table.shape[1])
    return emit.gather(rows, index)


def argmax(emit: Emitter, x: Var, axis: int, keep: bool, sign: int = 1) -> Value:
    """The position of the largest (or smallest) entry along ``axis``, the lowest of several."""
    turned = emit.rearrange(x, lambda a: np.moveaxis(a, axis, -1))
    assert isinstance(turned, Var)
    if sign < 0:
        turned = emit.scale(turned, Const(np.array(-1.0), x.dtype))
    y = emit.add("argmax", [turned], dtype="int64")
    if not keep:
        return y
    return emit.reshape(y, tuple(1 if i == axis else n for i, n in enumerate(x.shape)))


def best(emit: Emitter, x: Value, axis: int, sign: int) -> Value:
    """The largest (or smallest) entry along ``axis``, which is kept with extent 1."""
    index = np.arange(math.prod(x.shape)).reshape(x.shape)
    columns = np.moveaxis(index, axis, 0)
    if isinstance(x, Const):
        chosen = (np.max if sign > 0 else np.min)(x.value, axis=axis, keepdims=True)
        require(x.radius is None, "an extreme of the results of rounding arithmetic")
        return Const(np.asarray(chosen), x.dtype)
    shape = tuple(1 if i == axis else n for i, n in enumerate(x.shape))
    return emit.reshape(compose.extreme(emit, x, columns, sign), shape)
