"""Counterexample files: the values in ``.npz``, and beside it what they mean, in ``.json``."""

from __future__ import annotations

import hashlib
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from absint import __version__
from absint.api import Task
from absint.frontends.spec.arrays import Reference, read_array
from absint.frontends.spec.files import ReferredFiles
from absint.ir import digest as graph_digest
from absint.problem import InputError, Meaning
from absint.problem import digest as problem_digest
from absint.report import files
from absint.report.document import dumps
from absint.report.facts import confirmation, confirmation_facts
from absint.search.result import Result

FORMAT = "absint-counterexample 1"
MAGIC = b'{\n  "format": "absint-counterexample'
ZIP = b"PK\x03\x04"
MAX_JSON = 256 << 20

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Saved:
    """A counterexample file: the network's flat input, and what was recorded with it."""

    path: Path
    x: FloatArray
    facts: dict[str, Any]

    @property
    def meaning(self) -> Meaning | None:
        """What the network meant; None where that is not recorded."""
        recorded = self.facts.get("semantics")
        name = recorded.get("name") if isinstance(recorded, dict) else None
        return "float32" if name == "float32" else "real" if name == "real" else None

    @property
    def property(self) -> str:
        return str(self.facts["property"])

    def output(self) -> FloatArray:
        """The recorded outputs, (output_size,)."""
        return np.array([float(v) for v in self.facts["output"].values()])


def paths(path: Path) -> tuple[Path, Path]:
    """The ``.npz`` and the ``.json`` file that ``path`` means, whichever of them it names."""
    base = path.with_suffix("") if path.suffix in (".npz", ".json") else path
    return base.with_name(base.name + ".npz"), base.with_name(base.name + ".json")


def require_writable(path: Path) -> None:
    """Raises InputError unless both files can be written and replace none but our own."""
    arrays, facts = paths(path)
    files.require_writable(facts, [MAGIC])
    files.require_writable(arrays, [ZIP])
    if arrays.exists() and not facts.exists():
        raise InputError("exists and is something else; it is not overwritten", str(arrays))


def save(path: Path, task: Task, result: Result) -> None:
    """Writes the counterexample of a falsified result. Raises InputError."""
    found = confirmation(task, result)
    if found is None or result.counterexample is None:
        raise ValueError(f"{result.name} has no counterexample")
    stream = io.BytesIO()
    x = found.x.astype(result.problem.semantics.dtype)
    np.savez(stream, input=x, output=found.y)
    semantics = result.problem.semantics
    facts = {
        "format": FORMAT,
        "absint": __version__,
        "property": result.name,
        "cell": result.counterexample.cell,
        "model": {
            "path": str(task.model.path),
            "sha256": task.model.digest,
            "graph": graph_digest(task.model.graph),
        },
        "spec": {
            "path": task.spec.sources.path,
            "sha256": task.spec.digest,
            "problem": problem_digest(result.problem),
        },
        "semantics": {"name": semantics.name, "inputs": semantics.inputs},
        "arrays_sha256": hashlib.sha256(stream.getvalue()).hexdigest(),
        **confirmation_facts(task, result, found),
    }
    arrays_path, facts_path = paths(path)
    files.write(arrays_path, stream.getvalue())
    files.write(facts_path, dumps(facts).encode() + b"\n")


def load(path: Path) -> Saved:
    """Reads a counterexample that ``save`` wrote. Raises InputError."""
    arrays_path, facts_path = paths(path)
    data = files.read(arrays_path, "counterexample")
    facts = _facts(facts_path)
    if hashlib.sha256(data).hexdigest() != facts["arrays_sha256"]:
        raise InputError(f"is not the file that {facts_path.name} speaks of", str(arrays_path))
    store = ReferredFiles(arrays_path.parent, {arrays_path.name: data})
    try:
        x = read_array(Reference(arrays_path.name, "input", ()), store)
    except ValueError as error:
        raise InputError(str(error), str(arrays_path.parent)) from error
    return Saved(path, x.astype(np.float64).reshape(-1), facts)


def _facts(path: Path) -> dict[str, Any]:
    data = files.read(path, "description of a counterexample", MAX_JSON)
    try:
        facts = json.loads(data)
        well_formed = (
            facts["format"] == FORMAT
            and isinstance(facts["arrays_sha256"], str)
            and isinstance(facts["property"], str)
            and all(isinstance(facts[part]["sha256"], str) for part in ("model", "spec"))
            and all(np.isscalar(float(v)) for v in facts["output"].values())
        )
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise InputError("not the description of a counterexample", str(path)) from error
    if not well_formed:
        raise InputError("not a counterexample of a format that this version reads", str(path))
    return dict(facts)
