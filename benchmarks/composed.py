"""Attention written out as exponential, sum, reciprocal and products: what generic bounds see.

Shares are clipped to [0, 1], which changes nothing of their values but helps their bounds.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from absint.ir import Constant, Graph, GraphBuilder, Node
from absint.ir.graph import FloatArray


def composed(graph: Graph, target: int, shifts: Mapping[int, FloatArray]) -> Graph:
    """The part of ``graph`` that node ``target`` needs, without ``attend``; its value as output.

    Each softmax is shifted by a constant a head, ``shifts[node]``: the value stays, and exp stays
    in range.
    """
    builder, places = GraphBuilder(), dict[int, int]()
    names = {port.node: port.name for port in graph.inputs}
    for position in sorted(needed(graph, target) | set(names)):
        node = graph.nodes[position]
        inputs = [places[i] for i in node.inputs]
        if position in names:
            places[position] = builder.input(names[position], node.shape, "int64")
        elif node.op == "attend":
            places[position] = _attention(builder, node, inputs, shifts[position])
        else:
            places[position] = builder.add(
                node.op, inputs, attrs=node.attrs, consts=node.consts, name=node.name
            )
    return builder.build({"target": places[target]})


def needed(graph: Graph, target: int) -> set[int]:
    """The nodes that ``target`` depends on, and itself."""
    found, waiting = set[int](), [target]
    while waiting:
        position = waiting.pop()
        if position not in found:
            found.add(position)
            waiting += graph.nodes[position].inputs
    return found


def _attention(builder: GraphBuilder, node: Node, inputs: list[int], shifts: FloatArray) -> int:
    heads, groups = node.integer("heads"), node.integer("kv_heads")
    count = (len(inputs) - 1) // 2
    query, keys, values = inputs[0], inputs[1 : count + 1], inputs[count + 1 :]
    outputs = []
    for head in range(heads):
        group = head // (heads // groups)
        q = _part(builder, query, head, heads)
        scores = [
            _dot(builder, q, _part(builder, key, group, groups), node.number("scale"))
            for key in keys
        ]
        shifted = builder.add(
            "scale",
            [builder.add("concat", scores, attrs={"axis": 0})],
            consts={"bias": Constant(np.full(count, -shifts[head]))},
        )
        weights = builder.add("exp", [shifted])
        ones = {"weight": Constant(np.ones((count, 1)))}
        total = builder.add("dense", [weights], consts=ones)
        ratio = builder.add("mul", [weights, builder.add("reciprocal", [total])])
        share = builder.add("clip", [ratio], attrs={"lower": 0.0, "upper": 1.0})
        terms = [
            builder.add(
                "mul", [_entry(builder, share, place), _part(builder, value, group, groups)]
            )
            for place, value in enumerate(values)
        ]
        outputs.append(builder.add("sum", terms, attrs={"coefficients": (1,) * count}))
    return builder.add("concat", outputs, attrs={"axis": 0})


def _part(builder: GraphBuilder, vector: int, head: int, heads: int) -> int:
    width = builder.shape(vector)[0] // heads
    index = np.arange(head * width, (head + 1) * width)
    return builder.add("gather", [vector], consts={"index": Constant(index)})


def _entry(builder: GraphBuilder, vector: int, place: int) -> int:
    return builder.add("gather", [vector], consts={"index": Constant(np.array([place]))})


def _dot(builder: GraphBuilder, a: int, b: int, scale: float) -> int:
    weight = Constant(np.full((builder.shape(a)[0], 1), scale))
    return builder.add("dense", [builder.add("mul", [a, b])], consts={"weight": weight})
