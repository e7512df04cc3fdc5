"""What is to be proved of a network that decodes greedily, in whole numbers.

A prompt is one token for each slot; the network then emits tokens, each the argmax of its logits
(the lowest index of several), until a stop token or until the steps are used up. Two texts result,
the prompt and the output (a stop token that was emitted is its last token). Machines read them,
probes look at the numbers behind them, and the catastrophe is a Boolean combination of what the
machines say at the end and of what the probes found.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from absint.problem.problem import LinearConstraint, ProblemError, Semantics

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
class Probe:
    """A linear constraint on the numbers that a network gives for a text: ``row.outputs`` of it.

    With a ``step`` (from 0) these are its logits, as the network gives them, before any are ruled
    out; the probe does not hold where the text ends before. Without, they are the outputs of the
    detector for the finished text, prompt and output.
    """

    row: LinearConstraint
    step: int | None


@dataclass(frozen=True)
class Atom:
    """Machine ``machine`` ends in a state whose label is one of ``labels``."""

    machine: int
    labels: frozenset[int]


@dataclass(frozen=True)
class Probed:
    """Probe ``probe`` holds."""

    probe: int


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


Formula = Atom | Probed | Not | All | Some


def holds(formula: Formula, says: Callable[[int], int], found: Sequence[bool] = ()) -> bool:
    """Whether ``formula`` holds where machine i ends with label ``says(i)``.

    ``found[j]``: whether probe j holds.
    """
    if isinstance(formula, Atom):
        return says(formula.machine) in formula.labels
    if isinstance(formula, Probed):
        return found[formula.probe]
    if isinstance(formula, Not):
        return not holds(formula.of, says, found)
    if isinstance(formula, All):
        return all(holds(part, says, found) for part in formula.of)
    return any(holds(part, says, found) for part in formula.of)


def probed(formula: Formula) -> frozenset[int]:
    """The probes that a formula speaks of."""
    if isinstance(formula, Probed):
        return frozenset([formula.probe])
    parts = (formula.of,) if isinstance(formula, Not) else getattr(formula, "of", ())
    return frozenset().union(*map(probed, parts))


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
    ``detector`` names the outputs of the second network, which reads the finished text; empty:
    there is none.
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
    probes: tuple[Probe, ...] = ()
    detector: tuple[str, ...] = ()

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
        for probe in self.probes:
            self._check_probe(probe)
        self._check_formula(self.catastrophe, ("prompt", "output"))
        for cell in self.cells:
            if cell.condition is not None:
                self._check_formula(cell.condition, ("prompt",))
                if probed(cell.condition):
                    raise ProblemError(f"{self.name}: a prompt's condition has a probe")

    def _check_probe(self, probe: Probe) -> None:
        if probe.step is not None and not 0 <= probe.step < self.steps:
            raise ProblemError(f"{self.name}: a probe at step {probe.step} of {self.steps}")
        if probe.step is None and not self.detector:
            raise ProblemError(f"{self.name}: a probe of a detector that is not there")
        size = self.width(probe)
        if probe.row.inputs or not all(0 <= i < size for i, _ in probe.row.outputs):
            raise ProblemError(f"{self.name}: a probe of what is not one of {size} numbers")

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
        elif isinstance(formula, Probed):
            if not 0 <= formula.probe < len(self.probes):
                raise ProblemError(f"{self.name}: no probe {formula.probe}")
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

    def width(self, probe: Probe) -> int:
        """How many numbers the network gives that a probe looks at."""
        return len(self.detector if probe.step is None else self.vocabulary)

    def probes_at(self, step: int | None) -> tuple[int, ...]:
        """The indices of the probes of a step's logits (None: of the detector), ascending."""
        return tuple(i for i, probe in enumerate(self.probes) if probe.step == step)

    def reads(self, prompt: int) -> int:
        """How many tokens a decode graph for prompts of ``prompt`` tokens reads.

        All but the last that is emitted, which the detector alone reads.
        """
        return prompt + self.steps - (not self.detector)

    def admits(self, cell: PromptCell, prompt: Sequence[int]) -> bool:
        """Whether ``prompt`` is one of the cell's."""
        fits = len(prompt) == len(cell.slots) and all(
            token in slot for token, slot in zip(prompt, cell.slots, strict=True)
        )
        return fits and (cell.condition is None or self._holds(cell.condition, prompt, ()))

    def catastrophic(
        self, prompt: Sequence[int], output: Sequence[int], found: Sequence[bool] = ()
    ) -> bool:
        """Whether these two finished texts are the catastrophe, the probes' answers ``found``."""
        return self._holds(self.catastrophe, prompt, output, found)

    def violates(
        self,
        cell: PromptCell,
        prompt: Sequence[int],
        output: Sequence[int],
        found: Sequence[bool] = (),
    ) -> bool:
        """Whether ``prompt`` is one of the cell's, and ``output`` after it the catastrophe."""
        return self.admits(cell, prompt) and self.catastrophic(prompt, output, found)

    def label(self, index: int, prompt: Sequence[int], output: Sequence[int]) -> int:
        """What a machine says of these two texts."""
        machine = self.machines[index]
        return machine.labels[machine.run(prompt if machine.reads == "prompt" else output)]

    def _holds(
        self,
        formula: Formula,
        prompt: Sequence[int],
        output: Sequence[int],
        found: Sequence[bool] = (),
    ) -> bool:
        return holds(formula, lambda index: self.label(index, prompt, output), found)


def until_stop(row: Sequence[int]) -> tuple[int, ...]:
    """The tokens of an output that is filled up with -1 after its stop token."""
    return tuple(token for token in row if token >= 0)
