"""Proofs as trees, read and written without the checker's own reader, for tests that alter them.

Also a second opinion on what a proof claims: its boxes in fractions, and its leaves' claims held
against exact values of the network.
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction

import exact
import numpy as np

from absint.ir import Graph
from absint.problem import Cell, LinearConstraint, Problem

HALVE, SPLIT, SAFE, EMPTY, OPEN, MIX = range(6)


@dataclass
class Tree:
    """A rule with its operands; ``parts`` has two entries for a split and none for a leaf."""

    rule: int
    numbers: list[int] = field(default_factory=list)
    point: float = 0.0
    parts: list[Tree] = field(default_factory=list)

    def nodes(self) -> Iterator[Tree]:
        yield self
        for part in self.parts:
            yield from part.nodes()

    def copy(self) -> Tree:
        return Tree(self.rule, list(self.numbers), self.point, [p.copy() for p in self.parts])

    def become(self, other: Tree) -> None:
        """Takes another tree's place, contents and all."""
        copy = other.copy()
        self.rule, self.numbers, self.point = copy.rule, copy.numbers, copy.point
        self.parts = copy.parts

    def text(self) -> bytes:
        data = bytes([self.rule])
        if self.rule == MIX:
            data += bytes(self.numbers)
        else:
            data += b"".join(varint(n) for n in self.numbers)
        if self.rule == SPLIT:
            data += struct.pack("<d", self.point)
        return data + b"".join(part.text() for part in self.parts)


def varint(value: int) -> bytes:
    low, rest = value & 0x7F, value >> 7
    return bytes([low]) if not rest else bytes([low | 0x80]) + varint(rest)


def parse(data: bytes, cell: Cell) -> Tree:
    """A well-formed proof stream as a tree."""
    tree, end = _parse(data, 0, cell)
    assert end == len(data)
    return tree


def _parse(data: bytes, at: int, cell: Cell) -> tuple[Tree, int]:
    tree = Tree(data[at])
    at += 1
    if tree.rule == MIX:
        count = sum(len(rows) + len(cell.constraints) for rows in cell.catastrophe)
        tree.numbers = list(data[at : at + count])
        at += count
    else:
        count = {OPEN: 0, SAFE: len(cell.catastrophe)}.get(tree.rule, 1)
        for _ in range(count):
            value = shift = 0
            while data[at] >= 0x80:
                value |= (data[at] & 0x7F) << shift
                at, shift = at + 1, shift + 7
            tree.numbers.append(value | data[at] << shift)
            at += 1
    if tree.rule == SPLIT:
        (tree.point,) = struct.unpack("<d", data[at : at + 8])
        at += 8
    for _ in range(2 if tree.rule <= SPLIT else 0):
        part, at = _parse(data, at, cell)
        tree.parts.append(part)
    return tree, at


Box = tuple[list[Fraction], list[Fraction]]


def boxes(tree: Tree, low: list[Fraction], high: list[Fraction]) -> Iterator[tuple[Tree, Box]]:
    """The leaves with their boxes."""
    if tree.rule > SPLIT:
        yield tree, (low, high)
        return
    (dimension,) = tree.numbers
    ends = float(low[dimension]), float(high[dimension])
    cut = Fraction(tree.point if tree.rule == SPLIT else 0.5 * ends[0] + 0.5 * ends[1])
    below, above = list(high), list(low)
    below[dimension] = above[dimension] = cut
    yield from boxes(tree.parts[0], low, below)
    yield from boxes(tree.parts[1], above, high)


def refuted(problem: Problem, cell: Cell, graph: Graph, tree: Tree) -> str | None:
    """Why a proof is no proof of a cell, by exact arithmetic; None where no reason is found.

    The leaves' volumes must add up to the box's, and at exact points of each leaf's box what the
    leaf claims must hold.
    """
    ends = [[Fraction(float(v)) for v in end] for end in problem.network_box(cell)]
    whole, total = _volume(ends[0], ends[1]), Fraction(0)
    for leaf, (low, high) in boxes(tree, ends[0], ends[1]):
        if any(a > b for a, b in zip(low, high, strict=True)):
            return "a box turned over"
        total += _volume(low, high)
        if leaf.rule == OPEN:
            return "an open leaf"
        where = _failure(cell, graph, leaf.rule, tuple(leaf.numbers), tuple(low), tuple(high))
        if where is not None:
            return f"a claim that fails at {where}"
    return None if total == whole else "leaves that do not cover the box"


@functools.lru_cache(maxsize=4096)
def _failure(
    cell: Cell,
    graph: Graph,
    rule: int,
    numbers: tuple[int, ...],
    low: tuple[Fraction, ...],
    high: tuple[Fraction, ...],
) -> list[float] | None:
    """A point of the box where the leaf's claim fails; None where none is found."""
    rng = np.random.default_rng(0)
    for x in exact.points([float(v) for v in low], [float(v) for v in high], rng, 3):
        y = exact.outputs(graph, exact.evaluate(graph, x))
        if not holds(cell, Tree(rule, list(numbers)), x, y):
            return [float(v) for v in x]
    return None


def _volume(low: list[Fraction], high: list[Fraction]) -> Fraction:
    volume = Fraction(1)
    for a, b in zip(low, high, strict=True):
        volume *= b - a
    return volume


def holds(cell: Cell, leaf: Tree, x: list[Fraction], y: list[Fraction]) -> bool:
    """Whether a leaf's claim holds at one point: that no conjunction does, by the rows it names."""
    if leaf.rule == EMPTY:
        return leaf.numbers[0] < len(cell.constraints) and not cell.constraints[
            leaf.numbers[0]
        ].holds(x, y)
    if leaf.rule == SAFE:
        return all(
            index < len(rows) and not rows[index].holds(x, y)
            for index, rows in zip(leaf.numbers, cell.catastrophe, strict=True)
        )
    cursor = 0
    for conjunction in cell.catastrophe:
        rows = [*conjunction, *cell.constraints]
        weights = leaf.numbers[cursor : cursor + len(rows)]
        cursor += len(rows)
        if not _sum_refutes(rows, weights, x, y):
            return False
    return True


def _sum_refutes(
    rows: list[LinearConstraint], weights: list[int], x: list[Fraction], y: list[Fraction]
) -> bool:
    total = sum((w * row.value(x, y) for w, row in zip(weights, rows, strict=True)), Fraction(0))
    strict = any(w and row.strict for w, row in zip(weights, rows, strict=True))
    return total >= 0 if strict else total > 0
