"""Ops that make constants, and those that only shape computations use."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np

from absint.frontends.lowering.tensors import from_array
from absint.frontends.lowering.values import (
    FLOATS,
    MAX_ELEMENTS,
    Const,
    NotLoweredError,
    Value,
    check_size,
    integers,
    number,
    require,
)
from absint.frontends.onnx.call import Call
from absint.frontends.onnx.tensors import constant as read


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
    require(delta != 0, "a step of 0")
    if dtype in FLOATS:
        return _float_range(float(start), float(limit), float(delta), dtype)
    values = range(int(start), int(limit), int(delta))
    require(len(values) <= MAX_ELEMENTS, "the range is too long")
    return integers(np.array(values, dtype=np.int64), dtype)


def _float_range(start: float, limit: float, delta: float, dtype: str) -> Value:
    count = math.ceil((Fraction(limit) - Fraction(start)) / Fraction(delta))
    require(count <= MAX_ELEMENTS, "the range is too long")
    exact = [Fraction(start) + i * Fraction(delta) for i in range(count)]
    values = np.array([float(value) for value in exact])
    if any(Fraction(v) != e for v, e in zip(values, exact, strict=True)):
        raise NotLoweredError("a range of floats that has no exact value")
    return Const(values, dtype)
