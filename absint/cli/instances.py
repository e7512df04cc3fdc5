"""The rows of a batch: a CSV file of models, properties, time limits and known verdicts."""

from __future__ import annotations

import csv
import difflib
import io
from collections.abc import Sequence
from pathlib import Path

from absint.cli.options import seconds
from absint.problem import InputError
from absint.report import files
from absint.report.rows import KNOWN, Instance

MAX_BYTES = 64 << 20
COLUMNS = {
    "onnx": ("onnx", "model"),
    "vnnlib": ("vnnlib", "region", "spec", "property"),
    "timeout": ("timeout", "timeout_s", "time"),
    "expected": ("expected",),
}
UNKNOWN = ("", "unknown", "disputed", "timeout", "error")


def read_instances(path: Path, timeout: float) -> list[Instance]:
    """The rows of ``path``; ``timeout`` is that of rows which give none.

    With a header its names say which column is which, in any order; without one they are onnx,
    vnnlib, timeout and expected. Raises InputError with the line.
    """
    try:
        text = files.read(path, "list of instances", MAX_BYTES).decode("utf-8-sig")
        reader = csv.reader(io.StringIO(text, newline=""), strict=True)
        lines = [(reader.line_num, [c.strip() for c in row]) for row in reader if any(row)]
    except UnicodeDecodeError as error:
        raise InputError("not UTF-8 text", str(path)) from error
    except csv.Error as error:
        raise InputError(f"not a CSV file: {error}", str(path)) from error
    if not lines:
        raise InputError("no rows", str(path))
    order = _order(lines[0][1], path)
    if order is not None:
        lines = lines[1:]
    places = order or {name: index for index, name in enumerate(COLUMNS)}
    if not lines:
        raise InputError("no rows under the header", str(path))
    return [
        _instance(number, row, places, timeout, path, line)
        for number, (line, row) in enumerate(lines, start=1)
    ]


def _order(row: Sequence[str], path: Path) -> dict[str, int] | None:
    """Where each column is, if ``row`` is a header."""
    words = [word.lower() for word in row]
    places = {
        name: words.index(word)
        for name, known in COLUMNS.items()
        for word in known
        if word in words
    }
    if not places:
        return None
    for name in ("onnx", "vnnlib"):
        if name not in places:
            raise InputError(f"the header has no column {name!r}", str(path), 1)
    _reject_near_misses(words, path)
    return places


def _reject_near_misses(words: Sequence[str], path: Path) -> None:
    """Other columns are no concern of ours, but ``expectd`` would disarm a check silently."""
    known = [word for names in COLUMNS.values() for word in names]
    for word in words:
        near = difflib.get_close_matches(word, known, n=1, cutoff=0.88)
        if near and word not in known:
            raise InputError(f"unknown column {word!r}; did you mean {near[0]!r}?", str(path), 1)


def _instance(
    number: int, row: Sequence[str], places: dict[str, int], timeout: float, path: Path, line: int
) -> Instance:
    values = {name: row[i] if i < len(row) else "" for name, i in places.items()}
    for name in ("onnx", "vnnlib"):
        if not values[name]:
            raise InputError(f"the column {name!r} is empty", str(path), line)
    expected = values.get("expected", "")
    if expected.lower() not in (*KNOWN, *UNKNOWN):
        raise InputError(
            f"{expected!r} is not an expected verdict; write verified (unsat), falsified (sat) "
            "or unknown",
            str(path),
            line,
        )
    try:
        limit = seconds(values["timeout"]) if values.get("timeout") else timeout
    except ValueError as error:
        raise InputError(str(error), str(path), line) from error
    return Instance(number, values["onnx"], values["vnnlib"], limit, expected, path.parent)
