"""Arrays in ``.npy`` and ``.npz`` files, read without pickle; and exact vectors from them."""

from __future__ import annotations

import io
import lzma
import math
import re
import struct
import zipfile
import zlib
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from absint.frontends.spec.files import MAX_FILE_BYTES, ReferredFiles

_PARTS = re.compile(
    r"(?P<file>[^\s:\[\]]+\.np(?P<kind>[yz]))(?::(?P<key>[^:\[\]]+))?"
    r"(?:\[(?P<index>\d+(?:\s*,\s*\d+)*)\])?"
)
_MAX_HEADER = 10_000
_BAD_ZIP = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    OSError,
    EOFError,
    RuntimeError,  # encrypted
    NotImplementedError,
)


@dataclass(frozen=True)
class Reference:
    """A file, the array in it (``.npz``), and an index into its first dimensions."""

    file: str
    key: str | None
    index: tuple[int, ...]

    @staticmethod
    def parse(text: str) -> Reference | None:
        match = _PARTS.fullmatch(text.strip())
        if match is None or (match["kind"] == "y" and match["key"]):
            return None
        index = tuple(int(i) for i in match["index"].split(",")) if match["index"] else ()
        return Reference(match["file"], match["key"], index)


def read_array(reference: Reference, files: ReferredFiles) -> NDArray[Any]:
    """The array of numbers that a reference names.

    Raises:
        ValueError: not such a file, not numbers, NaN or infinite, or an index out of range.
        InputError: the file cannot be read.
    """
    data = files.read(reference.file)
    try:
        if reference.file.endswith(".npz"):
            data = _member(data, reference.key)
        array = _parse_npy(data)
        for position in reference.index:
            if array.ndim == 0 or position >= len(array):
                raise ValueError(f"index {position} is out of range")
            array = array[position]
    except ValueError as error:
        raise ValueError(f"{reference.file}: {error}") from error
    return array


def _member(data: bytes, key: str | None) -> bytes:
    """The bytes of one array of an ``.npz`` file, never more than MAX_FILE_BYTES."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = [n.removesuffix(".npy") for n in archive.namelist() if n.endswith(".npy")]
            if key is None and len(names) == 1:
                key = names[0]
            if key not in names:
                listed = ", ".join(sorted(names)[:10]) or "none"
                raise ValueError(f"no array {key!r} in it; it has {listed}")
            with archive.open(f"{key}.npy") as member:
                content = member.read(MAX_FILE_BYTES + 1)
    except _BAD_ZIP as error:
        raise ValueError(f"not a readable .npz file: {error}") from error
    if len(content) > MAX_FILE_BYTES:
        raise ValueError(f"array {key!r} is larger than {MAX_FILE_BYTES} bytes")
    return content


def _parse_npy(data: bytes) -> NDArray[Any]:
    """An array of integers or finite floats, from the bytes of an ``.npy`` file."""
    stream = io.BytesIO(data)
    try:
        version = np.lib.format.read_magic(stream)
        read = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }.get(version)
        if read is None:
            raise ValueError(f"version {version} of the format")
        shape, fortran, dtype = read(stream, max_header_size=_MAX_HEADER)
    except Exception as error:  # whatever numpy's reader of Python literals raises
        reason = " ".join(str(error).split())[:200]
        raise ValueError(f"not an array file: {reason}") from error
    if dtype.kind not in "iuf" or dtype.itemsize > 8:
        raise ValueError(f"it holds {dtype}, not integers or floats of at most 64 bits")
    if math.prod(shape) * dtype.itemsize != len(data) - stream.tell():
        raise ValueError(f"its length does not fit its shape {list(shape)}")
    flat = np.frombuffer(data, dtype=dtype, offset=stream.tell())
    if dtype.kind == "f" and not np.isfinite(flat).all():
        raise ValueError("it holds NaN or infinity")
    return flat.reshape(shape, order="F" if fortran else "C")


def exact(array: NDArray[Any]) -> list[Fraction]:
    """All entries row by row, exactly; equal entries share one object."""
    values = array.ravel(order="C").tolist()
    known = {value: Fraction(value) for value in set(values)}
    return [known[value] for value in values]
