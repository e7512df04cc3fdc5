"""Tensors stored in a model file, as exact constants."""

from __future__ import annotations

import math

import numpy as np
import onnx
from onnx import numpy_helper

from absint.frontends.lowering.tensors import from_array
from absint.frontends.lowering.values import Const, NotLoweredError, check_size, require

T = onnx.TensorProto

DTYPES: dict[int, str] = {
    T.FLOAT: "float32",
    T.DOUBLE: "float64",
    T.FLOAT16: "float16",
    T.INT8: "int8",
    T.INT16: "int16",
    T.INT32: "int32",
    T.INT64: "int64",
    T.UINT8: "uint8",
    T.UINT16: "uint16",
    T.UINT32: "uint32",
    T.UINT64: "uint64",
    T.BOOL: "bool",
}
"""The element types that constants may have."""


def dtype_name(elem_type: int) -> str:
    """The numpy name of an ONNX element type. Raises NotLoweredError."""
    if elem_type in DTYPES:
        return DTYPES[elem_type]
    known = T.DataType.items()
    name = next((name for name, number in known if number == elem_type), str(elem_type))
    raise NotLoweredError(f"element type {name.lower()}")


def constant(tensor: onnx.TensorProto) -> Const:
    """The tensor's exact values. Raises MalformedError and NotLoweredError."""
    dtype = dtype_name(tensor.data_type)
    require(not tensor.HasField("segment"), "a segmented tensor, which ONNX no longer has")
    shape = check_size(tuple(tensor.dims))
    if tensor.raw_data:
        expected = math.prod(shape) * np.dtype(dtype).itemsize
        require(
            len(tensor.raw_data) == expected,
            f"a {dtype} tensor of shape {shape} needs {expected} bytes, not {len(tensor.raw_data)}",
        )
    try:
        array = numpy_helper.to_array(tensor)
    except (ValueError, TypeError) as error:
        require(False, f"the data does not fit a {dtype} tensor of shape {shape}")
        raise AssertionError from error
    return from_array(array, dtype)
