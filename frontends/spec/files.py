"""Reading a spec and the files that it refers to: bounded sizes, nothing outside its folder."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from absint.problem import InputError

MAX_FILE_BYTES = 1 << 30


def find(path: Path) -> Path:
    """``path``, or ``path`` with ``.gz`` added where only that exists."""
    packed = path.with_name(path.name + ".gz")
    return packed if not path.exists() and packed.exists() else path


def stem(path: Path) -> str:
    """``prop_1`` of ``specs/prop_1.vnnlib.gz``."""
    return Path(path.name.removesuffix(".gz")).stem


def read_bytes(path: Path, limit: int) -> bytes:
    """The file's bytes, decompressed where its name ends in ``.gz``.

    Raises:
        InputError: unreadable, not gzip, or more than ``limit`` bytes after decompression.
    """
    try:
        if not path.is_file():
            raise InputError("no such file" if not path.exists() else "not a file", str(path))
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"cannot be read: {reason}", str(path)) from error
    if path.suffix == ".gz":
        data = _decompress(data, limit, path)
    if len(data) > limit:
        raise InputError(f"larger than {limit} bytes", str(path))
    return data


def _decompress(data: bytes, limit: int, path: Path) -> bytes:
    """Every member of a gzip file, never more than ``limit + 1`` bytes."""
    parts: list[bytes] = []
    room = limit + 1
    try:
        while data and room:
            member = zlib.decompressobj(wbits=31)
            parts.append(member.decompress(data, room))
            room -= len(parts[-1])
            if room and not member.eof:
                raise InputError("the gzip data end too early", str(path))
            data = member.unused_data.lstrip(b"\0")
    except zlib.error as error:
        raise InputError(f"not a gzip file: {error}", str(path)) from error
    return b"".join(parts)


def decode(data: bytes, path: Path) -> str:
    """UTF-8 text without byte order mark, lines ending in ``\\n``. Raises InputError."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InputError("not UTF-8 text", str(path), line) from error
    if "\0" in text:
        raise InputError("not a text file: it holds a NUL character", str(path))
    return text.replace("\r\n", "\n").replace("\r", "\n")


@dataclass
class ReferredFiles:
    """The files that a spec refers to, each read once."""

    folder: Path
    contents: dict[str, bytes] = field(default_factory=dict)

    def read(self, name: str) -> bytes:
        """The bytes of the file ``name``, relative to the spec's folder.

        Raises:
            ValueError: the name leaves the folder.
            InputError: the file cannot be read.
        """
        relative = PurePosixPath(name)
        if relative.is_absolute() or ".." in relative.parts or "\\" in name or ":" in name:
            raise ValueError(f"{name!r} is not a path inside the spec's folder")
        key = str(relative)
        if key not in self.contents:
            path = self.folder / relative
            if not path.resolve().is_relative_to(self.folder.resolve()):
                raise ValueError(f"{name!r} leads out of the spec's folder")
            self.contents[key] = read_bytes(path, MAX_FILE_BYTES)
        return self.contents[key]


def digest(spec: bytes, referred: Mapping[str, bytes]) -> str:
    """SHA-256 of the spec's decompressed bytes, then of each referred file sorted by name.

    A file adds NUL, its relative name, NUL, its length as eight big-endian bytes, and its bytes.
    A spec's text holds no NUL, so no two different sets of files are hashed alike.
    """
    state = hashlib.sha256(spec)
    for name in sorted(referred):
        content = referred[name]
        state.update(b"\0" + name.encode() + b"\0" + len(content).to_bytes(8, "big"))
        state.update(content)
    return state.hexdigest()
