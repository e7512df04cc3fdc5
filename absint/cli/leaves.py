"""Leaves that another tool has verified: a CSV file of boxes or of phases, recomputed."""

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
from absint.search.listed_phases import Pattern, confirm_phases
from absint.search.prove import Binding
from absint.search.result import Verdict

MAX_BYTES = 1 << 30


PHASE_COLUMNS = ["leaf", "node", "entry", "side"]


def read_leaves(path: Path, size: int) -> Boxes | list[Pattern]:
    """The boxes of a CSV file with the columns ``lower_0, …`` and ``upper_0, …``, in any order.

    With the columns of PHASE_COLUMNS, in this order, patterns of phases. Raises InputError with the
    line.
    """
    rows = _table(path)
    if rows and [name.strip().lower() for name in rows[0]] == PHASE_COLUMNS:
        return _patterns(path, rows)
    return _boxes(path, rows, size)


def _table(path: Path) -> list[list[str]]:
    try:
        text = files.read(path, "list of leaves", MAX_BYTES).decode("utf-8-sig")
        return list(csv.reader(io.StringIO(text, newline=""), strict=True))
    except UnicodeDecodeError as error:
        raise InputError("not UTF-8 text", str(path)) from error
    except csv.Error as error:
        raise InputError(f"not a CSV file: {error}", str(path)) from error


def _patterns(path: Path, rows: list[list[str]]) -> list[Pattern]:
    """By the leaves' names, in the order in which these come first."""
    found = dict[str, Pattern]()
    for number, row in enumerate(rows[1:], start=2):
        if not row:
            continue
        place = f"{path}, line {number}"
        if len(row) != len(PHASE_COLUMNS) or row[3].strip() not in ("<=", ">="):
            raise InputError("not a leaf, a node, an entry, and a side: '<=' or '>='", place)
        try:
            phase, above = (int(row[1]), int(row[2])), row[3].strip() == ">="
        except ValueError as error:
            raise InputError(str(error), place) from error
        if found.setdefault(row[0].strip(), {}).setdefault(phase, above) != above:
            raise InputError("the leaf has this neuron on its other side, too", place)
    return list(found.values())


def _boxes(path: Path, rows: list[list[str]], size: int) -> Boxes:
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
    """Recomputes every bound on the leaves of a file. Raises InputError and UnsupportedError.

    ``name`` is the property's, which may be left out where the spec has one; ``kept`` is where the
    certificate goes that comes of it.
    """
    from absint.frontends.spec.decode import is_decode_spec

    if is_decode_spec(region):
        raise InputError("leaves are about numbers, this spec is about a network that decodes", "")
    if kept is not None:
        artifacts.require_writable(kept)
    task = load(model, region, trusted=False, semantics=semantics)
    names = [problem.name for problem in task.spec.properties]
    if name is None and len(names) > 1:
        raise InputError(f"the spec has several properties: --property {' | '.join(names)}", "")
    problem = task.problem(name or names[0])
    listed, line = read_leaves(path, problem.input_size), ProgressLine(path.name)
    binding = Binding(task.model.digest, task.spec.digest)
    graph = task.model.graph
    found = (
        confirm(graph, problem, binding, listed, jobs, line.check)
        if isinstance(listed, Boxes)
        else confirm_phases(graph, problem, binding, listed, jobs, line.check)
    )
    line.clear()
    if kept is not None:
        verdict = Verdict.VERIFIED if found.report.accepted else Verdict.UNKNOWN
        data = found.certificate.to_bytes()
        artifacts.write(kept, data, verdict.value, str(model), str(region))
    return found
