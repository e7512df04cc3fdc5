"""Dataset mode: a row for each input of the dataset, and the certified accuracy."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from absint.api import Task
from absint.frontends.spec import DatasetInfo, DatasetRow
from absint.problem import round_all
from absint.report.text import heading
from absint.search.result import Result, Verdict

COLUMNS = f"{'row':>6} {'label':>6} {'clean':>6}  {'verdict':<10} {'seconds':>8}"


class DatasetReporter:
    """Prints a table's rows as they come, and the accuracies under it."""

    def __init__(self, task: Task, dataset: DatasetInfo) -> None:
        self.task, self.dataset = task, dataset
        self.rows: list[dict[str, Any]] = []
        print(heading(task))
        print(COLUMNS)

    def add(self, result: Result, certificate: Path) -> None:
        row = row_facts(self.task, self.dataset.rows[len(self.rows)], result)
        self.rows.append(row)
        label = "-" if row["label"] is None else row["label"]
        print(
            f"{row['row']:>6} {label:>6} {row['prediction']:>6}  {row['verdict']:<10} "
            f"{row['seconds']:>8.2f}"
        )

    def finish(self, exit_code: int) -> None:
        print(_summary_line(summary(self.rows)))


def row_facts(task: Task, row: DatasetRow, result: Result) -> dict[str, Any]:
    """One row: ``prediction`` is the argmax of the first output, of the runtime, at the centre."""
    dtype = result.problem.semantics.dtype
    y = task.run(round_all(row.center, dtype)[None])[0]
    prediction = int(np.argmax(y[: task.model.graph.outputs[0].size]))
    return {
        "property": row.property,
        "row": row.row,
        "label": row.label,
        "prediction": prediction,
        "clean": None if row.label is None else prediction == row.label,
        "verdict": result.verdict.value,
        "seconds": round(result.effort.search_seconds + result.effort.check_seconds, 3),
    }


def dataset_facts(task: Task, dataset: DatasetInfo, results: Sequence[Result]) -> dict[str, Any]:
    """The table and its summary, ready for JSON."""
    rows = [row_facts(task, row, result) for row, result in zip(dataset.rows, results, strict=True)]
    return {"rows": rows, "summary": summary(rows)}


def summary(rows: Sequence[dict[str, Any]]) -> dict[str, int | None]:
    """How many rows are certified, and how many the network gets right (None: no labels)."""
    counts: dict[str, int | None] = {
        verdict.value: sum(row["verdict"] == verdict.value for row in rows) for verdict in Verdict
    }
    labelled = all(row["label"] is not None for row in rows)
    counts["clean_correct"] = sum(bool(row["clean"]) for row in rows) if labelled else None
    counts["rows"] = len(rows)
    return counts


def _summary_line(counts: dict[str, int | None]) -> str:
    total = counts["rows"]
    parts = [f"certified {counts['verified']} of {total}"]
    if counts["clean_correct"] is not None:
        parts.append(f"clean accuracy {counts['clean_correct']} of {total}")
    return ", ".join([*parts, f"falsified {counts['falsified']}", f"open {counts['unknown']}"])
