"""An exported program as a graph: its inputs, its parameters, its outputs."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from absint.frontends.lowering.masks import unmasked
from absint.frontends.lowering.places import at
from absint.frontends.lowering.values import (
    MalformedError,
    NotLoweredError,
    Unknown,
    Value,
    Var,
    require,
)
from absint.frontends.torch.tensors import constant, dtype_name
from absint.frontends.torch.walk import Found, Walk, place, step
from absint.ir import Graph
from absint.problem.errors import Unsupported


def lower(program: Any) -> tuple[Graph | None, tuple[Unsupported, ...]]:
    """``program`` (an ExportedProgram) as a graph of the core, or what is not supported in it.

    Raises MalformedError, with the place, where the program is not valid.
    """
    walk = Walk(program.graph_module)
    signature = program.graph_signature
    specs = {spec.arg.name: spec for spec in signature.input_specs if hasattr(spec.arg, "name")}
    outputs: list[Any] = []
    for node in program.graph.nodes:
        if node.op == "placeholder":
            with at(place(node)):
                walk.values[node] = _placeholder(walk, program, node, specs.get(node.name))
        elif node.op == "output":
            outputs = list(node.args[0])
        else:
            step(walk, node)
    _check_pure(walk, signature)
    graph = _outputs(walk, [node for node in outputs if hasattr(node, "users")])
    return None if walk.found else graph, tuple(walk.found)


def _check_pure(walk: Walk, signature: Any) -> None:
    """Reports what the program changes beside its outputs."""
    for spec in signature.output_specs:
        if spec.kind.name != "USER_OUTPUT":
            what = f"a result of kind {spec.kind.name.lower()}"
            hint = "the module must not change its buffers or inputs"
            walk.unsupported(
                f"output {spec.target or spec.arg.name!r}", NotLoweredError(what, hint)
            )


def _placeholder(walk: Walk, program: Any, node: Any, spec: Any) -> Found:
    kind = "" if spec is None else spec.kind.name
    try:
        if kind == "USER_INPUT":
            return _input(walk, node)
        if kind in ("PARAMETER", "BUFFER", "CONSTANT_TENSOR"):
            return constant(_stored(program, spec))
        raise NotLoweredError(f"an argument of kind {kind.lower() or 'unknown'}")
    except NotLoweredError as error:
        walk.unsupported(place(node), error)
        return Unknown()


def _stored(program: Any, spec: Any) -> Any:
    """The tensor of a parameter, buffer or lifted constant."""
    for store in (program.state_dict, program.constants):
        if spec.target in store:
            return store[spec.target]
    raise MalformedError(f"there is no tensor {spec.target!r}")


def _input(walk: Walk, node: Any) -> Value:
    meta = node.meta.get("val")
    if not hasattr(meta, "shape"):
        raise NotLoweredError("an argument that is no tensor", "bind it in a module around it")
    if not all(isinstance(extent, int) for extent in meta.shape):
        raise NotLoweredError("a dynamic shape", "export with static shapes")
    dtype, shape = dtype_name(meta.dtype), tuple(int(extent) for extent in meta.shape)
    return Var(walk.emit.builder.input(node.name, shape, dtype), shape, dtype)


def _outputs(walk: Walk, nodes: Sequence[Any]) -> Graph | None:
    """The graph of what the program returns."""
    require(bool(nodes), "the module returns no tensor")
    places: dict[str, Var] = {}
    for node in nodes:
        with at(f"output {node.name!r}"):
            try:
                name = node.name if node.name not in places else f"{node.name}_{len(places)}"
                places[name] = _output(walk, walk.values[node])
            except NotLoweredError as error:
                walk.unsupported(f"output {node.name!r}", error)
    if walk.found:
        return None
    graph = walk.emit.builder.build({name: var.node for name, var in places.items()})
    typed = tuple(
        dataclasses.replace(port, dtype=places[port.name].dtype) for port in graph.outputs
    )
    return dataclasses.replace(graph, outputs=typed)


def _output(walk: Walk, value: Found) -> Var:
    inputs = walk.emit.builder.inputs
    require(bool(inputs), "the module has no input")
    if walk.found or isinstance(value, Unknown | tuple):
        return Var(0, (), "float32")  # no graph will be built
    value = unmasked(value) or value
    if isinstance(value, Var):
        return value
    port = inputs[0]
    return walk.emit.variable(value, Var(port.node, port.shape, value.dtype))
