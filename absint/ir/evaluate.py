"""The IR's concrete semantics: a graph run on a batch of inputs, in the arrays' own dtype."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from absint.ir.affine import Array
from absint.ir.graph import Graph, Node
from absint.ir.ops import OPS

Load = Callable[[NDArray[Any]], Array]
"""Brings a constant to the dtype and device that the computation runs in."""


def run(graph: Graph, x: Array, xp: Any = np, load: Load = np.asarray) -> list[Array]:
    """All nodes' values on flat inputs ``x`` of shape (batch, graph.input_size)."""
    places = graph.input_slices()
    values: list[Array] = []
    for position, node in enumerate(graph.nodes):
        if node.op == "input":
            values.append(x[:, places[position]].reshape((x.shape[0], *node.shape)))
        else:
            values.append(step(node, [values[i] for i in node.inputs], xp, load))
    return values


def step(node: Node, xs: list[Array], xp: Any, load: Load) -> Array:
    """One node's value from its operands', each with one leading batch axis."""
    op = OPS[node.op]
    if op.univariate is not None:
        return op.univariate.value(node, xs[0], xp)
    weight = load(node.consts["weight"].value) if "weight" in node.consts else None
    if op.joint is not None:
        return op.joint.value(node, xs, weight, xp)
    assert op.affine is not None
    y = op.affine.forward(node, xs, weight, xp)
    return y + load(node.consts["bias"].value) if "bias" in node.consts else y


def outputs(graph: Graph, values: list[Array], xp: Any = np) -> Array:
    """The flat output vector, (batch, graph.output_size), out of ``run``'s values."""
    return xp.concat([values[p.node].reshape((-1, p.size)) for p in graph.outputs], axis=1)


def evaluate(graph: Graph, x: Array, xp: Any = np, load: Load = np.asarray) -> Array:
    """The network's flat outputs on flat inputs ``x`` (batch, graph.input_size)."""
    return outputs(graph, run(graph, x, xp, load), xp)
