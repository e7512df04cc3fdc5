"""``absint verify --instances``: many rows in worker processes, one table."""

from __future__ import annotations

import dataclasses
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from absint.cli import worker
from absint.cli.instances import read_instances
from absint.cli.options import cores
from absint.cli.signals import Interrupted
from absint.cli.worker import Settings
from absint.executors.pool import Failure, Pool, Task
from absint.problem import InputError
from absint.report import batch as report
from absint.report import files
from absint.report.rows import Instance, RowResult
from absint.search.options import SearchOptions

GRACE = 10.0
"""Seconds past its time after which a row's worker is taken to hang."""
FLOOR = 512 << 20
"""Bytes that every worker may hold: a Python process with a runtime and a small model."""
WORST_FIRST = (1, 70, 4, 2, 3, 0)
CONTRADICTION = 70


@dataclass(frozen=True)
class Batch:
    """What to run. ``options.timeout`` is for rows without one; the workers share the memory."""

    instances: Path
    options: SearchOptions
    style: str
    results: Path | None = None
    workers: int | None = None
    certificates: Path | None = None
    counterexamples: Path | None = None


def run_batch(batch: Batch) -> int:
    """Runs all rows and reports them; returns the exit code. Raises InputError.

    What was found until a signal is kept: the CSV file is written then, too.
    """
    instances = read_instances(batch.instances, batch.options.timeout)
    if batch.results is not None:
        files.require_writable(batch.results, [report.HEADER])
    for folder in (batch.certificates, batch.counterexamples):
        _require_folder(folder)
    started = time.monotonic()
    results: list[RowResult | None] = [None] * len(instances)
    try:
        _run(batch, instances, results)
    except (Interrupted, KeyboardInterrupt):
        _write(batch, list(zip(instances, results, strict=True)))
        raise
    rows = list(zip(instances, results, strict=True))
    _write(batch, rows)
    code = exit_code(rows)
    if batch.style == "json":
        report.print_json(rows, time.monotonic() - started, code)
    else:
        report.print_summary(rows, time.monotonic() - started)
    for instance in report.contradictions(rows):
        print(f"absint: row {instance.number}: the verdict CONTRADICTS the expected "
              f"{instance.expected!r}", file=sys.stderr)  # fmt: skip
    return code


def exit_code(rows: Iterable[tuple[Instance, RowResult | None]]) -> int:
    """The worst row's, in the order of WORST_FIRST; a contradiction is worse than all."""
    rows = list(rows)
    if report.contradictions(rows):
        return CONTRADICTION
    codes = {result.exit_code for _, result in rows if result is not None}
    return next(code for code in WORST_FIRST if code in codes)


def _run(batch: Batch, instances: Sequence[Instance], results: list[RowResult | None]) -> None:
    """Fills ``results``; rows are shown in their order."""
    count = min(batch.workers or cores(), len(instances))
    share = max(FLOOR, batch.options.memory // count)
    options = dataclasses.replace(batch.options, memory=share, jobs=1)
    settings = Settings(options, batch.certificates, batch.counterexamples)
    tasks = [Task(instance, instance.timeout + GRACE) for instance in instances]
    shown, display = 0, report.display(batch.style, instances)
    try:
        with Pool(count, worker.serve, settings, share + share // 4) as pool:
            for answer in pool.run(tasks):
                if answer is not None:
                    index, found = answer
                    results[index] = _result(found)
                while shown < len(results) and (result := results[shown]) is not None:
                    display.show(instances[shown], result)
                    shown += 1
                display.tick([(instances[i], seconds) for i, seconds in pool.running()])
    finally:
        display.finish()


def _result(found: RowResult | Failure) -> RowResult:
    if isinstance(found, RowResult):
        return found
    return RowResult("error", 70, found.reason, seconds=found.seconds)


def _write(batch: Batch, rows: report.Rows) -> None:
    if batch.results is not None:
        files.write(batch.results, report.to_csv(rows))


def _require_folder(folder: Path | None) -> None:
    """Makes the folder where it is missing. Raises InputError."""
    if folder is None:
        return
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot be made: {error.strerror or error}", str(folder)) from error
