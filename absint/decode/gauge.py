"""What probes say of abstract states, by rigorous bounds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product

from absint.decode.tree import Branch
from absint.problem.outlook import NO, UNKNOWN, YES
from absint.proofs.decode.check import SLACK, StepBounds
from absint.proofs.decode.state import Rules, State

BATCH = 64

Answer = tuple[int, int]
"""A probe, and what it says: NO or YES."""


@dataclass
class Gauge:
    """Asks the probes of a step about batches of states of that step."""

    rules: Rules
    bounds: StepBounds

    def answers(self, branches: Sequence[Branch]) -> list[list[Answer]]:
        """For each branch, the probes that certainly say one thing of all of its texts."""
        found: list[list[Answer]] = [[] for _ in branches]
        asked: dict[tuple[int, int], list[int]] = {}
        for place, branch in enumerate(branches):
            for probe in self.rules.asks(branch.state):
                asked.setdefault((probe, len(branch.state.sets)), []).append(place)
        for (probe, _), places in asked.items():
            for begin in range(0, len(places), BATCH):
                some = places[begin : begin + BATCH]
                states = [branches[place].state for place in some]
                for says in (NO, YES):
                    sure = self.bounds.said(states, probe, says, SLACK)
                    for place, ok in zip(some, sure, strict=True):
                        found[place] += [(probe, says)] * bool(ok)
        return found

    def lasting(self, state: State) -> State:
        """The state without what is known of probes that decide nothing any more."""
        for probe, known in enumerate(state.found):
            if known != UNKNOWN and not self.matters(state, probe):
                found = (*state.found[:probe], UNKNOWN, *state.found[probe + 1 :])
                state = replace(state, found=found)
        return state

    def matters(self, state: State, probe: int) -> bool:
        """Whether a probe decides about a state, if the others that are open say one thing.

        Those of its step may say another thing than those of other steps.
        """
        probes = self.rules.problem.probes
        for beside, others in product((NO, YES), repeat=2):
            open_ = [beside if one.step == probes[probe].step else others for one in probes]
            said = [
                fill if known == UNKNOWN else known
                for fill, known in zip(open_, state.found, strict=True)
            ]
            outcomes = set()
            for own in (NO, YES):
                said[probe] = own
                outcomes.add(self.rules.safe(replace(state, found=tuple(said))))
            if len(outcomes) > 1:
                return True
        return False
