"""The walk through a decoding proof: each step with the state that it stands at, rules checked."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from absint.problem.decode import DecodeProblem, PromptCell
from absint.problem.outlook import Outlook
from absint.proofs.decode.state import Rules, State
from absint.proofs.decode.stream import Reader, Rule, Step
from absint.proofs.format import CertificateError

MAX_RUN = 1 << 24
"""Texts that one RUN may stand for."""


def texts(state: State) -> int:
    """How many texts a state's sets hold."""
    return math.prod(mask.bit_count() for mask in state.sets)


@dataclass(frozen=True)
class Visit:
    """A step, its ordinal in the proof, the tree that it is in, and the state that it proves."""

    ordinal: int
    tree: int
    step: Step
    state: State


class Walk:
    """Goes through the proof of one cell, once.

    All that can be told without bounds is checked on the way: that parts cover what they split,
    that ``goto`` leads to a containing state that comes later, that ``done`` is. What is left for
    the caller are the claims of CASES, that every other token loses, of PROBE and of RUN.
    """

    def __init__(
        self, problem: DecodeProblem, cell: PromptCell, data: bytes, outlook: Outlook
    ) -> None:
        self.rules = Rules(problem, cell, outlook)
        self._reader = Reader(data, problem, len(cell.slots))
        self.shared = self._reader.shared
        if not all(self.rules.valid(state) for state in self.shared):
            raise CertificateError("a shared state does not fit the problem")

    def visits(self) -> Iterator[Visit]:
        """Every step in order. Raises CertificateError at the first that breaks a rule."""
        steps, ordinal = self._reader.steps(), 0
        for tree, start in enumerate([self.rules.root(), *self.shared]):
            waiting = [start]
            while waiting:
                state, step = waiting.pop(), next(steps)
                yield Visit(ordinal, tree, step, state)
                waiting += reversed(self._follow(tree, state, step))
                ordinal += 1
        for _ in steps:
            raise CertificateError("steps follow the end of a proof")

    def _follow(self, tree: int, state: State, step: Step) -> list[State]:
        if step.rule is Rule.SPLIT:
            return self.rules.split(state, step.slot, step.parts)
        if step.rule is Rule.READ:
            return [self.rules.read(state)]
        if step.rule is Rule.CASES:
            if len(set(step.beaters)) < len(step.beaters):
                raise CertificateError("a token is said twice to beat the others")
            return self.rules.cases(state, step.tokens)
        if step.rule is Rule.PROBE:
            return [self.rules.probe(state, step.probe, step.says)]
        if step.rule is Rule.GOTO:
            # Tree i + 1 proves shared state i: the goal's own tree must come after this one.
            if not tree <= step.goal < len(self.shared):
                raise CertificateError("a shared state would rest on itself, or does not exist")
            if not self.rules.contains(self.shared[step.goal], state):
                raise CertificateError("a state is not contained in the shared one that it names")
        elif step.rule is Rule.DONE and not self.rules.safe(state):
            raise CertificateError("the catastrophe can still happen where it is said not to")
        elif step.rule is Rule.RUN and (state.ended or texts(state) > MAX_RUN):
            raise CertificateError("a run of texts that have ended, or of too many")
        return []
