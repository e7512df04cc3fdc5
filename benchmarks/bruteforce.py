"""How many prompts a second can be run: the same network, batched, with cached keys and values.

One process a core, all at once. Each decodes by numpy in float64, by numpy in float32 and by
PyTorch in float32, in turn; the fastest counts. Keys and values are computed once a token, and what
depends on one token alone (in a first layer all keys and values) is looked up in a table.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from absint.decode import task
from absint.decode.greedy import Decoder
from absint.decode.prove import sample
from absint.domains.arrays import torch_arrays
from absint.ir import Graph
from absint.ir.graph import FloatArray
from absint.problem.decode import DecodeProblem
from absint.problem.promptset import PromptSpace

PROMPTS = 4096
"""Decoded again and again, while the clock runs."""
SECONDS = 2.0


def rate(model: Path, region: Path, free: int | None = None) -> dict[str, float]:
    """Prompts a second with all cores, by kind of decoder, of a spec's first property."""
    cores = len(os.sched_getaffinity(0))
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(cores, mp_context=context) as pool:
        jobs = [pool.submit(_rates, model, region, free) for _ in range(cores)]
        found = [job.result() for job in jobs]
    return {kind: sum(one[kind] for one in found) for kind in found[0]}


def narrowed(problem: DecodeProblem, free: int | None) -> DecodeProblem:
    """The problem with all slots from ``free`` on fixed to their first token, but for the last."""
    if free is None:
        return problem
    (cell,) = problem.cells
    fixed = [frozenset([min(slot)]) for slot in cell.slots[free:-1]]
    slots = (*cell.slots[:free], *fixed, cell.slots[-1])
    return replace(problem, cells=(replace(cell, slots=slots),))


def _rates(model: Path, region: Path, free: int | None) -> dict[str, float]:
    """One process's, with one thread."""
    import torch

    torch.set_num_threads(1)
    loaded = task.load(str(model), region)
    problem = narrowed(loaded.spec.problems[0], free)
    (cell,) = problem.cells
    graph = loaded.graphs_of(problem)[len(cell.slots)]
    every = PromptSpace(len(cell.slots)).of_cell(problem, cell)
    drawn = sample(every, PROMPTS, random.Random(0))
    prompts = np.resize(drawn, (PROMPTS, drawn.shape[1]))
    with torch.no_grad():
        return {
            kind: _rate(decoder, prompts) for kind, decoder in _decoders(graph, problem).items()
        }


def _decoders(graph: Graph, problem: DecodeProblem) -> dict[str, Decoder]:
    arrays = torch_arrays(dtype="float32")

    def single(a: FloatArray) -> Any:
        return a.astype(np.float32)

    return {
        "numpy, float64": Decoder(graph, problem),
        "numpy, float32": Decoder(graph, problem, load=single),
        "PyTorch, float32": Decoder(graph, problem, arrays.xp, arrays.asarray),
    }


def _rate(decoder: Decoder, prompts: Any) -> float:
    decoder.decode(prompts[:512])
    begun, done = time.perf_counter(), 0
    while (spent := time.perf_counter() - begun) < SECONDS:
        decoder.decode(prompts[done % PROMPTS : done % PROMPTS + 512])
        done += 512
    return done / spent
