"""The walker: an exported program's nodes in order, each through its rule in the table."""

from __future__ import annotations

import dataclasses
import math
import operator
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from absint.frontends.lowering.emit import Emitter
from absint.frontends.lowering.places import BAD, at
from absint.frontends.lowering.values import (
    FLOATS,
    MAX_TOTAL,
    Const,
    NotLoweredError,
    Unknown,
    Value,
    Var,
    require,
)
from absint.frontends.torch import control
from absint.frontends.torch.call import Call
from absint.frontends.torch.registry import HINTS, IGNORED, RULES, rule_on_constants
from absint.frontends.torch.tensors import constant, dtype_name
from absint.problem.errors import Unsupported

Found = Value | Unknown | tuple[Value | Unknown, ...]


@dataclass
class Walk:
    """The state of lowering one graph."""

    owner: Any
    """The module that holds the sub-graphs and tensors that nodes name."""
    emit: Emitter = field(default_factory=Emitter)
    values: dict[Any, Found] = field(default_factory=dict)
    found: list[Unsupported] = field(default_factory=list)
    entries: int = 0
    where: str = ""
    """The place of the node around a sub-graph."""

    def unsupported(self, where: str, error: NotLoweredError) -> None:
        self.found.append(Unsupported(where, error.what, error.hint))


def step(walk: Walk, node: Any) -> None:
    """Lowers a node that is neither an input nor the output."""
    where = f"{walk.where}, {place(node)} inside" if walk.where else place(node)
    with at(where):
        if node.op == "get_attr":
            walk.values[node] = _attribute(walk, node)
        elif node.op == "call_function":
            _node(walk, node, where)


def _attribute(walk: Walk, node: Any) -> Any:
    """A sub-graph, or a tensor that a sub-graph holds."""
    import torch

    held = operator.attrgetter(node.target)(walk.owner)
    return constant(held) if isinstance(held, torch.Tensor) else held


def inside(walk: Walk, module: Any, operands: Sequence[Value]) -> tuple[Value, ...]:
    """The results of a sub-graph. Raises FoundInsideError where something in it is unsupported."""
    inner = Walk(module, walk.emit, found=walk.found, where=walk.where)
    inputs = [node for node in module.graph.nodes if node.op == "placeholder"]
    require(len(inputs) == len(operands), "a sub-graph with another number of inputs")
    inner.values.update(zip(inputs, operands, strict=True))
    results: list[Any] = []
    for node in module.graph.nodes:
        if node.op == "output":
            given = node.args[0]
            results = list(given) if isinstance(given, list | tuple) else [given]
        elif node.op != "placeholder":
            step(inner, node)
    walk.entries += inner.entries
    return tuple(_inner(inner, result) for result in results)


def _inner(walk: Walk, result: Any) -> Value:
    value = walk.values[result]
    if not isinstance(value, Const | Var):
        raise control.FoundInsideError
    return value


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


def _node(walk: Walk, node: Any, where: str) -> None:
    if _op(node) in IGNORED:
        return
    result: Found | None = None
    try:
        result = _apply(walk, node, where)
    except NotLoweredError as error:
        walk.unsupported(where, error)
    except BAD:
        if not walk.found:
            raise  # afterwards the cause may be a stand-in
    walk.values[node] = _stand_ins(walk, node) if result is None else _checked(walk, node, result)


def _apply(walk: Walk, node: Any, where: str) -> Found | None:
    """The node's result; None where an operand is unknown because of an earlier finding."""
    if getattr(node.target, "__name__", "") == "getitem":
        parts, position = walk.values[node.args[0]], node.args[1]
        if isinstance(parts, Unknown) or not isinstance(parts, tuple):
            return None
        if position >= len(parts):
            raise NotLoweredError(f"output {position} of {node.args[0].name}")
        chosen: Value | Unknown = parts[position]
        return chosen
    if _op(node) in control.RULES:
        return _controlled(walk, node, where)
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


def _controlled(walk: Walk, node: Any, where: str) -> Found | None:
    """A loop or branch; None where an operand or something inside is unknown."""
    arguments = [_resolved(walk, argument) for argument in node.args]
    if any(isinstance(value, Unknown) for value in _tensors(arguments)):
        return None

    def lowered(module: Any, operands: Sequence[Value]) -> tuple[Value, ...]:
        outer, walk.where = walk.where, where
        try:
            return inside(walk, module, operands)
        finally:
            walk.where = outer

    try:
        return control.RULES[_op(node)](walk.emit, arguments, lowered)
    except control.FoundInsideError:
        return None


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
