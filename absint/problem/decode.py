"""What is to be proved of a network that decodes greedily, in whole numbers.

A prompt is one token for each slot; the network then emits tokens, each the argmax of its logits
(the lowest index of several), until a stop token or until the steps are used up. Two texts result,
the prompt and the output (a stop token that was emitted is its last token). Machines read them, and
the catastrophe is a Boolean combination of what the machines say at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from absint.problem.problem import ProblemError, Semantics

Tokens = frozenset[int]
Reads = Literal["prompt", "output"]


@dataclass(frozen=True)
class Machine:
    """A deterministic automaton with a label on each state (a Moore machine), started in state 0.

    ``table[state][token]`` is the next state. A regular expression becomes one with labels 0 and 1.
    """

    reads: Reads
    table: tuple[tuple[int, ...], ...]
    labels: tuple[int, ...]

    def run(self, tokens: Iterable[int], state: int = 0) -> int:
        """The state after reading ``tokens`` from ``state``."""
        for token in tokens:
            state = self.table[state][token]
        return state


@dataclass(frozen=True)
class Atom:
    """Machine ``machine`` ends in a state whose label is one of ``labels``."""

    machine: int
    labels: frozenset[int]


@dataclass(frozen=True)
class Not:
    of: Formula


@dataclass(frozen=True)
class All:
    """All of these hold."""

    of: tuple[Formula, ...]


@dataclass(frozen=True)
class Some:
    """At least one of these holds."""

    of: tuple[Formula, ...]


Formula = Atom | Not | All | Some


def holds(formula: Formula, says: Callable[[int], int]) -> bool:
    """Whether ``formula`` holds where machine i ends with label ``says(i)``."""
    if isinstance(formula, Atom):
        return says(formula.machine) in formula.labels
    if isinstance(formula, Not):
        return not holds(formula.of, says)
    if isinstance(formula, All):
        return all(holds(part, says) for part in formula.of)
    return any(holds(part, says) for part in formula.of)


@dataclass(frozen=True)
class PromptCell:
    """Prompts of one length: a set of tokens for each slot, and what the prompt must satisfy."""

    slots: tuple[Tokens, ...]
    condition: Formula | None = None
    """Over machines that read the prompt; None: every product of the slots' tokens."""


@dataclass(frozen=True)
class DecodeProblem:
    """One named property: no prompt of any cell leads to the catastrophe.

    ``allowed`` holds, for each step, the tokens that the decoder may emit (None: all).
    """

    name: str
    vocabulary: tuple[str, ...]
    cells: tuple[PromptCell, ...]
    steps: int
    stop: Tokens
    machines: tuple[Machine, ...]
    catastrophe: Formula
    allowed: tuple[Tokens | None, ...] = ()
    semantics: Semantics = field(default_factory=Semantics)
    state_names: tuple[tuple[str, ...], ...] = field(default=(), compare=False)
    """For people: what the states of each machine are called. Empty, of all or of one: nothing."""

    def __post_init__(self) -> None:
        if not self.vocabulary or not self.cells or self.steps < 1:
            raise ProblemError(f"{self.name}: no token, an empty region, or no step")
        size = len(self.vocabulary)
        sets = [slot for cell in self.cells for slot in cell.slots]
        sets += [self.stop, *(step for step in self.allowed if step is not None)]
        if not all(0 <= token < size for tokens in sets for token in tokens):
            raise ProblemError(f"{self.name}: a token outside the vocabulary of {size}")
        if not all(slot for cell in self.cells for slot in cell.slots):
            raise ProblemError(f"{self.name}: a slot of the prompt has no token")
        if self.allowed and (len(self.allowed) != self.steps or frozenset() in self.allowed):
            raise ProblemError(f"{self.name}: a set of allowed tokens for each step is needed")
        for machine in self.machines:
            self._check_machine(machine, size)
        sizes = [len(machine.table) for machine in self.machines]
        named = [len(names) or size for names, size in zip(self.state_names, sizes, strict=False)]
        if self.state_names and (named != sizes or len(self.state_names) != len(sizes)):
            raise ProblemError(f"{self.name}: names of states do not fit the machines")
        self._check_formula(self.catastrophe, ("prompt", "output"))
        for cell in self.cells:
            if cell.condition is not None:
                self._check_formula(cell.condition, ("prompt",))

    def _check_machine(self, machine: Machine, size: int) -> None:
        states = len(machine.table)
        if not states or len(machine.labels) != states:
            raise ProblemError(f"{self.name}: a machine without states, or without their labels")
        if not all(
            len(row) == size and 0 <= min(row) <= max(row) < states for row in machine.table
        ):
            raise ProblemError(f"{self.name}: a machine's table does not fit {size} tokens")

    def _check_formula(self, formula: Formula, reads: tuple[str, ...]) -> None:
        if isinstance(formula, Atom):
            if not 0 <= formula.machine < len(self.machines):
                raise ProblemError(f"{self.name}: no machine {formula.machine}")
            if self.machines[formula.machine].reads not in reads:
                raise ProblemError(f"{self.name}: a prompt's condition reads the output")
        else:
            parts = (formula.of,) if isinstance(formula, Not) else formula.of
            for part in parts:
                self._check_formula(part, reads)

    def emitted(self, step: int) -> Tokens:
        """The tokens that may be emitted at ``step`` (from 0)."""
        own = self.allowed[step] if self.allowed else None
        return frozenset(range(len(self.vocabulary))) if own is None else own

    def machines_of(self, reads: Reads) -> tuple[int, ...]:
        """The indices of the machines that read the prompt, or the output, ascending."""
        return tuple(i for i, machine in enumerate(self.machines) if machine.reads == reads)

    def admits(self, cell: PromptCell, prompt: Sequence[int]) -> bool:
        """Whether ``prompt`` is one of the cell's."""
        fits = len(prompt) == len(cell.slots) and all(
            token in slot for token, slot in zip(prompt, cell.slots, strict=True)
        )
        return fits and (cell.condition is None or self._holds(cell.condition, prompt, ()))

    def catastrophic(self, prompt: Sequence[int], output: Sequence[int]) -> bool:
        """Whether these two finished texts are the catastrophe."""
        return self._holds(self.catastrophe, prompt, output)

    def violates(self, cell: PromptCell, prompt: Sequence[int], output: Sequence[int]) -> bool:
        """Whether ``prompt`` is one of the cell's, and ``output`` after it the catastrophe."""
        return self.admits(cell, prompt) and self.catastrophic(prompt, output)

    def _holds(self, formula: Formula, prompt: Sequence[int], output: Sequence[int]) -> bool:
        def says(index: int) -> int:
            machine = self.machines[index]
            return machine.labels[machine.run(prompt if machine.reads == "prompt" else output)]

        return holds(formula, says)


def until_stop(row: Sequence[int]) -> tuple[int, ...]:
    """The tokens of an output that is filled up with -1 after its stop token."""
    return tuple(token for token in row if token >= 0)
