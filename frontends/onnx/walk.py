"""The state of one lowering: what each tensor's name stands for, and what is not supported."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import onnx

from absint.frontends.onnx import guess, ports
from absint.frontends.onnx.call import printable
from absint.frontends.onnx.emit import Emitter
from absint.frontends.onnx.values import (
    MAX_TOTAL,
    MalformedError,
    NotLoweredError,
    Shape,
    Unknown,
    Value,
    Var,
    require,
)
from absint.ir import ShapeError
from absint.problem.errors import Unsupported

BAD = (MalformedError, ShapeError, ValueError, IndexError, OverflowError)
"""What a rule, or the code that it calls, raises on a model that is not valid."""


@contextmanager
def at(where: str) -> Iterator[None]:
    """Adds the place to the errors of a model that is not valid."""
    try:
        yield
    except BAD as error:
        text = " ".join(str(error).split()) or type(error).__name__
        raise MalformedError(f"{where}: {text}") from error


@dataclass
class Walk:
    """Filled by the walker node by node."""

    model: onnx.ModelProto
    opset: int
    emit: Emitter = field(default_factory=Emitter)
    values: dict[str, Value | Unknown] = field(default_factory=dict)
    found: list[Unsupported] = field(default_factory=list)
    declared: dict[str, ports.Declared] = field(default_factory=dict)
    uses: Counter[str] = field(default_factory=Counter)
    entries: int = 0
    """How many numbers the nodes lowered so far have given."""

    def declare(self) -> None:
        """Notes what definitions will be held to, and how often each tensor is read."""
        graph = self.model.graph
        for info in (*graph.value_info, *graph.input, *graph.output):
            try:
                self.declared[info.name] = ports.declared(info)
            except NotLoweredError:
                continue  # reported where it matters: at the graph's inputs and outputs
        self.uses.update(info.name for info in graph.output)
        for node in graph.node:
            self.uses.update(node.input)

    def define(self, name: str, value: Value | Unknown) -> None:
        """Binds a tensor's name. Raises MalformedError for a second definition of it."""
        require(name not in self.values, f"{printable(name)!r} is defined a second time")
        if name in self.declared and not isinstance(value, Unknown):
            ports.check(self.declared[name], value)
        self.values[name] = value

    def count(self, value: Value | Unknown) -> None:
        """Adds up the sizes of what nodes give. Raises MalformedError beyond MAX_TOTAL."""
        self.entries += 0 if isinstance(value, Unknown) else math.prod(value.shape)
        require(self.entries <= MAX_TOTAL, f"tensors of more than {MAX_TOTAL} numbers so far")

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
