"""The canonical JSON form of a decode problem, and its digest.

A set of tokens is a flat list of ranges, both ends included: ``[0, 4, 7, 7]``. Sets that a problem
uses often are written once, under ``sets``, and meant by their number. A machine's table has one
column for each class of tokens that no state tells apart. ``probes`` and ``detector`` are there
where the problem has any.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from absint.problem.canonical import (
    read_back,
    read_row,
    read_semantics,
    row_to_json,
    write_semantics,
)
from absint.problem.decode import (
    All,
    Atom,
    DecodeProblem,
    Formula,
    Machine,
    Not,
    Probe,
    Probed,
    PromptCell,
    Some,
    Tokens,
)
from absint.problem.problem import ProblemError
from absint.problem.regular import symbols

Sets = dict[Tokens, int]


def decode_to_json(problem: DecodeProblem) -> bytes:
    """Canonical bytes: sorted keys, no spaces. Raises ProblemError for a number of many digits."""
    sets: Sets = {}
    data: dict[str, Any] = {
        "kind": "decode",
        "name": problem.name,
        "vocabulary": list(problem.vocabulary),
        "cells": [
            {
                "slots": [_number(slot, sets) for slot in cell.slots],
                "condition": None if cell.condition is None else _formula(cell.condition),
            }
            for cell in problem.cells
        ],
        "steps": problem.steps,
        "stop": _ranges(problem.stop),
        "machines": [_machine(machine) for machine in problem.machines],
        "catastrophe": _formula(problem.catastrophe),
        "allowed": [None if own is None else _number(own, sets) for own in problem.allowed],
        "semantics": write_semantics(problem.semantics),
        "sets": [_ranges(tokens) for tokens in sets],
    }
    if problem.state_names:
        data["state_names"] = [list(names) for names in problem.state_names]
    if problem.probes:
        try:
            data["probes"] = [[probe.step, row_to_json(probe.row)] for probe in problem.probes]
        except ValueError as error:  # Python's limit on the digits of an integer
            raise ProblemError(f"{problem.name}: a number has too many digits") from error
    if problem.detector:
        data["detector"] = list(problem.detector)
    return json.dumps(data, sort_keys=True, separators=(",", ":")).encode()


def meaning(problem: DecodeProblem) -> bytes:
    """The canonical bytes without what is there for people only."""
    return decode_to_json(replace(problem, state_names=()))


def decode_digest(problem: DecodeProblem) -> str:
    """SHA-256 of the canonical JSON, in hexadecimal."""
    return hashlib.sha256(decode_to_json(problem)).hexdigest()


def decode_from_json(data: bytes) -> DecodeProblem:
    """Reads a problem back. Raises ProblemError, also for what is not in canonical form."""
    return read_back(data, _read, decode_to_json, "decode problem")


def _number(tokens: Tokens, sets: Sets) -> int:
    return sets.setdefault(tokens, len(sets))


def _ranges(tokens: Iterable[int]) -> list[int]:
    return [end for ends in symbols(tokens).ranges for end in ends]


def _formula(formula: Formula) -> list[Any]:
    if isinstance(formula, Atom):
        return ["machine", formula.machine, sorted(formula.labels)]
    if isinstance(formula, Probed):
        return ["probe", formula.probe]
    if isinstance(formula, Not):
        return ["not", _formula(formula.of)]
    word = "all" if isinstance(formula, All) else "some"
    return [word, *map(_formula, formula.of)]


def _machine(machine: Machine) -> dict[str, Any]:
    columns: dict[tuple[int, ...], list[int]] = {}
    for token, column in enumerate(zip(*machine.table, strict=True)):
        columns.setdefault(column, []).append(token)
    return {
        "reads": machine.reads,
        "classes": [_ranges(tokens) for tokens in columns.values()],
        "table": [list(row) for row in zip(*columns, strict=True)],
        "labels": list(machine.labels),
    }


def _read(data: dict[str, Any]) -> DecodeProblem:
    if data["kind"] != "decode":
        raise ValueError("another kind of problem")
    vocabulary = tuple(_text(token) for token in _list(data["vocabulary"]))
    size = len(vocabulary)
    sets = [_tokens(ranges, size) for ranges in _list(data["sets"])]
    machines = tuple(_read_machine(machine, size) for machine in _list(data["machines"]))
    return DecodeProblem(
        name=_text(data["name"]),
        vocabulary=vocabulary,
        cells=tuple(
            PromptCell(
                tuple(_at(sets, slot) for slot in _list(cell["slots"])),
                None if cell["condition"] is None else _read_formula(cell["condition"]),
            )
            for cell in _list(data["cells"])
        ),
        steps=_whole(data["steps"]),
        stop=_tokens(data["stop"], size),
        machines=machines,
        catastrophe=_read_formula(data["catastrophe"]),
        allowed=tuple(None if own is None else _at(sets, own) for own in _list(data["allowed"])),
        semantics=read_semantics(data["semantics"]),
        state_names=tuple(
            tuple(_text(name) for name in _list(names))
            for names in _list(data.get("state_names", []))
        ),
        probes=tuple(_read_probe(probe) for probe in _list(data.get("probes", []))),
        detector=tuple(_text(name) for name in _list(data.get("detector", []))),
    )


def _read_probe(data: Any) -> Probe:
    step, row = _list(data)
    return Probe(read_row(row), None if step is None else _whole(step))


def _read_formula(data: Any) -> Formula:
    word, *parts = _list(data)
    if word == "machine":
        machine, labels = parts
        return Atom(_whole(machine), frozenset(_whole(label) for label in _list(labels)))
    if word == "probe":
        (probe,) = parts
        return Probed(_whole(probe))
    if word == "not":
        (part,) = parts
        return Not(_read_formula(part))
    if word not in ("all", "some"):
        raise ValueError("an unknown kind of formula")
    listed = tuple(map(_read_formula, parts))
    return All(listed) if word == "all" else Some(listed)


def _read_machine(data: dict[str, Any], size: int) -> Machine:
    columns = [-1] * size
    for column, ranges in enumerate(_list(data["classes"])):
        for token in _tokens(ranges, size):
            columns[token] = column
    if -1 in columns:
        raise ValueError("a token is in no class")
    table = []
    for row in _list(data["table"]):
        targets = [_whole(target) for target in _list(row)]
        table.append(tuple(targets[column] for column in columns))
    reads = data["reads"]
    if reads not in ("prompt", "output"):
        raise ValueError(f"a machine that reads {reads!r}")
    return Machine(reads, tuple(table), tuple(_whole(label) for label in _list(data["labels"])))


def _tokens(data: Any, size: int) -> Tokens:
    """Ranges are checked before they are written out, so a short text makes no huge set."""
    ends = [_whole(end) for end in _list(data)]
    if len(ends) % 2 or sorted(set(ends[::2])) != ends[::2] or any(end >= size for end in ends):
        raise ValueError("not a set of tokens")
    return frozenset(
        token
        for first, last in zip(ends[::2], ends[1::2], strict=True)
        for token in range(first, last + 1)
    )


def _at(sets: list[Tokens], index: Any) -> Tokens:
    return sets[_whole(index)]


def _whole(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise ValueError(f"not a whole number from 0 up: {str(value)[:20]!r}")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("text is needed")
    return value


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError("a list is needed")
    return value
