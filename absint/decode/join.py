"""Several block graphs over one text as a single graph, in which what they share is there once.

Each part is an execution of its own. What it computes twice stays there twice, since the two may
be rounded differently; but the i-th of equal nodes is one for all parts.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from absint.ir import Constant, Graph, GraphBuilder, Node
from absint.ir.blocks import COPIES

_NOWHERE = -1


@dataclass(frozen=True)
class Part:
    """A block graph, and for each of its inputs the token of the text that it reads.

    None: the padding, which is the token ``pad``.
    """

    graph: Graph
    reads: Sequence[int | None]
    pad: int | None = None


def joined(parts: Sequence[Part], tokens: int) -> Graph:
    """The graph with inputs ``token_0 .. token_{tokens-1}`` and all outputs of all parts.

    Raises ShapeError where a part needs the padding and there is none.
    """
    join = _Join(tokens)
    outputs = {name: place for part in parts for name, place in join.add(part).items()}
    return join.builder.build(outputs, parts[0].graph.outputs[0].dtype)


class _Join:
    def __init__(self, tokens: int) -> None:
        self.builder = GraphBuilder()
        self._tokens = [self.builder.input(f"token_{i}", (), "int64") for i in range(tokens)]
        self._nodes: dict[object, int] = {}
        self._times: Counter[object] = Counter()
        """How often the part that is being added has a node."""
        self._contents: dict[Constant, bytes] = {}

    def add(self, part: Part) -> dict[str, int]:
        """The places of the part's outputs."""
        ports = {port.node: read for port, read in zip(part.graph.inputs, part.reads, strict=True)}
        places: list[int] = []
        self._times.clear()
        self.builder.real_only |= set(part.graph.real_only)
        for position, node in enumerate(part.graph.nodes):
            if position in ports:
                token = ports[position]
                places.append(self._padding(part.pad) if token is None else self._tokens[token])
            else:
                places.append(self._node(node, [places[i] for i in node.inputs]))
        return {port.name: places[port.node] for port in part.graph.outputs}

    def _node(self, node: Node, inputs: Sequence[int]) -> int:
        consts = tuple((name, self._content(node.consts[name])) for name in sorted(node.consts))
        same = (node.op, tuple(inputs), tuple(sorted(node.attrs.items())), consts)
        key = (same, self._times[same])
        if node.op not in COPIES:
            self._times[same] += 1
        if key not in self._nodes:
            self._nodes[key] = self.builder.add(
                node.op, inputs, attrs=node.attrs, consts=node.consts, name=node.name
            )
        return self._nodes[key]

    def _padding(self, pad: int | None) -> int:
        """A node whose value is the padding's token."""
        if pad is None:
            return _NOWHERE
        consts = {"index": Constant(np.array(-1)), "bias": Constant(np.array(float(pad)))}
        return self._node(Node("gather", (), (), {}, consts, ()), self._tokens[:1])

    def _content(self, const: Constant) -> bytes:
        """Equal for constants of equal type, shape, value and radius."""
        if const not in self._contents:
            state = hashlib.sha256(f"{const.value.dtype}{const.value.shape}".encode())
            state.update(const.value.tobytes())
            if const.radius is not None:
                state.update(b"radius" + const.radius.tobytes())
            self._contents[const] = state.digest()
        return self._contents[const]
