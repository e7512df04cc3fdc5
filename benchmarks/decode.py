"""Networks that decode: proofs against running every prompt.

``python benchmarks/run.py decode``. Brute force is the same network, batched and with cached keys
and values: in numpy (float64) and in PyTorch (float32), the faster one counts. What would take more
than a few seconds is extrapolated from the rate on a sample.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from absint.decode import task
from absint.decode.greedy import Decoder
from absint.decode.prove import prove_decode, sample
from absint.decode.result import DecodeResult
from absint.decode.task import DecodeTask
from absint.ir.affine import IntArray
from absint.problem.decode import DecodeProblem
from absint.problem.promptset import PromptSpace
from absint.search.options import SearchOptions
from absint.search.prove import Binding
from benchmarks.measure import ROOT, conditions

SAMPLE = 4096
"""Prompts that the rate of brute force is measured on."""
TIMEOUT = 600.0
YEAR = 365.25 * 86_400


@dataclass(frozen=True)
class Case:
    """A model and a property of a spec; ``free`` slots are as the spec has them, the rest fixed."""

    name: str
    model: str
    spec: str
    free: int | None = None


def cases() -> Iterator[Case]:
    for free in range(1, 8):
        yield Case(f"monitor, {free} of 8 free", "monitor/monitor_8.onnx", "safe_8", free)
    for count in (8, 16, 32, 64):
        yield Case(f"monitor, {count}", f"monitor/monitor_{count}.onnx", f"safe_{count}")
    for count in (4, 5, 10):
        yield Case(f"largest of {count}", f"max_of_k/max_of_{count}.onnx", f"max_of_{count}")


def bench() -> None:
    """Proves each case, measures the rate of brute force, and writes results/decode.md."""
    examples = ROOT / "examples"
    rows = []
    for case in cases():
        model = examples / case.model
        if not model.exists():
            continue
        loaded = task.load(str(model), model.with_name(f"{case.spec}.yaml"))
        problem = narrowed(loaded.spec.problems[0], case.free)
        rows.append(_row(case.name, prove(loaded, problem), rate(loaded, problem)))
        print(rows[-1], flush=True)
    text = [
        "# Networks that decode",
        "",
        *conditions("python benchmarks/run.py decode"),
        "",
        "Seconds of wall clock with all cores, search and check; brute force in prompts a second, "
        "and the time that it takes or would take for all prompts.",
        "",
        "| case | prompts | certified | verdict | bounds | search | check | certificate "
        "| prompts/s | brute force | prompts/s | ratio |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
        *rows,
    ]
    (ROOT / "benchmarks" / "results" / "decode.md").write_text("\n".join(text) + "\n")


def narrowed(problem: DecodeProblem, free: int | None) -> DecodeProblem:
    """The problem with all slots from ``free`` on fixed to their first token, but for the last."""
    if free is None:
        return problem
    (cell,) = problem.cells
    fixed = [frozenset([min(slot)]) for slot in cell.slots[free:-1]]
    return replace(
        problem,
        cells=(replace(cell, slots=(*cell.slots[:free], *fixed, cell.slots[-1])),),
    )


def prove(loaded: DecodeTask, problem: DecodeProblem) -> DecodeResult:
    """The verdict, with the certificate as far as it goes."""
    binding = Binding(loaded.network.digest, loaded.spec.digest)
    options = SearchOptions(timeout=TIMEOUT, jobs=len(os.sched_getaffinity(0)))
    graphs = loaded.graphs_of(problem)
    return prove_decode(graphs, problem, binding, lambda _: loaded.runner, options)


def rate(loaded: DecodeTask, problem: DecodeProblem) -> float:
    """Prompts a second, by the faster of two decoders."""
    import torch

    torch.set_num_threads(len(os.sched_getaffinity(0)))
    (cell,) = problem.cells
    graph = loaded.graphs_of(problem)[len(cell.slots)]
    space = PromptSpace(len(cell.slots))
    prompts = sample(space.of_cell(problem, cell), SAMPLE, random.Random(0))
    prompts = np.resize(prompts, (SAMPLE, prompts.shape[1]))
    single = Decoder(graph, problem, torch, lambda a: torch.as_tensor(a, dtype=torch.float32))
    with torch.no_grad():
        return max(_timed(Decoder(graph, problem), prompts), _timed(single, prompts))


def _timed(decoder: Decoder, prompts: IntArray) -> float:
    decoder.decode(prompts[:512])
    begun = time.perf_counter()
    decoder.decode(prompts)
    return len(prompts) / (time.perf_counter() - begun)


def _row(name: str, result: DecodeResult, rate: float) -> str:
    effort, report = result.effort, result.report
    spent = effort.search_seconds + effort.check_seconds
    if report is None:
        return f"| {name} | | | {result.verdict} | | {spent:.1f} | | | | | {rate:.3g} | |"
    certified, size = report.prompts - report.open_count, len(result.certificate or b"")
    brute = report.prompts / rate
    cells = [
        name, f"{report.prompts:.3g}", f"{certified / report.prompts:.6%}", str(result.verdict),
        str(report.cases), f"{effort.search_seconds:.1f}", f"{effort.check_seconds:.1f}",
        f"{size / 1000:.1f} kB", f"{certified / spent:.3g}", _duration(brute), f"{rate:.3g}",
        f"{brute / spent:.3g}",
    ]  # fmt: skip
    return f"| {' | '.join(cells)} |"


def _duration(seconds: float) -> str:
    for unit, size in (("years", YEAR), ("days", 86_400.0), ("h", 3_600.0), ("min", 60.0)):
        if seconds >= 2 * size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.3g} s"
