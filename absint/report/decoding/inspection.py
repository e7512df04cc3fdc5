"""What ``absint inspect --region`` shows: the graphs that decoding unrolls to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from absint.decode.task import DecodeTask
from absint.ir import Graph, digest
from absint.report.decoding import counts
from absint.report.decoding.text import heading
from absint.report.document import dumps
from absint.report.view import View


def show(task: DecodeTask, views: Mapping[int, View]) -> None:
    """Prints the decode graphs, and where each was written."""
    if any(view.style == "json" for view in views.values()):
        print(dumps(_facts(task, views)))
        return
    print(heading(task))
    for length, graph in task.graphs.items():
        place, text = views[length].graph, views[length].text(graph)
        written = f" -> {place}" if place is not None else ""
        print(f"prompts of {length}: {len(graph.nodes)} nodes{written}")
        print("  " + ", ".join(f"{op} x{number}" for op, number in _ops(graph).items()))
        if text is not None:
            print(text, end="")
    for problem in task.spec.problems:
        number = counts.words(counts.of_problem(problem), counts.product(problem))
        print(f"{problem.name}: {number}")


def _ops(graph: Graph) -> dict[str, int]:
    return dict(sorted(Counter(node.op for node in graph.nodes).items()))


def _facts(task: DecodeTask, views: Mapping[int, View]) -> dict[str, Any]:
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
                "path": None if views[length].graph is None else str(views[length].graph),
                "ir": views[length].text(graph),
            }
            for length, graph in task.graphs.items()
        ],
        "properties": [
            {"property": p.name, "prompts": counts.digits(counts.of_problem(p))}
            for p in task.spec.problems
        ],
    }
