"""Dividing a state by what the prompt's machines will say: sets on which they say one thing.

Where the last token, the answer, follows from the machines' labels (the samples of a state say
so), the state is divided by these first. A token *decides* where, whatever the other slots hold,
the machines end with the same labels: such tokens are split off, slot by slot. For the machine that
says the largest token, this peels off the prompts with 63 in slot 0, then those with 63 in slot 1,
and so on, then those with 62.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from absint.problem.outlook import States
from absint.problem.promptset import members
from absint.proofs.decode.state import Rules, State


@dataclass
class Outcomes:
    """What the prompt's machines say at the end, and which token each step emits then."""

    rules: Rules
    _says: dict[int, dict[States, int]] = field(default_factory=dict)
    """Step to labels to the token that is emitted, where samples agree that one follows."""
    _refuted: set[int] = field(default_factory=set)
    """Steps at which two samples with the same labels emitted different tokens."""

    def learn(self, state: State, texts: Sequence[Sequence[int]], emitted: Sequence[int]) -> None:
        """Takes note of samples of a state, if what they emit follows from the labels.

        Only of the last step: on the way to an answer a network may well look at less than its
        machines do, and a few samples do not tell the difference.
        """
        readers, step = self.rules.outlook.inputs.machines, self.rules.emitted(state)
        last = step + 1 == self.rules.problem.steps
        if not readers or not last or step in self._refuted or state.read >= self.rules.slots:
            return
        found: dict[States, int] = {}
        for text, token in zip(texts, emitted, strict=True):
            rest = text[state.read : self.rules.slots]
            ends = (m.run(rest, q) for m, q in zip(readers, state.prompt, strict=True))
            labels = tuple(m.labels[q] for m, q in zip(readers, ends, strict=True))
            if found.setdefault(labels, token) != token:
                self._refuted.add(step)
                self._says.pop(step, None)
                return
        if len(set(found.values())) > 1 or step in self._says:
            self._says.setdefault(step, {}).update(found)

    def matter(self, state: State) -> bool:
        """Whether the labels were seen to tell what is emitted at the state's step."""
        return self.rules.emitted(state) in self._says

    def open(self, state: State) -> bool:
        """Whether reading more of the prompt may tell its outcome apart."""
        labels = self._labels(state, state.sets)
        return state.read < self.rules.slots and (labels is None or len(labels) > 1)

    def token(self, state: State) -> int | None:
        """The token that samples with the state's labels emitted; None where that is not known."""
        says = self._says.get(self.rules.emitted(state), {})
        labels = self._labels(state, state.sets)
        return says.get(next(iter(labels))) if labels and len(labels) == 1 else None

    def cut(self, state: State) -> tuple[int, list[int]] | None:
        """(slot, parts): the tokens of a slot that decide, by labels, and the others.

        None where the labels are certain, or nothing decides.
        """
        labels = self._labels(state, state.sets)
        if labels is None or len(labels) < 2:
            return None
        for slot in range(state.read, self.rules.slots):
            parts = self._parts(state, slot)
            if len(parts) > 1:
                return slot, parts
        return None

    def _parts(self, state: State, slot: int) -> list[int]:
        classes: dict[int, int] = {}
        class_of = self.rules.outlook.inputs.class_of
        for token in members(state.sets[slot]):
            own = class_of.get(token, 0)
            classes[own] = classes.get(own, 0) | 1 << token
        parts: dict[States | None, int] = {}
        for mask in classes.values():
            labels = self._labels(state, (*state.sets[:slot], mask, *state.sets[slot + 1 :]))
            decided = next(iter(labels)) if labels and len(labels) == 1 else None
            parts[decided] = parts.get(decided, 0) | mask
        return list(parts.values())

    def _labels(self, state: State, sets: Sequence[int]) -> frozenset[States] | None:
        """The labels that the prompts of a product may end with; None where they are too many."""
        inputs, rules = self.rules.outlook.inputs, self.rules
        rest = [inputs.classes(rules.tokens(mask)) for mask in sets[state.read : rules.slots]]
        return inputs.joint(state.prompt, rest, [frozenset()] * len(rest))
