"""The search for a decoding proof: step by step, splitting slots where the next token is ambiguous.

All states of one step that agree on what matters (the machines and the token emitted last) are
joined into one shared state before the next step: an inductive invariant of the text so far.
Nothing here is trusted: the checker recomputes every bound.
"""

from __future__ import annotations

import random
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from absint.decode.greedy import Decoder
from absint.decode.split import Splitter
from absint.decode.tree import Branch, Shared
from absint.problem.promptset import members
from absint.proofs.decode.check import StepBounds
from absint.proofs.decode.state import Rules, State
from absint.proofs.decode.stream import Rule, Step
from absint.search.options import Deadline

BATCH = 64
SAMPLES = 8


@dataclass
class Effort:
    """How far the search goes before it accepts that several tokens may be emitted."""

    depth: int
    """Splits on one path of one tree."""
    branches: int
    """Branches of one tree."""


@dataclass
class CellSearch:
    """The search on one cell. ``root`` and ``shared`` hold the proof when ``run`` returns."""

    rules: Rules
    bounds: StepBounds
    decoder: Decoder
    effort: Effort
    deadline: Deadline
    seed: int = 0
    shared: list[Shared] = field(default_factory=list)
    cases: int = 0

    def __post_init__(self) -> None:
        self.root = Branch(self.rules.root())
        self._random = random.Random(self.seed)
        self._splitter = Splitter(self.rules, self.bounds)

    def run(self) -> None:
        """Builds the proof; what the deadline cuts off stays open."""
        trees = [self.root]
        while trees and self.deadline.left() > 0:
            following: dict[Hashable, Shared] = {}
            self._prove(trees, following)
            self.shared += following.values()
            trees = []
            for one in following.values():
                one.tree = Branch(one.state)
                trees.append(one.tree)

    def _prove(self, trees: Sequence[Branch], following: dict[Hashable, Shared]) -> None:
        """Decides all branches of the trees of one step, many side by side."""
        waiting, count = list(trees), 0
        while waiting and self.deadline.left() > 0:
            batch = [b for b in (self._settle(b, waiting) for b in _taken(waiting)) if b]
            count += len(batch)
            if batch:
                more = count <= self.effort.branches * len(trees)
                self._emit(batch, waiting, following, more)

    def _settle(self, branch: Branch, waiting: list[Branch]) -> Branch | None:
        """Applies the rules that need no bounds; None where they decide the branch."""
        state = branch.state
        while self._reads(state):
            state = self.rules.read(state)
            (branch,) = branch.close(Step(Rule.READ), [state])
        if self.rules.safe(state):
            branch.close(Step(Rule.DONE))
            return None
        if not state.ended:
            return branch
        if state.read < self.rules.slots:  # what the prompt says is still undecided
            waiting += self._divide(branch, state.read, self.rules.classes(state))
        else:
            branch.close(Step(Rule.OPEN))
        return None

    def _reads(self, state: State) -> bool:
        """Whether the machines can read the next slot, and reading it keeps what would be lost."""
        if state.read >= self.rules.slots:
            return False
        own, whole = state.sets[state.read], self.rules.root().sets[state.read]
        narrowed = own != whole or own.bit_count() == 1
        return narrowed and len(self.rules.classes(state)) == 1

    def _divide(self, branch: Branch, slot: int, parts: Sequence[int]) -> list[Branch]:
        if len(parts) < 2:  # the machines agree, and yet they have to read
            return branch.close(Step(Rule.READ), [self.rules.read(branch.state)])
        step = Step(Rule.SPLIT, slot=slot, parts=tuple(parts))
        return branch.close(step, self.rules.split(branch.state, slot, parts))

    def _emit(
        self,
        batch: list[Branch],
        waiting: list[Branch],
        following: dict[Hashable, Shared],
        more: bool,
    ) -> None:
        """Decides what may be emitted next in each state of the batch, or splits it."""
        winners = self._winners([b.state for b in batch])
        deep = [not more or b.depth >= self.effort.depth for b in batch]
        bounded = [i for i in range(len(batch)) if len(winners[i]) == 1 or deep[i]]
        cases = dict(zip(bounded, self._cases(batch, winners, bounded), strict=True))
        for i, branch in enumerate(batch):
            tokens = cases.get(i)
            if tokens is None or (len(tokens) > 1 and not deep[i]):
                cut = self._splitter.choose(branch, winners[i], tokens)
                if cut is not None:
                    waiting += self._divide(branch, *cut)
                    continue
                tokens = tokens or self._cases(batch, winners, [i])[0]
            step = Step(Rule.CASES, tokens=tokens, beaters=_beaters(winners[i], tokens))
            for child in branch.close(step, self.rules.cases(branch.state, tokens)):
                self._pass_on(child, waiting, following)

    def decide(self, batch: list[Branch]) -> list[tuple[Branch, tuple[int, ...], tuple[int, ...]]]:
        """Each branch with the tokens that may be emitted, and those that beat the others."""
        winners = self._winners([b.state for b in batch])
        found = self._cases(batch, winners, range(len(batch)))
        return [
            (branch, tokens, _beaters(own, tokens))
            for branch, tokens, own in zip(batch, found, winners, strict=True)
        ]

    def _pass_on(
        self, child: Branch, waiting: list[Branch], following: dict[Hashable, Shared]
    ) -> None:
        """Joins a state of the next step with those like it; decides it here where it ends."""
        state = child.state
        if state.ended or self.rules.safe(state):
            self._settle_all(child, waiting)
            return
        key = (state.read, state.prompt, state.output, state.sets[-1])
        child.lead_to(following.setdefault(key, Shared(state)))

    def _settle_all(self, child: Branch, waiting: list[Branch]) -> None:
        if self._settle(child, waiting) is not None:
            waiting.append(child)

    def _winners(self, states: Sequence[State]) -> list[list[int]]:
        """The tokens that samples of each state emit, the most frequent first."""
        texts = [self._sample(state) for state in states for _ in range(SAMPLES)]
        won = self.decoder.emits(np.array(texts, dtype=np.int64)).reshape((-1, SAMPLES))
        return [
            sorted(set(row), key=lambda token, row=row: (-row.count(token), token))  # type: ignore[misc]
            for row in won.tolist()
        ]

    def _sample(self, state: State) -> list[int]:
        return [self._random.choice(list(members(mask))) for mask in state.sets]

    def _cases(
        self, batch: Sequence[Branch], winners: Sequence[Sequence[int]], which: Sequence[int]
    ) -> list[tuple[int, ...]]:
        """The tokens that may be emitted in the named states, by rigorous bounds."""
        if not which:
            return []
        self.cases += len(which)
        return self.bounds.possible([batch[i].state for i in which], [winners[i] for i in which])


def _beaters(winners: Sequence[int], tokens: Iterable[int]) -> tuple[int, ...]:
    return tuple(token for token in winners if token in set(tokens))


def _taken(waiting: list[Branch]) -> list[Branch]:
    """The last branches of the list, which loses them."""
    taken = waiting[-BATCH:]
    del waiting[-BATCH:]
    return taken[::-1]
