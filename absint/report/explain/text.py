"""A decoding proof as text: a paragraph for each shared state, a line for each way on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from absint.problem.promptset import bits
from absint.proofs.decode.stream import Rule
from absint.report.decoding import counts
from absint.report.explain import states
from absint.report.explain.proof import CellProof, Node, Prompts, nodes, tally
from absint.report.words import count

INDENT = "    "
MAX_DEPTH = 60
"""Branches inside branches that are written out."""
LEGEND = """\
A state stands for all prompts with a token of each slot's set ('*' is all of the slot's tokens),
after which the text shown was written. '-> #7' means: contained in state #7, which is proved once.
'safe' means: whatever follows, the catastrophe can no longer happen. Every token that is not named
after 'writes' loses, by a bound that `absint check` recomputes."""


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
        yield summary(proof)
        yield from paragraphs(proof, Prompts(proof))


def summary(proof: CellProof) -> str:
    """How large a cell's proof is."""
    found = tally(proof)
    left = count(found[Rule.OPEN], "state") + " open" if found[Rule.OPEN] else "nothing open"
    shared = count(len(proof.trees) - 1, "shared state")
    return f"{shared}, {count(found[Rule.CASES], 'abstract case')}, {left}"


def paragraphs(proof: CellProof, prompts: Prompts) -> Iterator[str]:
    """Each state with the ways on from it, in the order of the proof, under its step."""
    before = -1
    for index in sorted(
        range(len(proof.trees)), key=lambda i: (proof.emitted(proof.trees[i].state), i)
    ):
        step = proof.emitted(proof.trees[index].state)
        if step != before:
            yield ""
            yield f"after {count(step, 'token')}" if step else "start"
            before = step
        yield from paragraph(proof, index, prompts)


def paragraph(proof: CellProof, index: int, prompts: Prompts) -> Iterator[str]:
    """One state and the ways on from it."""
    tree = proof.trees[index]
    parts = [
        states.written(proof, tree.state),
        states.machines(proof, tree.state),
        f"{states.number(prompts.of(tree.state).count)} prompts: "
        + states.prompt(proof, tree.state),
    ]
    yield f"  #{index}  " + " | ".join(part for part in parts if part)
    for line in ways(proof, tree):
        yield INDENT + "  " + line


def ways(proof: CellProof, node: Node, depth: int = 0) -> list[str]:
    """The ways on from a node; several that read alike are one."""
    if depth > MAX_DEPTH:
        return [f"… ({sum(1 for _ in nodes(node))} more steps)"]
    words = []
    while node.step.rule is Rule.READ or (node.step.rule is Rule.CASES and len(node.children) == 1):
        if node.step.rule is Rule.CASES:
            words.append(f"writes {_token(proof, node.step.tokens[0])}")
        (node,) = node.children
    if not node.children:
        return [", ".join([*words, _end(node)]) if words else _end(node)]
    branches = list(_branches(proof, node, depth))
    if not words:
        return branches
    return [", ".join(words) + ":", *(INDENT + line for line in branches)]


def _branches(proof: CellProof, node: Node, depth: int) -> Iterator[str]:
    """The parts of a split or of several cases, each with what follows."""
    for label, lines in _labelled(proof, node, depth):
        if len(lines) == 1:
            yield f"{label}: {lines[0]}"
        else:
            yield f"{label}:"
            yield from (INDENT + line for line in lines)


def _labelled(proof: CellProof, node: Node, depth: int) -> Iterator[tuple[str, list[str]]]:
    each = [ways(proof, child, depth + 1) for child in node.children]
    if node.step.rule is Rule.CASES:
        for token, lines in zip(node.step.tokens, each, strict=True):
            yield f"or writes {_token(proof, token)}", lines
        return
    merged: dict[tuple[str, ...], int] = {}
    for mask, lines in zip(node.step.parts, each, strict=True):
        merged[tuple(lines)] = merged.get(tuple(lines), 0) | mask
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
    return "safe" if node.step.rule is Rule.DONE else "OPEN"
