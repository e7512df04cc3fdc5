"""What ``absint inspect --region`` shows: the graphs that decoding unrolls to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from absint.decode.task import DecodeTask
from absint.ir import Graph, digest
from absint.report.decoding import counts
from absint.report.decoding.text import heading
from absint.report.document import dumps


def show(style: str, task: DecodeTask, places: Mapping[int, Path]) -> None:
    """Prints the decode graphs, and where each was written."""
    if style == "json":
        print(dumps(_facts(task, places)))
        return
    print(heading(task))
    for length, graph in task.graphs.items():
        written = f" -> {places[length]}" if length in places else ""
        print(f"prompts of {length}: {len(graph.nodes)} nodes{written}")
        print("  " + ", ".join(f"{op} x{number}" for op, number in _ops(graph).items()))
    for problem in task.spec.problems:
        number = counts.words(counts.of_problem(problem), counts.product(problem))
        print(f"{problem.name}: {number}")


def _ops(graph: Graph) -> dict[str, int]:
    return dict(sorted(Counter(node.op for node in graph.nodes).items()))


def _facts(task: DecodeTask, places: Mapping[int, Path]) -> dict[str, Any]:
    return {
        "model": str(task.network.path),
        "sha256": task.network.digest,
        "spec": {"path": task.spec.sources.path, "sha256": task.spec.digest},
        "steps": task.spec.problems[0].steps,
        "graphs": [
            {
                "prompt": length,
                "sha256": digest(graph),
                "nodes": len(graph.nodes),
                "lowered": _ops(graph),
                "path": str(places[length]) if length in places else None,
            }
            for length, graph in task.graphs.items()
        ],
        "properties": [
            {"property": p.name, "prompts": counts.digits(counts.of_problem(p))}
            for p in task.spec.problems
        ],
    }
