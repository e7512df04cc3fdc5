"""Single texts, run rigorously: every value an interval a few roundings wide.

What a state of few texts needs: no relaxation, each node once for the whole run, many texts side by
side. As fast as brute force, but for the width of the intervals.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice, product

import numpy as np
from numpy.typing import NDArray

from absint.ir import Graph
from absint.problem.decode import DecodeProblem, PromptCell
from absint.problem.promptset import members
from absint.proofs.decode.state import State
from absint.proofs.tokens import Tables
from absint.proofs.transformers import forward
from absint.proofs.transformers.affine import Interval

IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

BATCH_VALUES = 1 << 24
"""Interval ends held at once."""


class Runs:
    """Runs of one decode graph."""

    def __init__(self, problem: DecodeProblem, graph: Graph, tables: Tables) -> None:
        self._problem, self._graph, self._tables = problem, graph, tables
        self._targets = [port.node for port in graph.outputs]
        self._stages = self._staged()
        self._last_use = {
            operand: step
            for step, stage in enumerate(self._stages)
            for node in stage
            for operand in graph.nodes[node].inputs
        }
        for step, target in enumerate(self._targets):
            self._last_use[target] = max(step, self._last_use.get(target, step))
        values = sum(graph.nodes[node].size for stage in self._stages for node in stage)
        self._batch = max(1, min(512, BATCH_VALUES // max(1, 2 * values)))

    def _staged(self) -> list[list[int]]:
        """For each step, the nodes that are computed then; nodes of one slot are looked up."""
        done: set[int] = set()
        stages = []
        for target in self._targets:
            found, waiting = set[int](), [target]
            while waiting:
                node = waiting.pop()
                if node in done or node in found or self._tables.slot(node) is not None:
                    continue
                found.add(node)
                waiting += self._graph.nodes[node].inputs
            done |= found
            stages.append(sorted(found))
        return stages

    def harmless(self, cell: PromptCell, state: State) -> bool:
        """Whether, for certain, no text of ``state`` becomes the catastrophe."""
        return all(ok.all() for _, ok in self.judge(cell, state))

    def judge(self, cell: PromptCell, state: State) -> Iterator[tuple[IntArray, BoolArray]]:
        """The texts of a state in batches, (texts, slots), and which of them are harmless."""
        texts = product(*(list(members(mask)) for mask in state.sets))
        while batch := list(islice(texts, self._batch)):
            rows = np.array(batch, dtype=np.int64)
            yield rows, self._judge(cell, rows)

    def _judge(self, cell: PromptCell, texts: IntArray) -> BoolArray:
        slots, problem = len(cell.slots), self._problem
        outputs, sure = self._write(texts, slots)
        harmless = [
            ok
            and not (
                problem.admits(cell, text[:slots])
                and problem.catastrophic(text[:slots], [t for t in output if t >= 0])
            )
            for ok, text, output in zip(sure, texts.tolist(), outputs.tolist(), strict=True)
        ]
        return np.array(harmless)

    def _write(self, texts: IntArray, slots: int) -> tuple[IntArray, BoolArray]:
        """What is emitted, (texts, steps) with -1 after a stop token, and whether for certain."""
        start, problem = texts.shape[1] - slots, self._problem
        outputs = np.full((len(texts), problem.steps), -1, dtype=np.int64)
        outputs[:, :start] = texts[:, slots:]
        sure, going = np.ones(len(texts), dtype=np.bool_), np.arange(len(texts))
        tokens, values = list(texts.T), dict[int, Interval]()
        for step in range(problem.steps):
            known = np.ones(len(going), dtype=np.bool_)
            logits = self._logits(step, tokens, values, known)
            sure[going] &= known
            if step < start:
                continue
            chosen, clear = self._winner(logits, sorted(problem.emitted(step)))
            sure[going] &= clear
            outputs[going, step] = chosen
            tokens.append(chosen)
            more = sure[going] & ~np.isin(chosen, sorted(problem.stop))
            if not more.all():
                going = going[more]
                tokens = [own[more] for own in tokens]
                values = {
                    i: (low[more], high[more])
                    for i, (low, high) in values.items()
                    if self._last_use.get(i, -1) > step
                }
            if not len(going):
                break
        return outputs, sure

    def _logits(
        self, step: int, tokens: Sequence[IntArray], values: dict[int, Interval], known: BoolArray
    ) -> Interval:
        """The logits of a step; ``known`` turns false where something has no value."""
        for position in self._stages[step]:
            node = self._graph.nodes[position]
            operands = [self._value(i, tokens, values) for i in node.inputs]
            values[position] = forward.interval(node, operands)
            for end in values[position]:
                known &= ~np.isnan(end.reshape((len(known), -1))).any(axis=1)
        return self._value(self._targets[step], tokens, values)

    def _value(
        self, position: int, tokens: Sequence[IntArray], values: dict[int, Interval]
    ) -> Interval:
        slot = self._tables.slot(position)
        if slot is None:
            return values[position]
        low, high = self._tables.of(position)
        return low[tokens[slot]], high[tokens[slot]]

    def _winner(self, logits: Interval, allowed: Sequence[int]) -> tuple[IntArray, BoolArray]:
        """The token that wins in each text, and whether it does for certain."""
        low, high = (end[:, allowed] for end in logits)
        best = low.argmax(axis=1)
        rows, places = np.arange(len(low)), np.arange(low.shape[1])
        own = low[rows, best][:, None]
        beaten = (own > high) | ((own >= high) & (places > best[:, None]))
        beaten[rows, best] = np.isfinite(low[rows, best])
        return np.asarray(allowed)[best], beaten.all(axis=1)
