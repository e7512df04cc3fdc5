"""The walk through a proof stream: its leaves, each with the set that the splits above give it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from absint.proofs.format import CertificateError
from absint.proofs.stream import Arity, Rule, Step, steps

MAX_DEPTH = 10_000


def middle(lower: float, upper: float) -> float:
    """Where HALVE cuts."""
    return 0.5 * lower + 0.5 * upper


class Phase(NamedTuple):
    """On which side of its knot an entry of the operand of an elementwise node lies."""

    node: int
    entry: int
    above: bool
    """At least the knot; else at most."""


class Block(NamedTuple):
    """A box that splits of dimensions give, with a number of its own.

    ``slopes`` are those of the nearest RELAX above.
    """

    number: int
    lower: tuple[float, ...]
    upper: tuple[float, ...]
    slopes: bytes | None = None


class Leaf(NamedTuple):
    """A leaf of the proof with its set: the points of a box that have some phases."""

    ordinal: int
    rule: Rule
    choices: tuple[int, ...]
    block: Block
    """Leaves of one block that have phases follow one another."""
    phases: tuple[Phase, ...] = ()
    """Those on the path, oldest first; no neuron has two."""
    outer: Block | None = None
    """Where there are phases: the block that the oldest divides."""
    slopes: bytes | None = None
    """Those of the nearest SLOPES above."""

    @property
    def lower(self) -> tuple[float, ...]:
        return self.block.lower

    @property
    def upper(self) -> tuple[float, ...]:
        return self.block.upper


def leaves(
    data: bytes, lower: Sequence[float], upper: Sequence[float], arity: Arity
) -> Iterator[Leaf]:
    """The leaves of a proof of the box [lower, upper], in preorder; memory grows with depth only.

    Checks that the parts of every split cover the set that is split: a cut lies strictly inside
    its dimension, and both closed halves are proved; a neuron exists, and both its phases are
    proved. Raises CertificateError.
    """
    walk, path, ordinal = _Set(list(lower), list(upper)), list[_Turn](), 0
    for step in steps(data, arity):
        if step.rule.parts:
            if len(path) >= MAX_DEPTH:
                raise CertificateError(f"splits are nested more than {MAX_DEPTH} deep")
            path.append(walk.enter(step, arity))
            continue
        yield walk.leaf(ordinal, step)
        ordinal += 1
        while path and not path[-1].turn(walk):
            path.pop()


class _Turn(Protocol):
    """A split on the path, in its first part or its last."""

    def turn(self, walk: _Set) -> bool:
        """Goes to the next part; False, with the set as it was before the split, after the last."""


class _Set:
    """Where the walk is: a box, the phases of neurons, and the slopes that apply."""

    def __init__(self, low: list[float], high: list[float]) -> None:
        self.low, self.high = low, high
        self.phases: list[Phase] = []
        self.divided: set[tuple[int, int]] = set()
        self.slopes: list[bytes] = []
        self._relaxed: list[bytes] = []
        self.outer: Block | None = None
        self._number, self._block = 0, Block(0, tuple(low), tuple(high))

    @property
    def block(self) -> Block:
        if self._block.number != self._number:
            slopes = self._relaxed[-1] if self._relaxed else None
            self._block = Block(self._number, tuple(self.low), tuple(self.high), slopes)
        return self._block

    def leaf(self, ordinal: int, step: Step) -> Leaf:
        outer = self.outer if self.phases else None
        slopes = self.slopes[-1] if self.slopes else None
        phases = tuple(self.phases)
        return Leaf(ordinal, step.rule, step.choices, self.block, phases, outer, slopes)

    def enter(self, step: Step, arity: Arity) -> _Turn:
        """Goes to the first part of a split."""
        if step.rule is Rule.SLOPES:
            self.slopes.append(step.slopes)
            return _Slopes()
        if step.rule is Rule.RELAX:
            self.relax(step.slopes)
            return _Relaxed()
        if step.rule is Rule.PHASE:
            return self._divide(step.choices[0], step.choices[1], arity)
        dimension = step.choices[0]
        cut = _cut(step, dimension, self.low, self.high)
        halves = _Halves(dimension, self.low[dimension], cut, self.high[dimension])
        self.confine(dimension, self.low[dimension], cut)
        return halves

    def confine(self, dimension: int, low: float, high: float) -> None:
        self.low[dimension], self.high[dimension] = low, high
        self._number += 1

    def relax(self, slopes: bytes | None) -> None:
        """Other slopes for the box from here on; None: those before the last ones."""
        if slopes is None:
            self._relaxed.pop()
        else:
            self._relaxed.append(slopes)
        self._number += 1

    def _divide(self, node: int, entry: int, arity: Arity) -> _Turn:
        if entry >= arity.neurons.get(node, 0):
            raise CertificateError(f"a phase of neuron {entry} of node {node}, which has none")
        if (node, entry) in self.divided:
            raise CertificateError(f"neuron {entry} of node {node} is divided twice on one path")
        if not self.phases:
            self.outer = self.block
        self.divided.add((node, entry))
        self.phases.append(Phase(node, entry, False))
        return _Sides()


@dataclass
class _Halves:
    dimension: int
    before: float
    cut: float
    after: float
    last: bool = False

    def turn(self, walk: _Set) -> bool:
        low = self.before if self.last else self.cut
        walk.confine(self.dimension, low, self.after)
        self.last = not self.last
        return self.last


class _Sides:
    def turn(self, walk: _Set) -> bool:
        node, entry, above = walk.phases.pop()
        if above:
            walk.divided.remove((node, entry))
        else:
            walk.phases.append(Phase(node, entry, True))
        return not above


class _Slopes:
    def turn(self, walk: _Set) -> bool:
        walk.slopes.pop()
        return False


class _Relaxed:
    def turn(self, walk: _Set) -> bool:
        walk.relax(None)
        return False


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
