"""The readable text form of a graph: one node a line, and one constant a line after them.

    # sha256 1f0c...
    %0 = input "x" float32 [1, 5]
    %1 = dense(%0) weight=c0[5x2] bias=c1[2] -> [1, 2]  # first layer
    %2 = leaky_relu(%1) alpha=0.01 -> [1, 2]
    output "y" float32 = %2
    real-only "LSTM"
    c0 = float[5x2] 0.5 -1.25 ...
    c1 = float[2] 0.1 0.2
    c1 radius 0.0 1e-09

With its constants written out the text is exact: numbers are the shortest decimals that read back
as the same float64. Otherwise a constant is summarised by the start of its SHA-256 and its range.
What follows ``#`` (names of nodes) is for people.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from absint.ir.affine import Shape, ShapeError
from absint.ir.graph import Attribute, Constant, Graph, GraphBuilder, Node, Port
from absint.ir.serialize import GraphFormatError, digest


def render(graph: Graph, constants: bool = False) -> str:
    """The text form; with ``constants`` every number is written, and ``parse`` reads it back."""
    return "".join(line + "\n" for line in _lines(graph, constants))


def _lines(graph: Graph, constants: bool) -> Iterator[str]:
    names = _Names()
    ports = {port.node: port for port in graph.inputs}
    yield f"# sha256 {digest(graph)}"
    for place, node in enumerate(graph.nodes):
        yield f"%{place} = {_port(ports[place]) if node.op == 'input' else _node(node, names)}"
    for port in graph.outputs:
        yield f"output {json.dumps(port.name)} {port.dtype} = %{port.node}"
    for what in graph.real_only:
        yield f"real-only {json.dumps(what)}"
    for place, constant in enumerate(names.constants):
        yield from _numbers(place, constant) if constants else _summary(place, constant)


@dataclass
class _Names:
    """The distinct constants, in order of first use."""

    constants: list[Constant] = field(default_factory=list)
    places: dict[tuple[str, Shape, bytes, bytes | None], int] = field(default_factory=dict)

    def of(self, constant: Constant) -> str:
        value, radius = constant.value, constant.radius
        key = (
            value.dtype.kind,
            value.shape,
            value.tobytes(),
            None if radius is None else radius.tobytes(),
        )
        if key not in self.places:
            self.places[key] = len(self.constants)
            self.constants.append(constant)
        return f"c{self.places[key]}[{_extents(value.shape)}]"


def _extents(shape: Shape) -> str:
    return "x".join(map(str, shape))


def _port(port: Port) -> str:
    return f"input {json.dumps(port.name)} {port.dtype} {list(port.shape)}"


def _node(node: Node, names: _Names) -> str:
    operands = ", ".join(f"%{i}" for i in node.inputs)
    parts = [f"{node.op}({operands})"]
    parts += [f"{name}={_attribute(node.attrs[name])}" for name in sorted(node.attrs)]
    parts += [f"{name}={names.of(node.consts[name])}" for name in sorted(node.consts)]
    comment = f"  # {json.dumps(node.name)[1:-1]}" if node.name else ""
    return f"{' '.join(parts)} -> {list(node.shape)}{comment}"


def _attribute(value: Attribute) -> str:
    return f"({','.join(map(str, value))})" if isinstance(value, tuple) else repr(value)


def _kind(constant: Constant) -> str:
    kind = "int" if constant.value.dtype.kind == "i" else "float"
    return f"{kind}[{_extents(constant.value.shape)}]"


def _numbers(place: int, constant: Constant) -> Iterator[str]:
    yield f"c{place} = {_kind(constant)} {_joined(constant.value)}"
    if constant.radius is not None:
        yield f"c{place} radius {_joined(constant.radius)}"


def _joined(array: NDArray[Any]) -> str:
    return " ".join(map(repr, array.reshape(-1).tolist()))


def _summary(place: int, constant: Constant) -> Iterator[str]:
    value, radius = constant.value, constant.radius
    state = hashlib.sha256(value.tobytes() + (b"" if radius is None else radius.tobytes()))
    spread = "" if radius is None else f" +- {radius.max(initial=0.0):.3g}"
    ends = f"{value.min():.6g} .. {value.max():.6g}{spread}" if value.size else "empty"
    yield f"c{place} = {_kind(constant)} sha256 {state.hexdigest()[:16]}, {ends}"


_STRING = r'"(?:[^"\\]|\\.)*"'
_INPUT = re.compile(rf"%(\d+) = input ({_STRING}) (\w+) \[([\d, ]*)\]")
_NODE = re.compile(r"%(\d+) = (\w+)\(([%\d, ]+)\)((?: \w+=\S+)*) -> \[([\d, ]*)\](?:\s+#.*)?")
_OUTPUT = re.compile(rf"output ({_STRING}) (\w+) = %(\d+)")
_REAL_ONLY = re.compile(rf"real-only ({_STRING})")
_CONSTANT = re.compile(r"c(\d+) = (int|float)\[([\dx]*)\](?: (.*))?")
_RADIUS = re.compile(r"c(\d+) radius(?: (.*))?")
_NAME = re.compile(r"c(\d+)\[([\dx]*)\]")


def parse(text: str) -> Graph:
    """Reads back what ``render`` wrote with its constants. Raises GraphFormatError."""
    lines = [(number, line.rstrip()) for number, line in enumerate(text.split("\n"), 1)]
    lines = [(number, line) for number, line in lines if line and not line.startswith("#")]
    reader = _Reader()
    for constants in (True, False):
        for number, line in lines:
            if line.startswith("c") is constants:
                try:
                    reader.line(line)
                except (ValueError, KeyError, IndexError, OverflowError, ShapeError) as error:
                    raise GraphFormatError(f"line {number}: {error}") from error
    if not reader.outputs:
        raise GraphFormatError("the graph has no output")
    builder = reader.builder
    return Graph(
        tuple(builder.nodes), tuple(builder.inputs), tuple(reader.outputs), tuple(reader.real_only)
    )


@dataclass
class _Reader:
    builder: GraphBuilder = field(default_factory=GraphBuilder)
    constants: dict[int, Constant] = field(default_factory=dict)
    outputs: list[Port] = field(default_factory=list)
    real_only: list[str] = field(default_factory=list)

    def line(self, line: str) -> None:
        for pattern, read in (
            (_CONSTANT, self._constant),
            (_RADIUS, self._radius),
            (_INPUT, self._input),
            (_NODE, self._node),
            (_OUTPUT, self._output),
            (_REAL_ONLY, self._real),
        ):
            match = pattern.fullmatch(line)
            if match is not None:
                return read(*match.groups())
        raise ValueError("neither a node, an output nor a constant")

    def _constant(self, place: str, kind: str, extents: str, numbers: str | None) -> None:
        if numbers is not None and numbers.startswith("sha256"):
            raise ValueError("a summary of a constant, not its numbers")
        if int(place) in self.constants:
            raise ValueError(f"c{place} is defined a second time")
        number = int if kind == "int" else float
        values = [number(word) for word in (numbers or "").split()]
        array = np.array(values, dtype=np.int64 if kind == "int" else np.float64)
        self.constants[int(place)] = Constant(array.reshape(_integers(extents, "x")))

    def _radius(self, place: str, numbers: str | None) -> None:
        centre = self.constants[int(place)]
        radius = np.array([float(word) for word in (numbers or "").split()], dtype=np.float64)
        self.constants[int(place)] = Constant(centre.value, radius.reshape(centre.value.shape))

    def _input(self, place: str, name: str, dtype: str, shape: str) -> None:
        self._next(place)
        self.builder.input(json.loads(name), _integers(shape, ","), dtype)

    def _node(self, place: str, op: str, operands: str, fields: str, shape: str) -> None:
        self._next(place)
        attrs: dict[str, Attribute] = {}
        consts: dict[str, Constant] = {}
        for name, value in (item.split("=", 1) for item in fields.split()):
            named = _NAME.fullmatch(value)
            if name in attrs or name in consts:
                raise ValueError(f"{name} is given twice")
            if named is None:
                attrs[name] = _read_attribute(value)
            else:
                consts[name] = self._named(int(named.group(1)), _integers(named.group(2), "x"))
        inputs = [int(word.strip().removeprefix("%")) for word in operands.split(",")]
        node = self.builder.add(op, inputs, attrs=attrs, consts=consts)
        if self.builder.shape(node) != _integers(shape, ","):
            raise ValueError(f"the result has shape {list(self.builder.shape(node))}")

    def _named(self, place: int, shape: Shape) -> Constant:
        if place not in self.constants or self.constants[place].value.shape != shape:
            raise ValueError(f"there is no constant c{place} of shape {list(shape)}")
        return self.constants[place]

    def _output(self, name: str, dtype: str, node: str) -> None:
        shape = self.builder.shape(int(node))
        self.outputs.append(Port(json.loads(name), int(node), shape, dtype))

    def _real(self, what: str) -> None:
        self.real_only.append(str(json.loads(what)))

    def _next(self, place: str) -> None:
        if int(place) != len(self.builder.nodes):
            raise ValueError(f"%{len(self.builder.nodes)} comes next, not %{place}")


def _integers(text: str, separator: str) -> tuple[int, ...]:
    return tuple(int(word) for word in text.split(separator)) if text else ()


def _read_attribute(text: str) -> Attribute:
    if text.startswith("("):
        return _integers(text.removeprefix("(").removesuffix(")"), ",")
    return int(text) if re.fullmatch(r"-?\d+", text) else float(text)
