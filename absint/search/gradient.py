"""Values and gradients of a query's rows at points, through the IR (no autodiff library needed)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from absint.domains.arrays import Array, Arrays
from absint.domains.product import Query
from absint.ir import OPS, Graph
from absint.ir.evaluate import outputs, run

FloatArray = NDArray[np.float64]


def row_values(graph: Graph, query: Query, x: Array, arrays: Arrays) -> tuple[Array, list[Array]]:
    """The rows' values at points x (batch, input_size): (batch, rows); and all nodes' values."""
    values = run(graph, x, arrays.xp, arrays.load)
    y = outputs(graph, values, arrays.xp)
    rows = y @ arrays.load(query.outputs).T + x @ arrays.load(query.inputs).T
    return rows - arrays.load(query.bound), values


def row_gradient(
    graph: Graph, query: Query, weights: FloatArray, values: list[Array], arrays: Arrays
) -> Array:
    """The gradient at each point of its weighted sum of rows: (batch, input_size).

    ``weights`` is (batch, rows); ``values`` are those of ``row_values`` at the points.
    """
    xp = arrays.xp
    pending: dict[int, Array] = {}
    weighted = arrays.asarray(weights)
    out = weighted @ arrays.load(query.outputs)
    for port, place in graph.output_slices():
        part = out[:, place].reshape((-1, *graph.nodes[port].shape))
        pending[port] = pending[port] + part if port in pending else part
    gradient = weighted @ arrays.load(query.inputs)
    places = graph.input_slices()
    for position in reversed(range(max(pending) + 1)):
        if position not in pending:
            continue
        c, node = pending.pop(position), graph.nodes[position]
        if node.op == "input":
            gradient[:, places[position]] += c.reshape((c.shape[0], -1))
            continue
        op = OPS[node.op]
        weight = arrays.load(node.consts["weight"].value) if "weight" in node.consts else None
        if op.univariate is not None:
            parts = [c * op.univariate.derivative(node, values[node.inputs[0]], xp)]
        elif op.joint is not None:
            parts = op.joint.vjp(node, [values[i] for i in node.inputs], c, weight, xp)
        else:
            assert op.affine is not None
            parts = op.affine.backward(node, c, weight, xp)
        for operand, part in zip(node.inputs, parts, strict=True):
            pending[operand] = pending[operand] + part if operand in pending else part
    return gradient
