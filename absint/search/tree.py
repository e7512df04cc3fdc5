"""The proof as the search builds it: a tree of boxes, of which only the open leaves are kept."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from absint.proofs.leaves import leaves, middle
from absint.proofs.stream import Arity, Rule, Step, Writer, steps

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_OPEN = Step(Rule.OPEN)


@dataclass(frozen=True)
class OpenPlace:
    """An open node below phases (node, entry, above the knot), oldest first, with the slopes that
    hold there; None: the default ones."""

    node: int
    phases: tuple[tuple[int, int, bool], ...]
    slopes: bytes | None


@dataclass
class Tree:
    """Nodes by number, the root 0; a split's parts are numbered from ``child`` on."""

    rules: list[Step] = field(default_factory=lambda: [_OPEN])
    child: list[int] = field(default_factory=lambda: [-1])

    def halve(self, node: int, dimension: int) -> int:
        """Splits an open node at its middle; returns the number of the first part."""
        return self.divide(node, Step(Rule.HALVE, (dimension,)))

    def split(
        self, node: int, dimension: int, cut: float, box: tuple[FloatArray, FloatArray]
    ) -> int:
        """Splits an open node with that box at a point inside; returns the first part's number."""
        lower, upper = (float(end[dimension]) for end in box)
        if cut == middle(lower, upper):
            return self.halve(node, dimension)
        return self.divide(node, Step(Rule.SPLIT, (dimension,), cut))

    def phase(self, node: int, position: int, entry: int) -> int:
        """Splits an open node at a neuron's knot; returns the number of the first part."""
        return self.divide(node, Step(Rule.PHASE, (position, entry)))

    def slopes(self, node: int, slopes: bytes) -> int:
        """Gives an open node slopes; returns the number of the node that then is open."""
        return self.divide(node, Step(Rule.SLOPES, slopes=slopes))

    def relax(self, node: int, slopes: bytes) -> int:
        """Gives an open node's box slopes; returns the number of the node that then is open."""
        return self.divide(node, Step(Rule.RELAX, slopes=slopes))

    @property
    def relaxed(self) -> bytes | None:
        """The slopes of the whole box's bounds; None: the default ones."""
        return self.rules[0].slopes if self.rules[0].rule is Rule.RELAX else None

    def divide(self, node: int, step: Step) -> int:
        """Divides an open node; returns the number of the first part."""
        first = len(self.rules)
        self.rules[node] = step
        self.child[node] = first
        self.rules += [_OPEN] * step.rule.parts
        self.child += [-1] * step.rule.parts
        return first

    def close(self, node: int, rule: Rule, choices: Sequence[int]) -> None:
        """Records why an open node is done."""
        self.rules[node] = Step(rule, tuple(choices))

    def reopen(self, node: int) -> None:
        """Makes a node open; what was below it is no part of the tree any more."""
        self.rules[node], self.child[node] = _OPEN, -1

    def open_phases(self) -> Iterator[OpenPlace]:
        """The open nodes of a proof by phases."""
        stack = [OpenPlace(0, (), None)]
        while stack:
            place = stack.pop()
            step, first = self.rules[place.node], self.child[place.node]
            if step.rule is Rule.OPEN:
                yield place
            elif step.rule is Rule.RELAX:
                stack.append(replace(place, node=first))
            elif step.rule is Rule.SLOPES:
                stack.append(OpenPlace(first, place.phases, step.slopes))
            elif step.rule is Rule.PHASE:
                position, entry = step.choices
                for above in (True, False):
                    phases = (*place.phases, (position, entry, above))
                    stack.append(OpenPlace(first + above, phases, place.slopes))

    def divided_once(self) -> Iterator[tuple[OpenPlace, Step]]:
        """The nodes of a proof by phases of which both parts are MIX leaves, with the first."""
        stack = [OpenPlace(0, (), None)]
        while stack:
            place = stack.pop()
            step, first = self.rules[place.node], self.child[place.node]
            if step.rule is Rule.RELAX:
                stack.append(replace(place, node=first))
            elif step.rule is Rule.SLOPES:
                stack.append(OpenPlace(first, place.phases, step.slopes))
            elif step.rule is Rule.PHASE:
                if all(part.rule is Rule.MIX for part in self.rules[first : first + 2]):
                    yield place, self.rules[first]
                    continue
                position, entry = step.choices
                for above in (True, False):
                    phases = (*place.phases, (position, entry, above))
                    stack.append(OpenPlace(first + above, phases, place.slopes))

    def merge(self, node: int, rule: Rule, choices: Sequence[int]) -> None:
        """Closes a node; what was below it is no part of the tree any more."""
        self.reopen(node)
        self.close(node, rule, choices)

    def preorder(self) -> Iterator[int]:
        stack = [0]
        while stack:
            node = stack.pop()
            yield node
            first, parts = self.child[node], self.rules[node].rule.parts
            stack += range(first + parts - 1, first - 1, -1)

    def leaves(self) -> list[int]:
        """The leaves' numbers, in the order of the proof stream."""
        return [node for node in self.preorder() if self.child[node] < 0]

    def stream(self) -> bytes:
        """The proof stream of the tree as it stands, open leaves included."""
        writer = Writer()
        for node in self.preorder():
            writer.step(self.rules[node])
        return writer.to_bytes()

    def by_phases(self) -> bool:
        """Whether this is a proof by phases of the whole box, bounded with one set of slopes."""
        dividing = {Rule.PHASE, Rule.SLOPES}
        inner = [self.rules[node].rule for node in self.preorder() if self.child[node] >= 0]
        return (
            bool(inner) and set(inner[:1]) <= {*dividing, Rule.RELAX} and set(inner[1:]) <= dividing
        )

    def without_open_phases(self) -> Tree:
        """This tree, but for divisions by phases that are not proved: what they divide is open."""
        kept = Tree(list(self.rules), list(self.child))
        for node in reversed(list(self.preorder())):
            first, rule = kept.child[node], kept.rules[node].rule
            parts = kept.rules[first : first + rule.parts] if first >= 0 else []
            if rule in (Rule.PHASE, Rule.SLOPES) and _OPEN in parts:
                kept.reopen(node)
        return kept

    @staticmethod
    def from_stream(data: bytes, arity: Arity) -> Tree:
        """The tree of a proof stream. Raises CertificateError."""
        tree = Tree([], [])
        waiting: list[int] = []  # numbers reserved for parts that are still to be read
        for step in steps(data, arity):
            if not tree.rules:
                tree.rules, tree.child, node = [step], [-1], 0
            else:
                node = waiting.pop()
                tree.rules[node] = step
            if parts := step.rule.parts:
                first = len(tree.rules)
                tree.child[node] = first
                tree.rules += [_OPEN] * parts
                tree.child += [-1] * parts
                waiting += range(first + parts - 1, first - 1, -1)
        return tree


@dataclass
class Frontier:
    """Open leaves with their boxes and scores (lower is nearer to the catastrophe).

    Arrays: nodes (n,), lower and upper (n, input_size), score (n,); ``slopes`` (n,) holds the bytes
    of the slopes of a box's bounds, or None, and ``age`` (n,) how many halvings ago they were
    chosen.
    """

    nodes: IntArray
    lower: FloatArray
    upper: FloatArray
    score: FloatArray
    slopes: NDArray[np.object_]
    age: IntArray

    @staticmethod
    def empty(size: int) -> Frontier:
        none, numbers = np.empty((0, size)), np.empty(0, dtype=np.int64)
        return Frontier(numbers, none, none, np.empty(0), np.empty(0, dtype=object), numbers)

    def __len__(self) -> int:
        return len(self.nodes)

    @property
    def nbytes(self) -> int:
        return self.nodes.nbytes + self.lower.nbytes + self.upper.nbytes + self.score.nbytes

    def push(self, more: Frontier) -> None:
        self.nodes = np.concatenate([self.nodes, more.nodes])
        self.lower = np.concatenate([self.lower, more.lower])
        self.upper = np.concatenate([self.upper, more.upper])
        self.score = np.concatenate([self.score, more.score])
        self.slopes = np.concatenate([self.slopes, more.slopes])
        self.age = np.concatenate([self.age, more.age])

    def pop(self, count: int, newest: bool) -> Frontier:
        """Takes out ``count`` leaves: the newest (depth first), or those of the lowest score."""
        if len(self) <= count:
            chosen = np.ones(len(self), dtype=bool)
        else:
            chosen = np.zeros(len(self), dtype=bool)
            order = slice(-count, None) if newest else np.argpartition(self.score, count)[:count]
            chosen[order] = True
        taken, rest = self.select(chosen), self.select(~chosen)
        self.nodes, self.lower = rest.nodes, rest.lower
        self.upper, self.score = rest.upper, rest.score
        self.slopes, self.age = rest.slopes, rest.age
        return taken

    def every(self, stride: int) -> Frontier:
        """Each of which so many are passed over for the next."""
        chosen = np.zeros(len(self), dtype=bool)
        chosen[::stride] = True
        return self.select(chosen)

    def without(self, nodes: Collection[int]) -> Frontier:
        """All but the leaves of these numbers."""
        return self.select(~np.isin(self.nodes, list(nodes)))

    def select(self, which: NDArray[np.bool_] | IntArray) -> Frontier:
        """Some of the leaves."""
        return Frontier(
            self.nodes[which],
            self.lower[which],
            self.upper[which],
            self.score[which],
            self.slopes[which],
            self.age[which],
        )


def open_boxes(tree: Tree, lower: FloatArray, upper: FloatArray, arity: Arity) -> Frontier:
    """The open leaves of ``tree`` with their boxes, the root being [lower, upper]."""
    numbers = tree.leaves()
    nodes, lows, highs, slopes = [], [], [], []
    for leaf in leaves(tree.stream(), lower.tolist(), upper.tolist(), arity):
        if leaf.rule is Rule.OPEN:
            nodes.append(numbers[leaf.ordinal])
            lows.append(leaf.lower)
            highs.append(leaf.upper)
            slopes.append(leaf.block.slopes)
    shape = (len(nodes), len(lower))
    return Frontier(
        np.array(nodes, dtype=np.int64),
        np.array(lows, dtype=np.float64).reshape(shape),
        np.array(highs, dtype=np.float64).reshape(shape),
        np.full(len(nodes), -np.inf),
        np.array([*slopes, None], dtype=object)[:-1],
        np.zeros(len(nodes), dtype=np.int64),
    )
