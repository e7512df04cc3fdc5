"""Bounds of neurons by backward passes, where their intervals leave a nonlinear reader loose."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from absint.domains.arrays import Array, Arrays
from absint.domains.influence import no_shares, shares
from absint.domains.interval import Interval
from absint.domains.linear import LinearBound, Rule, backward
from absint.ir import OPS, Graph, Node, PiecewiseLinear

CACHED, MAX_ELEMENTS = 1 << 17, 1 << 24
"""Coefficients of a layer that one pass holds, on a CPU and elsewhere; rows beyond are a next pass.
What stays in a core's cache is bounded up to twice as fast."""


@dataclass(frozen=True)
class Pass:
    """One backward pass that bounded some neurons of node ``target`` and then their negatives.

    ``chosen`` (neurons,) are places in the flat node; ``better`` (batch, 2 neurons) says where the
    pass gave the bound that was taken.
    """

    target: int
    chosen: NDArray[np.int64]
    linear: LinearBound
    better: Array


def refine(
    graph: Graph,
    target: int,
    consumer: Node,
    bound: Interval,
    box: Interval,
    relaxations: Mapping[int, Rule],
    deviations: Mapping[int, Array],
    arrays: Arrays,
    passes: list[Pass] | None,
) -> tuple[Interval, Array | None, int]:
    """``bound`` of node ``target`` intersected with backward linear bounds where that can help.

    Also each neuron's shares, as ``absint.domains.influence.shares`` has them, or None where the
    network is too large for them; and the number of rows pushed back.
    """
    xp, shape, batch = arrays.xp, graph.nodes[target].shape, box[0].shape[0]
    lower, upper = (xp.asarray(end.reshape((batch, -1)), copy=True) for end in bound)
    curved = _curved(consumer, lower, upper, arrays)
    chosen = _by_place(np.flatnonzero(arrays.numpy(curved.any(0))), shape)
    parts = no_shares((*lower.shape, graph.input_size), arrays)
    widest = max(node.size for node in graph.nodes[: target + 1])
    step = max(1, (CACHED if arrays.on_cpu else MAX_ELEMENTS) // (2 * batch * widest))
    for begin in range(0, len(chosen), step):
        some = chosen[begin : begin + step]
        start = _signed_units(some, lower.shape[1], shape, arrays)
        linear = backward(graph, {target: start}, relaxations, deviations, arrays)
        value = linear.minimum(box, arrays)
        before = xp.concat([lower[:, some], -upper[:, some]], axis=1)
        better = (value > before) & xp.concat([curved[:, some]] * 2, axis=1)
        if passes is not None:
            passes.append(Pass(target, some, linear, better))
        value = xp.where(better, value, before)
        lower[:, some], upper[:, some] = value[:, : len(some)], -value[:, len(some) :]
        if parts is not None:
            parts[:, some] = shares(linear, box, arrays)
    ends = (lower.reshape((batch, *shape)), upper.reshape((batch, *shape)))
    return ends, parts, 2 * len(chosen)


def _by_place(chosen: NDArray[np.int64], shape: tuple[int, ...]) -> NDArray[np.int64]:
    """Flat indices of a node in another order: all channels of a place, then those of the next.

    What such neighbours depend on is a small part of an image.
    """
    if len(shape) < 3:
        return chosen
    places = math.prod(shape[2:])
    return chosen[np.argsort(chosen % places, kind="stable")]


def _curved(consumer: Node, lower: Array, upper: Array, arrays: Arrays) -> Array:
    """Where a neuron's bounds shape its relaxation: (batch, neurons).

    Only those are refined, element by element: a bound must not depend on its batch.
    """
    univariate = OPS[consumer.op].univariate
    if univariate is None:
        return lower < upper
    facts = univariate.facts(consumer)
    if isinstance(facts, PiecewiseLinear):
        inside = [(lower < knot) & (upper > knot) for knot in facts.knots]
        return sum(inside[1:], inside[0])
    return lower < upper


def _signed_units(
    chosen: NDArray[np.int64], size: int, shape: tuple[int, ...], arrays: Arrays
) -> Array:
    """Coefficients (1, 2 k, *shape): the chosen neurons, then their negatives."""
    units = np.zeros((1, 2 * len(chosen), size))
    rows = np.arange(len(chosen))
    units[0, rows, chosen] = 1.0
    units[0, len(chosen) + rows, chosen] = -1.0
    return arrays.asarray(units.reshape((1, -1, *shape)))
