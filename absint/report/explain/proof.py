"""A decoding proof as trees of steps, and how many prompts each of its states stands for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from absint.problem.decode import DecodeProblem, PromptCell
from absint.problem.outlook import Outlook
from absint.problem.promptset import PromptSet, PromptSpace, members
from absint.proofs.decode.state import State
from absint.proofs.decode.stream import Rule, Step
from absint.proofs.decode.walk import Visit, Walk
from absint.proofs.format import Certificate, CertificateError


@dataclass(eq=False)
class Node:
    """A state, the rule that is applied to it, and what follows."""

    state: State
    step: Step
    children: list[Node] = field(default_factory=list)


@dataclass(frozen=True)
class CellProof:
    """``trees[0]`` proves the cell's prompts, ``trees[i]`` is the shared state ``#i``."""

    problem: DecodeProblem
    cell: PromptCell
    trees: tuple[Node, ...]

    def emitted(self, state: State) -> int:
        """How many tokens were emitted."""
        return len(state.sets) - len(self.cell.slots)


def read(certificate: Certificate) -> list[CellProof]:
    """The proofs of all cells; their rules are checked on the way, their bounds are not.

    Raises CertificateError.
    """
    problem = certificate.problem
    if not isinstance(problem, DecodeProblem):
        raise CertificateError("the certificate is not about a network that decodes")
    outlook = Outlook(problem)
    return [
        CellProof(problem, cell, _trees(Walk(problem, cell, proof, outlook)))
        for cell, proof in zip(problem.cells, certificate.proofs, strict=True)
    ]


def _trees(walk: Walk) -> tuple[Node, ...]:
    visits = walk.visits()
    found = tuple(_tree(visits) for _ in range(1 + len(walk.shared)))
    if next(visits, None) is not None:
        raise CertificateError("steps follow the end of a proof")
    return found


def _tree(visits: Iterator[Visit]) -> Node:
    """The next tree in preorder."""
    first = next(visits)
    root = Node(first.state, first.step)
    waiting = [root] * first.step.arity
    while waiting:
        visit = next(visits)
        node = Node(visit.state, visit.step)
        waiting.pop().children.append(node)
        waiting += [node] * visit.step.arity
    return root


def nodes(tree: Node) -> Iterator[Node]:
    """All nodes of a tree, in preorder."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        waiting += reversed(node.children)


def tally(proof: CellProof) -> dict[Rule, int]:
    """How often each rule is applied."""
    found = dict.fromkeys(Rule, 0)
    for tree in proof.trees:
        for node in nodes(tree):
            found[node.step.rule] += 1
    return found


class Prompts:
    """Which prompts of a cell a state stands for."""

    def __init__(self, proof: CellProof) -> None:
        self._problem, self._space = proof.problem, PromptSpace(len(proof.cell.slots))
        self.whole = self._space.of_cell(proof.problem, proof.cell)

    def of(self, state: State) -> PromptSet:
        """Those with a token of each slot's set, whose machines are in the state's states."""
        masks = state.sets[: self._space.slots]
        found = self._space.product([frozenset(members(mask)) for mask in masks])
        readers = self._problem.machines_of("prompt")
        for index, at in zip(readers, state.prompt, strict=True):
            found = found.driving(self._problem.machines[index], [at], state.read)
        return found & self.whole
