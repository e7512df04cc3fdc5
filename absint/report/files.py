"""Output files: never over something else, and whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from absint.problem.errors import InputError

MAX_NAME = 80
"""Characters of a name that becomes part of a file's."""


def read(path: Path, what: str, limit: int = 1 << 32) -> bytes:
    """The file's bytes. Raises InputError."""
    try:
        if not path.is_file():
            raise InputError("not a file" if path.exists() else "no such file", str(path))
        if path.stat().st_size > limit:
            raise InputError(f"too large for a {what}", str(path))
        return path.read_bytes()
    except (OSError, ValueError) as error:
        raise _problem("cannot be read", path, error) from error


def require_writable(path: Path, magic: Sequence[bytes]) -> None:
    """Raises InputError unless ``path`` can be written and is absent or one of our own files.

    ``magic``: how the files that may be replaced start. An empty file may be replaced, too.
    """
    try:
        target = path.resolve()
        if target.is_char_device():  # /dev/null
            return
        if target.exists():
            if not target.is_file():
                raise InputError("exists and is not a file; it is not overwritten", str(path))
            _require_magic(path, magic)
        if not target.parent.is_dir():
            raise InputError("its folder does not exist", str(path))
        if not os.access(target.parent, os.W_OK):
            raise InputError("cannot be written: no permission in its folder", str(path))
    except (OSError, ValueError, RuntimeError) as error:  # RuntimeError: a loop of links
        raise _problem("cannot be written", path, error) from error


def _require_magic(path: Path, magic: Sequence[bytes]) -> None:
    with path.open("rb") as file:
        start = file.read(max(len(m) for m in magic))
    if start and not any(start.startswith(m) for m in magic):
        raise InputError("exists and is something else; it is not overwritten", str(path))


def require_distinct(paths: Iterable[Path]) -> None:
    """Raises InputError where two files to be written are one."""
    seen: set[Path] = set()
    for path in paths:
        target = path.resolve()
        if target in seen and not target.is_char_device():
            raise InputError("is to be written twice", str(path))
        seen.add(target)


def write(path: Path, data: bytes) -> None:
    """Writes atomically: readers see the old file or the whole new one. Raises InputError."""
    try:
        target = path.resolve()
        if target.is_char_device():
            target.write_bytes(data)
            return
        temporary = target.with_name(f".{target.name[:MAX_NAME]}.{os.urandom(4).hex()}.tmp")
        try:
            with temporary.open("xb") as file:
                file.write(data)
            os.replace(temporary, target)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise _problem("cannot be written", path, error) from error


def safe_name(name: str) -> str:
    """A property's or model's name as part of a file's."""
    return "".join(c if c.isalnum() or c in "-_." else "_" for c in name)[:MAX_NAME]


def safe_names(names: Sequence[str]) -> list[str]:
    """``safe_name`` of each; where two would be one file, the later gets a number."""
    found: list[str] = []
    taken: set[str] = set()
    for name in names:
        unique, number = safe_name(name), 2
        while unique.casefold() in taken:
            unique, number = f"{safe_name(name)}-{number}", number + 1
        taken.add(unique.casefold())
        found.append(unique)
    return found


def _problem(what: str, path: Path, error: Exception) -> InputError:
    return InputError(f"{what}: {getattr(error, 'strerror', None) or error}", str(path))
