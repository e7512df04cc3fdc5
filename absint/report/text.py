"""Results for people, on stdout."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from absint.api import Task
from absint.report.facts import result_facts
from absint.search.result import Result, Verdict

MAX_VALUES = 12


class TextReporter:
    """Prints each result as it comes, and a table of counts where there are several."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.results: list[Result] = []
        graph, semantics = task.model.graph, task.spec.properties[0].semantics
        print(
            f"{task.model.path.name}: {graph.input_size} inputs, {graph.output_size} outputs, "
            f"{graph.parameter_count()} parameters; {semantics.name} arithmetic, "
            f"inputs {semantics.inputs} to {semantics.dtype}"
        )

    def add(self, result: Result, certificate: Path) -> None:
        self.results.append(result)
        facts = result_facts(self.task, result, certificate)
        seconds = result.effort.search_seconds + result.effort.check_seconds
        print(f"{result.name}: {result.verdict.value} in {seconds:.2f} s")
        if result.verdict is Verdict.VERIFIED:
            _print_proof(result, facts)
        elif result.verdict is Verdict.FALSIFIED:
            print_counterexample(facts["counterexample"])
        else:
            _print_open(result, facts)

    def finish(self) -> None:
        if self.task.spec.dataset is not None:
            from absint.report.dataset import print_table

            print_table(self.task.spec.dataset, self.results)
        elif len(self.results) > 1:
            counts = {v: sum(r.verdict is v for r in self.results) for v in Verdict}
            print(", ".join(f"{count} {verdict.value}" for verdict, count in counts.items()))


def _print_proof(result: Result, facts: dict[str, Any]) -> None:
    proof, effort = facts["certificate"], result.effort
    print(
        f"  {_count(proof['leaves'], 'box', 'boxes')} proved in {effort.search_seconds:.2f} s, "
        f"all accepted by the checker in {effort.check_seconds:.2f} s"
    )
    print(f"  certificate: {proof['path']} ({proof['bytes']} bytes)")


def _print_open(result: Result, facts: dict[str, Any]) -> None:
    proof = facts["certificate"]
    print(f"  {result.reason}")
    print(
        f"  open: {result.open_share():.3%} of the region, in "
        f"{_count(proof['open_leaves'], 'box', 'boxes')} of {proof['leaves']}"
    )
    print(f"  proof so far: {proof['path']} (go on with --resume {proof['path']})")


def print_counterexample(facts: dict[str, Any]) -> None:
    """Input, output and what was replayed, from ``facts.confirmation_facts``."""
    for side in ("input", "output"):
        print(f"  {side}:  {_values(facts[side])}")
    for row in facts["constraints"]:
        print(f"  {row['constraint']} holds, by {-row['margin']:.6g}")
    off = "catastrophic" if facts["catastrophic"] else "not catastrophic"
    default = (
        "catastrophic" if facts["catastrophic_with_default_optimisations"] else "not catastrophic"
    )
    print(f"  replayed on {facts['runtime']}: {off}; with its default optimisations: {default}")
    print(f"  real arithmetic: {facts['real_arithmetic']}")


def _values(values: dict[str, float]) -> str:
    shown = [f"{name} = {value:.9g}" for name, value in list(values.items())[:MAX_VALUES]]
    more = len(values) - len(shown)
    return ", ".join(shown) + (f", … ({more} more: --format json)" if more else "")


def _count(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"
