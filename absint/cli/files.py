"""Output files: never over something else, and whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from absint.problem.errors import InputError


def read(path: Path, what: str, limit: int = 1 << 32) -> bytes:
    """The file's bytes. Raises InputError."""
    try:
        if path.stat().st_size > limit:
            raise InputError(f"too large for a {what}", str(path))
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror or error}", str(path)) from error


def require_writable(path: Path, magic: Sequence[bytes]) -> None:
    """Raises InputError unless ``path`` can be written and is absent or one of our own files.

    ``magic``: how the files that may be replaced start.
    """
    try:
        if path.exists():
            with path.open("rb") as file:
                start = file.read(max(len(m) for m in magic))
            if start and not any(start.startswith(m) for m in magic):
                raise InputError("exists and is something else; it is not overwritten", str(path))
        if not path.parent.is_dir():
            raise InputError("its folder does not exist", str(path))
        if not os.access(path if path.exists() else path.parent, os.W_OK):
            raise InputError("cannot be written", str(path))
    except OSError as error:
        raise InputError(f"cannot be written: {error.strerror or error}", str(path)) from error


def write(path: Path, data: bytes) -> None:
    """Writes atomically: readers see the old file or the whole new one. Raises InputError."""
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
            os.chmod(temporary, 0o644)
            os.replace(temporary, path)
        except BaseException:
            os.unlink(temporary)
            raise
    except OSError as error:
        raise InputError(f"cannot be written: {error.strerror or error}", str(path)) from error
