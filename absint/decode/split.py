"""Which slot of an ambiguous state to split, and into what parts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from absint.decode.tree import Branch
from absint.problem.promptset import members
from absint.proofs.decode.check import StepBounds
from absint.proofs.decode.state import Rules, State

SINGLES = 16
"""Sets up to this size are split into single tokens."""
TRIALS = 64


@dataclass
class Splitter:
    """Chooses by trial: the slot that, pinned to one token, raises the loosest margin most.

    What helped in one state of a step is tried first in the next: steps of one kind read one slot.
    """

    rules: Rules
    bounds: StepBounds
    _hints: dict[int, int] = field(default_factory=dict)

    def choose(
        self, branch: Branch, winners: Sequence[int], possible: Sequence[int] | None
    ) -> tuple[int, list[int]] | None:
        """(slot, parts), or None where every slot holds a single token."""
        state = branch.state
        wide = [slot for slot, mask in enumerate(state.sets) if mask & (mask - 1)]
        if not wide:
            return None
        step = self.rules.emitted(state)
        slot = self._hints.get(step, state.read) if branch.slot is None else branch.slot
        if slot not in wide:
            slot = wide[0] if len(wide) == 1 else self._by_trial(state, wide, winners, possible)
            if branch.slot is None:
                self._hints[step] = slot
        return slot, self._parts(state, slot)

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
        tokens = list(members(state.sets[slot]))
        if len(tokens) <= SINGLES:
            return [1 << token for token in tokens]
        middle = len(tokens) // 2
        return [sum(1 << t for t in half) for half in (tokens[:middle], tokens[middle:])]


def _pinned(state: State, slot: int) -> State:
    mask = state.sets[slot]
    return replace(state, sets=(*state.sets[:slot], mask & -mask, *state.sets[slot + 1 :]))
