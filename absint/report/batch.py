"""A batch's table: lines or a live display while it runs, a CSV file, one JSON document."""

from __future__ import annotations

import csv
import io
import sys
from collections import Counter
from collections.abc import Sequence
from typing import Any, Protocol

from absint import __version__
from absint.report.document import dumps
from absint.report.rows import Instance, RowResult

COLUMNS = (
    "onnx", "vnnlib", "verdict", "reason", "seconds", "search_seconds", "check_seconds", "nodes",
    "leaves", "certificate_bytes", "expected", "agrees",
)  # fmt: skip
HEADER = ",".join(COLUMNS).encode()
VERDICTS = ("verified", "falsified", "unknown", "error")
INTERRUPTED = RowResult("interrupted", 130)

Rows = Sequence[tuple[Instance, RowResult | None]]
Running = Sequence[tuple[Instance, float]]


class Display(Protocol):
    """Shows rows as they end, and what is running; ``finish`` ends it."""

    def show(self, instance: Instance, result: RowResult) -> None: ...

    def tick(self, running: Running) -> None: ...

    def finish(self) -> None: ...


class Silent:
    """For JSON, which is printed at the end."""

    def show(self, instance: Instance, result: RowResult) -> None: ...

    def tick(self, running: Running) -> None: ...

    def finish(self) -> None: ...


class Lines(Silent):
    """One plain line a row."""

    def __init__(self, instances: Sequence[Instance]) -> None:
        self.total = len(instances)
        self.width = max(len(_label(instance)) for instance in instances)

    def show(self, instance: Instance, result: RowResult) -> None:
        print(self.line(instance, result))

    def line(self, instance: Instance, result: RowResult) -> str:
        place = f"[{instance.number:>{len(str(self.total))}}/{self.total}]"
        row = (
            f"{place} {_label(instance):<{self.width}}  {result.verdict:<11} "
            f"{result.seconds:7.2f} s"
        )
        notes = [result.reason] if result.reason else []
        if instance.agrees(result.verdict) is False:
            notes.insert(0, f"CONTRADICTS the expected {instance.expected!r}")
        return "  ".join([row, *notes])


class Live(Lines):
    """On a terminal: ended rows scroll by above the ones that are running."""

    def __init__(self, instances: Sequence[Instance]) -> None:
        from rich.console import Console
        from rich.live import Live as RichLive

        super().__init__(instances)
        self.counts: Counter[str] = Counter()
        self.console = Console(file=sys.stdout)
        self.live = RichLive(console=self.console, transient=True, auto_refresh=False)
        self.live.start()

    def show(self, instance: Instance, result: RowResult) -> None:
        from rich.text import Text

        colours = {"verified": "green", "falsified": "red", "unknown": "yellow"}
        self.counts[result.verdict] += 1
        text = Text(self.line(instance, result))
        text.highlight_words([result.verdict], colours.get(result.verdict, "bold red"))
        text.highlight_words(["CONTRADICTS"], "bold white on red")
        self.console.print(text, soft_wrap=True)

    def tick(self, running: Running) -> None:
        from rich.table import Table

        table = Table.grid(padding=(0, 2))
        for instance, seconds in running:
            table.add_row(
                f"[{instance.number}/{self.total}]".replace("[", r"\["),
                _label(instance),
                f"{seconds:.0f} of {instance.timeout:g} s",
            )
        done = sum(self.counts.values())
        table.add_row("", f"{done} of {self.total} done: {_counts(self.counts)}")
        self.live.update(table, refresh=True)

    def finish(self) -> None:
        self.live.stop()


def display(style: str, instances: Sequence[Instance]) -> Display:
    """How a batch is shown while it runs."""
    if style == "json":
        return Silent()
    return Live(instances) if sys.stdout.isatty() else Lines(instances)


def contradictions(rows: Rows) -> list[Instance]:
    """The rows whose verdict is the opposite of the expected one."""
    return [i for i, r in rows if r is not None and i.agrees(r.verdict) is False]


def print_summary(rows: Rows, seconds: float) -> None:
    """Counts, times, and contradictions where they cannot be overlooked."""
    ended = [result for _, result in rows if result is not None]
    counts = Counter(result.verdict for result in ended)
    print(f"{len(ended)} of {len(rows)} rows in {seconds:.1f} s: {_counts(counts)}")
    if any(instance.expected for instance, _ in rows):
        said = [i.agrees(r.verdict) for i, r in rows if r is not None]
        print(f"expected: {said.count(True)} agree, {said.count(False)} contradict, "
              f"{said.count(None)} not comparable")  # fmt: skip
    for instance in contradictions(rows):
        print(f"CONTRADICTION: row {instance.number}, {_label(instance)}: the verdict is not the "
              f"expected {instance.expected!r}; one of them is wrong")  # fmt: skip


def to_csv(rows: Rows) -> bytes:
    """The table; rows that did not end are ``interrupted``."""
    stream = io.StringIO(newline="")
    writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for instance, result in rows:
        row = _row(instance, result or INTERRUPTED)
        writer.writerow({**row, "agrees": {None: "", True: "yes", False: "no"}[row["agrees"]]})
    return stream.getvalue().encode("utf-8", "backslashreplace")


def print_json(rows: Rows, seconds: float, exit_code: int) -> None:
    facts = [{"row": i.number, **_row(i, r or INTERRUPTED)} for i, r in rows]
    counts = Counter(fact["verdict"] for fact in facts)
    summary = {
        "rows": len(facts),
        **{verdict: counts[verdict] for verdict in VERDICTS},
        "contradictions": [instance.number for instance in contradictions(rows)],
        "seconds": round(seconds, 3),
    }
    document = {"absint": __version__, "exit_code": exit_code, "rows": facts}
    print(dumps({**document, "summary": summary}))


def _row(instance: Instance, result: RowResult) -> dict[str, Any]:
    return {
        "onnx": instance.onnx,
        "vnnlib": instance.vnnlib,
        "verdict": result.verdict,
        "reason": result.reason,
        "seconds": round(result.seconds, 3),
        "search_seconds": round(result.search_seconds, 3),
        "check_seconds": round(result.check_seconds, 3),
        "nodes": result.nodes,
        "leaves": result.leaves,
        "certificate_bytes": result.certificate_bytes,
        "expected": instance.expected,
        "agrees": instance.agrees(result.verdict),
    }


def _label(instance: Instance) -> str:
    return f"{instance.onnx} {instance.vnnlib}"


def _counts(counts: Counter[str]) -> str:
    return ", ".join(f"{counts[verdict]} {verdict}" for verdict in VERDICTS)
