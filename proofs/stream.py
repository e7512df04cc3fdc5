"""A cell's proof as a stream of rules in preorder.

A rule is one byte and its operands; numbers are LEB128 varints. ``split`` is followed by the proofs
of its two parts, first the one with the smaller values: a part cannot be left out, shared or made
to contain itself, because no rule refers to another. Boxes and phases are never stored with a leaf:
the walk (``absint.proofs.leaves``) computes them, so a leaf cannot claim one that the splits do not
give it.
"""

from __future__ import annotations

import struct
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from absint.ir import Graph
from absint.problem import Cell
from absint.proofs.format import CertificateError
from absint.proofs.transformers.knots import neurons


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
    """Every conjunction fails on the whole set, by a weighted sum of its constraints, the region's
    and the phases on the path. Operands: for each conjunction, one byte of weight for each of those
    constraints, then one byte (``multiplier``) for each phase, oldest first."""
    PHASE = 6
    """``split`` at the knot of a neuron. Operands: the node, the entry."""
    SLOPES = 7
    """The lower slopes of neurons in the backward passes of the leaves below. Operands: for each
    conjunction, one byte for each neuron."""
    RELAX = 8
    """The lower slopes of neurons in all bounds of the boxes below. Operands: one byte for each
    neuron."""
    FARKAS = 10
    """As MIX, but each weight and multiplier is a float64 (little endian) of ``farkas_numbers``."""

    @property
    def parts(self) -> int:
        """How many proofs follow."""
        return _PARTS[self]


_RULES = {int(rule): rule for rule in Rule}
_PARTS = dict.fromkeys(_RULES, 0) | {0: 2, 1: 2, 6: 2, 7: 1, 8: 1}
SUMS = (Rule.MIX, Rule.FARKAS)
"""Leaves whose operands are weights and multipliers."""
LEAST, MOST = 2.0**-64, 2.0**64
"""Of the numbers of FARKAS that are not zero."""


def multiplier(byte: int) -> float:
    """The multiplier of a phase that a byte of MIX stands for: 0, or a float of 3 bits."""
    return float((8 + byte % 8) * 2.0 ** (byte // 8 - 19)) if byte else 0.0


MULTIPLIERS = tuple(multiplier(byte) for byte in range(256))


def nearest_multiplier(value: float) -> int:
    """The byte whose multiplier is nearest to a value; of the two, the smaller."""
    above = min(bisect_left(MULTIPLIERS, value), 255)
    below = max(above - 1, 0)
    return below if value - MULTIPLIERS[below] <= MULTIPLIERS[above] - value else above


class Step(NamedTuple):
    """One rule with its operands; ``choices`` holds its numbers (of MIX: the weights, bytes)."""

    rule: Rule
    choices: tuple[int, ...] = ()
    point: float | None = None
    slopes: bytes = b""


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

    def phase(self, node: int, entry: int) -> None:
        """Of the entry of an elementwise node: at most its knot, then at least."""
        self._bytes.append(Rule.PHASE)
        self._varint(node)
        self._varint(entry)

    def slopes(self, slopes: bytes) -> None:
        """``slopes``: for each conjunction, for each one-knot node, for each entry."""
        self._bytes.append(Rule.SLOPES)
        self._bytes += slopes

    def relax(self, slopes: bytes) -> None:
        """``slopes``: for each one-knot node, for each entry."""
        self._bytes.append(Rule.RELAX)
        self._bytes += slopes

    def mix(self, weights: Sequence[int]) -> None:
        """``weights``: for each conjunction, those of its constraints and then of the region's, and
        then the bytes of the multipliers of the phases on the path, oldest first."""
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
        elif step.rule is Rule.PHASE:
            self.phase(*step.choices)
        elif step.rule is Rule.SLOPES:
            self.slopes(step.slopes)
        elif step.rule is Rule.RELAX:
            self.relax(step.slopes)
        elif step.rule is Rule.SAFE:
            self.safe(step.choices)
        elif step.rule in SUMS:
            self._bytes.append(step.rule)
            self._bytes += bytes(step.choices)
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


def farkas_numbers(operands: Sequence[int]) -> NDArray[np.float64]:
    """The weights and multipliers that the bytes of FARKAS stand for."""
    return np.frombuffer(bytes(operands), dtype="<f8")


def farkas_operands(numbers: Sequence[float]) -> bytes:
    """Their bytes; what is too small to be written is zero."""
    return struct.pack(f"<{len(numbers)}d", *(x if x >= LEAST else 0.0 for x in numbers))


@dataclass(frozen=True)
class Arity:
    """How many operands the rules of a cell's proof have, and which neurons they may name."""

    conjunctions: int
    weights: int
    """The constraints of all conjunctions, and the region's once more for each conjunction."""
    neurons: Mapping[int, int] = field(default_factory=dict)
    """The elementwise nodes that are piecewise linear with one knot, and their sizes."""

    @staticmethod
    def of(cell: Cell, graph: Graph) -> Arity:
        count = len(cell.catastrophe)
        own = sum(len(conjunction) for conjunction in cell.catastrophe)
        return Arity(count, own + count * len(cell.constraints), neurons(graph))

    def slopes(self, rule: Rule) -> int:
        """How many bytes of slopes follow the byte of ``rule``."""
        if rule is Rule.SLOPES:
            return self.conjunctions * self.entries
        return self.entries if rule is Rule.RELAX else 0

    @property
    def entries(self) -> int:
        """The entries of those nodes."""
        return sum(self.neurons.values())

    @cached_property
    def numbers(self) -> dict[int, int]:
        """How many varints follow the byte of each rule."""
        own = {Rule.SAFE: self.conjunctions, Rule.PHASE: 2}
        none = (Rule.OPEN, Rule.SLOPES, Rule.RELAX, *SUMS)
        return {rule: 0 if rule in none else own.get(rule, 1) for rule in Rule}


def steps(data: bytes, arity: Arity) -> Iterator[Step]:
    """The rules of a stream, in preorder. Raises CertificateError where it is not well-formed."""
    cursor = 0
    missing = [0]  # how many phases lie above each proof that is still to come, the next one last
    while missing:
        phases = missing.pop()
        if cursor >= len(data):
            raise CertificateError("a proof ends before all parts of its splits are proved")
        byte = data[cursor]
        if byte not in _RULES:
            raise CertificateError(f"unknown rule {byte}")
        rule = _RULES[byte]
        step, cursor = _operands(rule, data, cursor + 1, arity, phases)
        if parts := _PARTS[byte]:
            missing += [phases + (rule is Rule.PHASE)] * parts
        yield step
    if cursor != len(data):
        raise CertificateError("bytes follow the end of a proof")


def _operands(rule: Rule, data: bytes, cursor: int, arity: Arity, phases: int) -> tuple[Step, int]:
    """The rule with its operands, and the place after them."""
    if rule in SUMS:
        each = 1 if rule is Rule.MIX else 8
        end = cursor + each * (arity.weights + arity.conjunctions * phases)
        step = Step(rule, tuple(_list(data, cursor, end, "weights")))
        if rule is Rule.FARKAS:
            _require_weights(farkas_numbers(step.choices))
        return step, end
    if rule in (Rule.SLOPES, Rule.RELAX):
        end = cursor + arity.slopes(rule)
        return Step(rule, slopes=_list(data, cursor, end, "slopes")), end
    choices = []
    for _ in range(arity.numbers[rule]):
        value, cursor = read_varint(data, cursor)
        choices.append(value)
    if rule is not Rule.SPLIT:
        return Step(rule, tuple(choices)), cursor
    if cursor + 8 > len(data):
        raise CertificateError("a proof ends inside a split")
    (point,) = struct.unpack_from("<d", data, cursor)
    return Step(rule, tuple(choices), point), cursor + 8


def _require_weights(numbers: NDArray[np.float64]) -> None:
    zero = (numbers == 0) & ~np.signbit(numbers)
    if not (zero | ((numbers >= LEAST) & (numbers <= MOST))).all():
        raise CertificateError("a weight is neither zero nor from 2^-64 to 2^64")


def _list(data: bytes, begin: int, end: int, what: str) -> bytes:
    if end > len(data):
        raise CertificateError(f"a proof ends inside a list of {what}")
    return data[begin:end]


def read_varint(data: bytes, cursor: int) -> tuple[int, int]:
    """A LEB128 number and the place after it. Raises CertificateError."""
    if cursor < len(data) and data[cursor] < 0x80:
        return data[cursor], cursor + 1
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
