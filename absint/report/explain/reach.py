"""Which prompts get to each place of a decoding proof.

A shared state may be wider than what leads to it, and a proof owes nothing to prompts that never
get there: a place that none gets to may even be open.
"""

from __future__ import annotations

from absint.problem.promptset import PromptSet, PromptSpace, members
from absint.proofs.decode.stream import Rule
from absint.report.explain.proof import CellProof, Node, nodes


class Reach:
    """The prompts of each node of a cell's proof, followed from the start."""

    def __init__(self, proof: CellProof) -> None:
        self._slots = len(proof.cell.slots)
        space = PromptSpace(self._slots)
        self._found = dict.fromkeys(proof.trees, space.empty())
        self._found[proof.trees[0]] = space.of_cell(proof.problem, proof.cell)
        for tree in proof.trees:
            for node in nodes(tree):
                self._follow(proof, node)

    def of(self, node: Node) -> PromptSet:
        """The prompts for which the proof leads to ``node``."""
        return self._found[node]

    def _follow(self, proof: CellProof, node: Node) -> None:
        own = self._found[node]
        if node.step.rule is Rule.GOTO:
            goal = proof.trees[node.step.goal + 1]
            self._found[goal] |= own
        elif node.step.rule is Rule.SPLIT and node.step.slot < self._slots:
            for child, part in zip(node.children, node.step.parts, strict=True):
                self._found[child] = own.restrict(node.step.slot, frozenset(members(part)))
        else:
            for child in node.children:
                self._found[child] = own
