"""A decoding proof as text: a paragraph for each shared state, a line for each way on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from absint.problem.outlook import YES
from absint.problem.promptset import bits
from absint.proofs.decode.stream import Rule
from absint.proofs.decode.walk import texts
from absint.report.decoding import counts
from absint.report.decoding.words import probe
from absint.report.explain import states
from absint.report.explain.proof import CellProof, Node, nodes
from absint.report.explain.reach import Reach
from absint.report.words import count

INDENT = "    "
MAX_DEPTH = 60
"""Branches inside branches that are written out."""
LEGEND = """\
A state stands for all prompts with a token of each slot's set ('*' is all of the slot's tokens),
after which the text shown was written; the number is of those that get there. '-> #7' means:
contained in state #7, which is proved once. 'safe' means: whatever follows, the catastrophe can no
longer happen. Ways that no prompt takes are left out. Every token that is not named after 'writes'
loses, by a bound that `absint check` recomputes."""


def explain(proofs: Sequence[CellProof]) -> Iterator[str]:
    """The lines of the whole proof."""
    problem = proofs[0].problem
    total = counts.words(counts.of_problem(problem), counts.product(problem))
    yield f"{problem.name}: {total}, up to {count(problem.steps, 'step')}"
    yield LEGEND
    for index, proof in enumerate(proofs):
        yield ""
        if len(proofs) > 1:
            yield f"== prompts {index + 1} of {len(proofs)}"
        reach = Reach(proof)
        yield summary(proof, reach)
        yield from paragraphs(proof, reach)


def summary(proof: CellProof, reach: Reach) -> str:
    """How large a cell's proof is, and what it leaves open."""
    every = [node for tree in proof.trees for node in nodes(tree)]
    cases = sum(node.step.rule is Rule.CASES for node in every)
    runs = sum(texts(node.state) for node in every if node.step.rule is Rule.RUN)
    parts = [count(len(proof.trees) - 1, "shared state"), count(cases, "abstract case")]
    if runs:
        parts.append(f"{count(runs, 'text')} followed one by one")
    left = sum(node.step.rule is Rule.OPEN and bool(reach.of(node)) for node in every)
    return ", ".join([*parts, f"{count(left, 'state')} open" if left else "nothing open"])


def paragraphs(proof: CellProof, reach: Reach) -> Iterator[str]:
    """Each state that is reached, with the ways on from it, in the order of the proof."""
    before = -1
    arrived = [i for i, tree in enumerate(proof.trees) if reach.of(tree)]
    for index in sorted(arrived, key=lambda i: (proof.emitted(proof.trees[i].state), i)):
        step = proof.emitted(proof.trees[index].state)
        if step != before:
            yield ""
            yield f"after {count(step, 'token')}" if step else "start"
            before = step
        yield from paragraph(proof, index, reach)


def paragraph(proof: CellProof, index: int, reach: Reach) -> Iterator[str]:
    """One state and the ways on from it."""
    tree = proof.trees[index]
    arrived = reach.of(tree).count
    parts = [
        states.written(proof, tree.state),
        states.machines(proof, tree.state),
        f"{states.number(arrived)} {'prompt' if arrived == 1 else 'prompts'}: "
        + states.prompt(proof, tree.state),
    ]
    yield f"  #{index}  " + " | ".join(part for part in parts if part)
    for line in ways(proof, tree, reach):
        yield INDENT + "  " + line


def ways(proof: CellProof, node: Node, reach: Reach, depth: int = 0) -> list[str]:
    """The ways on from a node; several that read alike are one."""
    if depth > MAX_DEPTH:
        return [f"… ({sum(1 for _ in nodes(node))} more steps)"]
    words = []
    while node.step.rule in (Rule.READ, Rule.PROBE) or (
        node.step.rule is Rule.CASES and len(node.children) == 1
    ):
        if node.step.rule is Rule.CASES:
            words.append(f"writes {_token(proof, node.step.tokens[0])}")
        if node.step.rule is Rule.PROBE:
            said = "" if node.step.says == YES else "not "
            words.append(f"{said}({probe(proof.problem, node.step.probe)})")
        (node,) = node.children
    if not node.children:
        return [", ".join([*words, _end(node)]) if words else _end(node)]
    branches = list(_branches(proof, node, reach, depth))
    if not words:
        return branches
    return [", ".join(words) + ":", *(INDENT + line for line in branches)]


def _branches(proof: CellProof, node: Node, reach: Reach, depth: int) -> Iterator[str]:
    """The parts of a split or of several cases, each with what follows."""
    for label, lines in _labelled(proof, node, reach, depth):
        if len(lines) == 1:
            yield f"{label}: {lines[0]}"
        else:
            yield f"{label}:"
            yield from (INDENT + line for line in lines)


def _labelled(
    proof: CellProof, node: Node, reach: Reach, depth: int
) -> Iterator[tuple[str, list[str]]]:
    """Each set of tokens that leads to the same, with what follows."""
    cases = node.step.rule is Rule.CASES
    masks = [1 << token for token in node.step.tokens] if cases else node.step.parts
    merged: dict[tuple[str, ...], int] = {}
    for mask, child in zip(masks, node.children, strict=True):
        if reach.of(child):
            lines = tuple(ways(proof, child, reach, depth + 1))
            merged[lines] = merged.get(lines, 0) | mask
    name, whole = "may write", 0
    if not cases:
        slot, slots = node.step.slot, proof.cell.slots
        whole = bits(slots[slot]) if slot < len(slots) else 0
        name = f"slot {slot + 1}" if slot < len(slots) else f"token {slot - len(slots) + 1}"
    for key, mask in merged.items():
        yield f"{name} {states.tokens(proof.problem.vocabulary, mask, whole)}", list(key)


def _token(proof: CellProof, index: int) -> str:
    return states.tokens(proof.problem.vocabulary, 1 << index)


def _end(node: Node) -> str:
    if node.step.rule is Rule.GOTO:
        return f"-> #{node.step.goal + 1}"
    if node.step.rule is Rule.RUN:
        return f"safe: {count(texts(node.state), 'text')} followed one by one"
    return "safe" if node.step.rule is Rule.DONE else "OPEN"
