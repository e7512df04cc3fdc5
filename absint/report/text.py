"""Results for people, on stdout."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

from absint.api import Task
from absint.report.facts import result_facts
from absint.report.words import count, headline, meaning, share, tally
from absint.search.result import Result, Verdict

MAX_VALUES = 12
MAX_CONSTRAINTS = 12
REAL = {
    "agrees": "catastrophic there, too",
    "disagrees": "not catastrophic there; it is the runtime's rounding that makes it so",
    "cannot be told apart": "too close to tell",
}


class TextReporter:
    """Prints each result as it comes, and a line of counts where there are several."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.results: list[Result] = []
        print(heading(task))

    def add(self, result: Result, certificate: Path) -> None:
        self.results.append(result)
        facts = result_facts(self.task, result, certificate)
        print(headline(result))
        if result.verdict is Verdict.VERIFIED:
            _print_proof(result, facts)
        elif result.verdict is Verdict.FALSIFIED:
            print_counterexample(facts["counterexample"])
        else:
            _print_open(result, facts)

    def finish(self, exit_code: int) -> None:
        if len(self.results) > 1:
            print(tally(self.results))


def heading(task: Task) -> str:
    """What is asked: the network's size, and what its numbers mean."""
    graph, semantics = task.model.graph, task.spec.properties[0].semantics
    inputs = (
        f"inputs rounded to {semantics.dtype}"
        if semantics.inputs == "rounded"
        else f"{semantics.dtype} inputs only"
    )
    return (
        f"{task.model.path.name}: {count(graph.input_size, 'input')}, "
        f"{count(graph.output_size, 'output')}, {count(graph.parameter_count(), 'parameter')}; "
        f"{meaning(semantics.contract)}, {inputs}"
    )


def _print_proof(result: Result, facts: dict[str, Any]) -> None:
    proof, effort = facts["certificate"], result.effort
    print(
        f"  {count(proof['leaves'], 'box', 'boxes')} proved in {effort.search_seconds:.2f} s, "
        f"accepted by the independent checker in {effort.check_seconds:.2f} s"
    )
    print(f"  certificate: {proof['path']} ({proof['bytes']} bytes)")


def _print_open(result: Result, facts: dict[str, Any]) -> None:
    proof = facts["certificate"]
    if result.reason:
        print(f"  {result.reason}")
    bound = "" if proof["open_share_exact"] else "at most "
    print(
        f"  open: {bound}{share(facts['open_share'])} of the region, "
        f"{proof['open_leaves']} of {count(proof['leaves'], 'box', 'boxes')}"
    )
    print(f"  proof so far: {proof['path']} (go on with --resume {shlex.quote(proof['path'])})")


def print_counterexample(facts: dict[str, Any]) -> None:
    """Input, output and what was replayed, from ``facts.confirmation_facts``."""
    print(f"  input:   {_values(facts['input'])}")
    print(f"  output:  {_values(facts['output'])}")
    rows = facts["constraints"]
    for row in rows[:MAX_CONSTRAINTS]:
        print(f"  {row['constraint']} {_holds(row['margin'])}")
    if len(rows) > MAX_CONSTRAINTS:
        print(f"  … ({len(rows) - MAX_CONSTRAINTS} more: --format json)")
    off = _said(facts["catastrophic"])
    default = _said(facts["catastrophic_with_default_optimisations"])
    print(f"  replayed on {facts['runtime']}: {off}; with its default optimisations: {default}")
    print(f"  in real arithmetic: {REAL[facts['real_arithmetic']]}")


def _holds(margin: float | None) -> str:
    if margin is None:
        return "counts as true: an output is not a finite number"
    if margin > 0:
        return f"does not hold, by {margin:.6g}"
    return f"holds, by {-margin:.6g}" if margin else "holds, exactly"


def _said(catastrophic: bool) -> str:
    return "catastrophic" if catastrophic else "not catastrophic"


def _values(values: dict[str, float]) -> str:
    shown = [f"{name} = {value:.9g}" for name, value in list(values.items())[:MAX_VALUES]]
    more = len(values) - len(shown)
    return ", ".join(shown) + (f", … ({more} more: --format json)" if more else "")
