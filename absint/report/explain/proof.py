"""A decoding proof as trees of steps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from absint.problem.decode import DecodeProblem, PromptCell
from absint.problem.outlook import Outlook
from absint.proofs.decode.state import State
from absint.proofs.decode.stream import Step
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
