"""Decoding results as one JSON document on stdout."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from absint import __version__
from absint.decode.result import DecodeResult
from absint.decode.task import DecodeTask
from absint.report.decoding.facts import result_facts
from absint.report.document import dumps
from absint.search.options import SearchOptions


class DecodeJsonReporter:
    """Prints everything at the end: one document, valid also when a verdict is unknown."""

    def __init__(self, task: DecodeTask, options: SearchOptions) -> None:
        self.task, self.options = task, options
        self.rows: list[dict[str, Any]] = []

    def add(self, result: DecodeResult, certificate: Path) -> None:
        self.rows.append(result_facts(self.task, result, certificate))

    def finish(self, exit_code: int) -> None:
        problem = self.task.spec.problems[0]
        document: dict[str, Any] = {
            "absint": __version__,
            "exit_code": exit_code,
            "model": {"path": str(self.task.network.path), "sha256": self.task.network.digest},
            "spec": {"path": self.task.spec.sources.path, "sha256": self.task.spec.digest},
            "semantics": {"name": problem.semantics.name},
            "decode": {
                "vocabulary": len(problem.vocabulary),
                "prompt_lengths": sorted(self.task.graphs),
                "steps": problem.steps,
                **detector_facts(self.task),
            },
            "seed": self.options.seed,
            "properties": self.rows,
        }
        print(dumps(document))


def detector_facts(task: DecodeTask) -> dict[str, Any]:
    """The second network's file, where the spec names one."""
    if task.detector is None:
        return {}
    network = task.detector.network
    return {"detector": {"path": str(network.path), "sha256": network.digest}}
