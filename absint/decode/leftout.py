"""What a network computes beside a decode graph: values that masks multiply by zero.

In real arithmetic they are nothing. Computed ones must have a value: zero times infinity, or a
score that no mask outweighs, would reach the logits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

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
    or too large a one, for some tokens; but for what all rows need, which proofs look at."""
    graph = unroll(call.graph, call.rows, _LEFT_OUT)
    ports = {port.name: port.node for port in graph.outputs}
    if _LEFT_OUT not in ports:
        return
    parts = _parts(graph, ports.pop(_LEFT_OUT))
    needed = set.intersection(*(_ancestors(graph, [node]) for node in ports.values()))
    for node in _suspects(graph, [i for i in parts if i not in needed], vocabulary, contract):
        name = graph.nodes[node].name or graph.nodes[node].op
        what = f"{name!r}, which a mask takes out of an attention and which may not be finite,"
        raise UnsupportedError([Unsupported("semantics float32", what, _HINT)])


def _ancestors(graph: Graph, targets: Sequence[int]) -> set[int]:
    found, waiting = set[int](), list(targets)
    while waiting:
        node = waiting.pop()
        if node not in found:
            found.add(node)
            waiting += graph.nodes[node].inputs
    return found


def _parts(graph: Graph, node: int) -> list[int]:
    """The nodes that a vector is put together from."""
    found, waiting = [], [node]
    while waiting:
        position = waiting.pop()
        if graph.nodes[position].op in ("gather", "concat", "reshape"):
            waiting += graph.nodes[position].inputs
        else:
            found.append(position)
    return sorted(set(found))


def _suspects(graph: Graph, parts: Sequence[int], vocabulary: int, contract: Contract) -> list[int]:
    """Which of some nodes may have no value, by intervals; where these fail, by better bounds."""
    values = _intervals(graph, _ancestors(graph, parts), vocabulary, contract)
    left = [i for i in parts if not _fits(values[i], contract)]
    if left:
        tables = Tables(graph, vocabulary, contract)
        sets = np.ones((1, len(graph.inputs), vocabulary), dtype=np.bool_)
        bounds = Bounds(graph, TokenSets(tables, sets, *left), contract)
        left = [i for i in left if not _fits(bounds.enclosure(i), contract)]
    return left


def _fits(x: Interval, contract: Contract) -> bool:
    return bool(attended.within(np.maximum(np.abs(x[0]), np.abs(x[1])), contract).all())


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
