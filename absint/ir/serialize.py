"""The canonical byte form of a graph, and its digest.

Layout: the magic line, the length of a JSON header (8 bytes, little endian), the header with sorted
keys, then the entries of each constant and of its radius (little endian, row-major). The header
lists the constants in the order of their first use, a node's by name; one that several nodes use is
there once, and nodes name constants by their places in the list. Node names and port names are for
people: only ports' names take part.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from absint.ir.graph import Attribute, Constant, Graph, GraphBuilder, Node, Port

MAGIC = b"ABSINT-GRAPH 2\n"
MAX_HEADER = 1 << 26


class GraphFormatError(ValueError):
    """The bytes are not a well-formed graph."""


def to_bytes(graph: Graph) -> bytes:
    """Canonical: the same graph gives the same bytes on every machine."""
    return b"".join(_sections(graph))


def digest(graph: Graph) -> str:
    """SHA-256 of the canonical bytes, in hexadecimal."""
    state = hashlib.sha256()
    for section in _sections(graph):
        state.update(section)
    return state.hexdigest()


def _sections(graph: Graph) -> Iterator[bytes]:
    pool = _Pool()
    header: dict[str, Any] = {
        "nodes": [_node(node, pool) for node in graph.nodes],
        "constants": pool.rows,
        "inputs": [_port(port) for port in graph.inputs],
        "outputs": [_port(port) for port in graph.outputs],
    }
    if graph.real_only:
        header["real_only"] = list(graph.real_only)
    text = json.dumps(header, sort_keys=True, separators=(",", ":")).encode()
    yield MAGIC + len(text).to_bytes(8, "little") + text
    yield from pool.blobs


_Content = tuple[str, tuple[int, ...], bytes, bytes | None]
"""Type, shape, entries and radius."""


@dataclass
class _Pool:
    """The distinct constants of a graph, in order of first use."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    blobs: list[bytes] = field(default_factory=list)
    _by_object: dict[int, int] = field(default_factory=dict)
    _by_content: dict[_Content, int] = field(default_factory=dict)

    def place(self, const: Constant) -> int:
        """The constant's place in the list; a graph keeps its constants alive meanwhile."""
        if id(const) not in self._by_object:
            content = _content(const)
            if content not in self._by_content:
                self._by_content[content] = len(self.rows)
                self._store(content)
            self._by_object[id(const)] = self._by_content[content]
        return self._by_object[id(const)]

    def _store(self, content: _Content) -> None:
        kind, shape, value, radius = content
        self.rows.append({"dtype": kind, "shape": list(shape), "radius": radius is not None})
        self.blobs += [value] if radius is None else [value, radius]


def _content(const: Constant) -> _Content:
    kind = "<i8" if const.value.dtype.kind == "i" else "<f8"
    value = np.ascontiguousarray(const.value, dtype=kind).tobytes()
    radius = const.radius
    return (
        kind,
        const.value.shape,
        value,
        None if radius is None else np.ascontiguousarray(radius, dtype="<f8").tobytes(),
    )


def _node(node: Node, pool: _Pool) -> dict[str, Any]:
    attrs = {name: _attribute(value) for name, value in node.attrs.items()}
    return {
        "op": node.op,
        "inputs": list(node.inputs),
        "attrs": attrs,
        "consts": {name: pool.place(node.consts[name]) for name in sorted(node.consts)},
        "shape": list(node.shape),
    }


def _attribute(value: Attribute) -> int | str | list[int]:
    if isinstance(value, float):
        return value.hex()
    return list(value) if isinstance(value, tuple) else value


def _port(port: Port) -> dict[str, Any]:
    return {"name": port.name, "node": port.node, "dtype": port.dtype}


def from_bytes(data: bytes) -> Graph:
    """Reads a graph back, re-inferring every shape. Raises GraphFormatError."""
    try:
        return _read(data)
    except GraphFormatError:
        raise
    except (
        AttributeError,
        KeyError,
        ValueError,
        TypeError,
        IndexError,
        OverflowError,
        RecursionError,
    ) as error:
        raise GraphFormatError(f"not a well-formed graph: {error}") from error


def _read(data: bytes) -> Graph:
    if not data.startswith(MAGIC):
        raise GraphFormatError("not a graph file of this format")
    start = len(MAGIC) + 8
    length = int.from_bytes(data[len(MAGIC) : start], "little")
    if length > min(MAX_HEADER, len(data)):
        raise GraphFormatError("the header's length is wrong")
    header = json.loads(data[start : start + length])
    builder, constants = GraphBuilder(), _constants(header["constants"], data, start + length)
    dtypes = {port["node"]: _text(port["name"], port["dtype"]) for port in header["inputs"]}
    for position, row in enumerate(header["nodes"]):
        if row["op"] == "input":
            name, dtype = dtypes[position]
            builder.input(name, _integers(row["shape"]), dtype)
            continue
        if not all(0 <= i < position for i in _integers(row["inputs"])):
            raise GraphFormatError("a node reads one that is not before it")
        names, places = list(row["consts"]), _integers(list(row["consts"].values()))
        if not all(0 <= place < len(constants) for place in places):
            raise GraphFormatError("a node names a constant that does not exist")
        consts = {name: constants[place] for name, place in zip(names, places, strict=True)}
        attrs = {name: _parse_attribute(value) for name, value in row["attrs"].items()}
        builder.add(row["op"], row["inputs"], attrs=attrs, consts=consts)
        if builder.shape(position) != tuple(row["shape"]):
            raise GraphFormatError(f"node {position} does not have the shape it claims")
    outputs = tuple(_output(row, builder) for row in header["outputs"])
    real_only = tuple(str(what) for what in header.get("real_only", ()))
    graph = Graph(tuple(builder.nodes), tuple(builder.inputs), outputs, real_only)
    if not outputs or to_bytes(graph) != data:
        raise GraphFormatError("not in canonical form")
    return graph


def _output(row: dict[str, Any], builder: GraphBuilder) -> Port:
    (node,), (name, dtype) = _integers([row["node"]]), _text(row["name"], row["dtype"])
    if not 0 <= node < len(builder.nodes):
        raise GraphFormatError("an output reads a node that does not exist")
    return Port(name, node, builder.shape(node), dtype)


def _constants(rows: list[dict[str, Any]], data: bytes, cursor: int) -> list[Constant]:
    """The listed constants, whose entries fill ``data`` from ``cursor`` to its end."""
    constants, view = [], memoryview(data)
    for row in rows:
        shape = _integers(row["shape"])
        if row["dtype"] not in ("<i8", "<f8"):
            raise GraphFormatError("constants of another type than those known")
        size = 8 * math.prod(shape)
        value = np.frombuffer(view[cursor : cursor + size], dtype=row["dtype"]).reshape(shape)
        cursor += size
        radius = None
        if row["radius"]:
            radius = np.frombuffer(view[cursor : cursor + size], dtype="<f8").reshape(shape)
            cursor += size
        constants.append(Constant(value, radius))
    if cursor != len(data):
        raise GraphFormatError("trailing bytes")
    return constants


def _parse_attribute(value: Any) -> Attribute:
    if isinstance(value, str):
        return float.fromhex(value)
    return _integers(value) if isinstance(value, list) else int(value)


def _integers(values: list[Any]) -> tuple[int, ...]:
    if any(type(value) is not int for value in values):
        raise GraphFormatError("something else stands where whole numbers must")
    return tuple(values)


def _text(name: Any, dtype: Any) -> tuple[str, str]:
    if not (isinstance(name, str) and isinstance(dtype, str)):
        raise GraphFormatError("a port's name and type must be text")
    return name, dtype
