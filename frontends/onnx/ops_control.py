"""Branches and loops that the graph's constants decide, and ops defined by a function."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import onnx
from onnx import defs, helper

from absint.frontends.lowering import compose, logic
from absint.frontends.lowering.values import (
    Const,
    NotLoweredError,
    Value,
    Var,
    axis_of,
    integers,
    require,
)
from absint.frontends.onnx.call import Call
from absint.frontends.onnx.ops_logic import exact
from absint.frontends.onnx.tensors import DTYPES

MAX_TRIPS = 1 << 14


def branch(call: Call) -> tuple[Value, ...]:
    """The branch that a constant condition chooses; else both, and a choice of their results."""
    condition = call.value()
    require(math.prod(condition.shape) == 1, f"a condition of shape {condition.shape}")
    if isinstance(condition, Const):
        chosen, other = ("then_branch", "else_branch")[:: 1 if exact(call, 0).value.all() else -1]
        call.ignore(other)
        return call.scope.graph(call.subgraph(chosen), [])
    bodies = [call.subgraph(name) for name in ("then_branch", "else_branch")]
    results = [call.scope.graph(body, []) for body in bodies]
    return logic.choose(call.emit, condition, *results)


def loop(call: Call) -> tuple[Value, ...]:
    """Unrolled: the trip count, and the conditions that the body gives, must be constant."""
    body = call.subgraph("body")
    trips = int(call.scalar(0, "a trip count")) if call.has(0) else None
    going = bool(call.scalar(1, "a condition")) if call.has(1) else True
    state = [call.value(i) for i in range(2, len(call.inputs))]
    rows: list[tuple[Value, ...]] = []
    while going and (trips is None or len(rows) < trips):
        if len(rows) >= MAX_TRIPS:
            raise NotLoweredError(f"a loop of more than {MAX_TRIPS} rounds")
        start = [integers(np.array(len(rows))), Const(np.array(True), "bool"), *state]
        done, *rest = call.scope.graph(body, start)
        if isinstance(done, Var):
            raise NotLoweredError("a loop whose end depends on the input")
        going, state = bool(done.value.all()), rest[: len(state)]
        rows.append(tuple(rest[len(state) :]))
    stacked = [compose.stack(call.emit, list(column), 0) for column in zip(*rows, strict=True)]
    if not rows and len(body.output) - 1 > len(state):
        raise NotLoweredError("a loop of no rounds with outputs a round")
    return (*state, *stacked)


def scan(call: Call) -> tuple[Value, ...]:
    """Unrolled over the extent of the scanned inputs."""
    if call.opset < 9:
        raise NotLoweredError("a scan before opset 9")
    body, count = call.subgraph("body"), call.integer("num_scan_inputs")
    states = len(call.inputs) - count
    require(count >= 1 and states >= 0, f"{count} scanned inputs of {len(call.inputs)}")
    outs = len(body.output) - states
    into, out = _turns(call, "input", count), _turns(call, "output", outs)
    state = [call.value(i) for i in range(states)]
    scanned = [call.value(states + i) for i in range(count)]
    axes = [axis_of(a, len(v.shape)) for (a, _), v in zip(into, scanned, strict=True)]
    extents = {v.shape[a] for a, v in zip(axes, scanned, strict=True)}
    require(len(extents) == 1 and min(extents) >= 1, "scanned inputs of different lengths")
    rows: list[list[Value]] = []
    length = extents.pop()
    for t in range(length):
        slices = [
            _slice(call, v, a, length - 1 - t if back else t)
            for v, a, (_, back) in zip(scanned, axes, into, strict=True)
        ]
        results = call.scope.graph(body, [*state, *slices])
        state, row = list(results[:states]), list(results[states:])
        rows.append(row)
    columns = []
    for column, (a, back) in zip(zip(*rows, strict=True), out, strict=True):
        values = list(column)[:: -1 if back else 1]
        columns.append(compose.stack(call.emit, values, axis_of(a, len(values[0].shape) + 1)))
    return (*state, *columns)


def _turns(call: Call, kind: str, count: int) -> list[tuple[int, bool]]:
    """Axis, and whether it is read or written backwards, of each scanned input or output."""
    axes = call.integers(f"scan_{kind}_axes") or (0,) * count
    directions = call.integers(f"scan_{kind}_directions") or (0,) * count
    require(len(axes) == len(directions) == count, f"scan_{kind}_axes do not fit {count}")
    return [(axis, bool(back)) for axis, back in zip(axes, directions, strict=True)]


def _slice(call: Call, value: Value, axis: int, at: int) -> Value:
    return call.emit.rearrange(value, lambda a: np.take(a, at, axis=axis))


def expand(call: Call) -> tuple[Value, ...]:
    """An op as the function by which the standard defines it."""
    call.ignore(*(attribute.name for attribute in call.node.attribute))
    schema: Any = defs.get_schema(call.node.op_type, call.opset, "")  # its stubs are incomplete
    if schema.has_function:
        body = schema.function_body
    else:
        require(schema.has_context_dependent_function, "an op that no function defines")
        body = onnx.FunctionProto()
        body.ParseFromString(
            schema.get_context_dependent_function(call.node.SerializeToString(), _types(call))
        )
    return call.scope.function(body, _complete(call.node, schema), call.inputs)


def _types(call: Call) -> list[bytes]:
    numbers = {name: number for number, name in DTYPES.items()}
    return [
        onnx.TypeProto().SerializeToString()
        if value is None
        else helper.make_tensor_type_proto(numbers[value.dtype], value.shape).SerializeToString()
        for value in call.inputs
    ]


def _complete(node: onnx.NodeProto, schema: Any) -> onnx.NodeProto:
    """The node with the schema's defaults for attributes that it leaves out."""
    copy = onnx.NodeProto()
    copy.CopyFrom(node)
    present = {attribute.name for attribute in node.attribute}
    for name, attribute in schema.attributes.items():
        if name not in present and attribute.default_value.name:
            copy.attribute.append(attribute.default_value)
    return copy
