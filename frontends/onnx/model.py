"""Loading and inspecting an ONNX model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import onnx

from absint.frontends.lowering.tensors import TensorInfo
from absint.frontends.lowering.values import MalformedError, NotLoweredError
from absint.frontends.onnx import files
from absint.frontends.onnx.lower import Lowered, lower, opset_of
from absint.frontends.onnx.names import printable
from absint.frontends.onnx.ports import declared
from absint.frontends.onnx.tensors import DTYPES
from absint.ir import Graph
from absint.problem.errors import InputError, Unsupported, UnsupportedError


@dataclass(frozen=True, eq=False)
class OnnxModel:
    """A model file, lowered.

    ``digest`` is SHA-256 over the decompressed file and then each external tensor, as
    ``files.inline`` says; ``proto_bytes`` is the model with external tensors inlined (without any,
    the file's own bytes), for a runtime. Where ``free_batch`` holds, the leading extent of every
    input is symbolic, and 1 in ``graph``.
    """

    path: Path
    graph: Graph
    digest: str
    proto_bytes: bytes
    free_batch: bool


@dataclass(frozen=True, eq=False)
class Inspection:
    """What a model file holds. ``graph`` is None where ``unsupported`` is not empty."""

    path: Path
    digest: str
    ir_version: int
    opset: int
    producer: str
    ops: Mapping[str, int]
    """How many nodes of each op type, in alphabetical order."""
    parameters: int
    """How many numbers the float initialisers hold."""
    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
    unsupported: tuple[Unsupported, ...]
    graph: Graph | None


@dataclass(frozen=True, eq=False)
class _Read:
    """A model file, before anything is decided about it."""

    proto: onnx.ModelProto
    proto_bytes: bytes
    digest: str
    lowered: Lowered


def load(path: str | Path, dims: Mapping[str, int] | None = None) -> OnnxModel:
    """Reads and lowers ``path`` (or ``path`` + ``.gz``). Nothing is executed.

    ``dims`` gives symbolic dimensions of inputs their size: ``{"sequence": 12}`` by symbol, or
    ``{"tokens:1": 12}`` by the input's name and axis.

    Raises:
        InputError: the file cannot be read, or is not a valid model.
        UnsupportedError: everything in the model that is not supported.
    """
    path = Path(path)
    read = _read(path, dims)
    if read.lowered.graph is None:
        raise UnsupportedError(read.lowered.unsupported)
    return OnnxModel(
        path, read.lowered.graph, read.digest, read.proto_bytes, read.lowered.free_batch
    )


def inspect(path: str | Path, dims: Mapping[str, int] | None = None) -> Inspection:
    """Describes a model; what is not supported is listed, not raised. ``dims`` as for ``load``.

    Raises InputError.
    """
    path = Path(path)
    read = _read(path, dims)
    graph = read.proto.graph
    constants = {tensor.name for tensor in graph.initializer}
    ops = Counter(printable(node.op_type) for node in graph.node)
    producer = f"{read.proto.producer_name} {read.proto.producer_version}".strip()
    return Inspection(
        path=path,
        digest=read.digest,
        ir_version=read.proto.ir_version,
        opset=opset_of(read.proto),
        producer=printable(producer),
        ops=dict(sorted(ops.items())),
        parameters=_parameters(graph),
        inputs=tuple(_info(info) for info in graph.input if info.name not in constants),
        outputs=tuple(_info(info) for info in graph.output),
        unsupported=read.lowered.unsupported,
        graph=read.lowered.graph,
    )


def _read(path: Path, dims: Mapping[str, int] | None) -> _Read:
    try:
        data = files.read(path)
        proto = files.parse(data)
        proto_bytes, digest = files.inline(proto, data, path.parent)
        return _Read(proto, proto_bytes, digest, lower(proto, dims))
    except MalformedError as error:
        raise InputError(str(error), path=printable(str(path), 1000)) from error


def _parameters(graph: onnx.GraphProto) -> int:
    total = 0
    for tensor in graph.initializer:
        if DTYPES.get(tensor.data_type, "").startswith("float"):
            size = 1
            for extent in tensor.dims:
                size *= extent
            total += size
    return total


def _info(info: onnx.ValueInfoProto) -> TensorInfo:
    try:
        port = declared(info)
    except NotLoweredError as error:
        return TensorInfo(printable(info.name), error.what, None)
    extents = port.extents
    if extents is not None:
        extents = tuple(e if isinstance(e, int) else printable(e) for e in extents)
    return TensorInfo(printable(port.name), port.dtype, extents)
