"""Results as one JSON document on stdout."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import absint
from absint.api import Task
from absint.report.facts import result_facts
from absint.search.options import SearchOptions
from absint.search.result import Result


class JsonReporter:
    """Prints everything at the end: one document, valid also when a verdict is unknown."""

    def __init__(self, task: Task, options: SearchOptions) -> None:
        self.task, self.options = task, options
        self.rows: list[dict[str, Any]] = []

    def add(self, result: Result, certificate: Path) -> None:
        self.rows.append(result_facts(self.task, result, certificate))

    def finish(self) -> None:
        semantics = self.task.spec.properties[0].semantics
        document = {
            "absint": absint.__version__,
            "model": {"path": str(self.task.model.path), "sha256": self.task.model.digest},
            "spec": {"path": self.task.spec.sources.path, "sha256": self.task.spec.digest},
            "semantics": {"name": semantics.name, "inputs": semantics.inputs},
            "seed": self.options.seed,
            "properties": self.rows,
        }
        print(json.dumps(document, indent=2))
