"""The canonical byte form of a graph, and its digest.

Layout: the magic line, the length of a JSON header (8 bytes, little endian), the header with sorted
keys, then the constants' entries in the order in which the header names them (little endian,
row-major). Node names and port names are for people: only ports' names take part.
"""

from __future__ import annotations

import hashlib
import json
import math
from typing import Any

import numpy as np

from absint.ir.graph import Attribute, Constant, Graph, GraphBuilder, Node, Port

MAGIC = b"ABSINT-GRAPH 1\n"
MAX_HEADER = 1 << 26


class GraphFormatError(ValueError):
    """The bytes are not a well-formed graph."""


def to_bytes(graph: Graph) -> bytes:
    """Canonical: the same graph gives the same bytes on every machine."""
    blobs: list[bytes] = []
    header = {
        "nodes": [_node(node, blobs) for node in graph.nodes],
        "inputs": [_port(port) for port in graph.inputs],
        "outputs": [_port(port) for port in graph.outputs],
    }
    text = json.dumps(header, sort_keys=True, separators=(",", ":")).encode()
    return MAGIC + len(text).to_bytes(8, "little") + text + b"".join(blobs)


def digest(graph: Graph) -> str:
    """SHA-256 of the canonical bytes, in hexadecimal."""
    return hashlib.sha256(to_bytes(graph)).hexdigest()


def _node(node: Node, blobs: list[bytes]) -> dict[str, Any]:
    consts = {}
    for name in sorted(node.consts):
        const = node.consts[name]
        kind = "<i8" if const.value.dtype.kind == "i" else "<f8"
        blobs.append(np.ascontiguousarray(const.value, dtype=kind).tobytes())
        if const.radius is not None:
            blobs.append(np.ascontiguousarray(const.radius, dtype="<f8").tobytes())
        consts[name] = {
            "dtype": kind,
            "shape": list(const.value.shape),
            "radius": const.radius is not None,
        }
    attrs = {name: _attribute(value) for name, value in node.attrs.items()}
    return {
        "op": node.op,
        "inputs": list(node.inputs),
        "attrs": attrs,
        "consts": consts,
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
    builder, cursor = GraphBuilder(), start + length
    dtypes = {port["node"]: _text(port["name"], port["dtype"]) for port in header["inputs"]}
    for position, row in enumerate(header["nodes"]):
        if row["op"] == "input":
            name, dtype = dtypes[position]
            builder.input(name, _integers(row["shape"]), dtype)
            continue
        if not all(0 <= i < position for i in _integers(row["inputs"])):
            raise GraphFormatError("a node reads one that is not before it")
        consts, cursor = _constants(row["consts"], data, cursor)
        attrs = {name: _parse_attribute(value) for name, value in row["attrs"].items()}
        builder.add(row["op"], row["inputs"], attrs=attrs, consts=consts)
        if builder.shape(position) != tuple(row["shape"]):
            raise GraphFormatError(f"node {position} does not have the shape it claims")
    if cursor != len(data):
        raise GraphFormatError("trailing bytes")
    outputs = tuple(_output(row, builder) for row in header["outputs"])
    graph = Graph(tuple(builder.nodes), tuple(builder.inputs), outputs)
    if not outputs or to_bytes(graph) != data:
        raise GraphFormatError("not in canonical form")
    return graph


def _output(row: dict[str, Any], builder: GraphBuilder) -> Port:
    (node,), (name, dtype) = _integers([row["node"]]), _text(row["name"], row["dtype"])
    if not 0 <= node < len(builder.nodes):
        raise GraphFormatError("an output reads a node that does not exist")
    return Port(name, node, builder.shape(node), dtype)


def _constants(rows: dict[str, Any], data: bytes, cursor: int) -> tuple[dict[str, Constant], int]:
    consts = {}
    for name in sorted(rows):
        row = rows[name]
        shape = _integers(row["shape"])
        if row["dtype"] not in ("<i8", "<f8"):
            raise GraphFormatError(f"constants of another type than those known: {name}")
        size = 8 * math.prod(shape)
        value = np.frombuffer(data[cursor : cursor + size], dtype=row["dtype"]).reshape(shape)
        cursor += size
        radius = None
        if row["radius"]:
            radius = np.frombuffer(data[cursor : cursor + size], dtype="<f8").reshape(shape)
            cursor += size
        consts[name] = Constant(value, radius)
    return consts, cursor


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
