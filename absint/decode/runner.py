"""Greedy decoding on the real runtime: what a counterexample is replayed on."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np

from absint.decode.caller import Caller
from absint.decode.greedy import Transcript
from absint.frontends.runtime import Runtime, runtime
from absint.ir.affine import IntArray
from absint.ir.graph import FloatArray
from absint.problem.decode import DecodeProblem


@dataclass(eq=False)
class ModelRunner(ABC):
    """Runs the model as the spec says, every prompt on its own.

    ``optimised``: with the runtime's default graph optimisations; otherwise the model as written.
    """

    caller: Caller
    problem: DecodeProblem
    detector: Caller | None = None
    optimised: bool = False
    _sessions: dict[tuple[str, int], Runtime] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The runtime's, with its version."""
        return next(iter(self._sessions.values())).name if self._sessions else ""

    @abstractmethod
    def __call__(self, prompts: IntArray) -> Transcript:
        """Decodes prompts (count, slots). Raises InputError where the runtime fails."""

    def output(self, caller: Caller, tokens: Sequence[int]) -> FloatArray:
        """The flat output that the spec means, of one call with ``tokens``. Raises InputError."""
        model, key = caller.network.at(len(tokens)), (caller.section, len(tokens))
        if key not in self._sessions:
            self._sessions[key] = runtime(model, optimised=self.optimised)
        (flat,) = self._sessions[key].run(np.array([tokens], dtype=float))
        port, start = caller.chosen(model.graph), 0
        for other in model.graph.outputs:
            if other.name == port.name:
                break
            start += other.size
        found: FloatArray = flat[start : start + port.size]
        return found

    def _empty(self, prompts: int) -> Transcript:
        shape = (prompts, self.problem.steps)
        values = np.full((prompts, len(self.problem.probes)), math.nan)
        found = np.zeros(values.shape, dtype=np.bool_)
        return Transcript(
            np.full(shape, -1, dtype=np.int64), np.full(shape, math.nan), values, found
        )


class TokenRunner(ModelRunner):
    """Calls the model once a token."""

    def __call__(self, prompts: IntArray) -> Transcript:
        made = self._empty(len(prompts))
        for row, prompt in enumerate(prompts.tolist()):
            text = list(prompt)
            for step in range(self.problem.steps):
                logits = self.numbers(self.caller, text)
                for probe in self.problem.probes_at(step):
                    held = probed(self.problem, probe, logits)
                    made.values[row, probe], made.found[row, probe] = held
                token, margin = greedy(logits, sorted(self.problem.emitted(step)))
                made.tokens[row, step], made.margins[row, step] = token, margin
                text.append(token)
                if token in self.problem.stop:
                    break
            if self.detector is not None and self.problem.probes_at(None):
                said = self.numbers(self.detector, text)
                for probe in self.problem.probes_at(None):
                    held = probed(self.problem, probe, said)
                    made.values[row, probe], made.found[row, probe] = held
        return made

    def numbers(self, caller: Caller, text: Sequence[int]) -> FloatArray:
        """What a network gives for ``text``, (width,). Raises InputError."""
        reads, pad = caller.reads(len(text)), caller.call.pad or 0
        flat = self.output(caller, [pad if place is None else text[place] for place in reads])
        found: FloatArray = flat.reshape(-1, caller.width)[caller.row(len(text))]
        return found


class WholeRunner(ModelRunner):
    """Calls a model that is the whole loop once a prompt; nobody sees margins."""

    def __call__(self, prompts: IntArray) -> Transcript:
        made = self._empty(len(prompts))
        for row, prompt in enumerate(prompts.tolist()):
            emitted = self.output(self.caller, prompt)[-self.problem.steps :].astype(np.int64)
            stops = np.flatnonzero(np.isin(emitted, sorted(self.problem.stop)))
            end = stops[0] + 1 if len(stops) else len(emitted)
            made.tokens[row, :end] = emitted[:end]
        return made


def probed(problem: DecodeProblem, probe: int, logits: FloatArray) -> tuple[float, bool]:
    """The left side of a probe's constraint minus its bound, and whether it holds: exactly.

    It never holds for a logit that is not finite.
    """
    row = problem.probes[probe].row
    if not all(math.isfinite(logits[token]) for token, _ in row.outputs):
        return math.nan, False
    exact = [Fraction(float(y)) if math.isfinite(y) else Fraction() for y in logits]
    return float(row.value((), exact)), row.holds((), exact)


def greedy(logits: FloatArray, allowed: Sequence[int]) -> tuple[int, float]:
    """The allowed token with the largest logit (the lowest index of several), and its margin."""
    own = logits[list(allowed)]
    best = int(np.argmax(own))
    others = np.delete(own, best)
    margin = float(own[best] - others.max()) if len(others) else math.inf
    return allowed[best], margin
