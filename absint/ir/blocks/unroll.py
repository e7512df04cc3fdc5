"""A network over whole sequences becomes a graph of vectors, one position each."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from absint.ir.affine import IntArray, ShapeError
from absint.ir.blocks import attention
from absint.ir.blocks.elementwise import elementwise, spread
from absint.ir.blocks.store import Blocks
from absint.ir.graph import Graph, Node
from absint.ir.ops import OPS

Rule = Callable[[Blocks, Node, Sequence[IntArray]], IntArray]
"""From the operands' addresses (of the operands' shapes) to the result's."""


def unroll(
    graph: Graph, rows: Mapping[str, Sequence[int] | NDArray[Any]], left_out: str | None = None
) -> Graph:
    """The block graph of ``graph``: exactly the same function in real arithmetic.

    Its inputs ``token_0``, ``token_1``, ... of shape () are the entries of ``graph``'s flat input
    vector. Its outputs are vectors: for each name in ``rows``, those entries of ``graph``'s flat
    output vector. Only what they need is built. Attention becomes ``attend`` nodes; an op that
    mixes positions in another way works on the joined vector of those positions.

    ``left_out`` names one more output, where there is anything to it: the keys and values that
    masks take out of attentions, which other nodes do not read.

    Raises:
        ShapeError: an output reads past the network's.
    """
    blocks = Blocks()
    values: list[IntArray] = [np.empty(0, dtype=np.int64)] * len(graph.nodes)
    for port in graph.inputs:
        first = len(blocks.builder.inputs)
        tokens = [blocks.token(f"token_{first + i}", port.dtype) for i in range(port.size)]
        values[port.node] = np.array(tokens).reshape(port.shape)
    for position, node in enumerate(graph.nodes):
        if node.op != "input":
            blocks.name = node.name
            values[position] = _rule(node)(blocks, node, [values[i] for i in node.inputs])
    flat = np.concatenate([values[port.node].reshape(-1) for port in graph.outputs])
    outputs = {}
    for name, wanted in rows.items():
        positions = np.asarray(wanted, dtype=np.int64)
        if positions.ndim != 1 or not len(positions) or not _within(positions, len(flat)):
            raise ShapeError(f"{name} does not name some of the network's {len(flat)} outputs")
        outputs[name] = blocks.collect(flat[positions])
    masked = np.unique(np.concatenate([part.reshape(-1) for part in blocks.masked] or [flat[:0]]))
    if left_out is not None and len(masked):
        outputs[left_out] = blocks.collect(masked)
    blocks.builder.real_only |= set(graph.real_only)
    return blocks.builder.build(outputs, graph.outputs[0].dtype)


def _within(positions: IntArray, size: int) -> bool:
    return int(positions.min()) >= 0 and int(positions.max()) < size


def _rule(node: Node) -> Rule:
    if OPS[node.op].univariate is not None:
        return _elementwise
    return _RULES.get(node.op, _whole)


def _elementwise(blocks: Blocks, node: Node, xs: Sequence[IntArray]) -> IntArray:
    flat = [np.broadcast_to(x, node.shape).reshape(-1) for x in xs]
    for constant in node.consts.values():
        blocks.keep(constant)
    consts = {name: spread(constant, node.shape) for name, constant in node.consts.items()}
    return elementwise(blocks, node.op, flat, node.attrs, consts).reshape(node.shape)


def _scale(blocks: Blocks, node: Node, xs: Sequence[IntArray]) -> IntArray:
    flat = xs[0].reshape(-1)
    if not node.consts:
        return xs[0]
    if set(node.consts) == {"weight"} and blocks.origin(flat) is not None:
        scaled = attention.Scaled(flat, spread(node.consts["weight"], node.shape))
        return blocks.postpone(scaled, len(flat)).reshape(node.shape)
    return _elementwise(blocks, node, xs)


def _embedding(blocks: Blocks, node: Node, xs: Sequence[IntArray]) -> IntArray:
    made = {}
    for address in np.unique(xs[0]):
        scalar = blocks.shaped(blocks.collect(address[None]), ())
        made[address] = blocks.entries(blocks.emit("embedding", [scalar], consts=node.consts))
    return np.array([made[address] for address in xs[0].reshape(-1)]).reshape(node.shape)


def _rows(blocks: Blocks, node: Node, xs: Sequence[IntArray]) -> IntArray:
    """An op on the last axis, row by row; a bias may differ from row to row."""
    consts = dict(node.consts)
    rows = xs[0].reshape(-1, xs[0].shape[-1])
    bias = consts.pop("bias", None)
    made = []
    for i, row in enumerate(rows):
        own = {} if bias is None else {"bias": bias}
        if bias is not None and bias.value.ndim > 1:
            value, radius = (
                None if part is None else np.broadcast_to(part, node.shape).reshape(len(rows), -1)
                for part in (bias.value, bias.radius)
            )
            assert value is not None
            own = {"bias": blocks.constant(value[i], None if radius is None else radius[i])}
        result = blocks.emit(node.op, [blocks.collect(row)], node.attrs, consts | own)
        made.append(blocks.entries(result))
    return np.array(made).reshape(node.shape)


def _normalize(blocks: Blocks, node: Node, xs: Sequence[IntArray]) -> IntArray:
    width = math.prod(node.shape[-node.integer("axes") :])
    attrs = dict(node.attrs) | {"axes": 1}
    rows = [blocks.collect(row) for row in xs[0].reshape(-1, width)]
    made = [blocks.entries(blocks.emit("normalize", [row], attrs)) for row in rows]
    return np.array(made).reshape(node.shape)


def _gather(blocks: Blocks, node: Node, xs: Sequence[IntArray]) -> IntArray:
    index = node.consts["index"].value
    moved = np.where(index < 0, blocks.zero(), xs[0].reshape(-1)[index])
    if "bias" not in node.consts:
        return moved
    consts = {"bias": spread(node.consts["bias"], node.shape)}
    return elementwise(blocks, "scale", [moved.reshape(-1)], consts=consts).reshape(node.shape)


def _softmax(blocks: Blocks, node: Node, xs: Sequence[IntArray]) -> IntArray:
    mask = node.consts["mask"].value if "mask" in node.consts else None
    return attention.softmax(blocks, xs[0], mask)


def _whole(blocks: Blocks, node: Node, xs: Sequence[IntArray]) -> IntArray:
    """The op itself, on its operands gathered as they are."""
    operands = [blocks.shaped(blocks.collect(x.reshape(-1)), x.shape) for x in xs]
    made = blocks.emit(node.op, operands, node.attrs, node.consts)
    return blocks.entries(made).reshape(node.shape)


_RULES: Mapping[str, Rule] = {
    "reshape": lambda blocks, node, xs: xs[0].reshape(node.shape),
    "concat": lambda blocks, node, xs: np.concatenate(xs, axis=node.integer("axis")),
    "gather": _gather,
    "scale": _scale,
    "sum": _elementwise,
    "mul": _elementwise,
    "dense": _rows,
    "argmax": _rows,
    "normalize": _normalize,
    "embedding": _embedding,
    "softmax": _softmax,
    "matmul": lambda blocks, node, xs: attention.matmul(blocks, xs[0], xs[1]),
}
