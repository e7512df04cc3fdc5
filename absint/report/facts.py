"""What a report says of one result, as plain data: the one source of all styles."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from absint.api import Task
from absint.proofs.format import digest
from absint.search.confirm import Confirmation, confirm
from absint.search.result import Result


def confirmation(task: Task, result: Result) -> Confirmation | None:
    """The counterexample replayed on both settings of the runtime, and in real arithmetic."""
    if result.counterexample is None:
        return None
    return confirm(
        result.problem,
        task.model.graph,
        result.counterexample,
        task.runtime().run,
        task.runtime(optimised=True).run,
    )


def names(task: Task) -> tuple[list[str], list[str]]:
    """A name for each input value and each output value, from the spec or from the model."""
    sources, graph = task.spec.sources, task.model.graph
    inputs = sources.input_names or _indexed([(p.name, p.size) for p in graph.inputs])
    outputs = sources.output_names or _indexed([(p.name, p.size) for p in graph.outputs])
    return list(inputs), list(outputs)


def _indexed(ports: list[tuple[str, int]]) -> list[str]:
    return [
        name if size == 1 else f"{name}[{index}]" for name, size in ports for index in range(size)
    ]


def result_facts(task: Task, result: Result, certificate: Path) -> dict[str, Any]:
    """One property's result, ready for JSON."""
    effort, check = result.effort, result.check
    facts: dict[str, Any] = {
        "property": result.name,
        "verdict": result.verdict.value,
        "search_seconds": round(effort.search_seconds, 3),
        "check_seconds": round(effort.check_seconds, 3),
        "nodes": effort.nodes,
        "reason": result.reason,
        "certificate": None,
        "counterexample": None,
    }
    if result.certificate is not None and check is not None:
        facts["open_share"] = result.open_share()
        facts["certificate"] = {
            "path": str(certificate),
            "sha256": digest(result.certificate),
            "bytes": len(result.certificate),
            "leaves": check.leaves,
            "open_leaves": check.open_leaves,
            "rejected_leaves": len(check.rejected),
            "accepted": check.accepted,
        }
    found = confirmation(task, result)
    if found is not None:
        facts["counterexample"] = confirmation_facts(task, found)
    return facts


def confirmation_facts(task: Task, found: Confirmation) -> dict[str, Any]:
    """A counterexample, ready for JSON."""
    inputs, outputs = names(task)
    return {
        "input": dict(zip(inputs, found.x.tolist(), strict=True)),
        "output": dict(zip(outputs, found.y.tolist(), strict=True)),
        "constraints": [{"constraint": text, "margin": value} for text, value in found.margins],
        "runtime": f"onnxruntime {task.runtime().version}",
        "catastrophic": found.catastrophic,
        "catastrophic_with_default_optimisations": found.catastrophic_default,
        "real_arithmetic": found.real.value,
    }
