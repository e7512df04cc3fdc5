"""Greedy decoding on the real runtime, token by token: what a counterexample is replayed on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np

from absint.decode.greedy import Transcript
from absint.decode.steps import Caller
from absint.frontends.runtime import Runtime, runtime
from absint.ir.affine import IntArray
from absint.ir.graph import FloatArray
from absint.problem.decode import DecodeProblem


@dataclass(eq=False)
class TokenRunner:
    """Calls the model as the spec says, once a token, every prompt on its own.

    ``optimised``: with the runtime's default graph optimisations; otherwise the model as written.
    """

    caller: Caller
    problem: DecodeProblem
    optimised: bool = False
    _sessions: dict[int, Runtime] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The runtime's, with its version."""
        return next(iter(self._sessions.values())).name if self._sessions else ""

    def __call__(self, prompts: IntArray) -> Transcript:
        """Decodes prompts (count, slots). Raises InputError where the runtime fails."""
        shape = (len(prompts), self.problem.steps)
        tokens, margins = np.full(shape, -1, dtype=np.int64), np.full(shape, math.nan)
        values = np.full((len(prompts), len(self.problem.probes)), math.nan)
        found = np.zeros(values.shape, dtype=np.bool_)
        for row, prompt in enumerate(prompts.tolist()):
            text = list(prompt)
            for step in range(self.problem.steps):
                logits = self.logits(text)
                for probe in self.problem.probes_at(step):
                    values[row, probe], found[row, probe] = probed(self.problem, probe, logits)
                token, margins[row, step] = greedy(logits, sorted(self.problem.emitted(step)))
                tokens[row, step] = token
                text.append(token)
                if token in self.problem.stop:
                    break
        return Transcript(tokens, margins, values, found)

    def logits(self, text: Sequence[int]) -> FloatArray:
        """The logits (vocabulary,) of the token after ``text``. Raises InputError."""
        reads, pad = self.caller.reads(len(text)), self.caller.call.pad or 0
        row = np.array([[pad if place is None else text[place] for place in reads]], dtype=float)
        model = self.caller.network.at(len(reads))
        if len(reads) not in self._sessions:
            self._sessions[len(reads)] = runtime(model, optimised=self.optimised)
        (flat,) = self._sessions[len(reads)].run(row)
        port, start = self.caller.port(model.graph), 0
        for other in model.graph.outputs:
            if other.name == port.name:
                break
            start += other.size
        rows = flat[start : start + port.size].reshape(-1, self.caller.vocabulary)
        found: FloatArray = rows[self.caller.row(len(text))]
        return found


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
