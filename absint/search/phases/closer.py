"""Farkas certificates for sets on which the network is linear.

Where every unstable neuron has a phase, what is left is a linear programme: a point of the box that
has all phases and meets a conjunction. HiGHS (Huangfu and Hall 2018) solves it where scipy is
installed, and the dual values of its optimum refute the conjunction (Farkas' lemma). They are
written as they are; the checker replays the sum and needs neither.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from absint.domains.dual import Lines, Rows
from absint.domains.hinges import Frame
from absint.domains.linear import backward
from absint.domains.product import row_start
from absint.proofs.stream import LEAST, farkas_operands
from absint.search.phases.ascent import slopes
from absint.search.phases.ground import Ground
from absint.search.phases.pairs import MULTIPLIERS
from absint.search.phases.sets import OpenSet

FloatArray = NDArray[np.float64]
Forms = tuple[FloatArray, FloatArray]
"""Linear functions of the input: coefficients (count, input_size), offsets (count,)."""
TRUNCATED = 2.0**-40
"""Dual values below this share of the largest are left out."""


def farkas(ground: Ground, item: OpenSet, enough: float) -> bytes | None:
    """The operands of FARKAS that refute all conjunctions by more than ``enough``.

    None where a neuron is not linear on the set, some conjunction can be met, or HiGHS is missing.
    """
    frame, side = ground.frame, np.zeros((1, ground.frame.size), dtype=np.int8)
    side[0, list(item.entries)] = item.sides
    if (frame.unstable & (side[0] == 0)).any():
        return None
    numbers = list[float]()
    for conjunction, members in enumerate(ground.query.members):
        known = item.sums[conjunction]
        found = [*known.weights[members].tolist(), *MULTIPLIERS[list(known.multipliers)]]
        if not (known.value > enough and len(known.multipliers) == len(item.entries)):
            lines = Lines.of(frame, slopes(frame, item.slopes[conjunction][None]), side)
            duals = _duals(ground, item, lines, members)
            if duals is None or not _value(ground, item, lines, members, duals) > enough:
                return None
            found = duals.tolist()
        numbers += found
    return farkas_operands(numbers)


def _duals(
    ground: Ground, item: OpenSet, lines: Lines, members: NDArray[np.int64]
) -> FloatArray | None:
    """Weights of the members and multipliers of the phases, the largest 1; None: can be met."""
    rows, phases = _rows(ground, lines, members), _phases(ground.frame, item, lines)
    for slack in (0.0, 1.0):  # where the phases alone exclude each other, they are relaxed too
        loose = np.concatenate([np.ones(len(rows[1])), np.full(len(phases[1]), slack)])
        both = [np.concatenate(part) for part in zip(rows, phases, strict=True)]
        found = _solve(both[0], both[1], loose, ground.frame)
        if found is not None:
            top = found.max(initial=0.0)
            return np.where(found > TRUNCATED * top, found / top, 0.0) if top > LEAST else None
    return None


def _solve(
    coefficients: FloatArray, offset: FloatArray, loose: FloatArray, frame: Frame
) -> FloatArray | None:
    """The dual values of: the least s with ``coefficients x + offset <= loose s`` in the box.

    None where there is no optimum, or scipy is not installed.
    """
    try:
        from scipy.optimize import linprog
    except ImportError:
        return None
    lower, upper = (frame.arrays.numpy(end)[0] for end in frame.box)
    cost = np.zeros(len(lower) + 1)
    cost[-1] = 1.0
    ends = [*zip(lower.tolist(), upper.tolist(), strict=True), (None, None)]
    table = np.column_stack([coefficients, -loose])
    found = linprog(cost, table, -offset, bounds=ends, method="highs")
    return np.maximum(0.0, -found.ineqlin.marginals) if found.status == 0 else None


def _rows(ground: Ground, lines: Lines, members: NDArray[np.int64]) -> Forms:
    frame, query = ground.frame, ground.query.query
    parts = query.inputs[members][None], query.outputs[members][None]
    linear = backward(
        frame.graph, row_start(frame.graph, *parts, frame.arrays), lines.rules, {}, frame.arrays
    )
    offset = np.broadcast_to(linear.offset, (1, len(members)))[0] - query.bound[members]
    return frame.arrays.numpy(linear.coefficients)[0], offset


def _phases(frame: Frame, item: OpenSet, lines: Lines) -> Forms:
    """``-side (operand - knot)``, which a set's phases say is not positive, in their order."""
    entries, sides = np.array(item.entries), np.array(item.sides)
    table, offsets = np.zeros((len(entries), frame.graph.input_size)), np.zeros(len(entries))
    for hinge in frame.hinges:
        own = np.flatnonzero((entries >= hinge.place.start) & (entries < hinge.place.stop))
        if not len(own):
            continue
        units = np.zeros((1, len(own), hinge.size))
        units[0, np.arange(len(own)), entries[own] - hinge.place.start] = -sides[own]
        start = units.reshape((1, len(own), *frame.graph.nodes[hinge.operand].shape))
        linear = backward(frame.graph, {hinge.operand: start}, lines.rules, {}, frame.arrays)
        table[own] = frame.arrays.numpy(linear.coefficients)[0]
        offsets[own] = frame.arrays.numpy(linear.offset)[0] + sides[own] * hinge.knot
    return table, offsets


def _value(
    ground: Ground,
    item: OpenSet,
    lines: Lines,
    members: NDArray[np.int64],
    duals: FloatArray,
) -> float:
    """The bound that the numbers give."""
    query, frame = ground.query.query, ground.frame
    weights, pull = duals[: len(members)], np.zeros((1, frame.size))
    pull[0, list(item.entries)] = -np.array(item.sides) * duals[len(members) :]
    summed: Sequence[FloatArray] = [
        weights @ part[members] for part in (query.inputs, query.outputs, query.bound)
    ]
    rows = Rows(summed[0][None, None], summed[1][None, None], np.array([[summed[2]]]))
    return float(lines.bound(rows, pull).value[0])
