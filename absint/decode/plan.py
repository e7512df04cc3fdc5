"""The order in which a decode graph is computed: each node once, when a step needs it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from absint.ir import Graph
from absint.ir.blocks import slots_of

TABLE_ENTRIES = 1 << 25
"""The most entries that all tables together may have."""


@dataclass(frozen=True)
class Buffer:
    """Room for keys, or for values."""

    rows: tuple[int, ...]
    """The nodes that are its rows."""
    heads: int
    """Of how many heads each row is made."""


@dataclass(frozen=True)
class Half:
    """The keys or the values of an attend: the first ``count`` rows of a buffer."""

    buffer: int
    count: int


@dataclass(frozen=True)
class Plan:
    """What to compute at which step, what to look up, and what can be forgotten.

    Many attends read beginnings of one list of keys; such lists share a *buffer*, to which each
    key is copied once.
    """

    stages: tuple[tuple[int, ...], ...]
    """For each step the nodes that are computed then, in order (looked-up ones left out)."""
    tables: dict[int, int]
    """Node to the slot of the one token that it depends on: looked up in a table."""
    sources: dict[int, tuple[int, ...]]
    """For each slot's table, the nodes that it is computed by, in order."""
    buffers: tuple[Buffer, ...]
    halves: dict[int, tuple[Half, Half]]
    """For each attend, its keys and its values."""
    forgotten: dict[int, tuple[int, ...]]
    """After a node: the nodes that nothing reads any more."""


def plan(graph: Graph, vocabulary: int) -> Plan:
    """The plan of a decode graph with outputs ``logits_1 ..``."""
    slots = slots_of(graph)
    tables = _tables(graph, slots)
    if sum(graph.nodes[i].size for i in tables) * vocabulary > TABLE_ENTRIES:
        tables = {}
    inputs = {port.node for port in graph.inputs}
    done = set(tables) | inputs
    stages = []
    for port in graph.outputs:
        stage = needed(graph, port.node, done)
        done.update(stage)
        stages.append(tuple(stage))
    sources: dict[int, tuple[int, ...]] = {}
    for slot in set(tables.values()):
        own: set[int] = set()
        for node in (node for node, of in tables.items() if of == slot):
            own.update(needed(graph, node, inputs))
        sources[slot] = tuple(sorted(own))
    order = [node for stage in stages for node in stage]
    buffers, halves = _buffers(graph, order)
    kept = set(tables) | inputs | {port.node for port in graph.outputs}
    forgotten = _forgotten(graph, order, kept, halves)
    return Plan(tuple(stages), tables, sources, buffers, halves, forgotten)


def needed(graph: Graph, target: int, done: set[int]) -> list[int]:
    """What has to be computed for ``target``, in order."""
    found, open_nodes = set(), [target]
    while open_nodes:
        node = open_nodes.pop()
        if node not in done and node not in found:
            found.add(node)
            open_nodes.extend(graph.nodes[node].inputs)
    return sorted(found)


def _tables(graph: Graph, slots: list[frozenset[int]]) -> dict[int, int]:
    """The nodes of one token's value that are read together with other tokens, or are outputs."""
    read = {port.node for port in graph.outputs}
    for position, node in enumerate(graph.nodes):
        if len(slots[position]) > 1:
            read.update(node.inputs)
    return {
        node: next(iter(slots[node]), 0)
        for node in sorted(read)
        if len(slots[node]) <= 1 and graph.nodes[node].op != "input"
    }


def _buffers(
    graph: Graph, order: list[int]
) -> tuple[tuple[Buffer, ...], dict[int, tuple[Half, Half]]]:
    own: dict[int, tuple[Buffer, Buffer]] = {}
    for i in order:
        node = graph.nodes[i]
        if node.op == "attend":
            rows, heads = node.inputs[1:], node.integer("kv_heads")
            middle = len(rows) // 2
            own[i] = (Buffer(rows[:middle], heads), Buffer(rows[middle:], heads))
    wanted = {buffer for pair in own.values() for buffer in pair}
    buffers: list[Buffer] = []
    found: dict[Buffer, int] = {}
    for buffer in sorted(wanted, key=lambda b: (-len(b.rows), b.rows)):
        if buffer not in found:
            for count in range(1, len(buffer.rows) + 1):
                found.setdefault(Buffer(buffer.rows[:count], buffer.heads), len(buffers))
            buffers.append(buffer)
    halves = {
        node: (Half(found[keys], len(keys.rows)), Half(found[values], len(values.rows)))
        for node, (keys, values) in own.items()
    }
    return tuple(buffers), halves


def _forgotten(
    graph: Graph, order: list[int], kept: set[int], halves: dict[int, tuple[Half, Half]]
) -> dict[int, tuple[int, ...]]:
    filled: dict[int, int] = {}
    last: dict[int, int] = {}
    for node in order:
        for operand in _reads(graph, node, halves, filled):
            last[operand] = node
    gone: dict[int, list[int]] = {}
    for operand, node in last.items():
        if operand not in kept:
            gone.setdefault(node, []).append(operand)
    return {node: tuple(operands) for node, operands in gone.items()}


def _reads(
    graph: Graph, node: int, halves: dict[int, tuple[Half, Half]], filled: dict[int, int]
) -> Iterator[int]:
    """The nodes whose values ``node`` reads, apart from those that are in a buffer by then."""
    inputs = graph.nodes[node].inputs
    if node not in halves:
        yield from inputs
        return
    yield inputs[0]
    start = 1
    for half in halves[node]:
        yield from inputs[start + filled.get(half.buffer, 0) : start + half.count]
        filled[half.buffer] = max(filled.get(half.buffer, 0), half.count)
        start += half.count
