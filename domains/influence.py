"""Which inputs account for the looseness of a linear bound (docs/decisions/0002-branching.md).

By-products of backward bounds: a relaxed neuron's gap is divided among the inputs by their shares
of the width of the neuron's own linear bounds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from absint.domains.arrays import Array, Arrays
from absint.domains.interval import Interval
from absint.domains.linear import LinearBound
from absint.ir import Graph

MAX_ELEMENTS = 1 << 23
"""Shares beyond this are not kept: with so many inputs, splitting them is hopeless anyway."""


def no_shares(shape: tuple[int, int, int], arrays: Arrays) -> Array | None:
    """Zeros of (batch, neurons, input_size), or None where that is too large."""
    if shape[0] * shape[1] * shape[2] > MAX_ELEMENTS:
        return None
    return arrays.xp.zeros(shape, dtype=arrays.dtype, device=arrays.device)


def shares(linear: LinearBound, box: Interval, arrays: Arrays) -> Array:
    """Each input's share of each neuron's width: (batch or 1, neurons, input_size), sums 1 or 0.

    ``linear`` bounds the neurons from below and then their negatives.
    """
    xp = arrays.xp
    reach = xp.abs(linear.coefficients) * (box[1] - box[0])[:, None]
    count = reach.shape[1] // 2
    reach = reach[:, :count] + reach[:, count:]
    total = reach.sum(2)[..., None]
    return reach / xp.where(total > 0, total, 1.0)


def influence(
    linear: LinearBound, looseness: Mapping[int, Array], box: Interval, arrays: Arrays
) -> Array:
    """(batch, rows, input_size): the width that each input gives to each bound, directly and
    through the relaxations that its own width makes loose.

    ``looseness`` maps nonlinear nodes to their gaps, divided among the inputs: (batch, neurons,
    input_size).
    """
    xp = arrays.xp
    total = xp.abs(linear.coefficients) * (box[1] - box[0])[:, None]
    for position, c in linear.through.items():
        if position in looseness:
            total = total + xp.abs(c.reshape((*c.shape[:2], -1))) @ looseness[position]
    return total


@dataclass
class Origins:
    """How much of each node's width comes from each input, whatever its entries: (batch,
    input_size), summing to 1 or 0. For nodes that mix values, of which no linear bound tells."""

    graph: Graph
    box: Interval
    arrays: Arrays
    _known: dict[int, Array] = field(default_factory=dict)

    def of(self, position: int, refined: Mapping[int, Array | None]) -> Array:
        """From the shares of the operands' neurons, where those have been bounded linearly."""
        if position not in self._known:
            self._known[position] = self._normal(self._total(position, refined))
        return self._known[position]

    def _total(self, position: int, refined: Mapping[int, Array | None]) -> Array:
        if (parts := refined.get(position)) is not None:
            return self.arrays.xp.sum(parts, axis=1)
        node = self.graph.nodes[position]
        if node.op != "input":
            return sum(
                (self.of(i, refined) for i in node.inputs[1:]), self.of(node.inputs[0], refined)
            )
        width = self.box[1] - self.box[0]
        place = self.graph.input_slices()[position]
        own = np.zeros(width.shape[1])
        own[place] = 1.0
        return width * self.arrays.asarray(own)

    def _normal(self, share: Array) -> Array:
        xp = self.arrays.xp
        total = xp.sum(share, axis=1)[:, None]
        return share / xp.where(total > 0, total, 1.0)
