"""Which prompts a decoding proof leaves open, gathered from the visits of a walk."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from absint.problem.decode import DecodeProblem, PromptCell
from absint.problem.pieces import Box, Pieces
from absint.problem.promptset import MAX_EDGES, PromptSet, PromptSpace, TooLargeError
from absint.proofs.decode.state import State
from absint.proofs.decode.stream import Rule, Step
from absint.proofs.decode.walk import Visit


@dataclass(eq=False)
class _Group:
    """Leaves below one state: the state of each, and the tree that it leads to (None: open)."""

    top: State
    leaves: list[tuple[State, int | None]] = field(default_factory=list)


class OpenPrompts:
    """The prompts of a cell from which the proof has a path to an open state.

    The first tree falls into groups that have no prompt in common: down to where one prompt may go
    several ways, its states are disjoint products. Each later tree is a group. A group of several
    products is a decision diagram; where that would be too large, all of its prompts count as open.
    """

    def __init__(self, problem: DecodeProblem, cell: PromptCell, limit: int = MAX_EDGES) -> None:
        self._problem, self._cell = problem, cell
        self._space = PromptSpace(len(cell.slots), limit)
        self._every = self._space.product(cell.slots)
        self._groups: dict[int, list[_Group]] = {}
        self._waiting: list[_Group | None] = []
        self._exact = True

    def add(self, visit: Visit) -> None:
        """Takes note of a visit; a walk's visits must all come, in order."""
        step, state, tree = visit.step, visit.state, visit.tree
        group = self._waiting.pop() if self._waiting else None
        ends = step.rule in (Rule.GOTO, Rule.OPEN)
        if group is None and (tree or ends or self._forks(step)):
            group = _Group(state)
            self._groups.setdefault(tree, []).append(group)
        if ends and group is not None:
            group.leaves.append((state, step.goal + 1 if step.rule is Rule.GOTO else None))
        self._waiting += [group] * step.arity

    def _forks(self, step: Step) -> bool:
        """Whether one prompt may go several ways from here."""
        emitted = step.rule is Rule.SPLIT and step.slot >= self._space.slots
        return emitted or (step.rule is Rule.CASES and step.arity > 1)

    def found(self) -> Pieces:
        """Exactly these prompts; more of them where the result says so."""
        beyond: dict[int, PromptSet] = {}
        for tree in sorted(set(self._groups) - {0}, reverse=True):
            (group,) = self._groups[tree]
            known = self._told(partial(self._union, group, beyond))
            beyond[tree] = self._every if known is None else known
        parts = [self._piece(group, beyond) for group in self._groups.get(0, [])]
        if self._cell.condition is not None:
            parts = self._in_cell(parts)
        return Pieces(self._space, [part for part in parts if part.count], self._exact)

    def _piece(self, group: _Group, beyond: Mapping[int, PromptSet]) -> Box | PromptSet:
        """A group of the first tree, where the machines' states say nothing more than the sets."""
        boxes = {self._box(state) for state, goal in group.leaves if goal is None}
        if len(boxes) == 1 and not any(beyond.get(goal or 0) for _, goal in group.leaves):
            return boxes.pop()
        known = self._told(partial(self._union, group, beyond))
        return self._box(group.top) if known is None else known

    def _told(self, make: Callable[[], PromptSet]) -> PromptSet | None:
        """None where the set is too large."""
        try:
            return make()
        except TooLargeError:
            self._exact = False
            return None

    def _union(self, group: _Group, beyond: Mapping[int, PromptSet]) -> PromptSet:
        """The open prompts of a group."""
        parts = []
        for state, goal in group.leaves:
            if goal is None:
                parts.append(self._prompts(state))
            elif further := beyond.get(goal):
                parts.append(self._prompts(state) & further)
        return self._space.union(parts)

    def _in_cell(self, parts: Sequence[Box | PromptSet]) -> list[Box | PromptSet]:
        """Those that satisfy the cell's condition."""
        cell = self._told(partial(self._space.of_cell, self._problem, self._cell))
        found: list[Box | PromptSet] = []
        for part in parts:
            known = None if cell is None else self._told(partial(self._both, part, cell))
            found.append(part if known is None else known)
        return found

    def _both(self, part: Box | PromptSet, cell: PromptSet) -> PromptSet:
        return (part.within(self._space) if isinstance(part, Box) else part) & cell

    def _box(self, state: State) -> Box:
        return Box(state.sets[: self._space.slots])

    def _prompts(self, state: State) -> PromptSet:
        """The prompts of a state."""
        found = self._box(state).within(self._space)
        for index, at in zip(self._problem.machines_of("prompt"), state.prompt, strict=True):
            found = found.driving(self._problem.machines[index], [at], state.read)
        return found
