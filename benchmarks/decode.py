"""Networks that decode: proofs against running every prompt.

``python benchmarks/run.py decode``. Brute force is measured beside each proof
(``benchmarks.bruteforce``) and extrapolated to all prompts. Where a property fails for some
prompts, the search goes on to count (``absint verify --count``).
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from absint.decode import task
from absint.decode.prove import prove_decode
from absint.decode.result import DecodeResult
from absint.decode.task import DecodeTask
from absint.problem.decode import DecodeProblem
from absint.report.decoding import counts
from absint.search.options import SearchOptions
from absint.search.prove import Binding
from benchmarks.bruteforce import narrowed, rate
from benchmarks.measure import ROOT, conditions

TIMEOUT = 600.0
YEAR = 365.25 * 86_400
EXAMPLES = ROOT / "examples"


@dataclass(frozen=True)
class Case:
    """A model and a property of a spec, by number; ``free`` slots are as the spec has them."""

    name: str
    model: str
    spec: str
    property: int = 0
    free: int | None = None


@dataclass(frozen=True)
class Row:
    """What was measured of a case; ``wall`` and ``cpu`` are of search and check together."""

    case: Case
    result: DecodeResult
    prompts: int
    certified: int
    wall: float
    cpu: float
    brute: float
    """Prompts a second by brute force."""

    @property
    def all_by_brute(self) -> float:
        """Seconds that brute force takes for all prompts."""
        return self.prompts / self.brute

    @property
    def ratio(self) -> float:
        """Prompts certified a second, over prompts run a second."""
        return self.certified / self.wall / self.brute


def cases() -> Iterator[Case]:
    for free in range(1, 9):
        yield Case(f"monitor 8, {free} free", "monitor/monitor_8.onnx", "safe_8", free=free)
    for count in (8, 16, 32, 64):
        for number, name in enumerate(("verdict", "never-launch")):
            model = f"monitor/monitor_{count}.onnx"
            yield Case(f"monitor {count}, {name}", model, f"safe_{count}", number)
    for number, name in enumerate(("conclusion", "never-launch", "false-alarm")):
        yield Case(f"misled, {name}", "misled/misled.onnx", "safe", number)
    for count in (4, 5, 10):
        yield Case(f"max of {count}", f"max_of_k/max_of_{count}.onnx", f"max_of_{count}")


def bench() -> None:
    """Proves each case, measures the rate of brute force, and writes results/decode.md."""
    rows, rates = [], dict[tuple[str, int | None], dict[str, float]]()
    for case in cases():
        model = EXAMPLES / case.model
        region = model.with_name(f"{case.spec}.yaml")
        loaded = task.load(str(model), region)
        problem = narrowed(loaded.spec.problems[case.property], case.free)
        key = (case.model, case.free)
        if key not in rates:
            rates[key] = rate(model, region, case.free)
        rows.append(measured(case, loaded, problem, max(rates[key].values())))
        print(_cells(rows[-1]), flush=True)
    text = [
        "# Networks that decode",
        "",
        *conditions("python benchmarks/run.py decode"),
        "",
        *_summary(rows),
        "",
        *_table(rows),
        "",
        "## Brute force, prompts a second",
        "",
        *_rates(rates),
    ]
    (ROOT / "benchmarks" / "results" / "decode.md").write_text("\n".join(text) + "\n")


def measured(case: Case, loaded: DecodeTask, problem: DecodeProblem, brute: float) -> Row:
    """Proves a property, with the certificate as far as it goes."""
    binding = Binding(loaded.network.digest, loaded.spec.digest)
    cores = len(os.sched_getaffinity(0))
    options = SearchOptions(timeout=TIMEOUT, jobs=cores, count=True)
    wall, cpu = time.perf_counter(), time.process_time()
    graphs = loaded.graphs_of(problem)
    result = prove_decode(graphs, problem, binding, lambda _: loaded.runner, options)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    assert result.report is not None
    prompts = counts.of_problem(problem)
    certified = prompts - sum(left.count for left in counts.still_open(result.report))
    return Row(case, result, prompts, certified, wall, cpu, brute)


def _table(rows: Sequence[Row]) -> list[str]:
    return [
        "Seconds of wall clock with all cores, search and check; CPU seconds of both. Cases are "
        "the bounds that the certificate rests on. Brute force is the time that all prompts take "
        "or would take, at its measured rate; the ratio is of prompts certified a second to "
        "prompts run a second.",
        "",
        "| case | prompts | certified | verdict | cases | search | check | both, CPU | certificate "
        "| certified/s | brute force | ratio |",
        "|---|---:|---:|---|---:|---:|---:|---:|---:|---:|---:|---:|",
        *(_cells(row) for row in rows),
        "",
        "Certified, where it is not all: "
        + "; ".join(
            f"{row.case.name}: {row.certified} of {row.prompts}"
            for row in rows
            if row.certified < row.prompts
        ),
    ]


def _cells(row: Row) -> str:
    effort, report = row.result.effort, row.result.report
    size = len(row.result.certificate or b"")
    cells = [
        row.case.name,
        f"{row.prompts:.3g}",
        counts.percent(row.certified, row.prompts),
        str(row.result.verdict.value),
        str(0 if report is None else report.cases),
        f"{effort.search_seconds:.2f}",
        f"{effort.check_seconds:.2f}",
        f"{row.cpu:.2f}",
        f"{size / 1000:.1f} kB",
        f"{row.certified / row.wall:.3g}",
        _duration(row.all_by_brute),
        f"{row.ratio:.3g}",
    ]
    return f"| {' | '.join(cells)} |"


def _rates(rates: dict[tuple[str, int | None], dict[str, float]]) -> list[str]:
    whole = {model: found for (model, free), found in rates.items() if free is None}
    kinds = list(next(iter(whole.values())))
    return [
        f"| model | {' | '.join(kinds)} |",
        f"|---|{'---:|' * len(kinds)}",
        *(
            f"| {model} | {' | '.join(f'{found[kind]:.3g}' for kind in kinds)} |"
            for model, found in whole.items()
        ),
    ]


def _summary(rows: Sequence[Row]) -> list[str]:
    """The targets that were set, and what came out."""
    by_name = {row.case.name: row for row in rows}
    eight = by_name["monitor 8, verdict"]
    lines = [
        f"- Monitor, N = 8: {eight.all_by_brute / eight.wall:.3g} times faster than running its "
        "10^8 prompts (target: 1,000).",
    ]
    for count, target in ((16, "10 s"), (64, "2 minutes")):
        own = [by_name[f"monitor {count}, {name}"] for name in ("verdict", "never-launch")]
        both = " and ".join(map(_spent, own))
        lines.append(f"- Monitor, N = {count}: {both} for its two properties (target: {target}).")
    for name in ("verdict", "never-launch"):
        sizes = (8, 16, 32, 64)
        spent = [by_name[f"monitor {n}, {name}"].cpu for n in sizes]
        power = slope([math.log(n) for n in sizes], [math.log(s) for s in spent])
        lines.append(f"- Growth in N, {name}: CPU time as N^{power:.2f} (target: at most 2).")
    lines.append(f"- Crossover: {_crossover(rows)}")
    for count, target in ((4, "99.5 % in 10 s"), (10, "95 % in 10 minutes")):
        row = by_name[f"max of {count}"]
        share = counts.percent(row.certified, row.prompts)
        lines.append(f"- Largest of {count}: {share} in {_spent(row)} (target: {target}).")
    return lines


def _spent(row: Row) -> str:
    return f"{row.wall:.1f} s ({row.cpu:.1f} s CPU)"


def slope(x: Sequence[float], y: Sequence[float]) -> float:
    """Of the line of least squares."""
    a, b = sum(x) / len(x), sum(y) / len(y)
    return sum((p - a) * (q - b) for p, q in zip(x, y, strict=True)) / sum((p - a) ** 2 for p in x)


def _crossover(rows: Sequence[Row]) -> str:
    """The free slots of monitor 8 from which proving is the faster way."""
    free = [row for row in rows if row.case.free is not None]
    first = next((row.case.name for row in free if row.wall < row.all_by_brute), "none of these")
    return f"the first of the monitors with free slots that is proved faster than run: {first}."


def _duration(seconds: float) -> str:
    for unit, size in (("years", YEAR), ("days", 86_400.0), ("h", 3_600.0), ("min", 60.0)):
        if seconds >= 2 * size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.3g} s"
