"""Data movement and constants: PyTorch itself says what an op does to positions."""

from __future__ import annotations

import math

import numpy as np

from absint.frontends.lowering.emit import Emitter
from absint.frontends.lowering.values import (
    Array,
    Const,
    Masked,
    NotLoweredError,
    Shape,
    Value,
    Var,
    axis_of,
    require,
)
from absint.frontends.torch.call import Call
from absint.frontends.torch.tensors import constant, exact, index_array, index_tensor


def move(call: Call) -> Value | tuple[Value, ...]:
    """An op that moves entries and fills in zeros: it is run once on the entries' positions."""
    x = call.raw()
    for name, value in call.arguments.items():
        if isinstance(value, Var) and name != "self":
            raise NotLoweredError(f"{name} that depends on the input")
    index = index_tensor(math.prod(x.shape)).reshape(x.shape)
    result = call.execute(index)
    if isinstance(result, list | tuple):
        return tuple(take(call.emit, x, index_array(part)) for part in result)
    return take(call.emit, x, index_array(result))


def take(emit: Emitter, x: Value, index: Array) -> Value:
    """``x``'s flat entries at ``index``; -1 is a zero."""
    if isinstance(x, Const):
        radius = None if x.radius is None else _taken(x.radius, index)
        return Const(_taken(x.value, index), x.dtype, radius)
    if isinstance(x, Masked):
        if (index < 0).any():
            raise NotLoweredError("zeros filled in among masked entries")
        base = emit.gather(Var(x.node, x.shape, x.dtype), index)
        source = None if x.plain is None else emit.gather(x.plain, index)
        return Masked(base.node, base.shape, base.dtype, _taken(x.keep, index), source)
    return emit.gather(x, index)


def _taken(array: Array, index: Array) -> Array:
    flat = np.concatenate([array.reshape(-1), np.zeros(1, dtype=array.dtype)])
    return np.asarray(flat[index])


def pad(call: Call) -> Value:
    """A constant around the entries, or (by ``mode``) some of the entries themselves."""
    x, fill = call.value(), call.number("value") if call.given("value") else 0.0
    if not fill:
        result = move(call)
        assert not isinstance(result, tuple)
        return result
    index = index_tensor(math.prod(x.shape)).reshape(x.shape)
    places = index_array(call.execute(index, value=0.0))
    if isinstance(x, Var):
        return call.emit.gather(x, places, fill)
    return select(call, places >= 0, take(call.emit, x, places), _full(places.shape, fill, x.dtype))


def _full(shape: Shape, value: float, dtype: str) -> Const:
    return Const(np.full(shape, value), dtype)


def dropout(call: Call) -> Value:
    """The identity: dropout in inference."""
    call.ignore("p")
    if call.flag("train"):
        raise NotLoweredError("dropout in training mode", "give the module in eval mode")
    return call.value("input")


def identity(call: Call) -> Value:
    return call.raw()


def create(call: Call) -> Value:
    """A constant made of numbers; of tensor arguments only the shape and type count."""
    import torch

    if not call.given("self"):
        return constant(call.execute())
    x = call.raw()
    return constant(call.execute(torch.empty(x.shape, dtype=getattr(torch, x.dtype))))


def fold(call: Call) -> Value:
    """The op on exact constants, of which the result is exact, too. Raises NotLoweredError."""
    for value in call.arguments.values():
        if isinstance(value, Var):
            raise NotLoweredError("an operand that depends on the input")
        if isinstance(value, Const):
            exact(value)
    return constant(call.execute())


def cat(call: Call) -> Value:
    values = [v for v in call.tensors() if v.shape != (0,)]
    return join(call.emit, values, call.integer("dim"))


def stack(call: Call) -> Value:
    values = call.tensors()
    axis = axis_of(call.integer("dim"), len(values[0].shape) + 1)
    wide = [reshape(call.emit, v, (*v.shape[:axis], 1, *v.shape[axis:])) for v in values]
    return join(call.emit, wide, axis)


def join(emit: Emitter, values: list[Value], axis: int) -> Value:
    """``values`` one after another along ``axis``."""
    require(bool(values), "nothing to join")
    axis = axis_of(axis, len(values[0].shape))
    anchor = next((v for v in values if isinstance(v, Var)), None)
    if anchor is None:
        consts = [v for v in values if isinstance(v, Const)]
        radius = None
        if any(c.radius is not None for c in consts):
            parts = [np.zeros(c.shape) if c.radius is None else c.radius for c in consts]
            radius = np.concatenate(parts, axis)
        return Const(np.concatenate([c.value for c in consts], axis), consts[0].dtype, radius)
    parts_ = [variable(emit, v, anchor) for v in values if math.prod(v.shape)]
    return parts_[0] if len(parts_) == 1 else emit.add("concat", parts_, {"axis": axis})


def variable(emit: Emitter, value: Value, anchor: Var) -> Var:
    """``value`` as a node."""
    if isinstance(value, Const):
        value = Const(value.value.astype(np.float64), anchor.dtype, value.radius)
    return emit.variable(value, anchor)


def reshape(emit: Emitter, x: Value, shape: Shape) -> Value:
    """``x``'s entries in row-major order under another shape."""
    return take(emit, x, np.arange(math.prod(x.shape)).reshape(shape))


def swap(emit: Emitter, x: Value, first: int = -1, second: int = -2) -> Value:
    """``x`` with two axes swapped."""
    positions = np.arange(math.prod(x.shape)).reshape(x.shape)
    return take(emit, x, np.swapaxes(positions, first, second))


def select(call: Call, condition: Array, a: Value, b: Value) -> Value:
    """``a`` where the constant ``condition`` holds, else ``b``; all of one shape."""
    if isinstance(a, Const) and isinstance(b, Const):
        radius = None
        if a.radius is not None or b.radius is not None:
            radii = [np.zeros(c.shape) if c.radius is None else c.radius for c in (a, b)]
            radius = np.where(condition, *radii)
        return Const(np.where(condition, a.value, b.value), call.dtype, radius)
    anchor = a if isinstance(a, Var) else b
    assert isinstance(anchor, Var)
    size = condition.size
    flat = [reshape(call.emit, variable(call.emit, v, anchor), (size,)) for v in (a, b)]
    both = join(call.emit, flat, 0)
    places = np.arange(size).reshape(condition.shape)
    return take(call.emit, both, np.where(condition, places, places + size))


def index(call: Call) -> Value:
    """``x[i, :, j]``; a constant table at the network's tokens is an embedding."""
    x, chosen = call.value(), call.read("indices")
    if isinstance(x, Const) and len(chosen) == 1 and isinstance(chosen[0], Var):
        return embed(call, x, chosen[0])
    if any(isinstance(item, Var) for item in chosen):
        raise NotLoweredError("indices that depend on the input", "a constant table's rows may")
    result = move(call)
    assert not isinstance(result, tuple)
    return result


def embedding(call: Call) -> Value:
    call.ignore("padding_idx", "scale_grad_by_freq", "sparse")
    return embed(call, call.const("weight"), call.value("indices"))


def embed(call: Call, table: Const, tokens: Value) -> Value:
    """The rows of ``table`` at ``tokens``."""
    if isinstance(tokens, Const):
        rows = np.arange(math.prod(table.shape)).reshape(table.shape)
        return take(call.emit, table, rows[exact(tokens).value])
    require(tokens.dtype in ("int32", "int64"), f"tokens of type {tokens.dtype}")
    width = math.prod(table.shape[1:])
    flat = reshape(call.emit, exact(table), (table.shape[0], width))
    assert isinstance(flat, Const)
    found = call.emit.add("embedding", [tokens], consts={"weight": flat.ir()})
    typed = Var(found.node, found.shape, table.dtype)
    return reshape(call.emit, typed, (*tokens.shape, *table.shape[1:]))
