"""Greedy decoding of many prompts at once, on a decode graph: what the network really writes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from absint.decode.network import check_causal, prompt_slots
from absint.decode.run import Program, Run
from absint.ir import Graph
from absint.ir.affine import Array, IntArray
from absint.ir.evaluate import Load
from absint.problem import InputError
from absint.problem.decode import DecodeProblem

CHUNK = 512
"""Prompts decoded together: enough for the matrix products, few enough for the caches."""


@dataclass(frozen=True)
class Transcript:
    """What is written after each prompt."""

    tokens: IntArray
    """(prompts, steps): the emitted tokens; -1 after a stop token."""
    margins: NDArray[np.float64]
    """(prompts, steps): by how much the emitted token's logit exceeds the next best allowed one;
    infinite where no other is allowed, NaN after a stop token."""
    values: NDArray[np.float64]
    """(prompts, probes): the left side of each probe's constraint minus its bound; NaN where the
    text ends before."""
    found: NDArray[np.bool_]
    """(prompts, probes): whether each probe holds."""


def decode(
    graph: Graph,
    prompts: IntArray,
    problem: DecodeProblem,
    xp: Any = np,
    load: Load = np.asarray,
) -> Transcript:
    """Decodes ``prompts``, (count, slots) token ids, greedily; see ``Decoder``."""
    return Decoder(graph, problem, xp, load).decode(prompts)


class Decoder:
    """Runs one decode graph on any number of prompts, in the dtype and on the device of ``load``.

    Of several tokens with the largest logit, the one of lowest index is emitted. Tables of what
    depends on a single token are computed once, here.

    Raises:
        InputError: the graph's logits do not fit the problem's vocabulary or steps.
        UnsupportedError: a step reads tokens that are emitted later.
    """

    def __init__(
        self, graph: Graph, problem: DecodeProblem, xp: Any = np, load: Load = np.asarray
    ) -> None:
        size = len(problem.vocabulary)
        ends = problem.steps if problem.detector else 0
        steps = len(graph.outputs) - ends
        if any(port.shape != (size,) for port in graph.outputs[:steps]):
            raise InputError(f"the network's logits are not one for each of {size} tokens")
        if problem.steps > steps or (ends and ends != steps):
            raise InputError(f"{problem.steps} steps of a network of {steps}")
        check_causal(graph, ends)
        self.slots = prompt_slots(graph, ends)
        """The length of a prompt."""
        self._problem, self._xp = problem, xp
        self._program = Program(graph, size, xp, load)

    def decode(self, prompts: IntArray) -> Transcript:
        """Raises InputError for prompts of another length or tokens outside the vocabulary."""
        size = len(self._problem.vocabulary)
        if prompts.ndim != 2 or prompts.shape[1] != self.slots:
            raise InputError(f"prompts of shape {prompts.shape}: {self.slots} tokens are needed")
        if prompts.size and not 0 <= int(prompts.min()) <= int(prompts.max()) < size:
            raise InputError(f"a prompt holds a token outside the vocabulary of {size}")
        shape = (len(prompts), self._problem.steps)
        tokens, margins = np.full(shape, -1, dtype=np.int64), np.full(shape, math.nan)
        values = np.full((len(prompts), len(self._problem.probes)), math.nan)
        for start in range(0, len(prompts), CHUNK):
            part = slice(start, start + CHUNK)
            self._decode(prompts[part], tokens[part], margins[part], values[part])
        strict = np.array([probe.row.strict for probe in self._problem.probes], dtype=np.bool_)
        return Transcript(tokens, margins, values, (values < 0) | (~strict & (values == 0)))

    def emits(self, texts: IntArray) -> IntArray:
        """The next token, (texts,), after each text (prompt and some emitted tokens)."""
        step, found = texts.shape[1] - self.slots, []
        for start in range(0, len(texts), CHUNK):
            logits = Run(self._program, texts[start : start + CHUNK]).alone(step)
            found.append(self._choose(logits, sorted(self._problem.emitted(step)))[0])
        return np.concatenate(found)

    def probed(self, texts: IntArray, probe: int) -> NDArray[np.float64]:
        """(texts,): as in ``Transcript.values``, for a probe of the texts' next step, or end."""
        place, found = texts.shape[1] - self.slots, []
        if self._problem.probes[probe].step is None:
            place += self._problem.steps - 1
        for start in range(0, len(texts), CHUNK):
            numbers = Run(self._program, texts[start : start + CHUNK]).alone(place)
            found.append(self._value(probe, numbers))
        return np.concatenate(found)

    def _value(self, probe: int, logits: Array) -> NDArray[np.float64]:
        row, numbers = self._problem.probes[probe].row, _numpy(logits).astype(np.float64)
        total = np.full(len(numbers), -float(row.bound))
        for token, coefficient in row.outputs:
            total += float(coefficient) * numbers[:, token]
        return total

    def _decode(
        self,
        prompts: IntArray,
        tokens: IntArray,
        margins: NDArray[np.float64],
        values: NDArray[np.float64],
    ) -> None:
        """Fills ``tokens``, ``margins`` and ``values`` in, row by row of ``prompts``."""
        run = Run(self._program, prompts)
        running = np.ones(len(prompts), dtype=bool)
        stop = sorted(self._problem.stop)
        for t in range(self._problem.steps):
            logits = run.logits(t)
            for probe in self._problem.probes_at(t):
                values[running, probe] = self._value(probe, logits)[running]
            chosen, margin = self._choose(logits, sorted(self._problem.emitted(t)))
            tokens[running, t], margins[running, t] = chosen[running], margin[running]
            running &= ~np.isin(chosen, stop)
            if not running.any():
                break
            run.append(chosen)
        for probe in self._problem.probes_at(None):
            self._detect(prompts, tokens, values, probe)

    def _detect(
        self, prompts: IntArray, tokens: IntArray, values: NDArray[np.float64], probe: int
    ) -> None:
        """Fills in what a probe of the detector finds, texts of one length at once."""
        counts = (tokens >= 0).sum(axis=1)
        for count in np.unique(counts):
            which = counts == count
            texts = np.concatenate([prompts[which], tokens[which, :count]], axis=1)
            values[which, probe] = self.probed(texts, probe)

    def _choose(
        self, logits: Array, allowed: Sequence[int]
    ) -> tuple[IntArray, NDArray[np.float64]]:
        """The emitted token of each row, and its margin."""
        xp = self._xp
        if len(allowed) < logits.shape[1]:
            logits = logits[:, allowed]
        best = xp.argmax(logits, axis=1)[:, None]
        places = xp.arange(logits.shape[1], device=logits.device)
        others = xp.where(places == best, -math.inf, logits)
        margin = xp.max(logits, axis=1) - xp.max(others, axis=1)
        return np.asarray(allowed)[_numpy(best[:, 0])], _numpy(margin).astype(np.float64)


def _numpy(array: Array) -> NDArray[Any]:
    return np.asarray(array.cpu() if hasattr(array, "cpu") else array)
