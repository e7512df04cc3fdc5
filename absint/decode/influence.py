"""What each token of each slot contributes to a margin: where to cut a state that fails narrowly.

The margin of one token over another is, once pushed back to nodes of one slot, a sum over slots,
but for the denominators of attention. At the least ratio x, a head with weights w and values u has
``sum_i w_i (u_i - x) = 0``, which is a sum over slots too. Plain floating point: a guess for the
search.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from absint.ir import Graph, Node
from absint.proofs.arithmetic import FloatArray
from absint.proofs.bounds import Bounds
from absint.proofs.regions import Rows
from absint.proofs.tokens import BoolArray, Tables, TokenSets

ROUNDS = 8


@dataclass(frozen=True)
class Influence:
    """For a batch of states: margins, and what the tokens add to them.

    ``margin`` (states, rows) is the least; ``parts`` (states, rows, slots, tokens) holds what each
    token adds, infinity outside a slot's set: ``margin`` is about a constant more than the sum of
    the least parts of the slots.
    """

    margin: FloatArray
    parts: FloatArray

    @staticmethod
    def of(graph: Graph, tables: Tables, sets: BoolArray, rows: FloatArray) -> Influence:
        """Of linear functions ``rows`` (states or 1, rows, tokens) of the one output."""
        region = _Watched(tables, sets, graph.outputs[0].node)
        none, zeros = np.zeros((1, rows.shape[1], 0)), np.zeros((1, rows.shape[1]))
        bounds = Bounds(graph, region, tables.contract)
        with np.errstate(all="ignore"):
            margin = bounds.minimum(Rows(none, none, rows, np.zeros_like(rows), zeros), signs=True)
            return _shared_out(region, margin)

    def safe(self) -> BoolArray:
        """(states, slots, tokens): tokens with which every row is positive, whatever the others."""
        least = self.parts.min(axis=3, keepdims=True)
        gain = self.parts - least + self.margin[..., None, None]
        safe: BoolArray = ((gain > 0) & np.isfinite(self.parts)).all(axis=1)
        return safe

    def worst(self) -> FloatArray:
        """(states, slots, tokens): the parts of each state's lowest row."""
        rows = self.margin.argmin(axis=1)
        return np.take_along_axis(self.parts, rows[:, None, None, None], axis=1)[:, 0]


class _Watched(TokenSets):
    """Remembers the coefficients that it was asked to minimise last."""

    def minimum(
        self, parts: Mapping[int, FloatArray], enough: FloatArray | None = None
    ) -> FloatArray:
        self.asked = dict(parts)
        return super().minimum(parts, enough)


def _shared_out(region: _Watched, margin: FloatArray) -> Influence:
    batch, slots, tokens = region.sets.shape
    rows, tables = margin.shape[1], region.tables
    parts = np.zeros((batch, rows, slots, tokens))
    heads: list[_Head] = []
    for position, c in region.asked.items():
        slot, node = tables.slot(position), tables.graph.nodes[position]
        if slot is not None:
            flat = c.reshape((*c.shape[:2], -1))
            parts[:, :, slot] += flat @ _table(tables, position).T
        elif node.op == "attend":
            heads += _heads(region, node, c)
    for head in heads:
        head.add_to(parts, margin / len(heads))
    parts = np.where(region.sets[:, None], parts, np.inf)
    return Influence(margin, parts)


@dataclass(frozen=True)
class _Head:
    """One head's weights (states, 1, positions, tokens) and values (states or 1, rows, positions,
    tokens) at positions that hold the tokens of ``slots``; -inf and 0 are impossible weights."""

    slots: Sequence[int]
    weight: FloatArray
    value: FloatArray

    def add_to(self, parts: FloatArray, missing: FloatArray) -> None:
        """Adds what the tokens contribute at the ratio where ``missing`` is made up for."""
        open_ = self.weight > 0
        total = self.weight.sum(axis=(2, 3))
        x = (self.weight * self.value).sum(axis=(2, 3)) / total
        for _ in range(ROUNDS):
            gap = np.where(open_, self.weight * (self.value - x[..., None, None]), np.inf)
            best = gap.argmin(axis=3)[..., None]
            own = np.take_along_axis(np.broadcast_to(self.weight, gap.shape), best, axis=3)
            total = own.sum(axis=(2, 3))
            x = x + np.take_along_axis(gap, best, axis=3).sum(axis=(2, 3)) / total
        x = x - missing
        gap = self.weight * (self.value - x[..., None, None]) / total[..., None, None]
        for place, slot in enumerate(self.slots):
            parts[:, :, slot] += gap[:, :, place]


def _heads(region: _Watched, node: Node, c: FloatArray) -> list[_Head]:
    tables, heads, groups = region.tables, node.integer("heads"), node.integer("kv_heads")
    count = (len(node.inputs) - 1) // 2
    pairs = list(zip(node.inputs[1 : count + 1], node.inputs[count + 1 :], strict=True))
    slots = [tables.slot(key) for key, _ in pairs]
    kept = [
        (slot, pair)
        for slot, pair in zip(slots, pairs, strict=True)
        if slot is not None and tables.slot(pair[1]) == slot
    ]
    if not kept:
        return []
    query_slot = tables.slot(node.inputs[0])
    if query_slot is None:
        return []
    table = _table(tables, node.inputs[0])
    own = region.sets[:, query_slot].astype(np.float64)
    query = (own @ table / own.sum(axis=1, keepdims=True)).reshape((region.batch, heads, -1))
    keys = np.stack([_table(tables, key) for _, (key, _) in kept])
    values = np.stack([_table(tables, value) for _, (_, value) in kept])
    keys, values = (t.reshape((*t.shape[:2], groups, -1)) for t in (keys, values))
    open_ = region.sets[:, [slot for slot, _ in kept]]
    result, directions = [], c.reshape((*c.shape[:2], heads, -1))
    for head in range(heads):
        group = head // (heads // groups)
        scores = node.number("scale") * np.einsum("bd,pad->bpa", query[:, head], keys[:, :, group])
        scores = np.where(open_, scores, -np.inf)
        weight = np.exp(scores - scores.max(axis=(1, 2), keepdims=True))[:, None]
        flat = values[:, :, group].reshape((-1, values.shape[3]))
        value = (directions[:, :, head] @ flat.T).reshape((*c.shape[:2], *values.shape[:2]))
        result.append(_Head([slot for slot, _ in kept], weight, value))
    return result


def _table(tables: Tables, position: int) -> FloatArray:
    low, high = tables.of(position)
    return (0.5 * (low + high)).reshape((tables.tokens, -1))


def query_slots(graph: Graph, tables: Tables) -> list[int]:
    """The slots from which attention in the graph takes queries of one token, the last first."""
    needed, waiting = set[int](), [port.node for port in graph.outputs]
    while waiting:
        position = waiting.pop()
        if position not in needed:
            needed.add(position)
            waiting += graph.nodes[position].inputs
    found = {
        tables.slot(graph.nodes[position].inputs[0])
        for position in needed
        if graph.nodes[position].op == "attend"
    }
    return sorted((slot for slot in found if slot is not None), reverse=True)
