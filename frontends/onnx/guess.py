"""Shapes of what unsupported nodes give, so that one pass finds every unsupported node.

Nothing of this reaches a graph: it is only used once the model is known not to lower.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
from onnx import checker, defs, helper, numpy_helper, shape_inference

from absint.frontends.lowering.values import Const, NotLoweredError, Shape, Unknown, Value
from absint.frontends.onnx import ports
from absint.frontends.onnx.tensors import DTYPES

_REFUSALS = (defs.SchemaError, checker.ValidationError, shape_inference.InferenceError)
_NUMBERS = {name: number for number, name in DTYPES.items()}


def outputs(
    node: onnx.NodeProto, opset: int, values: Mapping[str, Value | Unknown]
) -> dict[str, tuple[Shape, str]]:
    """Shape and element type of those outputs for which ONNX's own inference knows both."""
    types, data = {}, {}
    for name in filter(None, node.input):
        value = values[name]
        if isinstance(value, Unknown):
            return {}
        types[name] = helper.make_tensor_type_proto(_NUMBERS[value.dtype], value.shape)
        if isinstance(value, Const):
            data[name] = numpy_helper.from_array(value.value.astype(np.dtype(value.dtype)), name)
    try:
        schema = defs.get_schema(node.op_type, opset, node.domain)
        inferred = shape_inference.infer_node_outputs(schema, node, types, data)
    except (*_REFUSALS, ValueError, TypeError, RuntimeError):
        return {}
    found = {name: _whole(name, kind) for name, kind in inferred.items()}
    return {name: shape for name, shape in found.items() if shape is not None}


def _whole(name: str, kind: onnx.TypeProto) -> tuple[Shape, str] | None:
    try:
        port = ports.declared(helper.make_value_info(name, kind))
    except NotLoweredError:
        return None
    extents = [extent for extent in port.extents or () if isinstance(extent, int) and extent > 0]
    if port.extents is None or len(extents) != len(port.extents):
        return None
    return tuple(extents), port.dtype
