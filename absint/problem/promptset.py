"""Exact sets of prompts of one length, as multi-valued decision diagrams over the slots.

A node at slot i maps sets of tokens to nodes at slot i + 1. Nodes are shared and reduced, so two
sets of one space are equal where their nodes are the same.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from random import Random
from typing import TypeVar

from absint.problem.decode import (
    All,
    Atom,
    DecodeProblem,
    Formula,
    Machine,
    Not,
    Probed,
    PromptCell,
    Tokens,
)
from absint.problem.problem import ProblemError


@dataclass(frozen=True, eq=False)
class Node:
    """``edges``: (tokens as bits, node at the next slot), disjoint, by lowest token; no dead ends.

    ``count`` is the number of ways to fill this slot and those after it.
    """

    edges: tuple[tuple[int, Node], ...]
    count: int


Key = TypeVar("Key", bound=Hashable)
Edges = list[tuple[int, Key]]
EMPTY = Node((), 0)
END = Node((), 1)
MAX_EDGES = 1 << 19
"""Of all nodes of a space, and of those that one operation looks at."""


class TooLargeError(ProblemError):
    """A set of prompts whose decision diagram would be too large to hold."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"a set of prompts needs a decision diagram of more than {limit} edges")


def bits(tokens: Iterable[int]) -> int:
    """A set of tokens as the bits of an integer."""
    mask = 0
    for token in tokens:
        mask |= 1 << token
    return mask


def members(mask: int) -> Iterator[int]:
    """The tokens of a mask, ascending."""
    while mask:
        lowest = mask & -mask
        yield lowest.bit_length() - 1
        mask ^= lowest


@dataclass(eq=False)
class PromptSpace:
    """All prompts of ``slots`` slots; it owns the nodes of the sets made in it."""

    slots: int
    limit: int = MAX_EDGES
    """Edges beyond which TooLargeError is raised, by whatever makes a set."""
    _edges: int = field(default=0, repr=False)
    _nodes: dict[tuple[tuple[int, int], ...], Node] = field(default_factory=dict, repr=False)

    def empty(self) -> PromptSet:
        return PromptSet(self, EMPTY)

    def product(self, sets: Sequence[Tokens]) -> PromptSet:
        """The prompts with a token of ``sets[i]`` in slot i."""
        if len(sets) != self.slots:
            raise ValueError(f"{len(sets)} sets for {self.slots} slots")
        node = END
        for tokens in reversed(sets):
            node = self.node([(bits(tokens), node)])
        return PromptSet(self, node)

    def union(self, sets: Sequence[PromptSet]) -> PromptSet:
        """The prompts of any of the sets; in pairs, so that most unions are of small ones."""
        while len(sets) > 1:
            pairs = [sets[i : i + 2] for i in range(0, len(sets), 2)]
            sets = [pair[0] | pair[1] if len(pair) == 2 else pair[0] for pair in pairs]
        return sets[0] if sets else self.empty()

    def of_cell(self, problem: DecodeProblem, cell: PromptCell) -> PromptSet:
        """Exactly the prompts of ``cell``."""
        every = self.product(cell.slots)
        return every if cell.condition is None else every.satisfying(problem, cell.condition)

    def build(self, root: Key, expand: Callable[[Key, int], Node | Edges[Key]]) -> PromptSet:
        """The set of a search slot by slot: ``expand(key, slot)`` is a node, or edges to keys."""
        layers: list[dict[Key, Node | Edges[Key]]] = []
        keys, seen = {root}, 0
        while keys:
            layers.append({key: expand(key, len(layers)) for key in keys})
            found = [edges for edges in layers[-1].values() if not isinstance(edges, Node)]
            keys = {target for edges in found for _, target in edges}
            seen += sum(map(len, found))
            if seen > self.limit:
                raise TooLargeError(self.limit)
        done: dict[Key, Node] = {}
        for layer in reversed(layers):
            done = {
                key: edges
                if isinstance(edges, Node)
                else self.node((mask, done[target]) for mask, target in edges)
                for key, edges in layer.items()
            }
        return PromptSet(self, done[root])

    def node(self, edges: Iterable[tuple[int, Node]]) -> Node:
        """The node with these edges (disjoint masks), merged by target."""
        by_target: dict[int, tuple[int, Node]] = {}
        for mask, target in edges:
            if mask and target.count:
                before = by_target.get(id(target), (0, target))[0]
                by_target[id(target)] = (before | mask, target)
        if not by_target:
            return EMPTY
        ordered = tuple(sorted(by_target.values(), key=lambda edge: edge[0] & -edge[0]))
        key = tuple((mask, id(target)) for mask, target in ordered)
        if key not in self._nodes:
            self._edges += len(ordered)
            if self._edges > self.limit:
                raise TooLargeError(self.limit)
            count = sum(mask.bit_count() * target.count for mask, target in ordered)
            self._nodes[key] = Node(ordered, count)
        return self._nodes[key]


@dataclass(frozen=True, eq=False)
class PromptSet:
    """A set of prompts. Both operands of ``|``, ``&`` and ``-`` belong to one space."""

    space: PromptSpace
    root: Node

    @property
    def count(self) -> int:
        """How many prompts, exactly."""
        return self.root.count

    def __bool__(self) -> bool:
        return self.root.count > 0

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PromptSet) and self.root is other.root

    def __hash__(self) -> int:
        return id(self.root)

    def __contains__(self, prompt: Sequence[int]) -> bool:
        node = self.root
        for token in prompt:
            node = next((target for mask, target in node.edges if mask >> token & 1), EMPTY)
        return node is END

    def __iter__(self) -> Iterator[tuple[int, ...]]:
        """The prompts in lexicographic order, one by one."""
        if not self.space.slots:
            return iter([()] * self.count)
        return _walk(self.root, self.space.slots)

    def draw(self, source: Random) -> tuple[int, ...]:
        """One prompt, all being equally likely. Raises ValueError: the set is empty."""
        if not self:
            raise ValueError("no prompt to draw")
        node, drawn = self.root, []
        for _ in range(self.space.slots):
            weights = [mask.bit_count() * target.count for mask, target in node.edges]
            place = source.randrange(sum(weights))
            for (mask, target), weight in zip(node.edges, weights, strict=True):
                if place < weight:
                    drawn.append(list(members(mask))[place % mask.bit_count()])
                    node = target
                    break
                place -= weight
        return tuple(drawn)

    def __or__(self, other: PromptSet) -> PromptSet:
        return self._combine(other, lambda a, b: a or b)

    def __and__(self, other: PromptSet) -> PromptSet:
        return self._combine(other, lambda a, b: a and b)

    def __sub__(self, other: PromptSet) -> PromptSet:
        return self._combine(other, lambda a, b: a and not b)

    def restrict(self, slot: int, tokens: Tokens) -> PromptSet:
        """Those with a token of ``tokens`` in ``slot``. Raises ValueError: no such slot."""
        if not 0 <= slot < self.space.slots:
            raise ValueError(f"no slot {slot} in prompts of {self.space.slots}")
        allowed = bits(tokens)

        def expand(node: Node, level: int) -> Node | Edges[Node]:
            if level > slot:
                return node
            mask = allowed if level == slot else -1
            return [(edge & mask, target) for edge, target in node.edges]

        return self.space.build(self.root, expand)

    def driving(self, machine: Machine, states: Iterable[int], after: int) -> PromptSet:
        """Those whose first ``after`` slots drive ``machine`` from its start to one of ``states``.

        Raises ValueError: fewer slots than that.
        """
        if not 0 <= after <= self.space.slots:
            raise ValueError(f"no {after} slots in prompts of {self.space.slots}")
        wanted = frozenset(states)
        if not after:
            return self if 0 in wanted else self.space.empty()
        moves = _moves(machine)

        def expand(key: tuple[Node, int], level: int) -> Node | Edges[tuple[Node, int]]:
            node, state = key
            if level == after:
                return node if state in wanted else EMPTY
            return [
                (edge & mask, (target, following))
                for edge, target in node.edges
                for following, mask in moves[state]
                if edge & mask
            ]

        return self.space.build((self.root, 0), expand)

    def satisfying(self, problem: DecodeProblem, formula: Formula) -> PromptSet:
        """Those that satisfy ``formula``, which speaks of machines that read the prompt."""
        if isinstance(formula, Atom):
            machine = problem.machines[formula.machine]
            states = [q for q, label in enumerate(machine.labels) if label in formula.labels]
            return self.driving(machine, states, self.space.slots)
        if isinstance(formula, Probed):
            raise ValueError("a probe says nothing of a prompt")
        if isinstance(formula, Not):
            return self - self.satisfying(problem, formula.of)
        result = self if isinstance(formula, All) else self.space.empty()
        for part in formula.of:
            one = self.satisfying(problem, part)
            result = result & one if isinstance(formula, All) else result | one
        return result

    def _combine(self, other: PromptSet, keep: Callable[[bool, bool], bool]) -> PromptSet:
        """The prompts for which ``keep(in self, in other)``; ``keep(False, False)`` is False."""
        if other.space is not self.space:
            raise ValueError("sets of two spaces")

        def expand(pair: tuple[Node, Node], _: int) -> Node | Edges[tuple[Node, Node]]:
            a, b = pair
            if a.edges and b.edges:
                return list(_overlaps(a, b))
            held = keep(a is not EMPTY, b is not EMPTY)
            return (b if a is EMPTY else a) if held else EMPTY

        return self.space.build((self.root, other.root), expand)


def _overlaps(a: Node, b: Node) -> Iterator[tuple[int, tuple[Node, Node]]]:
    """Disjoint sets of tokens that cover both, with where each of the two nodes leads."""
    rest = 0
    for mask, _ in b.edges:
        rest |= mask
    for mask, first in a.edges:
        left = mask
        for other, second in b.edges:
            if mask & other:
                yield mask & other, (first, second)
                left &= ~other
        if left:
            yield left, (first, EMPTY)
        rest &= ~mask
    for other, second in b.edges:
        if other & rest:
            yield other & rest, (EMPTY, second)


@lru_cache(maxsize=64)
def _moves(machine: Machine) -> list[list[tuple[int, int]]]:
    """For each state: (next state, the tokens that lead there as bits)."""
    result: list[list[tuple[int, int]]] = []
    for row in machine.table:
        masks: dict[int, list[int]] = {}
        for token, target in enumerate(row):
            masks.setdefault(target, []).append(token)
        result.append([(target, bits(tokens)) for target, tokens in masks.items()])
    return result


def _walk(root: Node, slots: int) -> Iterator[tuple[int, ...]]:
    """Depth first, with a stack of its own: one iterator of (token, node) a slot."""
    prompt: list[int] = []
    stack = [_choices(root)]
    while stack:
        step = next(stack[-1], None)
        if step is None:
            stack.pop()
            if prompt:
                prompt.pop()
        elif len(stack) == slots:
            yield (*prompt, step[0])
        else:
            prompt.append(step[0])
            stack.append(_choices(step[1]))


def _choices(node: Node) -> Iterator[tuple[int, Node]]:
    """(token, next node) by ascending token."""
    pairs = [(token, target) for mask, target in node.edges for token in members(mask)]
    return iter(sorted(pairs, key=lambda pair: pair[0]))
