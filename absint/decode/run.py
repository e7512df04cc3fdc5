"""A decode graph's values for a batch of prompts, each node computed once."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from absint.decode.plan import Half, Plan, needed, plan
from absint.ir import Graph, Node
from absint.ir.affine import Array, IntArray
from absint.ir.evaluate import Load, step


class Program:
    """A decode graph made ready to run: its plan, constants as loaded, and tables."""

    def __init__(self, graph: Graph, vocabulary: int, xp: Any, load: Load) -> None:
        self.graph, self.xp, self._load = graph, xp, load
        self.plan: Plan = plan(graph, vocabulary)
        self.slots = {port.node: slot for slot, port in enumerate(graph.inputs)}
        self._constants: dict[int, Array] = {}
        self._needed: dict[int, list[int]] = {}
        self.tables = self._tables(vocabulary)
        """(vocabulary, size) for each node that is looked up."""

    def constant(self, value: NDArray[Any]) -> Array:
        """A constant of the graph, loaded once."""
        if id(value) not in self._constants:
            self._constants[id(value)] = self._load(value)
        return self._constants[id(value)]

    def needed(self, t: int) -> list[int]:
        """The nodes that step ``t`` needs, in order (looked-up ones left out)."""
        if t not in self._needed:
            done = set(self.plan.tables) | set(self.slots)
            self._needed[t] = needed(self.graph, self.graph.outputs[t].node, done)
        return self._needed[t]

    def ids(self, tokens: IntArray) -> Array:
        """Tokens as the graph's inputs."""
        return self._load(tokens.astype(np.float64))

    def _tables(self, vocabulary: int) -> dict[int, Array]:
        ids, tables = self.ids(np.arange(vocabulary)), {}
        for slot, order in self.plan.sources.items():
            values = dict.fromkeys(self.slots, ids)
            for i in order:
                node = self.graph.nodes[i]
                values[i] = step(node, [values[j] for j in node.inputs], self.xp, self.constant)
            tables.update({i: values[i] for i in order if self.plan.tables.get(i) == slot})
        return tables


class Run:
    """The values for one batch of texts, as far as the texts are known."""

    def __init__(self, program: Program, prompts: IntArray) -> None:
        self._program, self._graph, self._plan = program, program.graph, program.plan
        self._tokens = list(prompts.T.copy())
        self._values: dict[int, Array] = {}
        self._buffers: dict[int, Array] = {}
        self._filled = [0] * len(self._plan.buffers)

    def append(self, tokens: IntArray) -> None:
        """The next token of every text."""
        self._tokens.append(tokens)

    def alone(self, t: int) -> Array:
        """The logits of step ``t``, (texts, vocabulary), of a run that takes no other step."""
        for i in self._program.needed(t):
            self._values[i] = self._step(i)
        return self._value(self._graph.outputs[t].node)

    def logits(self, t: int) -> Array:
        """The logits of step ``t`` (from 0), (texts, vocabulary); the steps in order."""
        for i in self._plan.stages[t]:
            self._values[i] = self._step(i)
            for gone in self._plan.forgotten.get(i, ()):
                self._values.pop(gone, None)
        return self._value(self._graph.outputs[t].node)

    def _step(self, i: int) -> Array:
        node, program = self._graph.nodes[i], self._program
        if i in self._plan.halves:
            keys, values = (self._rows(half) for half in self._plan.halves[i])
            return attend(node, self._value(node.inputs[0]), keys, values, program.xp)
        return step(node, [self._value(j) for j in node.inputs], program.xp, program.constant)

    def _value(self, i: int) -> Array:
        if i in self._plan.tables:
            return self._program.tables[i][self._tokens[self._plan.tables[i]]]
        if i in self._program.slots:
            return self._program.ids(self._tokens[self._program.slots[i]])
        return self._values[i]

    def _rows(self, half: Half) -> Array:
        """The first rows of a buffer, (texts, heads, count, width of a head)."""
        buffer, filled = self._plan.buffers[half.buffer], self._filled[half.buffer]
        for row in range(filled, half.count):
            value = self._value(buffer.rows[row])
            value = value.reshape((value.shape[0], buffer.heads, -1))
            if half.buffer not in self._buffers:
                shape = (*value.shape[:2], len(buffer.rows), value.shape[2])
                self._buffers[half.buffer] = self._program.xp.empty(
                    shape, dtype=value.dtype, device=value.device
                )
            self._buffers[half.buffer][:, :, row] = value
        self._filled[half.buffer] = max(filled, half.count)
        return self._buffers[half.buffer][:, :, : half.count]


def attend(node: Node, query: Array, keys: Array, values: Array, xp: Any) -> Array:
    """An attend's value; keys and values are (texts, kv_heads, count, width of a head)."""
    texts, shared = keys.shape[:2]
    q = query.reshape((texts, shared, node.integer("heads") // shared, -1))
    scores = (node.number("scale") * q) @ keys.swapaxes(-1, -2)
    e = xp.exp(scores - xp.max(scores, axis=-1, keepdims=True))
    share = e / xp.sum(e, axis=-1, keepdims=True)
    return (share @ values).reshape((texts, node.size))
