"""A cell's proof as a stream of rules in preorder, and the walk that turns it into leaves.

A rule is one byte and its operands; numbers are LEB128 varints. ``split`` is followed by the proofs
of its two parts, first the one with the smaller values: a part cannot be left out, shared or made
to contain itself, because no rule refers to another. Boxes are never stored: the walk computes
them, so a leaf cannot claim one that the splits do not give it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum

from absint.problem import Cell
from absint.proofs.format import CertificateError

MAX_DEPTH = 10_000


class Rule(IntEnum):
    """The rules of the proof system that this format version has."""

    HALVE = 0
    """``split`` at the middle of dimension d. Operand: d."""
    SPLIT = 1
    """``split`` at a given point of dimension d. Operands: d, a float64 (little endian)."""
    SAFE = 2
    """Every conjunction breaks one of its constraints on the whole box. Operands: which, each."""
    EMPTY = 3
    """One of the region's own constraints fails on the whole box. Operand: which."""
    OPEN = 4
    """Not decided."""
    MIX = 5
    """Every conjunction fails on the whole box, by a weighted sum of its constraints and the
    region's. Operands: for each conjunction, one byte of weight for each of those constraints."""


def middle(lower: float, upper: float) -> float:
    """Where HALVE cuts."""
    return 0.5 * lower + 0.5 * upper


@dataclass(frozen=True)
class Step:
    """One rule with its operands; ``choices`` holds its numbers (of MIX: the weights)."""

    rule: Rule
    choices: tuple[int, ...] = ()
    point: float | None = None


class Writer:
    """Builds a proof stream; calls come in preorder."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    def halve(self, dimension: int) -> None:
        self._bytes.append(Rule.HALVE)
        self._varint(dimension)

    def split(self, dimension: int, point: float) -> None:
        """A cut at ``point``, which must not be the middle: that is ``halve``."""
        self._bytes.append(Rule.SPLIT)
        self._varint(dimension)
        self._bytes += struct.pack("<d", point)

    def safe(self, choices: Sequence[int]) -> None:
        """``choices[i]``: the constraint that conjunction i breaks everywhere."""
        self._bytes.append(Rule.SAFE)
        for choice in choices:
            self._varint(choice)

    def mix(self, weights: Sequence[int]) -> None:
        """``weights``: for each conjunction, those of its constraints and then of the region's."""
        self._bytes.append(Rule.MIX)
        self._bytes += bytes(weights)

    def empty(self, constraint: int) -> None:
        self._bytes.append(Rule.EMPTY)
        self._varint(constraint)

    def open(self) -> None:
        self._bytes.append(Rule.OPEN)

    def step(self, step: Step) -> None:
        """Any rule with its operands."""
        if step.rule is Rule.HALVE:
            self.halve(step.choices[0])
        elif step.rule is Rule.SPLIT:
            assert step.point is not None
            self.split(step.choices[0], step.point)
        elif step.rule is Rule.SAFE:
            self.safe(step.choices)
        elif step.rule is Rule.MIX:
            self.mix(step.choices)
        elif step.rule is Rule.EMPTY:
            self.empty(step.choices[0])
        else:
            self.open()

    def to_bytes(self) -> bytes:
        return bytes(self._bytes)

    def _varint(self, value: int) -> None:
        write_varint(self._bytes, value)


def write_varint(out: bytearray, value: int) -> None:
    """Appends a LEB128 number in its shortest form."""
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)


@dataclass(frozen=True)
class Arity:
    """How many operands a cell's leaves have."""

    conjunctions: int
    weights: int
    """The constraints of all conjunctions, and the region's once more for each conjunction."""

    @staticmethod
    def of(cell: Cell) -> Arity:
        count = len(cell.catastrophe)
        own = sum(len(conjunction) for conjunction in cell.catastrophe)
        return Arity(count, own + count * len(cell.constraints))

    def numbers(self, rule: Rule) -> int:
        """How many varints follow the byte of ``rule``."""
        if rule is Rule.SAFE:
            return self.conjunctions
        return 0 if rule in (Rule.OPEN, Rule.MIX) else 1


def steps(data: bytes, arity: Arity) -> Iterator[Step]:
    """The rules of a stream, in preorder. Raises CertificateError where it is not well-formed."""
    cursor, missing = 0, 1
    while missing:
        if cursor >= len(data):
            raise CertificateError("a proof ends before all parts of its splits are proved")
        if data[cursor] > max(Rule):
            raise CertificateError(f"unknown rule {data[cursor]}")
        rule, cursor = Rule(data[cursor]), cursor + 1
        choices = []
        for _ in range(arity.numbers(rule)):
            value, cursor = read_varint(data, cursor)
            choices.append(value)
        if rule is Rule.MIX:
            choices = list(data[cursor : cursor + arity.weights])
            cursor += arity.weights
            if cursor > len(data):
                raise CertificateError("a proof ends inside a list of weights")
        point = None
        if rule is Rule.SPLIT:
            if cursor + 8 > len(data):
                raise CertificateError("a proof ends inside a split")
            (point,) = struct.unpack_from("<d", data, cursor)
            cursor += 8
        missing += 1 if rule <= Rule.SPLIT else -1
        yield Step(rule, tuple(choices), point)
    if cursor != len(data):
        raise CertificateError("bytes follow the end of a proof")


def read_varint(data: bytes, cursor: int) -> tuple[int, int]:
    """A LEB128 number and the place after it. Raises CertificateError."""
    value = 0
    for shift in range(0, 35, 7):
        if cursor >= len(data):
            raise CertificateError("a proof ends inside a number")
        byte, cursor = data[cursor], cursor + 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            if byte == 0 and shift:
                raise CertificateError("a number is not in its shortest form")
            return value, cursor
    raise CertificateError("a number is too long")


@dataclass(frozen=True)
class Leaf:
    """A leaf of the proof with the box that the splits above give it."""

    ordinal: int
    rule: Rule
    choices: tuple[int, ...]
    lower: tuple[float, ...]
    upper: tuple[float, ...]


def leaves(
    data: bytes, lower: Sequence[float], upper: Sequence[float], arity: Arity
) -> Iterator[Leaf]:
    """The leaves of a proof of the box [lower, upper], in preorder; memory grows with depth only.

    Checks that the parts of every split cover the box that is split: a cut lies strictly inside
    its dimension, and both closed halves are proved. Raises CertificateError.
    """
    low, high = list(lower), list(upper)
    path: list[tuple[int, float, float, float, bool]] = []  # dimension, low, cut, high, in upper?
    ordinal = 0
    for step in steps(data, arity):
        if step.rule <= Rule.SPLIT:
            dimension = step.choices[0]
            cut = _cut(step, dimension, low, high)
            if len(path) >= MAX_DEPTH:
                raise CertificateError(f"splits are nested more than {MAX_DEPTH} deep")
            path.append((dimension, low[dimension], cut, high[dimension], False))
            high[dimension] = cut
            continue
        yield Leaf(ordinal, step.rule, step.choices, tuple(low), tuple(high))
        ordinal += 1
        while path and path[-1][4]:
            dimension, before, _, _, _ = path.pop()
            low[dimension] = before
        if path:
            dimension, before, cut, after, _ = path.pop()
            path.append((dimension, before, cut, after, True))
            low[dimension], high[dimension] = cut, after


def _cut(step: Step, dimension: int, low: Sequence[float], high: Sequence[float]) -> float:
    if dimension >= len(low):
        raise CertificateError(f"a split of dimension {dimension}, which does not exist")
    centre = middle(low[dimension], high[dimension])
    if step.point == centre:
        raise CertificateError("a split at the middle is not written as one")
    cut = centre if step.point is None else step.point
    if not low[dimension] < cut < high[dimension]:
        raise CertificateError(f"a split of dimension {dimension} outside its interval")
    return cut
