"""The walker: an exported program's nodes in order, each through its rule in the table."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from absint.frontends.lowering.emit import Emitter
from absint.frontends.lowering.masks import unmasked
from absint.frontends.lowering.places import BAD, at
from absint.frontends.lowering.values import (
    FLOATS,
    MAX_TOTAL,
    Const,
    MalformedError,
    NotLoweredError,
    Unknown,
    Value,
    Var,
    require,
)
from absint.frontends.torch.call import Call
from absint.frontends.torch.registry import HINTS, IGNORED, RULES, rule_on_constants
from absint.frontends.torch.tensors import constant, dtype_name
from absint.ir import Graph
from absint.problem.errors import Unsupported

Found = Value | Unknown | tuple[Value | Unknown, ...]


@dataclass
class Walk:
    """The state of one lowering."""

    program: Any
    emit: Emitter = field(default_factory=Emitter)
    values: dict[Any, Found] = field(default_factory=dict)
    found: list[Unsupported] = field(default_factory=list)
    entries: int = 0

    def unsupported(self, where: str, error: NotLoweredError) -> None:
        self.found.append(Unsupported(where, error.what, error.hint))


def lower(program: Any) -> tuple[Graph | None, tuple[Unsupported, ...]]:
    """``program`` (an ExportedProgram) as a graph of the core, or what is not supported in it.

    Raises MalformedError, with the place, where the program is not valid.
    """
    walk = Walk(program)
    signature = program.graph_signature
    specs = {spec.arg.name: spec for spec in signature.input_specs if hasattr(spec.arg, "name")}
    outputs: list[Any] = []
    for node in program.graph.nodes:
        with at(place(node)):
            if node.op == "placeholder":
                walk.values[node] = _placeholder(walk, node, specs.get(node.name))
            elif node.op == "output":
                outputs = list(node.args[0])
            elif node.op == "call_function":
                _node(walk, node)
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


def place(node: Any) -> str:
    """What messages call a node: its name, its op, and the submodule that it is in."""
    if node.op != "call_function":
        return f"{node.op} {node.name!r}"
    stack = list((node.meta.get("nn_module_stack") or {}).values())
    path = stack[-1][0] if stack else ""
    inside = f" in {path}" if path else ""
    return f"node {node.name!r} ({_op(node)}){inside}"


def _op(node: Any) -> str:
    return node.target if isinstance(node.target, str) else str(node.target)


def _placeholder(walk: Walk, node: Any, spec: Any) -> Found:
    kind = "" if spec is None else spec.kind.name
    try:
        if kind == "USER_INPUT":
            return _input(walk, node)
        if kind in ("PARAMETER", "BUFFER", "CONSTANT_TENSOR"):
            return constant(_stored(walk.program, spec))
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


def _node(walk: Walk, node: Any) -> None:
    if _op(node) in IGNORED:
        return
    result: Found | None = None
    try:
        result = _apply(walk, node)
    except NotLoweredError as error:
        walk.unsupported(place(node), error)
    except BAD:
        if not walk.found:
            raise  # afterwards the cause may be a stand-in
    walk.values[node] = _stand_ins(walk, node) if result is None else _checked(walk, node, result)


def _apply(walk: Walk, node: Any) -> Found | None:
    """The node's result; None where an operand is unknown because of an earlier finding."""
    if getattr(node.target, "__name__", "") == "getitem":
        parts, position = walk.values[node.args[0]], node.args[1]
        if isinstance(parts, Unknown) or not isinstance(parts, tuple):
            return None
        if position >= len(parts):
            raise NotLoweredError(f"output {position} of {node.args[0].name}")
        chosen: Value | Unknown = parts[position]
        return chosen
    call = _call(walk, node)
    if call is None:
        return None
    walk.emit.name = node.name
    constant_only = not any(isinstance(v, Var) for v in _tensors(call.arguments.values()))
    rule = RULES.get(_op(node))
    if constant_only and _exact(call):
        rule = rule_on_constants(_op(node), call.dtype in FLOATS) or rule
    if rule is None:
        raise _unknown(node, constant_only)
    result = rule(call)
    if call.unread():
        raise NotLoweredError(f"argument {call.unread()[0]}")
    return result


def _unknown(node: Any, constant_only: bool) -> NotLoweredError:
    """What is wrong with an op without a rule; on exact constants it may have one."""
    if constant_only and rule_on_constants(_op(node), False) is not None:
        return NotLoweredError("of constants that are the result of rounding arithmetic")
    return NotLoweredError("this op", HINTS.get(_op(node), ""))


def _exact(call: Call) -> bool:
    constants = (v for v in _tensors(call.arguments.values()) if isinstance(v, Const))
    return all(c.radius is None for c in constants)


def _tensors(arguments: Any) -> list[Value | Unknown]:
    """The tensors among arguments, those in lists included."""
    found: list[Value | Unknown] = []
    for argument in arguments:
        if isinstance(argument, Const | Var | Unknown):
            found.append(argument)
        elif isinstance(argument, list | tuple):
            found.extend(_tensors(argument))
    return found


def _call(walk: Walk, node: Any) -> Call | None:
    """The node with its operands' values; None where one of them is unknown."""
    schema = getattr(node.target, "_schema", None)
    if schema is None:
        raise NotLoweredError("this op", HINTS.get(_op(node), ""))
    names = [argument.name for argument in schema.arguments]
    arguments = {
        name: _resolved(walk, value)
        for name, value in [*zip(names, node.args, strict=False), *node.kwargs.items()]
    }
    if any(isinstance(value, Unknown) for value in _tensors(arguments.values())):
        return None
    defaults = {a.name: a.default_value for a in schema.arguments if a.has_default_value()}
    uses = {
        name: len(value.users)
        for name, value in zip(names, node.args, strict=False)
        if hasattr(value, "users")
    }
    return Call(node, arguments, defaults, walk.emit, uses)


def _resolved(walk: Walk, argument: Any) -> Any:
    if isinstance(argument, list | tuple):
        return [_resolved(walk, item) for item in argument]
    if not hasattr(argument, "users"):
        return argument
    if argument not in walk.values:
        raise NotLoweredError(f"the operand {argument.name}")
    value = walk.values[argument]
    if isinstance(value, tuple):
        raise NotLoweredError(f"the list {argument.name} as an operand")
    return value


def _checked(walk: Walk, node: Any, result: Found) -> Found:
    """``result``, held to the shape and element type that PyTorch says it has."""
    metas = node.meta["val"]
    if not isinstance(result, tuple):
        return _held(walk, result, metas[0] if isinstance(metas, list | tuple) else metas)
    return tuple(_held(walk, part, meta) for part, meta in zip(result, metas, strict=False))


def _held(walk: Walk, value: Value | Unknown, meta: Any) -> Value | Unknown:
    if isinstance(value, Unknown):
        return value
    shape, dtype = tuple(int(extent) for extent in meta.shape), dtype_name(meta.dtype)
    require(value.shape == shape, f"lowered to shape {value.shape}, where PyTorch has {shape}")
    walk.entries += math.prod(shape)
    require(walk.entries <= MAX_TOTAL, f"tensors of more than {MAX_TOTAL} numbers so far")
    require(
        value.dtype == dtype or (isinstance(value, Var) and {value.dtype, dtype} <= set(FLOATS)),
        f"lowered to type {value.dtype}, where PyTorch has {dtype}",
    )
    return value if value.dtype == dtype else dataclasses.replace(value, dtype=dtype)


def _stand_ins(walk: Walk, node: Any) -> Found:
    """For the results of an unsupported node; the graph is given up by then."""
    metas = node.meta.get("val")
    if isinstance(metas, list | tuple):
        return tuple(_stand_in(walk, meta) for meta in metas)
    return _stand_in(walk, metas)


def _stand_in(walk: Walk, meta: Any) -> Value | Unknown:
    try:
        shape, dtype = tuple(int(extent) for extent in meta.shape), dtype_name(meta.dtype)
        return Var(walk.emit.builder.input("", shape, dtype), shape, dtype)
    except (NotLoweredError, AttributeError, *BAD):
        return Unknown()


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
