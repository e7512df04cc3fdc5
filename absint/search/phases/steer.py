"""Better slopes for all bounds of a box: ascent on what they make of its conjunctions' sums."""

from __future__ import annotations

import numpy as np

from absint.domains.dual import Rows
from absint.domains.hinges import Frame
from absint.domains.steering import steered
from absint.problem.contract import Contract
from absint.search.adam import Adam
from absint.search.phases.ascent import LEVELS
from absint.search.phases.ground import ROW_SHARE, Ground

STEPS = 12
RATE, DECAY = 0.5, 0.2
"""Step k is of size RATE / (1 + DECAY k)."""


def steering_work(frame: Frame) -> float:
    """What ``better_slopes`` costs, in rows pushed all the way: to, fro, and the box once more."""
    return ROW_SHARE * 2 * (STEPS + 1) * frame.rows


def better_slopes(ground: Ground, contract: Contract | None, enough: float) -> bytes:
    """The bytes of slopes, one an entry of the hinges, with which the sums against conjunctions
    that are not ``enough`` are higher, summed up."""
    frame, query = ground.frame, ground.query.query
    weights = ground.root.weights / np.maximum(1, ground.root.weights.sum(axis=1, keepdims=True))
    shares = weights[None]
    rows = Rows(shares @ query.inputs, shares @ query.outputs, shares @ query.bound)
    share = ground.default[None] / LEVELS
    best, chosen, adam = -np.inf, ground.default, Adam.like(share)
    for step in range(STEPS + 1):
        with np.errstate(all="ignore"):
            found = steered(
                frame.graph, frame.box, frame.hinges, frame.arrays.asarray(share),
                rows, enough, frame.arrays, contract,
            )  # fmt: skip
        value = float(np.minimum(frame.arrays.numpy(found.value), enough).sum())
        if value > best:
            best, chosen = value, np.rint(share[0] * LEVELS).astype(np.uint8)
        move = adam.step(frame.arrays.numpy(found.gradient))
        share = np.clip(share + RATE / (1 + DECAY * step) * move, 0.0, 1.0)
        share = np.rint(share * LEVELS) / LEVELS
    return chosen.tobytes()
