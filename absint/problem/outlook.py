"""Whether the catastrophe can still happen, seen from what the machines have read so far.

The network plays no part: every token of a slot's set, every token that may be emitted, and every
answer of a probe that is not known, is taken to be possible. So "no" is certain, and "yes" means
that this alone does not rule it out.
"""

from __future__ import annotations

from collections.abc import Sequence

from absint.problem.decode import (
    All,
    Atom,
    DecodeProblem,
    Formula,
    Machine,
    Not,
    Probed,
    PromptCell,
    Tokens,
    holds,
)

MAX_JOINT = 2_000
"""Joint states, or pairs of outcomes, beyond which each machine is followed on its own."""

States = tuple[int, ...]
Labels = dict[int, frozenset[int]]
"""For each machine, the labels that it may end with."""
UNKNOWN, NO, YES = 0, 1, 2
"""What is known of a probe."""


Question = tuple[Formula | None, frozenset[States], frozenset[States], tuple[int, ...]]
"""A condition, what the machines may say of the prompt and of the output, and the probes."""


class Outlook:
    """Answers for one problem; what the output may become is kept from question to question."""

    def __init__(self, problem: DecodeProblem) -> None:
        self.problem = problem
        self.readers = problem.machines_of("prompt")
        self.writers = problem.machines_of("output")
        self.inputs = _After([problem.machines[i] for i in self.readers])
        self.outputs = _After([problem.machines[i] for i in self.writers])
        steps = [problem.emitted(step) for step in range(problem.steps)]
        self.going = [self.outputs.classes(tokens - problem.stop) for tokens in steps]
        self.ending = [self.outputs.classes(tokens & problem.stop) for tokens in steps]
        self.known: dict[tuple[States, int], frozenset[States] | None] = {}
        self.answers: dict[Question, bool] = {}

    def can_still_happen(
        self,
        cell: PromptCell,
        prompt_states: Sequence[int],
        slots_read: int,
        slot_sets: Sequence[Tokens],
        output_states: Sequence[int],
        steps_left: int,
        ended: bool,
        found: Sequence[int] = (),
    ) -> bool:
        """False only where no prompt and no output of the rest is catastrophic.

        ``prompt_states``: of ``problem.machines_of("prompt")``, in order, after the first
        ``slots_read`` slots. ``slot_sets``: a set of tokens for each slot of the prompt, of which
        those from ``slots_read`` on count. ``output_states``: of ``problem.machines_of("output")``,
        after the ``problem.steps - steps_left`` tokens emitted so far. ``ended``: the last of these
        was a stop token. ``found``: what is known of each probe (none: nothing).

        Raises ValueError: the numbers do not fit the problem.
        """
        steps, slots = self.problem.steps, len(cell.slots)
        if len(slot_sets) != slots or not (0 <= slots_read <= slots and 0 <= steps_left <= steps):
            raise ValueError("the slots or the steps are not those of the problem")
        rest = [self.inputs.classes(tokens) for tokens in slot_sets[slots_read:]]
        none: list[Tokens] = [frozenset()] * len(rest)
        first = steps if ended else steps - steps_left
        prompts = self.inputs.joint(tuple(prompt_states), rest, none)
        texts = self._texts(tuple(output_states), first)
        if prompts is not None and texts is not None and len(prompts) * len(texts) <= MAX_JOINT:
            key = (cell.condition, prompts, texts, tuple(found))
            if key not in self.answers:
                self.answers[key] = any(
                    self._happens(cell, p, t, found) for p in prompts for t in texts
                )
            return self.answers[key]
        labels = dict(zip(self.readers, self.inputs.each(prompt_states, rest, none), strict=True))
        ends = self.outputs.each(output_states, self.going[first:], self.ending[first:])
        labels |= zip(self.writers, ends, strict=True)
        return (cell.condition is None or may_hold(cell.condition, labels)) and may_hold(
            self.problem.catastrophe, labels, True, found
        )

    def _texts(self, states: States, first: int) -> frozenset[States] | None:
        key = (states, first)
        if key not in self.known:
            self.known[key] = self.outputs.joint(states, self.going[first:], self.ending[first:])
        return self.known[key]

    def _happens(
        self, cell: PromptCell, prompt: States, text: States, found: Sequence[int]
    ) -> bool:
        says = dict(zip(self.readers, prompt, strict=True))
        says |= zip(self.writers, text, strict=True)
        if cell.condition is not None and not holds(cell.condition, says.__getitem__):
            return False
        if not self.problem.probes:
            return holds(self.problem.catastrophe, says.__getitem__)
        labels = {index: frozenset([label]) for index, label in says.items()}
        return may_hold(self.problem.catastrophe, labels, True, found)


def may_hold(
    formula: Formula, labels: Labels, value: bool = True, found: Sequence[int] = ()
) -> bool:
    """False only where ``formula`` is not ``value`` for any labels out of ``labels``.

    ``found``: what is known of each probe; none: nothing of any.
    """
    if isinstance(formula, Atom):
        possible = labels[formula.machine]
        return bool(possible & formula.labels if value else possible - formula.labels)
    if isinstance(formula, Probed):
        return not found or found[formula.probe] != (NO if value else YES)
    if isinstance(formula, Not):
        return may_hold(formula.of, labels, not value, found)
    parts = (may_hold(part, labels, value, found) for part in formula.of)
    return all(parts) if isinstance(formula, All) == value else any(parts)


class _After:
    """Machines that read one text together. Tokens that none of them tells apart are one class."""

    def __init__(self, machines: Sequence[Machine]) -> None:
        self.machines = machines
        self.columns = [list(zip(*machine.table, strict=True)) for machine in machines]
        self.class_of: dict[int, int] = {}
        self.known: dict[Tokens, Tokens] = {}
        self.ends: dict[frozenset[States], frozenset[States]] = {}
        self.moves: dict[tuple[States, Tokens], frozenset[States]] = {}
        self.steps: dict[tuple[frozenset[States], Tokens], frozenset[States]] = {}
        known: dict[tuple[States, ...], int] = {}
        for token, column in enumerate(zip(*self.columns, strict=True)):
            self.class_of[token] = known.setdefault(column, token)

    def classes(self, tokens: Tokens) -> Tokens:
        """One token for each class that ``tokens`` meets (without machines, all are one class)."""
        if tokens not in self.known:
            self.known[tokens] = frozenset(self.class_of.get(token, 0) for token in tokens)
        return self.known[tokens]

    def joint(
        self, start: States, going: Sequence[Tokens], ending: Sequence[Tokens]
    ) -> frozenset[States] | None:
        """The joint labels at the end, or None where there are too many joint states.

        ``going[i]`` are the tokens of step i after which the text goes on, ``ending[i]`` those that
        end it there; after the last step it ends.
        """
        current, done = frozenset([start]), frozenset[States]()
        for go, end in zip(going, ending, strict=True):
            if end:
                done |= self._step(current, end)
            current = self._step(current, go)
            if len(current) + len(done) > MAX_JOINT:
                return None
        return self._all_labels(done | current if done else current)

    def each(
        self, start: Sequence[int], going: Sequence[Tokens], ending: Sequence[Tokens]
    ) -> list[frozenset[int]]:
        """The labels of each machine on its own."""
        result = []
        for machine, state in zip(self.machines, start, strict=True):
            current, done = {state}, set[int]()
            for go, end in zip(going, ending, strict=True):
                done |= {machine.table[q][token] for q in current for token in end}
                current = {machine.table[q][token] for q in current for token in go}
            result.append(frozenset(machine.labels[q] for q in done | current))
        return result

    def _all_labels(self, states: frozenset[States]) -> frozenset[States]:
        if states not in self.ends:
            self.ends[states] = frozenset(map(self._labels, states))
        return self.ends[states]

    def _step(self, states: frozenset[States], tokens: Tokens) -> frozenset[States]:
        """Where the tokens lead from the states; kept, as many states of a proof ask the same."""
        key = (states, tokens)
        if key not in self.steps:
            found = (self._after_one(state, tokens) for state in states)
            self.steps[key] = frozenset[States]().union(*found)
        return self.steps[key]

    def _after_one(self, state: States, tokens: Tokens) -> frozenset[States]:
        key = (state, tokens)
        if key not in self.moves:
            self.moves[key] = frozenset(self._next(state, token) for token in tokens)
        return self.moves[key]

    def _next(self, state: States, token: int) -> States:
        return tuple(column[token][q] for column, q in zip(self.columns, state, strict=True))

    def _labels(self, state: States) -> States:
        return tuple(m.labels[q] for m, q in zip(self.machines, state, strict=True))
