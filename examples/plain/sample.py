"""How many cases of a random sample are decided, by one bound or by splits, and at what cost.

    python examples/plain/sample.py [CASES [SECONDS]]

Draws CASES (24) of the 284 transition cases of ``measure.py`` with a fixed seed. A case that one
bound does not decide is split at one slot after another into single tokens, depth first; no split
begins after SECONDS (30) of processor time. The slots that move the network's own margin most, by
sampled texts, come first.
"""

from __future__ import annotations

import random
import sys
import time

import numpy as np
from measure import HERE, Case, cases, margins, only
from model import SLOTS
from numpy.typing import NDArray

from absint.decode.task import load
from absint.ir import Graph
from absint.ir.evaluate import run
from absint.problem.promptset import members
from absint.proofs.decode.check import StepBounds

COUNT, SECONDS, TEXTS = 24, 30.0, 64
"""Cases; seconds of processor time for each; texts sampled for each slot."""
FAR = -5.0
"""A case with a lower margin is not split: nothing that the time allows would decide it."""


def order(graph: Graph, case: Case, rng: np.random.Generator) -> list[int]:
    """The slots that hold several tokens, the one that changes the margin most first."""
    sets = [np.array(list(members(mask))) for mask in case.state.sets]
    texts = np.stack([rng.choice(own, TEXTS) for own in sets], axis=1)
    before = _margin(graph, case, texts)
    moved = []
    for slot in (slot for slot, own in enumerate(sets) if len(own) > 1):
        other = texts.copy()
        other[:, slot] = rng.choice(sets[slot], TEXTS)
        moved.append((float(np.abs(_margin(graph, case, other) - before).mean()), slot))
    return [slot for _, slot in sorted(moved, reverse=True)]


def _margin(graph: Graph, case: Case, texts: NDArray[np.int64]) -> NDArray[np.float64]:
    filled = np.zeros((len(texts), len(graph.inputs)))
    filled[:, : texts.shape[1]] = texts
    step = texts.shape[1] - SLOTS - 1
    logits = run(graph, filled)[graph.outputs[step].node]
    others = np.delete(logits, case.right, axis=1)
    found: NDArray[np.float64] = logits[:, case.right] - others.max(axis=1)
    return found


def split(bounds: StepBounds, case: Case, slots: list[int], end: float) -> bool:
    """Whether splits at these slots, in this order, decide a case before ``end``."""
    if not slots or time.process_time() > end:
        return False
    parts = [only(case, slots[0], token) for token in members(case.state.sets[slots[0]])]
    least = margins(bounds, parts)
    left = [part for part, margin in zip(parts, least, strict=True) if margin <= 0]
    return all(split(bounds, part, slots[1:], end) for part in left)


def main(count: int, seconds: float) -> None:
    task = load(HERE / "plain_8.onnx", HERE / "safe.yaml")
    length, graph = next(iter(task.graphs.items()))
    every = [(step, case) for step in range(1, SLOTS + 2) for case in cases(step)]
    rng, alone, together, spent = np.random.default_rng(0), 0, 0, 0.0
    chosen = sorted(random.Random(0).sample(range(len(every)), count))
    for step, case in (every[i] for i in chosen):
        bounds = StepBounds(task.spec.problems[0], graph, length)
        begin = time.process_time()
        least = margins(bounds, [case])[0]
        first = time.process_time() - begin
        decided = least > 0
        alone += decided
        if FAR < least <= 0 and seconds > 0:
            slots = order(graph, case, rng)
            decided = split(bounds, case, slots, begin + seconds)
        together += decided
        used = time.process_time() - begin
        spent += used
        print(
            f"step {step}: margin {least:7.2f} in {first:4.1f} s, "
            f"{'decided' if decided else 'open'} after {used:5.1f} s",
            flush=True,
        )
    print(
        f"{count} cases: {alone} decided by one bound, {together} with splits; {spent:.0f} s in all"
    )


if __name__ == "__main__":
    given = [float(word) for word in sys.argv[1:]]
    main(int(given[0]) if given else COUNT, given[1] if len(given) > 1 else SECONDS)
