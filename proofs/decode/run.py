"""Single texts, run rigorously: every value known up to a few roundings.

What a state of few texts needs: no relaxation, each node once for the whole run, many texts side by
side, and what depends on the first tokens of a text once for all texts that share them. As fast as
brute force, but for the width of the balls. Texts that float64 leaves undecided are run again with
many digits.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice, product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from absint.ir import Graph
from absint.problem.decode import DecodeProblem, PromptCell, until_stop
from absint.problem.outlook import NO, UNKNOWN, YES, may_hold
from absint.problem.promptset import members
from absint.proofs.decode.arithmetics import Arithmetic, Digits, Floats
from absint.proofs.decode.sharing import Sharing
from absint.proofs.decode.state import State
from absint.proofs.tokens import Tables

IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

BATCH = 256
BATCH_VALUES = 1 << 26
"""Values held at once."""


class Runs:
    """Runs of one decode graph. Many digits are no help where computed values are meant."""

    def __init__(self, problem: DecodeProblem, graph: Graph, tables: Tables) -> None:
        self._problem, self._slots = problem, tables.slots
        self._floats = Programs.of(problem, graph, Floats(tables))
        self._digits: Programs | None = None
        if tables.contract is None and Digits.fits(graph, len(problem.vocabulary)):
            self._digits = Programs.of(problem, graph, Digits(graph))
        values = sum(node.size for node in graph.nodes)
        self._batch = max(1, min(BATCH, BATCH_VALUES // max(1, values)))

    def harmless(self, cell: PromptCell, state: State) -> bool:
        """Whether, for certain, no text of ``state`` becomes the catastrophe."""
        return all(ok.all() for _, ok in self.judge(cell, state))

    def judge(self, cell: PromptCell, state: State) -> Iterator[tuple[IntArray, BoolArray]]:
        """The texts of a state in batches, (texts, slots), and which of them are harmless."""
        texts = product(*(list(members(mask)) for mask in state.sets))
        while batch := list(islice(texts, self._batch)):
            rows = np.array(batch, dtype=np.int64)
            yield rows, self.harmless_texts(cell, rows)

    def harmless_texts(self, cell: PromptCell, texts: IntArray) -> BoolArray:
        """(texts,): which of a batch of texts, (texts, slots), are harmless for certain."""
        slots = len(cell.slots)
        outputs, sure, found = self.write(texts, slots)
        rows = zip(sure, texts.tolist(), outputs.tolist(), found.tolist(), strict=True)
        harmless = [
            ok and not self._may_violate(cell, text[:slots], until_stop(output), own)
            for ok, text, output, own in rows
        ]
        return np.array(harmless, dtype=np.bool_)

    def doubt(self, prompts: IntArray) -> float:
        """How far off the logits may be that follow prompts (count, slots); NaN: no value."""
        program, every, found = self._floats.steps, np.arange(len(prompts)), 0.0
        run = Run(program, Sharing(self._slots, prompts))
        for step in range(self._problem.steps):
            logits = run.logits(step)
            found = float(np.maximum(found, logits[1].max()))
            allowed = sorted(self._problem.emitted(step))
            run.append(step, program.arithmetic.winner(logits, allowed)[0], every)
        return found

    def _may_violate(
        self, cell: PromptCell, prompt: list[int], output: Sequence[int], found: list[int]
    ) -> bool:
        problem = self._problem
        if not problem.probes:
            return problem.violates(cell, prompt, output)
        labels = {
            index: frozenset([problem.label(index, prompt, output)])
            for index in range(len(problem.machines))
        }
        happens = may_hold(problem.catastrophe, labels, True, found)
        return happens and problem.admits(cell, prompt)

    def write(self, texts: IntArray, slots: int) -> tuple[IntArray, BoolArray, IntArray]:
        """What is emitted, (texts, steps) with -1 after a stop token; whether for certain; and what
        is known of the probes, (texts, probes)."""
        outputs, sure, found = self._write(self._floats, texts, slots)
        left = ~sure | (found == UNKNOWN).any(axis=1)
        if self._digits is not None and left.any():
            outputs[left], sure[left], found[left] = self._write(self._digits, texts[left], slots)
        return outputs, sure, found

    def _write(
        self, programs: Programs, texts: IntArray, slots: int
    ) -> tuple[IntArray, BoolArray, IntArray]:
        start, problem, program = texts.shape[1] - slots, self._problem, programs.steps
        outputs = np.full((len(texts), problem.steps), -1, dtype=np.int64)
        outputs[:, :start] = texts[:, slots:]
        found = np.full((len(texts), len(problem.probes)), NO, dtype=np.int64)
        sure, going = np.ones(len(texts), dtype=np.bool_), np.arange(len(texts))
        found[:, problem.probes_at(None)] = UNKNOWN
        run = Run(program, Sharing(self._slots, texts))
        for step in range(problem.steps):
            logits = run.logits(step)
            sure[going] &= run.known
            for probe in problem.probes_at(step):
                found[going, probe] = self._answers(program, logits, probe)
            if step < start:
                continue
            chosen, clear = program.arithmetic.winner(logits, sorted(problem.emitted(step)))
            sure[going] &= clear
            outputs[going, step] = chosen
            more = np.flatnonzero(sure[going] & ~np.isin(chosen, sorted(problem.stop)))
            if not len(more):
                break
            going = going[more]
            run.append(step, chosen, more)
        if problem.probes_at(None):
            self._detect(programs, texts[:, :slots], outputs, sure, found)
        return outputs, sure, found

    def _detect(
        self,
        programs: Programs,
        prompts: IntArray,
        outputs: IntArray,
        sure: BoolArray,
        found: IntArray,
    ) -> None:
        """Fills in what the detector says of the texts that are known, of one length at once."""
        counts = (outputs >= 0).sum(axis=1)
        for count in np.unique(counts[sure]):
            which = np.flatnonzero(sure & (counts == count))
            texts = np.concatenate([prompts[which], outputs[which, :count]], axis=1)
            program = programs.ends[count - 1]
            run = Run(program, Sharing(self._slots, texts))
            numbers = run.logits(0)
            sure[which] &= run.known
            for probe in self._problem.probes_at(None):
                found[which, probe] = self._answers(program, numbers, probe)

    def _answers(self, program: Program, numbers: Any, probe: int) -> IntArray:
        row, fails = self._problem.probes[probe].row, program.arithmetic.fails
        yes = np.where(fails(numbers, row.negated()), YES, UNKNOWN)
        return np.where(fails(numbers, row), NO, yes)


@dataclass(frozen=True)
class Programs:
    """One for the logits of all steps, and one for the detector after each number of tokens."""

    steps: Program
    ends: Sequence[Program]

    @staticmethod
    def of(problem: DecodeProblem, graph: Graph, arithmetic: Arithmetic) -> Programs:
        ports = [graph.outputs[: problem.steps]]
        ports += [(port,) for port in graph.outputs[problem.steps :]]
        first, *rest = (Program(replace(graph, outputs=own), arithmetic) for own in ports)
        return Programs(first, rest)


class Program:
    """What each step computes, and until when it is needed."""

    def __init__(self, graph: Graph, arithmetic: Arithmetic) -> None:
        self.graph, self.arithmetic = graph, arithmetic
        self.targets = [port.node for port in graph.outputs]
        self.stages = self._staged()
        self.last_use = {
            operand: step
            for step, stage in enumerate(self.stages)
            for node in stage
            for operand in graph.nodes[node].inputs
        }
        for step, target in enumerate(self.targets):
            self.last_use[target] = max(step, self.last_use.get(target, step))

    def _staged(self) -> list[list[int]]:
        """For each step, the nodes that are computed then."""
        done: set[int] = set()
        stages = []
        for target in self.targets:
            found, waiting = set[int](), [target]
            while waiting:
                node = waiting.pop()
                if node in done or node in found or self.arithmetic.looked_up(node):
                    continue
                found.add(node)
                waiting += self.graph.nodes[node].inputs
            done |= found
            stages.append(sorted(found))
        return stages


class Run:
    """The values for one batch of texts, each computed once for all texts that share it."""

    def __init__(self, program: Program, sharing: Sharing) -> None:
        self._program, self._sharing = program, sharing
        self._values: dict[int, Any] = {}
        self.known: BoolArray = np.ones(sharing.count, dtype=np.bool_)
        """Of the texts that go on: whether all that was computed for them has a value."""

    def logits(self, step: int) -> Any:
        """The logits of a step, the steps in order."""
        graph, arithmetic = self._program.graph, self._program.arithmetic
        for position in self._program.stages[step]:
            node = graph.nodes[position]
            value = arithmetic.value(node, [self._operand(i, position) for i in node.inputs])
            self._values[position] = value
            self.known &= self._sharing.spread(position, arithmetic.known(value))
        target = self._program.targets[step]
        return self._operand(target, None)

    def append(self, step: int, chosen: IntArray, more: IntArray) -> None:
        """The emitted token of each text; those with indices ``more`` go on."""
        arithmetic, last_use = self._program.arithmetic, self._program.last_use
        self._values = {
            i: arithmetic.rows(value, self._sharing.among(i, more))
            for i, value in self._values.items()
            if last_use.get(i, -1) > step
        }
        self.known = self.known[more]
        self._sharing.append(chosen, more)

    def _operand(self, position: int, reader: int | None) -> Any:
        """A node's values for the texts that stand for all in ``reader`` (None: for all)."""
        arithmetic, sharing = self._program.arithmetic, self._sharing
        if arithmetic.looked_up(position):
            return arithmetic.table(position, sharing.tokens(position, reader))
        index = sharing.index(position, reader)
        value = self._values[position]
        return value if index is None else arithmetic.rows(value, index)
