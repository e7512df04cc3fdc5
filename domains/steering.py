"""How a bound changes with the slopes of every backward pass on its box.

Xu et al. 2021 choose slopes by their effect on the last bound, for each neuron's own pass. Here one
slope a neuron serves all passes on the box: its derivative is the sum over the passes. A bound's
derivative by a line is what the line is multiplied by at the point of the bound's own linear
programme (``absint.domains.dual``); lines are chords of bounds, and so on back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from absint.domains.arrays import Array, Arrays
from absint.domains.dual import Rows, least_corners, trace
from absint.domains.hinges import Hinge, slopes_of
from absint.domains.interval import Interval
from absint.domains.linear import LinearBound, backward
from absint.domains.product import Propagated, propagate, row_start
from absint.domains.refine import Pass
from absint.domains.relaxation import Relaxation
from absint.ir import Graph
from absint.problem.contract import Contract


@dataclass(frozen=True)
class Steered:
    """Lower bounds (batch, rows) of some rows, and the derivatives (batch, entries) of the sum of
    those that are not enough by the shares of the hinges' free slopes. ``rows``: how many were
    pushed through the network, to or fro, for each box."""

    value: Array
    gradient: Array
    rows: int


def steered(
    graph: Graph,
    box: Interval,
    own: Sequence[Hinge],
    shares: Array,
    rows: Rows,
    enough: float,
    arrays: Arrays,
    contract: Contract | None = None,
) -> Steered:
    """Bounds rows on boxes, each end (batch, input_size), with these slopes in all passes.

    ``shares`` (batch, entries): 0 is the left piece's slope, 1 the right one's.
    """
    passes = list[Pass]()
    known = propagate(graph, box, arrays, contract, slopes_of(graph, own, shares), passes)
    start = row_start(graph, rows.inputs, rows.outputs, arrays)
    last = backward(graph, start, known.rules, known.deviations, arrays)
    value = last.minimum(box, arrays) - arrays.asarray(rows.bound)
    sweep = _Sweep(graph, box, own, known, arrays)
    sweep.add(last, arrays.xp.astype(value <= enough, arrays.dtype), None)
    for done in reversed(passes):
        sweep.add(done.linear, sweep.weights(done), done.target)
    return Steered(value, sweep.gradient, 2 * known.rows + 2 * value.shape[1])


class _Sweep:
    """Derivatives of a bound by slopes and by neurons' bounds, from the last pass to the first."""

    def __init__(
        self,
        graph: Graph,
        box: Interval,
        own: Sequence[Hinge],
        known: Propagated,
        arrays: Arrays,
    ) -> None:
        self.graph, self.box, self.own = graph, box, own
        self.known, self.arrays = known, arrays
        xp, batch = arrays.xp, len(box[0])
        where = {"dtype": arrays.dtype, "device": arrays.device}
        self.gradient = xp.zeros((batch, sum(hinge.size for hinge in own)), **where)
        sizes = {hinge.operand: hinge.size for hinge in own}
        self.ends = {
            at: [xp.zeros((batch, n), **where) for _ in range(2)] for at, n in sizes.items()
        }
        """By the hinges' operands, derivatives by lower and by upper bounds, (batch, size)."""

    def weights(self, done: Pass) -> Array:
        """The derivatives by a pass's bounds: of neurons from below, and of their negatives."""
        if done.target not in self.ends:
            return self.arrays.xp.zeros_like(done.better, dtype=self.arrays.dtype)
        low, high = (end[:, done.chosen] for end in self.ends[done.target])
        found = self.arrays.xp.concat([low, -high], axis=1)
        return self.arrays.xp.where(done.better, found, 0.0)

    def add(self, linear: LinearBound, weights: Array, end: int | None) -> None:
        """What a pass adds, whose rows' bounds count ``weights`` (batch, rows)."""
        live = np.flatnonzero(self.arrays.numpy(weights != 0).any(0))
        hinges = [hinge for hinge in self.own if hinge.position in linear.through]
        if not len(live) or not hinges:
            return
        through = {at: c[:, live] for at, c in linear.through.items()}
        part = LinearBound(linear.coefficients[:, live], linear.offset, through)
        corners = least_corners(part, self.box, self.arrays)
        values = trace(self.graph, corners, through, self.known.rules, self.arrays, end)
        for hinge in hinges:
            self._at(hinge, through[hinge.position], values[hinge.operand], weights[:, live])

    def _at(self, hinge: Hinge, c: Array, value: Array, weights: Array) -> None:
        """At one hinge: coefficients (batch or 1, rows, *shape) and its operand's values."""
        xp, batch = self.arrays.xp, len(self.box[0])
        c, value = c.reshape((*c.shape[:2], -1)), value.reshape((batch, -1, hinge.size))
        size, weights = xp.abs(c), weights[:, None]
        sums = [(weights @ part)[:, 0] for part in (c, size, c * value, size * value)]
        half = [(sums[i] + sums[i + 1]) / 2 for i in (0, 2)]
        free, chord = half, [sums[0] - half[0], sums[2] - half[1]]
        if not hinge.convex:
            free, chord = chord, free
        lower, upper = (end.reshape((-1, hinge.size)) for end in self.known.bounds[hinge.operand])
        inside = (lower < hinge.knot) & (upper > hinge.knot)
        turn = xp.where(inside, free[1] - hinge.knot * free[0], 0.0)
        self.gradient[:, hinge.place] += turn * (hinge.right - hinge.left)
        width, slope = xp.where(inside, upper - lower, 1.0), self._chord(hinge)
        low = (slope - hinge.left) * (chord[1] - upper * chord[0]) / width
        high = (hinge.right - slope) * (chord[1] - lower * chord[0]) / width
        ends = self.ends[hinge.operand]
        for place, part in enumerate((low, high)):
            ends[place] = ends[place] + xp.where(inside, part, 0.0)

    def _chord(self, hinge: Hinge) -> Array:
        rule = self.known.rules[hinge.position]
        assert isinstance(rule, Relaxation)
        slope = rule.slope + rule.half_slope if hinge.convex else rule.slope - rule.half_slope
        return slope.reshape((-1, hinge.size))
