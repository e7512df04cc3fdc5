"""A saved counterexample run again, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from absint.api import Task
from absint.problem import Cell, InputError, Problem
from absint.report.counterexample import FloatArray, Saved
from absint.report.document import dumps
from absint.report.facts import confirmation_facts
from absint.report.origin import changed_parts
from absint.report.text import print_counterexample
from absint.search.attack import Counterexample
from absint.search.confirm import Confirmation, confirm
from absint.search.result import Effort, Result, Verdict


@dataclass(frozen=True)
class Replay:
    """``difference`` is the largest between the recorded outputs and those of this run."""

    saved: Saved
    task: Task
    result: Result
    found: Confirmation
    difference: float
    other: tuple[str, ...]
    """Which of model and spec are not the recorded ones."""


def replay(task: Task, saved: Saved, changed: bool = False) -> Replay:
    """Runs ``saved`` again on ``task``. Raises InputError where the two do not belong together."""
    digests = {"model": task.model.digest, "spec": task.spec.digest}
    other = changed_parts(saved.facts, digests, saved.path, changed)
    problem = task.problem(saved.property)
    index = _cell(problem, saved)
    found = confirm(
        problem,
        task.model.graph,
        Counterexample(index, 0, saved.x, saved.output()),
        task.run,
        task.runtime(optimised=True).run,
    )
    result = Result(
        problem,
        Verdict.FALSIFIED if found.catastrophic else Verdict.UNKNOWN,
        Effort(0.0, 0.0, 0),
        counterexample=Counterexample(index, 0, saved.x, found.y),
    )
    return Replay(saved, task, result, found, _difference(saved.output(), found.y), other)


def _cell(problem: Problem, saved: Saved) -> int:
    """A cell of the region that the input lies in. Raises InputError."""
    if saved.x.shape != (problem.input_size,):
        raise InputError(
            f"has {saved.x.size} values, but the network has {problem.input_size} inputs",
            str(saved.path),
        )
    for index, cell in enumerate(problem.cells):
        if _inside(problem, cell, saved.x):
            return index
    raise InputError(f"its input is not in the region of {problem.name}", str(saved.path))


def _inside(problem: Problem, cell: Cell, x: FloatArray) -> bool:
    lower, upper = problem.network_box(cell)
    exact = [Fraction(v) for v in x.tolist()]
    fits = np.array_equal(x.astype(problem.semantics.dtype).astype(np.float64), x)
    inside = bool((lower <= x).all() and (x <= upper).all())
    return fits and inside and all(row.holds(exact, ()) for row in cell.constraints)


def _difference(recorded: FloatArray, y: FloatArray) -> float:
    if recorded.shape != y.shape:
        return float("nan")
    same = (recorded == y) | (np.isnan(recorded) & np.isnan(y))
    with np.errstate(invalid="ignore"):
        return float(np.where(same, 0.0, np.abs(recorded - y)).max(initial=0.0))


def show(style: str, outcome: Replay, exit_code: int) -> None:
    """Prints the replay, as text or as one JSON document."""
    facts = confirmation_facts(outcome.task, outcome.result, outcome.found)
    if style == "json":
        print(dumps(_facts(outcome, facts, exit_code)))
        return
    said = {0: "not catastrophic", 1: "catastrophic again", 3: "catastrophic only when optimised"}
    print(f"{outcome.saved.property}: {said[exit_code]}")
    for part in outcome.other:
        print(f"  another {part} than the recorded one")
    print_counterexample(facts)
    recorded = outcome.saved.facts.get("runtime", "another runtime")
    if outcome.difference == 0:
        print(f"  outputs: bit for bit those recorded on {recorded}")
    else:
        print(f"  outputs: differ from those recorded on {recorded} by {outcome.difference:.3g}")


def _facts(outcome: Replay, facts: dict[str, Any], exit_code: int) -> dict[str, Any]:
    return {
        "exit_code": exit_code,
        "property": outcome.saved.property,
        "changed": list(outcome.other),
        "output_difference": outcome.difference,
        **facts,
    }
