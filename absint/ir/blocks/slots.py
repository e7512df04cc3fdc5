"""Which inputs each node of a graph depends on."""

from __future__ import annotations

from absint.ir.graph import Graph, Node


def slots_of(graph: Graph) -> list[frozenset[int]]:
    """For each node, the positions in ``graph.inputs`` of the inputs that it reads, through others.

    In a block graph these are slots: input i is the token of slot i.
    """
    place = {port.node: slot for slot, port in enumerate(graph.inputs)}
    shared: dict[frozenset[int], frozenset[int]] = {}
    found: list[frozenset[int]] = []
    for position, node in enumerate(graph.nodes):
        if node.op == "input":
            own = frozenset({place[position]})
        elif _reads_nothing(node):
            own = frozenset()
        else:
            own = frozenset().union(*(found[i] for i in set(node.inputs)))
        found.append(shared.setdefault(own, own))
    return found


def _reads_nothing(node: Node) -> bool:
    """Whether the node is a constant: a gather of padding alone."""
    return node.op == "gather" and bool((node.consts["index"].value < 0).all())
