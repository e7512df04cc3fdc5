"""The IR's data: constants, nodes, graphs, and a builder that keeps them well-formed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from absint.ir.affine import Shape, ShapeError

Attribute = int | float | tuple[int, ...]
FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Constant:
    """An array of constants: each entry lies within ``radius`` of ``value``.

    ``value`` is float64 (a float16 or float32 weight keeps its exact value) or int64 for indices.
    ``radius`` is None where the values are exact, and otherwise a float64 array of value's shape:
    constant sub-graphs such as ``1 / sqrt(var + eps)`` have no exact binary value.
    """

    value: NDArray[Any]
    radius: FloatArray | None = None

    def __post_init__(self) -> None:
        kind = np.int64 if self.value.dtype.kind in "iub" else np.float64
        object.__setattr__(self, "value", _frozen(self.value, kind))
        if self.radius is not None:
            object.__setattr__(self, "radius", _frozen(self.radius, np.float64))
        for array in (self.value, self.radius):
            if array is not None and not np.isfinite(array).all():
                raise ValueError("a constant is NaN or infinite")
        if self.radius is not None and (
            self.radius.shape != self.value.shape or (self.radius < 0).any()
        ):
            raise ValueError("a radius must be non-negative and have the shape of its value")


def _frozen(array: NDArray[Any], dtype: Any) -> NDArray[Any]:
    copy = np.array(array, dtype=dtype, order="C")
    copy.setflags(write=False)
    return copy


@dataclass(frozen=True, eq=False)
class Node:
    """One operation. ``inputs`` are positions of earlier nodes; ``name`` is the source's name."""

    op: str
    inputs: tuple[int, ...]
    in_shapes: tuple[Shape, ...]
    attrs: Mapping[str, Attribute]
    consts: Mapping[str, Constant]
    shape: Shape
    name: str = ""

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    def integer(self, name: str) -> int:
        """Attribute ``name``. Raises ShapeError where it is not an integer."""
        value = self.attrs[name]
        if not isinstance(value, int):
            raise ShapeError(f"{self.op}: {name} must be an integer, not {value}")
        return value

    def integers(self, name: str) -> tuple[int, ...]:
        """Attribute ``name``. Raises ShapeError where it is not a tuple of integers."""
        value = self.attrs[name]
        if not (isinstance(value, tuple) and all(isinstance(v, int) for v in value)):
            raise ShapeError(f"{self.op}: {name} must be integers, not {value}")
        return value

    def number(self, name: str) -> float:
        """Attribute ``name``. Raises ShapeError where it is not a finite number."""
        value = self.attrs[name]
        if isinstance(value, tuple) or not math.isfinite(value):
            raise ShapeError(f"{self.op}: {name} must be a finite number, not {value}")
        return float(value)

    def extended(self, name: str) -> float:
        """Attribute ``name``, which may be infinite. Raises ShapeError where it is not a number."""
        value = self.attrs[name]
        if isinstance(value, tuple) or math.isnan(value):
            raise ShapeError(f"{self.op}: {name} must be a number, not {value}")
        return float(value)


@dataclass(frozen=True)
class Port:
    """An input or output of the network: its name, node, shape and the runtime's dtype."""

    name: str
    node: int
    shape: Shape
    dtype: str = "float32"

    @property
    def size(self) -> int:
        return math.prod(self.shape)


@dataclass(frozen=True, eq=False)
class Graph:
    """A network in topological order.

    Regions and properties speak of two flat vectors: all inputs, flattened row by row and joined
    in order, and all outputs likewise.
    """

    nodes: tuple[Node, ...]
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    real_only: tuple[str, ...] = ()
    """What of the source these nodes equal in real arithmetic only: a float execution of it may
    lie outside what float executions of the nodes give."""

    @property
    def input_size(self) -> int:
        return sum(port.size for port in self.inputs)

    @property
    def output_size(self) -> int:
        return sum(port.size for port in self.outputs)

    def input_slices(self) -> dict[int, slice]:
        """Input node to its place in the flat input vector."""
        return _slices(self.inputs)

    def output_slices(self) -> list[tuple[int, slice]]:
        """Each output's node and its place in the flat output vector."""
        ends = np.cumsum([port.size for port in self.outputs])
        return [
            (port.node, slice(int(end) - port.size, int(end)))
            for port, end in zip(self.outputs, ends, strict=True)
        ]

    def parameter_count(self) -> int:
        return sum(
            const.value.size
            for node in self.nodes
            for const in node.consts.values()
            if const.value.dtype.kind == "f"
        )


def _slices(ports: Sequence[Port]) -> dict[int, slice]:
    ends = np.cumsum([port.size for port in ports])
    return {
        port.node: slice(int(end) - port.size, int(end))
        for port, end in zip(ports, ends, strict=True)
    }


@dataclass
class GraphBuilder:
    """Builds a graph node by node, checking every op against the table as it goes.

    Example::

        builder = GraphBuilder()
        x = builder.input("x", (1, 5))
        h = builder.add("dense", [x], consts={"weight": Constant(w), "bias": Constant(b)})
        y = builder.add("relu", [h])
        graph = builder.build({"y": y})
    """

    nodes: list[Node] = field(default_factory=list)
    inputs: list[Port] = field(default_factory=list)
    real_only: set[str] = field(default_factory=set)

    def input(self, name: str, shape: Shape, dtype: str = "float32") -> int:
        """Declares the next input. Raises ShapeError for an empty shape."""
        if min(shape, default=1) < 1:
            raise ShapeError(f"input {name!r} has the empty shape {shape}")
        self.nodes.append(Node("input", (), (), {}, {}, tuple(shape), name))
        self.inputs.append(Port(name, len(self.nodes) - 1, tuple(shape), dtype))
        return len(self.nodes) - 1

    def add(
        self,
        op: str,
        inputs: Sequence[int],
        *,
        attrs: Mapping[str, Attribute] | None = None,
        consts: Mapping[str, Constant] | None = None,
        name: str = "",
    ) -> int:
        """Appends a node and returns its position.

        Raises:
            KeyError: ``op`` is not in the table.
            ShapeError: operands, attributes and constants do not fit together.
        """
        from absint.ir.ops import OPS

        if not all(0 <= i < len(self.nodes) for i in inputs):
            raise ShapeError(f"{op} reads a node that does not exist: {tuple(inputs)}")
        in_shapes = tuple(self.nodes[i].shape for i in inputs)
        bare = Node(op, tuple(inputs), in_shapes, dict(attrs or {}), dict(consts or {}), (), name)
        shape = OPS[op].infer(bare)
        self.nodes.append(Node(op, bare.inputs, in_shapes, bare.attrs, bare.consts, shape, name))
        return len(self.nodes) - 1

    def shape(self, node: int) -> Shape:
        return self.nodes[node].shape

    def build(self, outputs: Mapping[str, int], dtype: str = "float32") -> Graph:
        """The graph of what ``outputs`` (name to node) need; all inputs are kept."""
        needed = {port.node for port in self.inputs} | set(outputs.values())
        for position in reversed(range(len(self.nodes))):
            if position in needed:
                needed |= set(self.nodes[position].inputs)
        place = {old: new for new, old in enumerate(sorted(needed))}
        nodes = tuple(
            Node(
                node.op,
                tuple(place[i] for i in node.inputs),
                node.in_shapes,
                node.attrs,
                node.consts,
                node.shape,
                node.name,
            )
            for position, node in enumerate(self.nodes)
            if position in place
        )
        return Graph(
            nodes,
            tuple(Port(p.name, place[p.node], p.shape, p.dtype) for p in self.inputs),
            tuple(
                Port(name, place[node], self.nodes[node].shape, dtype)
                for name, node in outputs.items()
            ),
            tuple(sorted(self.real_only)),
        )
