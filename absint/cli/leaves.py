"""Boxes that another tool has verified: a CSV file, and what the checker makes of it."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np

from absint.api import load
from absint.cli.progress import ProgressLine
from absint.problem import InputError, Meaning
from absint.report import artifacts, files
from absint.search.listed import Boxes, Confirmation, confirm
from absint.search.prove import Binding
from absint.search.result import Verdict

MAX_BYTES = 1 << 30


def read_boxes(path: Path, size: int) -> Boxes:
    """The boxes of a CSV file with the columns ``lower_0, …`` and ``upper_0, …``, in any order.

    Raises InputError with the line.
    """
    try:
        text = files.read(path, "list of boxes", MAX_BYTES).decode("utf-8-sig")
        rows = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    except UnicodeDecodeError as error:
        raise InputError("not UTF-8 text", str(path)) from error
    except csv.Error as error:
        raise InputError(f"not a CSV file: {error}", str(path)) from error
    header = [name.strip().lower() for name in rows[0]] if rows else []
    wanted = [f"{side}_{i}" for side in ("lower", "upper") for i in range(size)]
    if sorted(header) != sorted(wanted):
        asked = f"lower_0 to lower_{size - 1} and upper_0 to upper_{size - 1}"
        raise InputError(f"the first row must name the columns {asked}", f"{path}, line 1")
    numbers = [
        _numbers(row, len(header), f"{path}, line {number}")
        for number, row in enumerate(rows[1:], start=2)
        if row
    ]
    table = np.array(numbers, dtype=np.float64).reshape((-1, 2 * size))
    ends = table[:, [header.index(name) for name in wanted]]
    return Boxes(ends[:, :size], ends[:, size:])


def _numbers(row: list[str], count: int, place: str) -> list[float]:
    try:
        found = [float(item) for item in row]
    except ValueError as error:
        raise InputError(str(error), place) from error
    if len(found) != count or not np.isfinite(found).all():
        raise InputError(f"not {count} finite numbers", place)
    return found


def check_leaves(
    path: Path,
    model: Path,
    region: Path,
    name: str | None,
    kept: Path | None,
    semantics: Meaning | None,
    jobs: int,
) -> Confirmation:
    """Recomputes every bound on the boxes of a file. Raises InputError and UnsupportedError.

    ``name`` is the property's, which may be left out where the spec has one; ``kept`` is where the
    certificate goes that comes of it.
    """
    from absint.frontends.spec.decode import is_decode_spec

    if is_decode_spec(region):
        raise InputError("boxes are about numbers, this spec is about a network that decodes", "")
    if kept is not None:
        artifacts.require_writable(kept)
    task = load(model, region, trusted=False, semantics=semantics)
    names = [problem.name for problem in task.spec.properties]
    if name is None and len(names) > 1:
        raise InputError(f"the spec has several properties: --property {' | '.join(names)}", "")
    problem = task.problem(name or names[0])
    boxes, line = read_boxes(path, problem.input_size), ProgressLine(path.name)
    binding = Binding(task.model.digest, task.spec.digest)
    found = confirm(task.model.graph, problem, binding, boxes, jobs, line.check)
    line.clear()
    if kept is not None:
        verdict = Verdict.VERIFIED if found.report.accepted else Verdict.UNKNOWN
        data = found.certificate.to_bytes()
        artifacts.write(kept, data, verdict.value, str(model), str(region))
    return found
