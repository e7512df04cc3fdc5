"""What a network computes beside a decode graph: values that masks multiply by zero.

In real arithmetic they are nothing. Computed ones must have a value: zero times infinity, or a
score that no mask outweighs, would reach the logits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from absint.ir import Graph
from absint.ir.affine import IntArray
from absint.ir.blocks import unroll
from absint.problem import Unsupported, UnsupportedError
from absint.problem.contract import Contract
from absint.proofs.bounds import Bounds
from absint.proofs.tokens import Tables, TokenSets
from absint.proofs.transformers import attended, rounding
from absint.proofs.transformers.affine import Interval

_LEFT_OUT = "left_out"
_ROOM = 1 << 32
"""More than the entries of any node."""
_ZERO = -1
"""Stands for the entry of a gather that copies nothing."""
_HINT = "'semantics: real' is (--semantics real)"


@dataclass(frozen=True)
class Call:
    """A network as it is called, and for each name the entries of its output that are read."""

    graph: Graph
    rows: Mapping[str, Sequence[int] | IntArray]


def require_covered(graph: Graph, contract: Contract) -> None:
    """Raises UnsupportedError for what of a decode graph the contract does not cover."""
    gaps = rounding.uncovered(graph, contract)
    if gaps:
        raise UnsupportedError([Unsupported("semantics float32", gap, _HINT) for gap in gaps])


def require_finite(call: Call, vocabulary: int, contract: Contract) -> None:
    """Raises UnsupportedError where a mask takes out what may have no value as the contract has it,
    or too large a one, for some tokens; but for what every row attends to, which proofs look at."""
    graph = unroll(call.graph, call.rows, _LEFT_OUT)
    ports = {port.name: port.node for port in graph.outputs}
    if _LEFT_OUT not in ports:
        return
    sources = _Sources(graph)
    left = sources.of(ports.pop(_LEFT_OUT))
    rows = [sources.attended(node) for node in ports.values()]
    left = left[left != _ZERO]
    left = left[~np.logical_and.reduce([np.isin(left, row) for row in rows])]
    for node in _suspects(graph, left, vocabulary, contract):
        name = graph.nodes[node].name or graph.nodes[node].op
        what = f"{name!r}, which a mask takes out of an attention and which may not be finite,"
        raise UnsupportedError([Unsupported("semantics float32", what, _HINT)])


@dataclass
class _Sources:
    """What vectors are copies of: numbers that stand for an entry of a node, ``_ROOM node + i``."""

    graph: Graph
    _known: dict[int, IntArray] = field(default_factory=dict)

    def of(self, node: int) -> IntArray:
        """(size,)"""
        if node not in self._known:
            self._known[node] = self._of(node)
        return self._known[node]

    def _of(self, position: int) -> IntArray:
        node = self.graph.nodes[position]
        if node.op == "reshape":
            return self.of(node.inputs[0])
        if node.op == "concat" and len(node.shape) == 1:
            return np.concatenate([self.of(i) for i in node.inputs])
        if node.op == "gather" and "bias" not in node.consts:
            index = node.consts["index"].value.reshape(-1)
            return np.where(index < 0, _ZERO, self.of(node.inputs[0])[index])
        return position * _ROOM + np.arange(node.size)

    def attended(self, target: int) -> IntArray:
        """All entries of queries, keys and values of the attentions that a node depends on."""
        nodes = (self.graph.nodes[i] for i in _ancestors(self.graph, [target]))
        found = [self.of(i) for node in nodes if node.op == "attend" for i in node.inputs]
        return np.unique(np.concatenate(found)) if found else np.zeros(0, dtype=np.int64)


def _ancestors(graph: Graph, targets: Sequence[int]) -> set[int]:
    found, waiting = set[int](), list(targets)
    while waiting:
        node = waiting.pop()
        if node not in found:
            found.add(node)
            waiting += graph.nodes[node].inputs
    return found


def _suspects(graph: Graph, left: IntArray, vocabulary: int, contract: Contract) -> list[int]:
    """Which nodes may have no value there, by intervals; where these fail, by better bounds."""
    entries = {int(node): left[left // _ROOM == node] % _ROOM for node in np.unique(left // _ROOM)}
    values = _intervals(graph, _ancestors(graph, list(entries)), vocabulary, contract)
    found = [i for i, own in entries.items() if not _fits(values[i], own, contract)]
    if found:
        tables = Tables(graph, vocabulary, contract)
        sets = np.ones((1, len(graph.inputs), vocabulary), dtype=np.bool_)
        bounds = Bounds(graph, TokenSets(tables, sets, *found), contract)
        found = [i for i in found if not _fits(bounds.enclosure(i), entries[i], contract)]
    return found


def _fits(x: Interval, entries: IntArray, contract: Contract) -> bool:
    size = np.maximum(np.abs(x[0]), np.abs(x[1])).reshape((1, -1))
    return bool(attended.within(size[:, entries], contract).all())


def _intervals(
    graph: Graph, wanted: set[int], vocabulary: int, contract: Contract
) -> dict[int, Interval]:
    """Bounds (1, *shape) over all tokens; what depends on one slot, token by token."""
    tables, found = Tables(graph, vocabulary, contract), dict[int, Interval]()
    for position in sorted(wanted):
        node = graph.nodes[position]
        if tables.slot(position) is not None:
            table = tables.of(position)
            found[position] = table[0].min(axis=0)[None], table[1].max(axis=0)[None]
        else:
            found[position] = rounding.computed(node, [found[i] for i in node.inputs], contract)
    return found
