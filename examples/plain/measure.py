"""How many transition cases of the plainly trained network the bounds decide, step by step.

    python examples/plain/measure.py [BUDGET]

One case: a step, the state that was written last, and the observation that is read next. All other
observations are free, and older states are any that can stand there. A case is decided when every
token but the right one loses for certain. An undecided case is split, one slot at a time, into at
most BUDGET parts (32): the slot that helps most when it holds one token alone comes first.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from model import CAP, OBSERVATIONS, SEVERITY, SLOTS, STATES, TOKEN, VOCABULARY

from absint.decode.task import load
from absint.problem.promptset import members
from absint.proofs.decode.check import StepBounds
from absint.proofs.decode.state import State

HERE = Path(__file__).parent
BUDGET, BATCH = 32, 20


@dataclass(frozen=True)
class Case:
    """The texts of ``state`` are to be followed by ``right``."""

    state: State
    right: int


def cases(step: int) -> Iterator[Case]:
    """Those of a step (from 1)."""
    every = (1 << len(OBSERVATIONS)) - 1
    older = [_states(range(min(CAP, 2 * count) + 1)) for count in range(1, step - 1)]
    lasts = range(min(CAP, 2 * (step - 1)) + 1)
    for last in lasts:
        for seen in range(len(OBSERVATIONS)) if step <= SLOTS else [None]:
            prompt = [every] * SLOTS
            right = TOKEN["ALERT" if last == CAP else "SAFE"]
            if seen is not None:
                prompt[step - 1] = 1 << seen
                right = TOKEN[STATES[min(CAP, last + SEVERITY[seen])]]
            written = [*older, _states([last])] if step > 1 else []
            sets = (*prompt, 1 << TOKEN[">"], *written)
            yield Case(State(sets, 0, (), (), False), right)


def _states(counts: range | list[int]) -> int:
    return sum(1 << TOKEN[STATES[count]] for count in counts)


def margins(bounds: StepBounds, found: list[Case]) -> list[float]:
    """How far, at least, the right token's logit is above each other's."""
    rows = np.zeros((len(found), len(VOCABULARY) - 1, len(VOCABULARY)))
    for row, case in zip(rows, found, strict=True):
        row[:, case.right] = 1.0
        row[np.arange(len(row)), [t for t in range(len(VOCABULARY)) if t != case.right]] -= 1.0
    states, least = [case.state for case in found], []
    for begin in range(0, len(found), BATCH):
        some = slice(begin, begin + BATCH)
        least += bounds.margins(states[some]).least(rows[some], signs=True).min(axis=1).tolist()
    return least


def split(bounds: StepBounds, case: Case, budget: int) -> bool:
    """Whether splits into at most ``budget`` parts decide a case."""
    if budget < 2:
        return False
    wide = [slot for slot, mask in enumerate(case.state.sets) if mask & (mask - 1)]
    helps = margins(bounds, [_held(case, slot, case.state.sets[slot]) for slot in wide])
    order = [slot for _, slot in sorted(zip(helps, wide, strict=True), reverse=True)]
    waiting, used = [case], 0
    for slot in order:
        parts = [only(c, slot, t) for c in waiting for t in members(c.state.sets[slot])]
        used += len(parts)
        if used > budget:
            return False
        least = margins(bounds, parts)
        waiting = [part for part, margin in zip(parts, least, strict=True) if margin <= 0]
        if not waiting:
            return True
    return False


def _held(case: Case, slot: int, mask: int) -> Case:
    return only(case, slot, next(iter(members(mask))))


def only(case: Case, slot: int, token: int) -> Case:
    sets = case.state.sets
    own = (*sets[:slot], 1 << token, *sets[slot + 1 :])
    return Case(replace(case.state, sets=own), case.right)


def main(budget: int) -> None:
    task = load(HERE / "plain_8.onnx", HERE / "safe.yaml")
    (length, graph) = next(iter(task.graphs.items()))
    bounds = StepBounds(task.spec.problems[0], graph, length)
    total, begin = np.zeros(3, dtype=int), time.perf_counter()
    for step in range(1, SLOTS + 2):
        found = list(cases(step))
        least = margins(bounds, found)
        closed = [margin > 0 for margin in least]
        more = sum(split(bounds, c, budget) for c, ok in zip(found, closed, strict=True) if not ok)
        total += [len(found), sum(closed), sum(closed) + more]
        print(
            f"step {step}: {len(found)} cases, {sum(closed)} decided, "
            f"{sum(closed) + more} with splits; margins {min(least):.1f} to {max(least):.1f}; "
            f"{time.perf_counter() - begin:.0f} s",
            flush=True,
        )
    print(f"all: {total[0]} cases, {total[1] / total[0]:.1%} decided, ", end="")
    print(f"{total[2] / total[0]:.1%} with splits into at most {budget} parts")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else BUDGET)
