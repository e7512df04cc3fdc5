"""Going on from an earlier proof: what it leaves open is taken up where it stands, or anew."""

from __future__ import annotations

from collections.abc import Sequence

from absint.decode.tree import Branch, Shared
from absint.problem.promptset import Node, PromptSet
from absint.proofs.decode.state import Rules
from absint.proofs.decode.stream import Rule, Step
from absint.proofs.decode.walk import Walk

MOST = 512
"""Parts of a region that a search begins with."""


def from_bytes(data: bytes, rules: Rules) -> tuple[Branch, list[Shared]]:
    """The root and the shared states of a proof stream; what is open there is not decided.

    No bound is computed: its claims are as good as whoever made them. Raises CertificateError
    where it breaks a rule.
    """
    walk = Walk(rules.problem, rules.cell, data, rules.outlook)
    shared = [Shared(state) for state in walk.shared]
    trees: list[Branch] = []
    parents: list[Branch] = []
    for visit in walk.visits():
        branch = Branch(visit.state)
        (parents.pop().children if parents else trees).append(branch)
        if visit.step.rule is not Rule.OPEN:
            branch.step = visit.step
        if visit.step.rule is Rule.GOTO:
            branch.goal = shared[visit.step.goal]
        parents += [branch] * visit.step.arity
    for one, tree in zip(shared, trees[1:], strict=True):
        one.tree = tree
    return trees[0], shared


def undecided(root: Branch, shared: Sequence[Shared]) -> list[Branch]:
    """The branches of a proof that no rule decides."""
    waiting = [root, *(one.tree for one in shared if one.tree is not None)]
    found = []
    while waiting:
        branch = waiting.pop()
        if branch.step is None:
            found.append(branch)
        waiting += branch.children
    return found


def set_apart(root: Branch, prompts: PromptSet, rules: Rules, whole: Shared) -> list[Branch]:
    """Divides the ``root`` of a new proof, slot by slot, into parts that hold all of ``prompts``.

    What is certainly not among them is left to ``whole``. At most MOST parts are made: they may
    then hold more. The parts are not decided.
    """
    parts = [(root, prompts.root)]
    for slot in range(rules.slots):
        if sum(len(node.edges) for _, node in parts) > MOST:
            break
        following: list[tuple[Branch, Node]] = []
        for branch, node in parts:
            rest = branch.state.sets[slot] & ~sum(mask for mask, _ in node.edges)
            masks = [mask for mask, _ in node.edges] + [rest] * bool(rest)
            children = [branch]
            if len(masks) > 1:
                step = Step(Rule.SPLIT, slot=slot, parts=tuple(masks))
                children = branch.close(step, rules.split(branch.state, slot, masks))
            if rest:
                children[-1].lead_to(whole)
            following += zip(children, (target for _, target in node.edges), strict=False)
        parts = following
    return [branch for branch, _ in parts]
