"""The walker: a model's nodes in order, each through its rule in the table."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import onnx

from absint.frontends.lowering import masks
from absint.frontends.lowering.places import BAD, at
from absint.frontends.lowering.values import (
    FLOATS,
    Const,
    NotLoweredError,
    Unknown,
    Value,
    Var,
    require,
)
from absint.frontends.onnx import ports
from absint.frontends.onnx.call import Call, check_schema
from absint.frontends.onnx.names import place, printable
from absint.frontends.onnx.registry import HINTS, INTEGERS, MASKS, MAX_OPSET, MIN_OPSET, RULES
from absint.frontends.onnx.scopes import FoundInsideError, Scope
from absint.frontends.onnx.tensors import constant
from absint.frontends.onnx.walk import Walk
from absint.ir import Graph
from absint.problem.errors import Unsupported

STANDARD = ("", "ai.onnx")
"""Both names of the standard operator set."""
MIN_IR = 3


@dataclass(frozen=True)
class Lowered:
    """``graph`` is None exactly when something in ``unsupported`` stood in the way."""

    graph: Graph | None
    unsupported: tuple[Unsupported, ...]
    free_batch: bool
    """Whether the leading extent of every input is symbolic."""


def lower(model: onnx.ModelProto, dims: Mapping[str, int] | None = None) -> Lowered:
    """The model as a graph of the core, or everything in it that is not supported.

    ``dims`` pins symbolic dimensions of inputs, as ``ports.pinned`` says.

    Raises MalformedError, with the place, where the model is not valid.
    """
    walk = Walk(model, opset_of(model))
    _check_header(walk)
    walk.declare()
    _initialisers(walk)
    free_batch = _inputs(walk, dims or {})
    for index, node in enumerate(model.graph.node):
        _node(walk, node, place(node, index))
    graph = _outputs(walk)
    return Lowered(None if walk.found else graph, tuple(walk.found), free_batch)


def opset_of(model: onnx.ModelProto) -> int:
    """The version of the standard operator set. Raises MalformedError."""
    versions = [entry.version for entry in model.opset_import if entry.domain in STANDARD]
    require(len(set(versions)) == 1, "the model must import one version of the standard ops")
    return int(versions[0])


def _check_header(walk: Walk) -> None:
    model = walk.model
    require(model.ir_version >= MIN_IR, f"IR version {model.ir_version} is older than {MIN_IR}")
    if model.ir_version > onnx.IR_VERSION:
        walk.unsupported("model", NotLoweredError(f"IR version {model.ir_version}"))
    if not MIN_OPSET <= walk.opset <= MAX_OPSET:
        hint = f"opsets {MIN_OPSET} to {MAX_OPSET} are"
        walk.unsupported("model", NotLoweredError(f"opset {walk.opset}", hint))
    if any(function.domain in STANDARD for function in model.functions):
        walk.unsupported("model", NotLoweredError("functions in the standard domain"))
    if model.graph.sparse_initializer:
        walk.unsupported("model", NotLoweredError("sparse initialisers"))


def _initialisers(walk: Walk) -> None:
    for tensor in walk.model.graph.initializer:
        where = f"initialiser {printable(tensor.name)!r}"
        with at(where):
            value: Value | Unknown = Unknown()
            try:
                value = constant(tensor)
            except NotLoweredError as error:
                walk.unsupported(where, error)
            walk.define(tensor.name, value)


def _inputs(walk: Walk, dims: Mapping[str, int]) -> bool:
    """Declares the network's inputs; whether all have a symbolic leading extent.

    IR version 3 lists the initialisers among the inputs; they are constants none the less.
    """
    names = Counter(info.name for info in walk.model.graph.input)
    for name, count in names.items():
        require(count == 1, f"input {printable(name)!r} is listed twice")
    infos = [info for info in walk.model.graph.input if info.name not in walk.values]
    require(bool(infos), "the model has no input")
    free = []
    ports.check_dims(infos, dims)
    for info in infos:
        where = f"input {printable(info.name)!r}"
        walk.values[info.name] = Unknown()
        with at(where):
            try:
                free.append(_input(walk, info, dims))
            except NotLoweredError as error:
                walk.unsupported(where, error)
    if len({port.dtype for port in walk.emit.builder.inputs} - set(TOKENS)) > 1:
        walk.unsupported("model", NotLoweredError("inputs of different element types"))
    return all(free)


TOKENS = ("int32", "int64")
"""The element types of token ids."""


def _input(walk: Walk, info: onnx.ValueInfoProto, dims: Mapping[str, int]) -> bool:
    """One input of the network; whether its leading extent is symbolic."""
    port = ports.pinned(ports.declared(info), dims)
    if port.dtype not in ("float32", "float64", *TOKENS):
        raise NotLoweredError(f"element type {port.dtype}", "float32 and float64 are")
    shape = ports.input_shape(port)
    node = walk.emit.builder.input(info.name, shape, port.dtype)
    walk.values[info.name] = Var(node, shape, port.dtype)
    return bool(port.extents) and isinstance((port.extents or (0,))[0], str)


def _node(walk: Walk, node: onnx.NodeProto, where: str) -> None:
    with at(where):
        for name in node.input:
            known = not name or name in walk.values
            require(known, f"reads {printable(name)!r}, which nothing before it defines")
        if node.domain in STANDARD and node.op_type in RULES:
            check_schema(node, walk.opset)
        outputs: Sequence[Value | Unknown] | None = None
        try:
            outputs = _apply(walk, node, where)
        except NotLoweredError as error:
            walk.unsupported(where, error)
        except BAD:
            if not walk.found:
                raise  # afterwards the cause may be a stand-in's shape
        for name, value in zip(node.output, outputs or walk.stand_ins(node), strict=False):
            walk.count(value)
            if name:
                walk.define(name, value)


def _apply(walk: Walk, node: onnx.NodeProto, where: str) -> tuple[Value, ...] | None:
    """The node's outputs; None where an operand is unknown because of an earlier finding."""
    function = walk.function(node)
    standard = node.domain in STANDARD and not node.overload
    if function is None and node.domain not in STANDARD:
        raise NotLoweredError(f"an op of domain {printable(node.domain)!r}")
    if function is None and not (standard and node.op_type in RULES):
        raise NotLoweredError("this op", HINTS.get(node.op_type, ""))
    operands = _operands(walk, node, function is not None)
    if operands is None:
        return None
    walk.emit.name = printable(node.name or node.output[0])
    scope = Scope(walk, where, _node)
    try:
        if function is not None:
            return scope.function(function, node, operands)
        single = [walk.uses[name] == 1 for name in node.input]
        return _ruled(walk, Call(node, walk.opset, operands, walk.emit, single, scope))
    except FoundInsideError:
        return None


def _operands(walk: Walk, node: onnx.NodeProto, whole: bool) -> list[Value | None] | None:
    """The operands as the node's rule may see them; None where one is unknown.

    ``whole``: the node is a function, whose own nodes see to what they may read.
    """
    operands: list[Value | None] = []
    for name in node.input:
        value = walk.values[name] if name else None
        if isinstance(value, Unknown):
            return None
        if not whole and node.op_type not in MASKS:
            value = masks.unmasked(value)
        takes = whole or node.op_type in INTEGERS
        if isinstance(value, Var) and value.dtype not in FLOATS and not takes:
            raise NotLoweredError(f"an operand of type {value.dtype} that depends on the input")
        operands.append(value)
    return operands


def _ruled(walk: Walk, call: Call) -> tuple[Value, ...]:
    """What the rule in the table gives, once every attribute and output is accounted for."""
    result = RULES[call.node.op_type](call)
    outputs = result if isinstance(result, tuple) else (result,)
    if call.unread():
        raise NotLoweredError(f"attribute {call.unread()[0]}")
    if any(walk.uses[name] for name in call.node.output[len(outputs) :] if name):
        raise NotLoweredError(f"output {len(outputs)}")
    return outputs


def _outputs(walk: Walk) -> Graph | None:
    """The graph of what the model's outputs need."""
    infos = walk.model.graph.output
    require(bool(infos), "the model has no output")
    places: dict[str, Var] = {}
    for info in infos:
        where = f"output {printable(info.name)!r}"
        with at(where):
            require(info.name in walk.values, "no node defines it")
            require(info.name not in places, "it is listed twice")
            try:
                places[info.name] = _output(walk, info.name)
            except NotLoweredError as error:
                walk.unsupported(where, error)
    if walk.found:
        return None
    graph = walk.emit.builder.build({name: var.node for name, var in places.items()})
    outputs = tuple(
        dataclasses.replace(port, dtype=places[port.name].dtype) for port in graph.outputs
    )
    return dataclasses.replace(graph, outputs=outputs)


def _output(walk: Walk, name: str) -> Var:
    value, inputs = walk.values[name], walk.emit.builder.inputs
    if isinstance(value, Unknown) or not inputs:
        return Var(0, (), "float32")  # there is a finding, and no graph will be built
    if isinstance(value, Const):
        if value.dtype not in ("float32", "float64"):
            raise NotLoweredError(f"element type {value.dtype}")
        if value.value.size == 0:
            raise NotLoweredError("an empty output")
        port = inputs[0]
        return walk.emit.variable(value, Var(port.node, port.shape, value.dtype))
    plain = masks.unmasked(value)
    assert isinstance(plain, Var)
    return plain
