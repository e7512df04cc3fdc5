"""Regular expressions over numbered symbols (tokens, or characters) to deterministic automata."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

Ranges = tuple[tuple[int, int], ...]
"""A set of symbols: disjoint ranges (first, last), both included, ascending."""

MAX_POSITIONS = 50_000
MAX_STATES = 20_000


class MachineSizeError(ValueError):
    """An automaton would be larger than what is allowed."""


@dataclass(frozen=True)
class Symbols:
    """One symbol of a set."""

    ranges: Ranges


@dataclass(frozen=True)
class Chain:
    """One after the other; with no parts the empty text."""

    of: tuple[Expression, ...]


@dataclass(frozen=True)
class Choice:
    """Any of these."""

    of: tuple[Expression, ...]


@dataclass(frozen=True)
class Repeat:
    """At least ``least`` times, at most ``most`` times (None: any number)."""

    of: Expression
    least: int
    most: int | None


Expression = Symbols | Chain | Choice | Repeat


def symbols(values: Iterable[int]) -> Symbols:
    """The set of single symbols."""
    ranges: list[tuple[int, int]] = []
    for value in sorted(set(values)):
        if ranges and ranges[-1][1] == value - 1:
            ranges[-1] = (ranges[-1][0], value)
        else:
            ranges.append((value, value))
    return Symbols(tuple(ranges))


def united(ranges: Iterable[tuple[int, int]]) -> Ranges:
    """The union of any ranges, in normal form."""
    result: list[tuple[int, int]] = []
    for first, last in sorted(ranges):
        if result and first <= result[-1][1] + 1:
            result[-1] = (result[-1][0], max(last, result[-1][1]))
        else:
            result.append((first, last))
    return tuple(result)


def complement(ranges: Ranges, size: int) -> Ranges:
    """All symbols from 0 to ``size - 1`` that are not in ``ranges``."""
    edges = [-1, *(edge for first, last in ranges for edge in (first, last)), size]
    gaps = zip(edges[::2], edges[1::2], strict=True)
    return tuple((before + 1, after - 1) for before, after in gaps if before + 1 < after)


@dataclass(frozen=True)
class Automaton:
    """Deterministic and complete, started in state 0. ``table[state][class]`` is the next state.

    ``starts[i]`` is the first symbol of the i-th range of symbols, whose class is ``classes[i]``.
    """

    starts: tuple[int, ...]
    classes: tuple[int, ...]
    table: tuple[tuple[int, ...], ...]
    accepts: tuple[bool, ...]

    def class_of(self, symbol: int) -> int:
        return self.classes[bisect_right(self.starts, symbol) - 1]


def compile_expression(expression: Expression) -> Automaton:
    """The subset construction. Not minimal. Raises MachineSizeError."""
    net = _Net()
    final = net.add(expression, net.new())
    starts, classes, members = _classes({edge[0] for edges in net.moves for edge in edges})
    states: dict[frozenset[int], int] = {net.closure({0}): 0}
    table: list[tuple[int, ...]] = []
    order = list(states)
    for subset in order:
        targets: list[set[int]] = [set() for _ in range(max(classes) + 1)]
        for position in subset:
            for label, target in net.moves[position]:
                for index in members[label]:
                    targets[index].add(target)
        row = []
        for reached in targets:
            closed = net.closure(reached)
            if closed not in states:
                states[closed] = len(order)
                order.append(closed)
            row.append(states[closed])
        if len(order) > MAX_STATES:
            raise MachineSizeError(f"more than {MAX_STATES} states")
        table.append(tuple(row))
    return Automaton(starts, classes, tuple(table), tuple(final in subset for subset in order))


def _classes(
    sets: set[Symbols],
) -> tuple[tuple[int, ...], tuple[int, ...], dict[Symbols, tuple[int, ...]]]:
    """Ranges of symbols, each with a class; symbols of one class are in the same of the ``sets``.

    Returns the ranges' first symbols, their classes, and the classes of each set.
    """
    listed = sorted(sets, key=lambda one: one.ranges)
    edges = {edge for one in listed for a, b in one.ranges for edge in (a, b + 1)}
    starts = tuple(sorted({0} | edges))
    inside: list[list[int]] = [[] for _ in starts]
    for number, one in enumerate(listed):
        for first, last in one.ranges:
            for place in range(bisect_right(starts, first) - 1, bisect_right(starts, last)):
                inside[place].append(number)
    numbers: dict[tuple[int, ...], int] = {}
    classes = tuple(numbers.setdefault(tuple(row), len(numbers)) for row in inside)
    members = {
        one: tuple(index for row, index in numbers.items() if number in row)
        for number, one in enumerate(listed)
    }
    return starts, classes, members


@dataclass
class _Net:
    """A nondeterministic automaton with silent moves (Thompson's construction)."""

    silent: list[list[int]] = field(default_factory=list)
    moves: list[list[tuple[Symbols, int]]] = field(default_factory=list)

    def new(self, *after: int) -> int:
        """A new position, entered silently from ``after``."""
        if len(self.moves) >= MAX_POSITIONS:
            raise MachineSizeError(f"an expression of more than {MAX_POSITIONS} positions")
        self.silent.append([])
        self.moves.append([])
        for position in after:
            self.silent[position].append(len(self.moves) - 1)
        return len(self.moves) - 1

    def add(self, expression: Expression, start: int) -> int:
        """The position after ``expression`` is read from ``start``."""
        if isinstance(expression, Symbols):
            end = self.new()
            self.moves[start].append((expression, end))
            return end
        if isinstance(expression, Chain):
            for part in expression.of:
                start = self.add(part, start)
            return start if expression.of else self.new(start)
        if isinstance(expression, Choice):
            return self.new(*[self.add(part, self.new(start)) for part in expression.of])
        return self._repeat(expression, start)

    def _repeat(self, expression: Repeat, start: int) -> int:
        for _ in range(expression.least):
            start = self.add(expression.of, start)
        if expression.most is None:
            loop = self.new(start)
            self.silent[self.add(expression.of, loop)].append(loop)
            return self.new(loop)
        ends = [start]
        for _ in range(expression.most - expression.least):
            ends.append(self.add(expression.of, self.new(ends[-1])))
        return self.new(*ends)

    def closure(self, positions: Iterable[int]) -> frozenset[int]:
        return frozenset(self._reached(positions))

    def _reached(self, positions: Iterable[int]) -> Iterator[int]:
        seen = set(positions)
        stack = list(seen)
        while stack:
            position = stack.pop()
            yield position
            fresh = [target for target in self.silent[position] if target not in seen]
            seen.update(fresh)
            stack += fresh
