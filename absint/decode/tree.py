"""The proof that a search builds: branches with the rule that proves each, and shared states."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from absint.proofs.decode.state import State
from absint.proofs.decode.stream import Rule, Step, Writer


@dataclass(eq=False)
class Branch:
    """A state with the rule that proves it; ``step`` is None while it is not decided."""

    state: State
    depth: int = 0
    """How many of the splits above it in its tree count against the search's effort."""
    slot: int | None = None
    """The slot that was split last above it."""
    step: Step | None = None
    children: list[Branch] = field(default_factory=list)
    goal: Shared | None = None

    def close(self, step: Step, states: Sequence[State] = (), deeper: bool = True) -> list[Branch]:
        """Decides the branch by a rule, and returns the branches that the rule leaves."""
        self.step = step
        split = step.rule is Rule.SPLIT
        counts = split and deeper
        depth, slot = self.depth + counts, step.slot if counts else self.slot
        self.children = [Branch(state, depth, slot) for state in states]
        return self.children

    def lead_to(self, goal: Shared) -> None:
        """Decides the branch by containment in a shared state."""
        self.step, self.goal = Step(Rule.GOTO), goal
        goal.join(self.state)


@dataclass(eq=False)
class Shared:
    """A state that several branches lead to: the join of theirs."""

    state: State
    tree: Branch | None = None

    def join(self, state: State) -> None:
        """Widens the state's sets to hold ``state``, which agrees with it in all else."""
        sets = tuple(a | b for a, b in zip(self.state.sets, state.sets, strict=True))
        self.state = replace(self.state, sets=sets)


def to_bytes(root: Branch, shared: Sequence[Shared], vocabulary: int) -> bytes:
    """The proof stream; ``shared`` in an order in which every tree leads to later ones only."""
    writer = Writer(vocabulary)
    numbers = {id(one): index for index, one in enumerate(shared)}
    for one in shared:
        writer.shared(one.state)
    for tree in [root, *(one.tree for one in shared)]:
        waiting = [tree]
        while waiting:
            branch = waiting.pop()
            if branch is None or branch.step is None:
                writer.step(Step(Rule.OPEN))
            elif branch.goal is not None:
                writer.step(Step(Rule.GOTO, goal=numbers[id(branch.goal)]))
            else:
                writer.step(branch.step)
                waiting += reversed(branch.children)
    return writer.to_bytes()
