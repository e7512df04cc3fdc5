"""Counterexamples of decoding as JSON files, and the same run again."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from absint import __version__
from absint.decode.result import DecodeResult
from absint.decode.task import DecodeTask
from absint.problem import InputError
from absint.problem.canonical_decode import decode_digest
from absint.problem.decode import DecodeProblem
from absint.report import files
from absint.report.decoding.facts import transcript_facts
from absint.report.decoding.text import print_transcript
from absint.report.decoding.transcript import Replayed, replayed
from absint.report.document import dumps
from absint.report.origin import changed_parts

FORMAT = "absint-transcript 1"
MAGIC = b'{\n  "format": "absint-transcript'
MAX_JSON = 64 << 20


@dataclass(frozen=True)
class Saved:
    """What a counterexample file says."""

    path: Path
    facts: dict[str, Any]

    @property
    def property(self) -> str:
        return str(self.facts["property"])


@dataclass(frozen=True)
class Replay:
    """A saved counterexample run again."""

    saved: Saved
    problem: DecodeProblem
    found: Replayed
    other: tuple[str, ...]
    """Which of model and spec are not the recorded ones."""

    @property
    def facts(self) -> dict[str, Any]:
        return transcript_facts(self.problem, self.found)


def place(path: Path) -> Path:
    """The file that ``path`` means: with ``.json``."""
    return path if path.suffix == ".json" else path.with_name(path.name + ".json")


def paths(path: Path) -> tuple[Path]:
    """The files that ``save`` writes."""
    return (place(path),)


def require_writable(path: Path) -> None:
    """Raises InputError unless the file can be written and replaces none but our own."""
    files.require_writable(place(path), [MAGIC])


def save(path: Path, task: DecodeTask, result: DecodeResult) -> None:
    """Writes the counterexample of a falsified result. Raises InputError."""
    if result.counterexample is None:
        raise ValueError(f"{result.name} has no counterexample")
    facts = {
        "format": FORMAT,
        "absint": __version__,
        "property": result.name,
        "model": {"path": str(task.network.path), "sha256": task.network.digest},
        "spec": {
            "path": task.spec.sources.path,
            "sha256": task.spec.digest,
            "problem": decode_digest(result.problem),
        },
        **transcript_facts(
            result.problem, replayed(task, result.problem, result.counterexample.prompt)
        ),
    }
    files.write(place(path), dumps(facts).encode() + b"\n")


def load(path: Path) -> Saved:
    """Reads a counterexample that ``save`` wrote. Raises InputError."""
    data = files.read(place(path), "counterexample", MAX_JSON)
    try:
        facts = json.loads(data)
        well_formed = (
            facts["format"] == FORMAT
            and isinstance(facts["property"], str)
            and all(isinstance(facts[part]["sha256"], str) for part in ("model", "spec"))
            and all(isinstance(name, str) for key in ("prompt", "output") for name in facts[key])
        )
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise InputError("not a counterexample of decoding", str(place(path))) from error
    if not well_formed:
        raise InputError("not a counterexample of decoding", str(place(path)))
    return Saved(place(path), facts)


def replay(task: DecodeTask, saved: Saved, changed: bool = False) -> Replay:
    """Decodes the saved prompt again. Raises InputError where the two do not belong together."""
    digests = {"model": task.network.digest, "spec": task.spec.digest}
    other = changed_parts(saved.facts, digests, saved.path, changed)
    problem = task.problem(saved.property)
    return Replay(saved, problem, replayed(task, problem, _prompt(problem, saved)), other)


def _prompt(problem: DecodeProblem, saved: Saved) -> tuple[int, ...]:
    """The prompt's tokens. Raises InputError unless it is one of the region's."""
    index = {name: token for token, name in enumerate(problem.vocabulary)}
    for name in saved.facts["prompt"]:
        if name not in index:
            raise InputError(f"the vocabulary has no token {name!r}", str(saved.path))
    prompt = tuple(index[name] for name in saved.facts["prompt"])
    if not any(problem.admits(cell, prompt) for cell in problem.cells):
        raise InputError(f"its prompt is not in the region of {problem.name}", str(saved.path))
    return prompt


def show(style: str, outcome: Replay, exit_code: int) -> None:
    """Prints the replay, as text or as one JSON document."""
    recorded, same = outcome.saved.facts, outcome.saved.facts["output"] == outcome.facts["output"]
    if style == "json":
        facts = {
            "exit_code": exit_code,
            "property": outcome.saved.property,
            "changed": list(outcome.other),
            "same_output": same,
            **outcome.facts,
        }
        print(dumps(facts))
        return
    said = {0: "not catastrophic", 1: "catastrophic again", 3: "catastrophic only when optimised"}
    print(f"{outcome.saved.property}: {said[exit_code]}")
    for part in outcome.other:
        print(f"  another {part} than the recorded one")
    print_transcript(outcome.facts)
    before = recorded.get("runtime", "another runtime")
    print(f"  output: {'the one' if same else 'not the one'} recorded on {before}")
