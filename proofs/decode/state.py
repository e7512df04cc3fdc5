"""Abstract states of a decoding network, and what each rule makes of one.

Sets of tokens are bit masks. A state stands for the texts (prompt and tokens emitted so far) that
have a token of ``sets[i]`` in slot i, whose machines are in the states that it names, and of which
the probes say what it names.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from absint.problem.decode import DecodeProblem, Machine, PromptCell, Tokens
from absint.problem.outlook import NO, UNKNOWN, YES, Outlook
from absint.problem.promptset import bits, members
from absint.proofs.format import CertificateError


@dataclass(frozen=True)
class State:
    """A set of texts with the same number of emitted tokens."""

    sets: tuple[int, ...]
    """One a slot: the prompt's, then those emitted."""
    read: int
    """How many slots of the prompt its machines have read."""
    prompt: tuple[int, ...]
    output: tuple[int, ...]
    """States of the machines that read the prompt, after ``read`` slots, and the output."""
    ended: bool
    found: tuple[int, ...] = ()
    """What is known of each probe: UNKNOWN, NO or YES."""


class Rules:
    """The rules on the states of one cell. All raise CertificateError where a rule does not fit."""

    def __init__(self, problem: DecodeProblem, cell: PromptCell, outlook: Outlook) -> None:
        self.problem, self.cell, self.outlook = problem, cell, outlook
        self.slots = len(cell.slots)
        self._read: dict[tuple[tuple[int, ...], int], dict[tuple[int, ...], int]] = {}
        self._tokens: dict[int, Tokens] = {}
        self._readers = [problem.machines[i] for i in problem.machines_of("prompt")]
        self._writers = [problem.machines[i] for i in problem.machines_of("output")]

        sets = tuple(bits(slot) for slot in cell.slots)
        readers, writers = (0,) * len(self._readers), (0,) * len(self._writers)
        self._root = State(sets, 0, readers, writers, False, (UNKNOWN,) * len(problem.probes))

    def root(self) -> State:
        """All of the cell's prompts, with nothing emitted."""
        return self._root

    def emitted(self, state: State) -> int:
        """How many tokens were emitted."""
        return len(state.sets) - self.slots

    def split(self, state: State, slot: int, parts: Sequence[int]) -> list[State]:
        """The parts of a state by the token in one slot; they cover its set and do not overlap."""
        if not 0 <= slot < len(state.sets) or len(parts) < 2 or not all(parts):
            raise CertificateError("a split of a slot that does not exist, or without parts")
        union = 0
        for part in parts:
            if union & part:
                raise CertificateError("the parts of a split overlap")
            union |= part
        if union != state.sets[slot]:
            raise CertificateError("the parts of a split are not its set")
        before, after = state.sets[:slot], state.sets[slot + 1 :]
        return [replace(state, sets=(*before, part, *after)) for part in parts]

    def read(self, state: State) -> State:
        """The machines read the prompt's next slot, on all of whose tokens they must agree."""
        found = self._readings(state)
        if len(found) != 1:
            raise CertificateError("the machines do not agree on the slot that is read")
        return replace(state, read=state.read + 1, prompt=next(iter(found)))

    def classes(self, state: State) -> list[int]:
        """The next slot's set, divided by what the prompt's machines make of its tokens."""
        return list(self._readings(state).values())

    def stands(self, state: State) -> bool:
        """Whether the prompt's machines stay where they are, whatever they read."""
        return all(
            set(machine.table[at]) == {at}
            for machine, at in zip(self._readers, state.prompt, strict=True)
        )

    def kinds(self, mask: int) -> list[int]:
        """A set of tokens, divided by what the prompt's machines can ever make of them."""
        found: dict[int, int] = {}
        for token in members(mask):
            kind = self.outlook.inputs.class_of.get(token, 0)
            found[kind] = found.get(kind, 0) | 1 << token
        return list(found.values())

    def _readings(self, state: State) -> dict[tuple[int, ...], int]:
        if state.read >= self.slots:
            raise CertificateError("the prompt has no further slot to read")
        key = (state.prompt, state.sets[state.read])
        if key not in self._read:
            found: dict[tuple[int, ...], int] = {}
            for token in members(key[1]):
                after = _moved(self._readers, state.prompt, token)
                found[after] = found.get(after, 0) | 1 << token
            self._read[key] = found
        return self._read[key]

    def cases(self, state: State, tokens: Sequence[int]) -> list[State]:
        """One state for each token that may be emitted next."""
        step = self.emitted(state)
        if state.ended or step >= self.problem.steps:
            raise CertificateError("a token is emitted after the end")
        allowed = self.problem.emitted(step)
        if not tokens or list(tokens) != sorted(set(tokens)) or not allowed.issuperset(tokens):
            raise CertificateError("the cases of a step are not tokens that may be emitted")
        last = step + 1 == self.problem.steps
        ends = [last or token in self.problem.stop for token in tokens]
        return [
            State(
                (*state.sets, 1 << token),
                state.read,
                state.prompt,
                _moved(self._writers, state.output, token),
                ended,
                self._over(state.found, step) if ended else state.found,
            )
            for token, ended in zip(tokens, ends, strict=True)
        ]

    def _over(self, found: Sequence[int], last: int) -> tuple[int, ...]:
        """What the probes say of texts that end with step ``last``: no, of the steps after it."""
        return tuple(
            NO if probe.step is not None and probe.step > last else known
            for probe, known in zip(self.problem.probes, found, strict=True)
        )

    def asks(self, state: State) -> list[int]:
        """The probes of the step that follows a state, or of its end, of which it knows nothing."""
        step = self.emitted(state)
        if state.ended and not step:
            return []  # no text ends before a token is emitted
        here = self.problem.probes_at(None if state.ended else step)
        return [i for i in here if state.found[i] == UNKNOWN]

    def probe(self, state: State, probe: int, says: int) -> State:
        """The same texts, of which a probe of their next step, or of their end, says NO or YES."""
        if probe not in self.asks(state) or says not in (NO, YES):
            raise CertificateError("a probe that cannot be answered there, or is answered already")
        return replace(state, found=(*state.found[:probe], says, *state.found[probe + 1 :]))

    def contains(self, outer: State, inner: State) -> bool:
        """Whether every text of ``inner`` is one of ``outer``."""
        same = replace(outer, sets=(), found=()) == replace(inner, sets=(), found=())
        return (
            same
            and all(a in (UNKNOWN, b) for a, b in zip(outer.found, inner.found, strict=True))
            and len(outer.sets) == len(inner.sets)
            and not any(a & ~b for a, b in zip(inner.sets, outer.sets, strict=True))
        )

    def safe(self, state: State) -> bool:
        """Whether no text of the state can still become the catastrophe."""
        sets = [self.tokens(mask) for mask in state.sets[: self.slots]]
        left = self.problem.steps - self.emitted(state)
        return not self.outlook.can_still_happen(
            self.cell, state.prompt, state.read, sets, state.output, left, state.ended, state.found
        )

    def tokens(self, mask: int) -> Tokens:
        """The tokens of a mask. Kept: the states of a proof have few different sets."""
        if mask not in self._tokens:
            self._tokens[mask] = frozenset(members(mask))
        return self._tokens[mask]

    def valid(self, state: State) -> bool:
        """Whether a state that a certificate holds fits the problem."""
        size, step = len(self.problem.vocabulary), self.emitted(state)
        return (
            0 <= step <= self.problem.steps
            and all(0 < mask < 1 << size for mask in state.sets)
            and 0 <= state.read <= self.slots
            and _fits(self._readers, state.prompt)
            and _fits(self._writers, state.output)
            and len(state.found) == len(self.problem.probes)
            and all(UNKNOWN <= known <= YES for known in state.found)
        )


def _moved(machines: Sequence[Machine], states: Sequence[int], token: int) -> tuple[int, ...]:
    return tuple(m.table[q][token] for m, q in zip(machines, states, strict=True))


def _fits(machines: Sequence[Machine], states: Sequence[int]) -> bool:
    return len(machines) == len(states) and all(
        0 <= q < len(m.table) for m, q in zip(machines, states, strict=True)
    )
