"""The state of one lowering: what each tensor's name stands for, and what is not supported."""

from __future__ import annotations

import math
from collections import ChainMap, Counter
from collections.abc import Iterable, MutableMapping
from dataclasses import dataclass, field

import onnx

from absint.frontends.lowering.emit import Emitter
from absint.frontends.lowering.values import (
    MAX_TOTAL,
    NotLoweredError,
    Shape,
    Unknown,
    Value,
    Var,
    require,
)
from absint.frontends.onnx import guess, ports
from absint.frontends.onnx.names import printable
from absint.problem.errors import Unsupported

MAX_VALUES = 1 << 20
"""How many tensors the nodes may give, those of loops counted every time."""


@dataclass
class Size:
    """How many tensors the nodes lowered so far have given, and how many numbers these hold."""

    values: int = 0
    entries: int = 0


@dataclass
class Walk:
    """Filled by the walker node by node."""

    model: onnx.ModelProto
    opset: int
    emit: Emitter = field(default_factory=Emitter)
    values: MutableMapping[str, Value | Unknown] = field(default_factory=dict)
    found: list[Unsupported] = field(default_factory=list)
    declared: dict[str, ports.Declared] = field(default_factory=dict)
    uses: Counter[str] = field(default_factory=Counter)
    size: Size = field(default_factory=Size)
    depth: int = 0
    """How many sub-graphs or functions this one is inside of."""

    def child(self, values: ChainMap[str, Value | Unknown], opset: int) -> Walk:
        """The scope of a sub-graph or function: the same graph, other names."""
        return Walk(
            self.model,
            opset,
            self.emit,
            values,
            self.found,
            size=self.size,
            depth=self.depth + 1,
        )

    def function(self, node: onnx.NodeProto) -> onnx.FunctionProto | None:
        """The model's function that the node calls; None where it is no function of the model."""
        key = (node.domain, node.op_type, node.overload)
        if node.domain in ("", "ai.onnx"):
            return None
        found: onnx.FunctionProto
        for found in self.model.functions:
            if (found.domain, found.name, found.overload) == key:
                return found
        return None

    def declare(self) -> None:
        """Notes what definitions will be held to, and how often each tensor is read."""
        graph = self.model.graph
        for info in (*graph.value_info, *graph.input, *graph.output):
            try:
                self.declared[info.name] = ports.declared(info)
            except NotLoweredError:
                continue  # reported where it matters: at the graph's inputs and outputs
        self.uses.update(info.name for info in graph.output)
        self.count_uses(graph.node)

    def count_uses(self, nodes: Iterable[onnx.NodeProto]) -> None:
        """Counts what nodes read; what their sub-graphs read, they may read many times."""
        for node in nodes:
            self.uses.update(node.input)
            for attribute in node.attribute:
                if attribute.HasField("g"):
                    self.count_uses(attribute.g.node)
                    self.count_uses(attribute.g.node)

    def define(self, name: str, value: Value | Unknown) -> None:
        """Binds a tensor's name. Raises MalformedError for a second definition of it."""
        require(name not in self.values, f"{printable(name)!r} is defined a second time")
        if name in self.declared and not isinstance(value, Unknown):
            ports.check(self.declared[name], value)
        self.values[name] = value

    def count(self, value: Value | Unknown) -> None:
        """Adds up the sizes of what nodes give. Raises MalformedError beyond MAX_TOTAL."""
        self.size.values += 1
        self.size.entries += 0 if isinstance(value, Unknown) else math.prod(value.shape)
        require(self.size.entries <= MAX_TOTAL, f"tensors of more than {MAX_TOTAL} numbers so far")
        require(self.size.values <= MAX_VALUES, f"more than {MAX_VALUES} tensors so far")

    def unsupported(self, where: str, error: NotLoweredError) -> None:
        self.found.append(Unsupported(where, error.what, error.hint))

    def stand_ins(self, node: onnx.NodeProto) -> list[Value | Unknown]:
        """For the outputs of an unsupported node; the graph is given up by then."""
        found = guess.outputs(node, self.opset, self.values)
        return [self._stand_in(found[name]) if name in found else Unknown() for name in node.output]

    def _stand_in(self, tensor: tuple[Shape, str]) -> Value | Unknown:
        shape, dtype = tensor
        if dtype not in ("float32", "float64"):
            return Unknown()
        return Var(self.emit.builder.input("", shape, dtype), shape, dtype)
