"""Which slot of an ambiguous state to split, and into what parts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from absint.decode.influence import Influence, query_slots
from absint.decode.outcomes import Outcomes
from absint.decode.tree import Branch
from absint.problem.promptset import members
from absint.proofs.arithmetic import FloatArray
from absint.proofs.decode.check import StepBounds
from absint.proofs.decode.state import Rules, State
from absint.proofs.tokens import BoolArray

BATCH = 64
QUERIES = 256
"""Sets of a query's tokens up to this size are split into single tokens."""
SINGLES = 16
"""Sets up to this size are split into single tokens."""
TRIALS = 64
RIVALS = 12
"""Tokens that are not excluded, of which a split takes account."""

Question = tuple[Branch, Sequence[int], Sequence[int] | None]
"""A branch, its sampled winners, and the tokens that may be emitted, where these were bounded."""


@dataclass(frozen=True)
class Cut:
    """A split. ``deeper``: whether it counts against the search's effort."""

    slot: int
    parts: Sequence[int]
    deeper: bool = True


@dataclass
class Splitter:
    """Chooses by trial: the slot that, pinned to one token, raises the loosest margin most.

    What helped in one state of a step is tried first in the next: steps of one kind read one slot.
    """

    rules: Rules
    bounds: StepBounds
    outcomes: Outcomes
    _hints: dict[int, int] = field(default_factory=dict)

    def choose(self, asked: Sequence[Question]) -> list[Cut | None]:
        """For each branch a cut, or None where every slot holds a single token."""
        found: dict[int, Cut | None] = {}
        narrow: list[int] = []
        for i, (branch, winners, possible) in enumerate(asked):
            if not self.outcomes.matter(branch.state):
                found[i] = self._tried(branch, winners, possible)
            elif (outcome := self.outcomes.cut(branch.state)) is not None:
                found[i] = Cut(*outcome, deeper=False)
            elif possible is None:
                found[i] = self._tried(branch, winners, possible)
            elif (cut := self._query(branch.state)) is not None:
                found[i] = cut
            else:
                narrow.append(i)
        for begin in range(0, len(narrow), BATCH):
            some = narrow[begin : begin + BATCH]
            found |= zip(some, self._influenced([asked[i] for i in some]), strict=True)
        return [found[i] for i in range(len(asked))]

    def _query(self, state: State) -> Cut | None:
        """A slot that attention's queries come from, token by token: no bound shares a query."""
        graph, tables, _ = self.bounds.view([state])
        for slot in query_slots(graph, tables):
            tokens = list(members(state.sets[slot]))
            if 1 < len(tokens) <= QUERIES:
                return Cut(slot, [1 << token for token in tokens], deeper=False)
        return None

    def _influenced(self, asked: Sequence[Question]) -> list[Cut | None]:
        """Cuts off the tokens that are safe, or halves the slot with the largest range."""
        size = len(self.rules.problem.vocabulary)
        rivals = [[t for t in p or () if t != w[0]][:RIVALS] for _, w, p in asked]
        rows = np.zeros((len(asked), max(map(len, rivals)), size))
        for i, (own, (_, winners, _)) in enumerate(zip(rivals, asked, strict=True)):
            for row in range(rows.shape[1]):
                rows[i, row, winners[0]] += 1.0
                rows[i, row, own[min(row, len(own) - 1)]] -= 1.0
        influence = Influence.of(*self.bounds.view([branch.state for branch, _, _ in asked]), rows)
        safe, worst = influence.safe(), influence.worst()
        return [
            _peeled(branch.state, safe[i]) or _halved(branch.state, worst[i])
            for i, (branch, _, _) in enumerate(asked)
        ]

    def _tried(
        self, branch: Branch, winners: Sequence[int], possible: Sequence[int] | None
    ) -> Cut | None:
        state = branch.state
        wide = [slot for slot, mask in enumerate(state.sets) if mask & (mask - 1)]
        if not wide:
            return None
        step = self.rules.emitted(state)
        slot = self._likely(step, state.read) if branch.slot is None else branch.slot
        if slot not in wide:
            slot = wide[0] if len(wide) == 1 else self._by_trial(state, wide, winners, possible)
        if branch.slot is None:
            self._hints[step] = slot
        return Cut(slot, self._parts(state, slot))

    def probed(self, branch: Branch, probe: int, says: int) -> Cut | None:
        """A cut of a state of which a probe, most of the time, says ``says``; by trial.

        First by what the prompt's machines will say, where they tell prompts apart.
        """
        state = branch.state
        if (outcome := self.outcomes.cut(state)) is not None:
            return Cut(*outcome, deeper=False)
        wide = [slot for slot, mask in enumerate(state.sets) if mask & (mask - 1)]
        if not wide:
            return None
        pinned = [_pinned(state, slot) for slot in wide]
        least = self.bounds.probed(pinned, probe, says)
        slot = wide[int(np.argmax(least))]
        return Cut(slot, self._parts(state, slot))

    def _likely(self, step: int, read: int) -> int:
        """What helped at this step, or the slot after what helped at the one before."""
        return self._hints.get(step, self._hints.get(step - 1, read - 1) + 1)

    def _by_trial(
        self,
        state: State,
        wide: Sequence[int],
        winners: Sequence[int],
        possible: Sequence[int] | None,
    ) -> int:
        beater = winners[0]
        rivals = [t for t in possible or winners if t != beater]
        if not rivals:
            rivals = [t for t in self._allowed(state) if t != beater]
        rows = np.zeros((1, len(rivals), len(self.rules.problem.vocabulary)))
        rows[0, :, beater] += 1.0
        rows[0, np.arange(len(rivals)), rivals] -= 1.0
        best, chosen = -np.inf, wide[0]
        for begin in range(0, len(wide), TRIALS):
            some = wide[begin : begin + TRIALS]
            pinned = [_pinned(state, slot) for slot in some]
            margins = self.bounds.margins(pinned).least(rows).min(axis=1)
            index = int(np.argmax(margins))
            if margins[index] > best:
                best, chosen = float(margins[index]), some[index]
        return chosen

    def _allowed(self, state: State) -> list[int]:
        return sorted(self.rules.problem.emitted(self.rules.emitted(state)))

    def _parts(self, state: State, slot: int) -> list[int]:
        if slot == state.read < self.rules.slots and len(classes := self.rules.classes(state)) > 1:
            return classes
        if slot < self.rules.slots and len(kinds := self.rules.kinds(state.sets[slot])) > 1:
            return kinds
        tokens = list(members(state.sets[slot]))
        if len(tokens) <= SINGLES:
            return [1 << token for token in tokens]
        middle = len(tokens) // 2
        return [sum(1 << t for t in half) for half in (tokens[:middle], tokens[middle:])]


def _pinned(state: State, slot: int) -> State:
    mask = state.sets[slot]
    return replace(state, sets=(*state.sets[:slot], mask & -mask, *state.sets[slot + 1 :]))


def _peeled(state: State, safe: BoolArray) -> Cut | None:
    """Splits off the tokens (slots, tokens) that are safe, of the slot with the largest share."""
    share = [row.sum() / mask.bit_count() for row, mask in zip(safe, state.sets, strict=False)]
    slot = int(np.argmax(share))
    if not 0 < share[slot] < 1:
        return None
    part = sum(1 << int(token) for token in np.flatnonzero(safe[slot]))
    return Cut(slot, [part, state.sets[slot] & ~part], deeper=False)


def _halved(state: State, parts: FloatArray) -> Cut | None:
    """Halves the set of the slot whose tokens' parts (slots, tokens) differ most."""
    ranges = [
        float(np.ptp(row[np.isfinite(row)])) if mask & (mask - 1) else -1.0
        for row, mask in zip(parts, state.sets, strict=False)
    ]
    slot = int(np.argmax(ranges))
    tokens = sorted(members(state.sets[slot]), key=lambda token: float(parts[slot, token]))
    if len(tokens) < 2:
        return None
    halves = tokens[: len(tokens) // 2], tokens[len(tokens) // 2 :]
    return Cut(slot, [sum(1 << t for t in half) for half in halves], deeper=False)
