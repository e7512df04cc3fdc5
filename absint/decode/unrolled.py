"""Networks that are a greedy loop already unrolled: from the tokens they emit to a decode graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from absint.decode.caller import Caller, shown
from absint.decode.join import Part, joined
from absint.ir import Graph, GraphBuilder, Node, Port
from absint.ir.affine import IntArray
from absint.ir.blocks import slots_of, unroll
from absint.problem import InputError


def unrolled_graph(caller: Caller, prompt: int, steps: int) -> Graph:
    """The decode graph (``absint.decode.network``) of a network that chooses its tokens itself.

    The network reads a prompt of ``prompt`` tokens. Its output holds ``steps`` emitted tokens in
    order, or the prompt and then these, each an argmax of logits (the lowest index of several).
    With every argmax replaced by a token that may be anything, what it chose from are the logits of
    its step: the network's output is the greedy one of exactly these logits.

    Raises:
        InputError: the network is no such loop, or does not fit the spec.
        UnsupportedError: it cannot be lowered.
    """
    try:
        graph = caller.network.at(prompt).graph
    except InputError as error:
        raise InputError(f"{error} (for a prompt of {prompt} tokens)") from error
    loop = _cut(graph, caller)
    emitted = loop.emitted(prompt, steps)
    for step, token in enumerate(emitted):
        loop.check(step, token, frozenset({*range(prompt), *emitted[:step]}))
    return loop.decode_graph([*range(prompt), *emitted])


@dataclass(frozen=True, eq=False)
class _Loop:
    """The block graph of the cut network: its inputs are the prompt and then every argmax.

    Its outputs are ``row_i``, what input i is the argmax of, and ``entry_0``, ``entry_1``, ... of
    the network's output.
    """

    caller: Caller
    blocks: Graph
    rows: Mapping[int, Port]
    entries: Sequence[Port]
    names: Mapping[int, str]
    """The node of the network that is argmax i."""
    output: Port

    def emitted(self, prompt: int, steps: int) -> list[int]:
        """The argmax that each emitted token is. Raises InputError."""
        found = [self._token(i) for i in range(len(self.entries))]
        if len(found) == prompt + steps and found[:prompt] == list(range(prompt)):
            found = found[prompt:]
        if len(found) != steps:
            raise self._error(
                f"does not hold {steps} emitted tokens (the spec's steps), nor the prompt's "
                f"{prompt} and then these"
            )
        for step, token in enumerate(found):
            if token not in self.rows:
                raise self._error(f"emitted token {step + 1} is token {token + 1} of the prompt")
            if token in found[:step]:
                raise self._error(
                    f"emitted tokens {found.index(token) + 1} and {step + 1} are one argmax "
                    f"({self.names[token]})"
                )
        return found

    def check(self, step: int, token: int, known: frozenset[int]) -> None:
        """Raises InputError unless the token is chosen from the vocabulary, by what is known."""
        node, place = self.rows[token].node, f"emitted token {step + 1} ({self.names[token]})"
        shape = self.blocks.nodes[node].shape
        if shape != (self.caller.vocabulary,):
            raise self._error(
                f"{place} is an argmax of {shape[0]} logits, but the vocabulary has "
                f"{self.caller.vocabulary} tokens"
            )
        other = sorted(slots_of(self.blocks)[node] - known)
        if other:
            raise self._error(
                f"{place} depends on the argmax {self.names[other[0]]}, which is not emitted before"
            )

    def decode_graph(self, text: Sequence[int]) -> Graph:
        """The logits of each argmax in ``text``, in terms of the tokens before the last."""
        ports = dict(enumerate(self.blocks.inputs))
        builder = GraphBuilder(list(self.blocks.nodes), [ports[i] for i in text[:-1]])
        builder.real_only |= set(self.blocks.real_only)
        chosen = [self.rows[i] for i in text if i in self.rows]
        parts = [
            Part(builder.build({f"logits_{step}": port.node}), range(len(text) - 1))
            for step, port in enumerate(chosen, 1)
        ]
        return joined(parts, len(text) - 1)

    def _token(self, entry: int) -> int:
        """The input that an entry of the output is. Raises InputError."""
        node = self.entries[entry].node
        while self.blocks.nodes[node].op == "reshape":
            (node,) = self.blocks.nodes[node].inputs
        for index, port in enumerate(self.blocks.inputs):
            if port.node == node:
                return index
        op = self.blocks.nodes[node].op
        raise self._error(f"entry {entry + 1} is no argmax and no token of the prompt, but a {op}")

    def _error(self, message: str) -> InputError:
        return self.caller.error(f"output {self.output.name!r} {shown(self.output)}: {message}")


def _cut(graph: Graph, caller: Caller) -> _Loop:
    """``graph`` with an input in place of each argmax, taken apart. Raises InputError."""
    output = caller.chosen(graph)
    cut = {i: node for i, node in enumerate(graph.nodes) if node.op == "argmax"}
    if not cut:
        raise caller.error(
            "it holds no argmax, so it emits no tokens itself: leave 'logits: none' out?"
        )
    nodes = tuple(_opened(node) if i in cut else node for i, node in enumerate(graph.nodes))
    inputs = tuple(Port(f"argmax_{i}", i, node.shape, "int64") for i, node in cut.items())
    operands = tuple(
        Port(f"operand_{i}", node.inputs[0], node.in_shapes[0]) for i, node in cut.items()
    )
    opened = Graph(nodes, (*graph.inputs, *inputs), (*operands, output), graph.real_only)
    rows, names = _rows(list(cut.values()), graph.input_size)
    size = sum(port.size for port in operands)
    named = {f"row_{i}": row for i, row in rows.items()}
    named |= {f"entry_{i}": np.array([size + i]) for i in range(output.size)}
    blocks = unroll(opened, named)
    ports = {port.name: port for port in blocks.outputs}
    return _Loop(
        caller,
        blocks,
        {i: ports[f"row_{i}"] for i in rows},
        [ports[f"entry_{i}"] for i in range(output.size)],
        names,
        output,
    )


def _opened(node: Node) -> Node:
    return Node("input", (), (), {}, {}, node.shape, node.name)


def _rows(cut: Sequence[Node], first: int) -> tuple[dict[int, IntArray], dict[int, str]]:
    """For each entry of each argmax, numbered from ``first``: its operand's places, its name."""
    rows: dict[int, IntArray] = {}
    names: dict[int, str] = {}
    start = 0
    for node in cut:
        width = node.in_shapes[0][-1]
        for _ in range(node.size):
            rows[first + len(rows)] = np.arange(start, start + width)
            names[first + len(names)] = node.name or "without a name"
            start += width
    return rows, names
