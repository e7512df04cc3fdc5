"""Elementwise arithmetic: affine where one side is constant, folded where both are."""

from __future__ import annotations

import numpy as np

from absint.frontends.lowering import compose, enclosure, logic, moments
from absint.frontends.lowering.arithmetic import fold, plus, times
from absint.frontends.lowering.tensors import from_array
from absint.frontends.lowering.values import (
    FLOATS,
    Const,
    NotLoweredError,
    Value,
    Var,
    broadcast,
    integers,
    number,
    require,
)
from absint.frontends.onnx.call import Call
from absint.frontends.onnx.tensors import dtype_name


def _operands(call: Call) -> tuple[Value, Value]:
    a, b = call.value(0), call.value(1)
    require(a.dtype == b.dtype, f"operands of types {a.dtype} and {b.dtype}")
    return a, b


def add(call: Call) -> Value:
    a, b = _operands(call)
    return plus(call.emit, a, b, (call.single_use[0], call.single_use[1]))


def subtract(call: Call) -> Value:
    a, b = _operands(call)
    if isinstance(b, Const):
        if isinstance(a, Const):
            return fold("-", a, b)
        return plus(call.emit, a, enclosure.negate(b), (call.single_use[0], False))
    if isinstance(a, Const):
        y = compose.spread(call.emit, b, broadcast(a.shape, b.shape))
        return call.emit.scale(y, number(-1.0, a.dtype), a)
    difference = compose.total(call.emit, a, b, -1)
    moments.subtracted(call.emit, a, b, difference)
    return difference


def multiply(call: Call) -> Value:
    return times(call.emit, *_operands(call))


def divide(call: Call) -> Value:
    a, b = _operands(call)
    if isinstance(b, Var):
        return times(call.emit, a, compose.reciprocal(call.emit, b))
    if isinstance(a, Const):
        return fold("/", a, b)
    one = Const(np.ones(b.shape), b.dtype)
    return times(call.emit, a, enclosure.divide(one, b))


def negate(call: Call) -> Value:
    x = call.value()
    if isinstance(x, Var):
        return call.emit.scale(x, number(-1.0, x.dtype))
    if x.dtype in FLOATS:
        return enclosure.negate(x)
    return fold("-", Const(np.zeros(x.shape, dtype=np.int64), x.dtype), x)


def square_root(call: Call) -> Value:
    x = call.value()
    if isinstance(x, Var):
        return compose.square_root(call.emit, x)
    require(x.dtype in FLOATS, f"the square root of {x.dtype}")
    return enclosure.square_root(x)


def reciprocal(call: Call) -> Value:
    x = call.value()
    if isinstance(x, Var):
        return compose.reciprocal(call.emit, x)
    require(x.dtype in FLOATS, f"the reciprocal of {x.dtype}")
    return enclosure.divide(Const(np.ones(x.shape), x.dtype), x)


def identity(call: Call) -> Value:
    return call.value()


def cast(call: Call) -> Value:
    """Between float types a variable keeps its real value; constants are converted as stored."""
    call.ignore("saturate", "round_mode")
    return _cast(call, dtype_name(call.integer("to")))


def cast_like(call: Call) -> Value:
    call.ignore("saturate", "round_mode")
    return _cast(call, call.value(1).dtype)


def _cast(call: Call, target: str) -> Value:
    x = call.value()
    if isinstance(x, Var):
        if target == "bool":
            return logic.nonzero(call.emit, x)
        if not _keeps(x.dtype, target):
            kind = (
                "the network's values"
                if x.dtype in FLOATS
                else f"{x.dtype} that depends on the input"
            )
            raise NotLoweredError(f"conversion of {kind} to {target}")
        return compose.converted(call.emit, x, target)
    return _convert(x, target)


def _keeps(source: str, target: str) -> bool:
    """Whether a variable's value stays what it is; as a float every value keeps its real value."""
    ids = ("int32", "int64")
    if target in ("float32", "float64") or (source in ids and target in ids):
        return True
    return source not in FLOATS and target not in FLOATS and bool(np.can_cast(source, target))


def _convert(x: Const, target: str) -> Const:
    if x.radius is not None:
        if target != x.dtype and target != "float64":
            raise NotLoweredError(f"conversion to {target} of the result of rounding arithmetic")
        return Const(x.value, target, x.radius)
    if x.value.dtype.kind == "f" and target not in FLOATS and target != "bool":
        info = np.iinfo(target)
        inside = (np.trunc(x.value) >= float(info.min)) & (np.trunc(x.value) <= float(info.max))
        require(
            bool((inside & (np.abs(x.value) < 2.0**63)).all()), f"a value does not fit {target}"
        )
    with np.errstate(over="ignore"):
        return from_array(x.value.astype(target), target)


def dropout(call: Call) -> Value:
    """The identity: dropout in inference."""
    call.ignore("ratio", "seed")
    if call.opset >= 12 and call.has(2) and bool(call.scalar(2, "training_mode")):
        raise NotLoweredError("dropout in training mode", "export the model in inference mode")
    return call.value()


def shape(call: Call) -> Value:
    extents = call.value().shape
    start, end = call.integer("start", 0), call.integer("end", len(extents))
    return integers(np.array(extents, dtype=np.int64)[slice(start, end)])


def size(call: Call) -> Value:
    return integers(np.array(int(np.prod(call.value().shape, dtype=np.int64))))
