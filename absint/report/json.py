"""Results as one JSON document on stdout."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from absint import __version__
from absint.api import Task
from absint.report.document import dumps
from absint.report.facts import result_facts
from absint.search.options import SearchOptions
from absint.search.result import Result


class JsonReporter:
    """Prints everything at the end: one document, valid also when a verdict is unknown."""

    def __init__(self, task: Task, options: SearchOptions) -> None:
        self.task, self.options = task, options
        self.rows: list[dict[str, Any]] = []
        self.results: list[Result] = []

    def add(self, result: Result, certificate: Path) -> None:
        self.results.append(result)
        self.rows.append(result_facts(self.task, result, certificate))

    def finish(self, exit_code: int) -> None:
        semantics = self.task.spec.properties[0].semantics
        document: dict[str, Any] = {
            "absint": __version__,
            "exit_code": exit_code,
            "model": {"path": str(self.task.model.path), "sha256": self.task.model.digest},
            "spec": {"path": self.task.spec.sources.path, "sha256": self.task.spec.digest},
            "semantics": {"name": semantics.name, "inputs": semantics.inputs},
            "seed": self.options.seed,
            "properties": self.rows,
        }
        if self.task.spec.dataset is not None:
            from absint.report.dataset import dataset_facts

            document["dataset"] = dataset_facts(self.task, self.task.spec.dataset, self.results)
        print(dumps(document))
