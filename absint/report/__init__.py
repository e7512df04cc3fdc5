"""Reports: results for people (text) and for machines (json)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from absint.api import Task
    from absint.search.options import SearchOptions
    from absint.search.result import Result


class Reporter(Protocol):
    """Takes results as they come; ``finish`` ends the report."""

    def add(self, result: Result, certificate: Path) -> None: ...

    def finish(self, exit_code: int) -> None: ...


def reporter(style: str, task: Task, options: SearchOptions) -> Reporter:
    """The reporter for ``style``, text or json."""
    if style == "json":
        from absint.report.json import JsonReporter

        return JsonReporter(task, options)
    if task.spec.dataset is not None:
        from absint.report.dataset import DatasetReporter

        return DatasetReporter(task, task.spec.dataset)
    from absint.report.text import TextReporter

    return TextReporter(task)
