"""Model files as bytes: gzip, limits, external tensors, and the digest of them all.

Model files come from other people: sizes are bounded, and external data may not leave the model's
folder.
"""

from __future__ import annotations

import gzip
import hashlib
import math
import stat
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import BinaryIO

import numpy as np
import onnx
from google.protobuf.message import DecodeError, Message

from absint.frontends.lowering.values import MalformedError, NotLoweredError, require
from absint.frontends.onnx.names import printable
from absint.frontends.onnx.tensors import dtype_name

MAX_BYTES = (1 << 31) - 1
"""A model, with its external tensors: the largest message that protobuf can hold."""
MAX_RATIO = 200
FREE_BYTES = 1 << 26
"""Up to here gzip may expand by any ratio, beyond it by at most MAX_RATIO."""


def read(path: Path) -> bytes:
    """The decompressed bytes of ``path``, or of ``path`` + ``.gz``. Raises MalformedError."""
    try:
        if not path.exists():
            path = path.with_name(path.name + ".gz")
        require(path.exists(), "no such file")
        with _regular(path) as file:
            zipped = file.read(2) == b"\x1f\x8b"
            file.seek(0)
            return _unzip(file, path.stat().st_size) if zipped else _bounded(file, MAX_BYTES)
    except OSError as error:
        raise MalformedError(f"cannot be read: {error.strerror or error}") from error


def _regular(path: Path) -> BinaryIO:
    """Opens an ordinary file: reading a pipe or device might never end."""
    require(stat.S_ISREG(path.stat().st_mode), "not a regular file")
    return path.open("rb")


def _bounded(file: BinaryIO | gzip.GzipFile, limit: int) -> bytes:
    data = file.read(limit + 1)
    require(len(data) <= limit, f"larger than {limit} bytes when read")
    return data


def _unzip(file: BinaryIO, size: int) -> bytes:
    limit = min(MAX_BYTES, max(FREE_BYTES, MAX_RATIO * size))
    try:
        with gzip.GzipFile(fileobj=file) as stream:
            return _bounded(stream, limit)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise MalformedError(f"not a whole gzip file: {error}") from error


def parse(data: bytes) -> onnx.ModelProto:
    """The model message. Raises MalformedError (nesting is bounded by protobuf itself, at 100)."""
    model = onnx.ModelProto()
    try:
        model.ParseFromString(data)
    except DecodeError as error:
        raise MalformedError("not an ONNX model: the file is damaged or truncated") from error
    require(model.HasField("graph"), "not an ONNX model: there is no graph in it")
    _check_text(model)
    return model


def _check_text(message: Message) -> None:
    """Raises MalformedError for a string that is not UTF-8; protobuf hands it over as bytes."""
    for field, value in message.ListFields():
        if field.type == field.TYPE_STRING:
            texts = [value] if isinstance(value, (str, bytes)) else value
            require(all(isinstance(t, str) for t in texts), f"a {field.name} that is not UTF-8")
        elif field.type == field.TYPE_MESSAGE:
            for part in [value] if isinstance(value, Message) else value:
                _check_text(part)


def _tensors(model: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    """Every tensor that may refer to external data: initialisers first, then attributes."""
    yield from model.graph.initializer
    for node in model.graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors


def inline(model: onnx.ModelProto, data: bytes, folder: Path) -> tuple[bytes, str]:
    """Reads external tensors into ``model``; the model's bytes with them, and the digest.

    The digest is SHA-256 over ``data`` (the bytes of the file) and then each external tensor's
    bytes, in the order of the initialisers and then of the nodes' attributes. ``data`` fixes how
    long each of these parts is, so that two models never share a digest.
    """
    digest, total, found = hashlib.sha256(data), len(data), False
    for tensor in _tensors(model):
        if tensor.data_location != onnx.TensorProto.EXTERNAL:
            continue
        name = f"tensor {printable(tensor.name)!r}"
        try:
            part = _external(tensor, folder)
        except (MalformedError, NotLoweredError) as error:
            raise MalformedError(f"{name}: {error}") from error
        except OSError as error:
            raise MalformedError(f"{name}: external data: {error.strerror or error}") from error
        total, found = total + len(part), True
        require(total <= MAX_BYTES, f"{name}: the model with its data exceeds {MAX_BYTES} bytes")
        digest.update(part)
        tensor.raw_data = part
        tensor.ClearField("external_data")
        tensor.ClearField("data_location")
    return (model.SerializeToString() if found else data), digest.hexdigest()


def _external(tensor: onnx.TensorProto, folder: Path) -> bytes:
    entries = {entry.key: entry.value for entry in tensor.external_data}
    path = _inside(folder, entries.get("location", ""))
    offset = _count(entries.get("offset", "0"))
    require(min(tensor.dims, default=0) >= 0, "a negative extent")
    expected = math.prod(tensor.dims) * np.dtype(dtype_name(tensor.data_type)).itemsize
    require(expected <= MAX_BYTES, f"external data of more than {MAX_BYTES} bytes")
    length = _count(entries["length"]) if "length" in entries else expected
    require(length == expected, f"external data of {length} bytes, where {expected} are needed")
    with _regular(path) as file:
        file.seek(offset)
        data = file.read(expected)
    require(len(data) == expected, "the external data ends early")
    return data


def _count(text: str) -> int:
    require(text.isascii() and text.isdigit() and len(text) < 19, "a malformed offset or length")
    return int(text)


def _inside(folder: Path, location: str) -> Path:
    """The file that ``location`` names, once symbolic links are followed."""
    shown = printable(location)
    windows, posix = PureWindowsPath(location), PurePosixPath(location)
    absolute = posix.is_absolute() or bool(windows.anchor)
    require(
        bool(location) and "\0" not in location and not absolute,
        f"external data at {shown!r}, where a relative path is needed",
    )
    require(".." not in windows.parts, f"external data at {shown!r} leaves the model's folder")
    path = (folder / location).resolve()
    require(
        path.is_relative_to(folder.resolve()),
        f"external data at {shown!r} leaves the model's folder through a link",
    )
    require(path.exists(), f"external data: no such file {shown!r}")
    return path
