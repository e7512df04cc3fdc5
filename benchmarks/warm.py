"""Changed networks, proved from the old proof and from nothing, side by side.

``python benchmarks/run.py warm``. The pairs are ACAS Xu networks and the same with every weight
moved by a normal share of itself, or rounded to 8 bits a layer: for fine-tuning and quantisation.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from absint import api
from absint.ir import Constant, Graph, digest, evaluate
from absint.problem import Problem
from absint.proofs.check import check
from absint.proofs.format import Certificate
from absint.search.options import SearchOptions
from absint.search.prove import Binding, prove
from absint.search.result import Result
from absint.search.warm import prove_from
from benchmarks.measure import ROOT, conditions

FOLDER = ROOT.parent / "shared" / "vnncomp" / "acasxu"
INSTANCES = (
    ("1_1", 3), ("2_3", 1), ("3_5", 4), ("4_6", 3), ("5_1", 1), ("1_7", 1), ("2_8", 4), ("5_4", 3),
)  # fmt: skip
BINDING = Binding("11" * 32, "22" * 32)
OPTIONS = SearchOptions(timeout=120)


def _moved(relative: float) -> Callable[[Constant], Constant]:
    def change(constant: Constant) -> Constant:
        rng = np.random.default_rng(constant.value.size)
        moved = constant.value * (1 + relative * rng.normal(size=constant.value.shape))
        return replace(constant, value=moved.astype(np.float32).astype(np.float64))

    return change


def _rounded(constant: Constant) -> Constant:
    step = np.abs(constant.value).max() / 127 or 1.0
    return replace(constant, value=np.round(constant.value / step) * step)


CHANGES: dict[str, Callable[[Constant], Constant]] = {
    "moved by 1e-4": _moved(1e-4),
    "moved by 1e-3": _moved(1e-3),
    "moved by 1e-2": _moved(1e-2),
    "rounded to 8 bits": _rounded,
}


@dataclass(frozen=True)
class Row:
    """One pair. Seconds are of CPU, search and check."""

    name: str
    change: str
    verdicts: tuple[str, str]
    cold: float
    warm: float
    kept: float
    """The share of the old proof's leaves that hold for the new network."""

    @property
    def ratio(self) -> float:
        return self.cold / self.warm


def bench() -> None:
    """Measures all pairs, and writes results/warm.md."""
    rows = list(_rows())
    decided = [row for row in rows if row.verdicts == ("verified", "verified")]
    most = [row for row in decided if row.kept >= 0.9]
    lines = [
        "# Changed networks",
        "",
        *conditions("python benchmarks/run.py warm"),
        "",
        "CPU seconds of search and check in one process: from nothing, and from the proof of the "
        "network before the change. *Kept*: leaves of the old proof that hold for the new network.",
        "",
        f"Geometric mean of the ratios: {_mean(decided):.2f} over {len(decided)} pairs, "
        f"{_mean(most):.2f} over the {len(most)} of them where at least 90 % of the leaves hold.",
        "",
        "| instance | change | verdicts | kept | from nothing | from the old proof | ratio |",
        "|---|---|---|---:|---:|---:|---:|",
        *(
            f"| {r.name} | {r.change} | {' / '.join(r.verdicts)} | {r.kept:.1%} | {r.cold:.2f} "
            f"| {r.warm:.2f} | {r.ratio:.2f} |"
            for r in rows
        ),
    ]
    (ROOT / "benchmarks" / "results" / "warm.md").write_text("\n".join(lines) + "\n")


def _mean(rows: list[Row]) -> float:
    return float(np.exp(np.mean([np.log(row.ratio) for row in rows])))


def _rows() -> Iterator[Row]:
    for network, number in INSTANCES:
        model = FOLDER / "onnx" / f"ACASXU_run2a_{network}_batch_2000.onnx.gz"
        task = api.load(model, FOLDER / "vnnlib" / f"prop_{number}.vnnlib.gz", semantics="real")
        (asked,), graph = task.spec.properties, task.model.graph
        before = prove(graph, asked, BINDING, _runtime(graph), OPTIONS)
        if before.certificate is None or before.verdict.value != "verified":
            continue
        earlier = Certificate.from_bytes(before.certificate)
        for change, altered in CHANGES.items():
            name = f"{network}, property {number}"
            yield _row(name, change, _changed(graph, altered), asked, earlier)


def _row(name: str, change: str, graph: Graph, asked: Problem, earlier: Certificate) -> Row:
    runtime, started = _runtime(graph), time.process_time()
    cold = prove(graph, asked, BINDING, runtime, OPTIONS)
    between = time.process_time()
    warm = prove_from(earlier, graph, asked, BINDING, runtime, OPTIONS)
    ended = time.process_time()
    report = check(replace(earlier, graph=digest(graph)), graph, asked)
    kept = 1 - len(report.rejected) / report.leaves
    row = Row(name, change, (_said(cold), _said(warm)), between - started, ended - between, kept)
    print(row, flush=True)
    return row


def _said(result: Result) -> str:
    return result.verdict.value


def _runtime(graph: Graph) -> Callable[[np.ndarray], np.ndarray]:
    return lambda x: np.asarray(evaluate(graph, x))


def _changed(graph: Graph, change: Callable[[Constant], Constant]) -> Graph:
    def altered(consts: dict[str, Constant]) -> dict[str, Constant]:
        return {name: change(c) if c.value.dtype.kind == "f" else c for name, c in consts.items()}

    nodes = tuple(replace(node, consts=altered(dict(node.consts))) for node in graph.nodes)
    return replace(graph, nodes=nodes)
