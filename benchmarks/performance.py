"""What one bound computation of the search costs: flops needed, time spent, and where.

``python benchmarks/run.py performance``. The flops are those of matrix products, counted by PyTorch
on the same computation; the machine's rate is that of a product of two 512 x 512 matrices on one
core. All times are CPU times.
"""

from __future__ import annotations

import cProfile
import pstats
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from absint import api
from absint.domains.arrays import Arrays, numpy_arrays, torch_arrays
from absint.search.bab import CellSearch
from absint.search.options import SearchOptions
from benchmarks.measure import ROOT, conditions
from benchmarks.vnncomp import SETS, instances

CASES = (
    ("acasxu", "onnx/ACASXU_run2a_2_9_batch_2000.onnx", "vnnlib/prop_1.vnnlib"),
    ("safenlp", "", ""),
    ("mnist_fc", "", ""),
    ("rl_benchmarks", "", ""),
    ("oval21", "", ""),
    ("sri_resnet_a", "", ""),
)
"""Set, model and property; the set's first instance where none is named."""
SECONDS = 3.0
PLACES = 6
RESULT = ROOT / "benchmarks" / "results" / "performance.md"


@dataclass(frozen=True)
class Cost:
    """One box's bounds. ``gflop`` needed, CPU ``seconds`` spent, in batches of ``tile`` boxes;
    ``places``: (function, share of the time) where most of it goes."""

    name: str
    tile: int
    gflop: float
    seconds: float
    places: list[tuple[str, float]]


def bench() -> None:
    """Measures all cases and writes results/performance.md."""
    rate = gemm_rate()
    costs = [measure(*case) for case in CASES]
    RESULT.write_text(text(rate, costs))
    print(RESULT.read_text())


def gemm_rate(size: int = 512) -> float:
    """Gflop a CPU second of a float64 matrix product."""
    a = np.random.default_rng(0).normal(size=(size, size))
    return 2 * size**3 / repeated(lambda: a @ a) / 1e9


def repeated(work: Callable[[], object]) -> float:
    """CPU seconds of one call, the least of many."""
    best, started = np.inf, time.process_time()
    while time.process_time() - started < SECONDS:
        before = time.process_time()
        work()
        best = min(best, time.process_time() - before)
    return float(best)


def measure(name: str, model: str, prop: str) -> Cost:
    """The cost of a batch of copies of the region's box."""
    if not model:
        model, prop, *_ = instances(name)[0]
    task = api.load(SETS / name / model, SETS / name / prop)
    numpy_search = _search(task, numpy_arrays())
    tile = numpy_search.tile
    work = _analysis(numpy_search, tile)
    seconds = repeated(work) / tile
    return Cost(name, tile, _flops(task, tile) / tile / 1e9, seconds, _places(work))


def _search(task: api.Task, arrays: Arrays) -> CellSearch:
    graph, problem = task.model.graph, task.spec.properties[0]
    return CellSearch(graph, problem, 0, arrays, task.run, SearchOptions())


def _analysis(search: CellSearch, tile: int) -> Callable[[], object]:
    ends = (search.lower, search.upper)
    lower, upper = (search.arrays.asarray(np.repeat(end[None], tile, axis=0)) for end in ends)
    return lambda: search.analyse((lower, upper), None)


def _flops(task: api.Task, tile: int) -> float:
    """Of matrix products and convolutions, additions counted."""
    from torch.utils.flop_counter import FlopCounterMode

    work = _analysis(_search(task, torch_arrays()), tile)
    with FlopCounterMode(display=False) as counter:
        work()
    return float(counter.get_total_flops())


def _places(work: Callable[[], object]) -> list[tuple[str, float]]:
    """The functions with the largest own time, with their shares of it."""
    profile = cProfile.Profile(time.process_time)
    ends = time.process_time() + SECONDS
    profile.enable()
    while time.process_time() < ends:
        work()
    profile.disable()
    found = pstats.Stats(profile).stats  # type: ignore[attr-defined]
    total = sum(entry[2] for entry in found.values())
    top = sorted(found.items(), key=lambda item: -item[1][2])[:PLACES]
    return [(_shown(*key), entry[2] / total) for key, entry in top]


def _shown(path: str, line: int, function: str) -> str:
    if path in ("~", ""):
        return function.strip("<>").replace("built-in method ", "")
    parts = path.split("/")
    return f"{'/'.join(parts[-2:])}:{function}"


def text(rate: float, costs: list[Cost]) -> str:
    """The result in Markdown."""
    lines = [
        "# What one box's bounds cost",
        "",
        *conditions("python benchmarks/run.py performance"),
    ]
    lines += [f"- one core multiplies float64 matrices at {rate:.1f} Gflop a CPU second", ""]
    lines += ["| set | boxes a batch | Gflop a box | CPU ms a box | of the machine's rate |",
              "|---|---:|---:|---:|---:|"]  # fmt: skip
    lines += [
        f"| {c.name} | {c.tile} | {c.gflop:.4g} | {1e3 * c.seconds:.3g} | "
        f"{c.gflop / rate / c.seconds:.0%} |"
        for c in costs
    ]
    lines += ["", "Where the time goes (own time, the profiler's cost included):", ""]
    for c in costs:
        places = ", ".join(f"`{name}` {share:.0%}" for name, share in c.places)
        lines.append(f"- {c.name}: {places}")
    return "\n".join(lines) + "\n"
