"""Ours beside its peers: the same instances, the same cores, the same seconds, one after another.

Peers are built elsewhere and found through ABSINT_PEERS; peers.toml says how they are called. Every
run is written down as soon as it ends, so a benchmark that is cut off goes on where it was. A
peer's answer is taken at its word; ours counts only with its evidence (benchmarks/vnncomp.py).
"""

from __future__ import annotations

import csv
import datetime
import gzip
import os
import shutil
import statistics
import tempfile
import tomllib
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from benchmarks import vnncomp
from benchmarks.measure import ROOT, commit, conditions, run

FOLDER = ROOT / "benchmarks" / "results" / "peers"
OURS = "absint"
JOBS = 2
SAYS = {"verified": "unsat", "falsified": "sat"}
"""What a set expects of our two verdicts."""


@dataclass(frozen=True)
class Run:
    """One tool on one instance. Seconds; ``load`` is the machine's average when it began."""

    model: str
    property: str
    expected: str
    tool: str
    limit: float
    verdict: str
    wall: float
    cpu: float
    peak: int
    load: float
    commit: str
    date: str
    reason: str


@dataclass(frozen=True)
class Peer:
    """A tool as peers.toml describes it."""

    name: str
    command: list[str]
    verified: str
    falsified: str
    settings: dict[str, str]

    def measure(self, name: str, item: tuple[str, str, float, str], limit: float) -> Run:
        """Runs one instance of set ``name`` for at most ``limit`` seconds of its own."""
        model, prop, *_ = item
        load = os.getloadavg()[0]
        with tempfile.TemporaryDirectory() as folder:
            answer = Path(folder) / "answer"
            words = {
                "peers": os.environ["ABSINT_PEERS"],
                "model": str(_plain(vnncomp.SETS / name / model, Path(folder))),
                "property": str(_plain(vnncomp.SETS / name / prop, Path(folder))),
                "seconds": f"{limit:g}",
                "answer": str(answer),
                "settings": self._settings(name, Path(model).stem),
            }
            done = run([word.format(**words) for word in self.command], limit + vnncomp.GRACE)
            lines = answer.read_text().split() if answer.exists() else []
        said = lines[0] if lines else ""
        verdict = {self.verified: "verified", self.falsified: "falsified"}.get(said, said)
        reason = (done.err.strip().splitlines() or [""])[-1] if not said else ""
        return _row(item, self.name, limit, verdict or f"none, {done.code}", done.wall, done.cpu,
                    done.peak, load, reason)  # fmt: skip

    def _settings(self, name: str, model: str) -> str:
        return self.settings.get(f"{name}/{model}", self.settings.get(name, ""))


def _row(item: tuple[str, str, float, str], tool: str, limit: float, verdict: str, wall: float,
         cpu: float, peak: float, load: float, reason: str) -> Run:  # fmt: skip
    return Run(
        Path(item[0]).stem, Path(item[1]).stem, item[3], tool, limit, verdict, round(wall, 2),
        round(cpu, 2), round(peak), round(load, 1), commit(), datetime.date.today().isoformat(),
        reason[:120],
    )  # fmt: skip


def _plain(path: Path, folder: Path) -> Path:
    """``path``, or its unpacked copy in ``folder`` where only a packed file is kept."""
    packed = path.with_name(path.name + ".gz")
    if path.exists() or not packed.exists():
        return path
    copy = folder / path.name
    with gzip.open(packed) as source, copy.open("wb") as target:
        shutil.copyfileobj(source, target)
    return copy


def peers() -> list[Peer]:
    """Those of peers.toml, where ABSINT_PEERS says they are built; else none."""
    if "ABSINT_PEERS" not in os.environ:
        return []
    told: dict[str, Any] = tomllib.loads(Path(__file__).with_name("peers.toml").read_text())
    return [Peer(name=name, **{"settings": {}, **facts}) for name, facts in told.items()]


def ours(name: str, item: tuple[str, str, float, str], limit: float) -> Run:
    """Our run, its check in a fresh process included in the verdict but not in the seconds."""
    load = os.getloadavg()[0]
    row = vnncomp.measure(name, (item[0], item[1], limit, item[3]), JOBS)
    confirmed = row.evidence in ("accepted", "replayed") or row.verdict not in SAYS
    verdict = row.verdict if confirmed else f"{row.verdict}, {row.evidence}"
    return _row(item, OURS, limit, verdict, row.wall, row.cpu, row.peak_mib, load, row.reason)


def bench(name: str, limit: float, sample: int, seed: int) -> None:
    """Runs a sample of a set on every tool; adds to results/peers/NAME.csv, rewrites NAME.md."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    table = FOLDER / f"{name}.csv"
    before = list(_read(table))
    known = {(r.model, r.property, r.tool, r.limit) for r in before}
    tools = peers()
    for item in vnncomp.drawn(vnncomp.instances(name), sample, seed):
        seconds = min(limit, item[2])
        stems = Path(item[0]).stem, Path(item[1]).stem
        for tool in [None, *tools]:
            title = OURS if tool is None else tool.name
            if (*stems, title, seconds) in known:
                continue
            one = ours(name, item, seconds) if tool is None else tool.measure(name, item, seconds)
            before.append(one)
            _append(table, one)
            print(f"{one.model} {one.property} {title}: {one.verdict} ({one.expected}) "
                  f"{one.wall:.1f} s {one.reason}", flush=True)  # fmt: skip
    command = (
        f"python benchmarks/run.py peers {name} --limit {limit:g} --sample {sample} --seed {seed}"
    )
    (FOLDER / f"{name}.md").write_text(summary(name, before, conditions(command)))


def _append(table: Path, one: Run) -> None:
    new = not table.exists()
    with table.open("a", newline="") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(Run)])
        if new:
            writer.writeheader()
        writer.writerow(asdict(one))


def _read(table: Path) -> Iterator[Run]:
    if table.exists():
        with table.open(newline="") as file:
            for row in csv.DictReader(file):
                kinds = {f.name: {"str": str, "float": float, "int": int}[str(f.type)]
                         for f in fields(Run)}  # fmt: skip
                yield Run(**{key: kinds[key](value) for key, value in row.items()})


def summary(name: str, runs: list[Run], lines: list[str]) -> str:
    """What each tool decided, and every instance beside each other, in Markdown."""
    tools = list(dict.fromkeys(r.tool for r in runs))
    table = {(r.model, r.property, r.limit, r.tool): r for r in runs}
    keys = list(dict.fromkeys((r.model, r.property, r.limit) for r in runs))
    text = [f"# {name}: beside the peers", "", *lines,
            f"- load of the machine during the runs: {min(r.load for r in runs):.1f} to "
            f"{max(r.load for r in runs):.1f}", "",
            "| tool | decided | wrong | median wall s of decided | total CPU s |",
            "|---|---:|---:|---:|---:|"]  # fmt: skip
    for tool in tools:
        own = [r for r in runs if r.tool == tool]
        done = [r for r in own if r.verdict in SAYS]
        wrong = sum(_wrong(r) for r in done)
        median = f"{statistics.median(r.wall for r in done):.2f}" if done else ""
        text.append(f"| {tool} | {len(done)} of {len(own)} | {wrong} | {median} | "
                    f"{sum(r.cpu for r in own):.0f} |")  # fmt: skip
    text += ["", "Verdict and wall seconds:", "",
             "| model | property | expected | limit s | " + " | ".join(tools) + " |",
             "|---|---|---|---:|" + "---|" * len(tools)]  # fmt: skip
    for model, prop, limit in keys:
        cells = [table.get((model, prop, limit, tool)) for tool in tools]
        first = next(cell for cell in cells if cell is not None)
        said = [f"{c.verdict} {c.wall:.1f}" if c else "" for c in cells]
        text.append(
            f"| {model} | {prop} | {first.expected} | {limit:g} | " + " | ".join(said) + " |"
        )
    return "\n".join(text) + "\n"


def _wrong(one: Run) -> bool:
    return one.expected in SAYS.values() and one.expected != SAYS[one.verdict]
