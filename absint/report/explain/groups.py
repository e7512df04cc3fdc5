"""The states of a proof in groups that a picture can hold: the same machines, the same last token.

Groups and the ways between them are the chain of thought as the proof sees it.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from absint.problem.promptset import PromptSet
from absint.proofs.decode.state import State
from absint.proofs.decode.stream import Rule
from absint.report.explain import states
from absint.report.explain.proof import CellProof, Node, nodes
from absint.report.explain.reach import Reach


@dataclass(frozen=True)
class Key:
    """What the states of a group have in common."""

    step: int
    """How many tokens were emitted."""
    last: int
    """The set of the last of them; 0 at the start."""
    prompt: tuple[int, ...]
    output: tuple[int, ...]
    end: str
    """``safe`` or ``open`` where the proof ends there."""


@dataclass
class Group:
    key: Key
    label: str
    prompts: PromptSet
    members: list[int] = field(default_factory=list)
    """The shared states in it."""

    @property
    def size(self) -> str:
        """How many prompts it stands for, and in how many states."""
        end = f"{self.key.end}: " if self.key.end else ""
        several = f", {len(self.members)} states" if len(self.members) > 1 else ""
        return f"{end}{states.number(self.prompts.count)} prompts{several}"

    @property
    def title(self) -> str:
        """What can be read when the group is pointed at."""
        shown = ", ".join(f"#{index}" for index in self.members)
        return f"{self.label}: {self.size} {shown}".rstrip()


@dataclass(frozen=True)
class Overview:
    """``ways[a, b]``: in how many places of the proof group a leads to group b."""

    groups: dict[Key, Group]
    ways: Counter[tuple[Key, Key]]


def overview(proof: CellProof, reach: Reach) -> Overview:
    """The groups of a cell's proof that prompts get to."""
    found = Overview({}, Counter())
    for index, tree in enumerate(proof.trees):
        if not reach.of(tree):
            continue
        start = _key(proof, tree.state)
        _add(found, proof, reach, start, tree).members.append(index)
        for node in nodes(tree):
            if not node.children and reach.of(node):
                goal = _goal(proof, node)
                if node.step.rule is not Rule.GOTO:
                    _add(found, proof, reach, goal, node)
                found.ways[start, goal] += 1
    return found


def _goal(proof: CellProof, leaf: Node) -> Key:
    if leaf.step.rule is Rule.GOTO:
        return _key(proof, proof.trees[leaf.step.goal + 1].state)
    return _key(proof, leaf.state, "open" if leaf.step.rule is Rule.OPEN else "safe")


def _key(proof: CellProof, state: State, end: str = "") -> Key:
    step = proof.emitted(state)
    last = state.sets[-1] if step else 0
    return Key(step, last, () if end else state.prompt, () if end else state.output, end)


def _add(found: Overview, proof: CellProof, reach: Reach, key: Key, node: Node) -> Group:
    own = reach.of(node)
    if key not in found.groups:
        found.groups[key] = Group(key, _label(proof, key), own)
    else:
        found.groups[key].prompts |= own
    return found.groups[key]


def _label(proof: CellProof, key: Key) -> str:
    return states.tokens(proof.problem.vocabulary, key.last) if key.last else "start"
