"""Ops that make constants, and those that only shape computations use."""

from __future__ import annotations

import numpy as np

from absint.frontends.onnx.call import Call
from absint.frontends.onnx.enclosure import check_integers
from absint.frontends.onnx.tensors import constant as read
from absint.frontends.onnx.tensors import from_array
from absint.frontends.onnx.values import (
    FLOATS,
    MAX_ELEMENTS,
    Const,
    NotLoweredError,
    Value,
    broadcast,
    check_size,
    integers,
    number,
    require,
)


def constant(call: Call) -> Value:
    """``value``, or one of the short forms of opset 12."""
    require(len(call.node.attribute) == 1, "a constant needs exactly one value")
    name = call.node.attribute[0].name
    if name == "value":
        tensor = call.tensor("value")
        assert tensor is not None
        return read(tensor)
    if name == "value_float":
        return number(call.number(name), "float32")
    if name == "value_int":
        return integers(np.array(call.integer(name)))
    if name == "value_ints":
        return integers(call.integers(name) or ())
    if name == "value_floats":
        array = call.floats(name)
        assert array is not None
        return from_array(array, "float32")
    raise NotLoweredError(f"attribute {name}")


def constant_of_shape(call: Call) -> Value:
    extents = check_size(call.integer_list(0, "a shape"))
    tensor = call.tensor("value")
    filler = Const(np.zeros(1), "float32") if tensor is None else read(tensor)
    require(filler.value.size == 1, "the value must be one number")
    return Const(np.full(extents, filler.value.reshape(-1)[0]), filler.dtype)


def range_(call: Call) -> Value:
    start, limit, delta = (call.scalar(i, "a bound") for i in range(3))
    dtype = call.const(0, "a bound").dtype
    if dtype in FLOATS:
        raise NotLoweredError("a range of floats")
    require(delta != 0, "a step of 0")
    values = range(int(start), int(limit), int(delta))
    require(len(values) <= MAX_ELEMENTS, "the range is too long")
    return integers(np.array(values, dtype=np.int64), dtype)


def equal(call: Call) -> Value:
    a, b = _exact(call, 0), _exact(call, 1)
    broadcast(a.shape, b.shape)
    return Const(np.asarray(a.value == b.value), "bool")


def where(call: Call) -> Value:
    condition, a, b = _exact(call, 0), _exact(call, 1), _exact(call, 2)
    require(condition.dtype == "bool", f"a condition of type {condition.dtype}")
    require(a.dtype == b.dtype, f"operands of types {a.dtype} and {b.dtype}")
    broadcast(condition.shape, a.shape, b.shape)
    return Const(np.where(condition.value, a.value, b.value), a.dtype)


def reduce_prod(call: Call) -> Value:
    """Of integers, as in the number of elements of a shape."""
    x = call.const(0, "the product of entries")
    if x.value.dtype.kind != "i":
        raise NotLoweredError("a product of floats")
    keep = bool(call.integer("keepdims", 1))
    axes = call.integers("axes") if call.opset < 18 else None
    if call.has(1):
        axes = call.integer_list(1, "axes")
    require(not call.integer("noop_with_empty_axes", 0), "noop_with_empty_axes")
    if axes and len(axes) != len(x.shape):
        raise NotLoweredError("a product over some of the axes")
    with np.errstate(all="ignore"):
        check_integers(np.asarray(np.prod(x.value.astype(np.float64))))
    shape = (1,) * len(x.shape) if keep else ()
    return integers(np.full(shape, np.prod(x.value)), x.dtype)


def _exact(call: Call, index: int) -> Const:
    const = call.const(index, "a value")
    if const.radius is not None:
        raise NotLoweredError("a comparison of the results of rounding arithmetic")
    return const
