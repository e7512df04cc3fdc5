"""A proof tree that is worked on in pieces, each of some of its open leaves, by several at once.

A piece is the tree with all other leaves done and whatever is closed folded together; what comes
back is that tree grown further. Neither is trusted: the check of the whole tree decides.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import pairwise

from absint.proofs.stream import Arity, Rule, Step
from absint.search.attack import Counterexample
from absint.search.tree import Tree


@dataclass(frozen=True)
class Piece:
    """Open leaves of one cell's proof: the proof stream of the tree that has only these open.

    ``phased``: its search splits neurons. ``slack``: what a bound must clear.
    """

    cell: int
    stream: bytes
    phased: bool
    slack: float


@dataclass(frozen=True)
class Answer:
    """What became of a piece: its stream, further on. ``stuck``: leaves, by their place in the
    stream, that cannot be split."""

    stream: bytes
    stuck: tuple[int, ...]
    counterexample: Counterexample | None


class SharedTree:
    """A tree that gives out pieces and takes them back. ``open`` holds the open leaves that can
    still be split, ``stuck`` those that cannot; ``closed`` counts the others."""

    def __init__(self, tree: Tree, arity: Arity, stuck: Collection[int]) -> None:
        self.tree, self.arity, self.stuck = tree, arity, set(stuck)
        self.parent = [-1] * len(tree.rules)
        for node in tree.preorder():
            for part in range(tree.rules[node].rule.parts):
                self.parent[tree.child[node] + part] = node
        leaves = tree.leaves()
        self.open = {n for n in leaves if tree.rules[n].rule is Rule.OPEN} - self.stuck
        self.closed = len(leaves) - len(self.open) - len(self.stuck)

    def in_order(self) -> list[int]:
        """The open leaves, neighbours together."""
        return [node for node in self.tree.leaves() if node in self.open]

    def give_up(self, leaves: Collection[int]) -> None:
        """Leaves that nobody is to work on any more."""
        self.open -= set(leaves)
        self.stuck.update(leaves)

    def piece(self, leaves: Collection[int]) -> bytes:
        """The stream of the tree with these leaves open and all else done."""
        above = set[int]()
        for node in leaves:
            while node >= 0 and node not in above:
                above.add(node)
                node = self.parent[node]
        done, cut = Step(Rule.SAFE, (0,) * self.arity.conjunctions), Tree()
        stack = [(0, 0)]
        while stack:
            node, copy = stack.pop()
            step, first = self.tree.rules[node], self.tree.child[node]
            if node not in above:
                cut.rules[copy] = done
            elif first >= 0:
                stack += _pairs(first, cut.divide(copy, step), step)
        return cut.stream()

    def merge(self, leaves: Collection[int], answer: Answer) -> list[int]:
        """Puts what became of a piece in the place of its leaves; those now open, in preorder."""
        found = Tree.from_stream(answer.stream, self.arity)
        places = found.leaves()
        stuck, wanted, opened = {places[i] for i in answer.stuck}, set(leaves), list[int]()
        stack = [(0, 0)]
        while stack:
            node, copy = stack.pop()
            first = found.child[copy]
            if node in wanted:
                opened += self._grow(node, found, copy, stuck)
            elif first >= 0:
                stack += reversed(_pairs(self.tree.child[node], first, found.rules[copy]))
        self.open -= wanted
        self.open.update(opened)
        return opened

    def _grow(self, root: int, found: Tree, copy: int, stuck: set[int]) -> list[int]:
        """Copies what is below ``copy`` to an open leaf; the leaves that are open then."""
        opened, stack = list[int](), [(root, copy)]
        while stack:
            node, copy = stack.pop()
            step, first = found.rules[copy], found.child[copy]
            if first >= 0:
                own = self.tree.divide(node, step)
                self.parent += [node] * step.rule.parts
                stack += reversed(_pairs(own, first, step))
            elif step.rule is not Rule.OPEN:
                self.tree.rules[node] = step
                self.closed += 1
            elif copy in stuck:
                self.stuck.add(node)
            else:
                opened.append(node)
        return opened


def _pairs(first: int, second: int, step: Step) -> list[tuple[int, int]]:
    """The parts of two nodes that are divided alike."""
    return [(first + i, second + i) for i in range(step.rule.parts)]


def groups(leaves: Sequence[int], count: int) -> list[list[int]]:
    """At most ``count`` groups of neighbours, none of them empty."""
    count = min(count, len(leaves))
    ends = [len(leaves) * i // count for i in range(count + 1)] if count else []
    return [list(leaves[a:b]) for a, b in pairwise(ends)]
