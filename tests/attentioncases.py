"""Attention over choices, by brute force in 300-bit balls: the truth for its rigorous bounds."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import exact
import flint
import numpy as np
from numpy.typing import NDArray

from absint.proofs.arithmetic import FloatArray
from absint.proofs.transformers.affine import Interval
from absint.proofs.transformers.attend import Attention, Entries

BoolArray = NDArray[np.bool_]
Point = tuple[list[float], list[float]]
"""A key and a value."""


@dataclass(frozen=True)
class Choices:
    """Several positions of one attend node, each with entries of which one is chosen.

    All intervals: ``query`` (batch, heads * width), ``keys[i]`` (entries, groups * width),
    ``values[i]`` (entries, groups * size). ``sets[i]`` (batch, entries): what a state may choose.
    """

    query: Interval
    keys: Sequence[Interval]
    values: Sequence[Interval]
    sets: Sequence[BoolArray]
    heads: int
    groups: int
    scale: float

    def bounds(self) -> Attention:
        """What is tested: positions with equally many entries are one part."""
        parts: dict[int, list[int]] = {}
        for position, keys in enumerate(self.keys):
            parts.setdefault(len(keys[0]), []).append(position)
        entries = [self._part(positions) for positions in parts.values()]
        return Attention(self.query, entries, self.heads, self.groups, self.scale)

    def _part(self, positions: Sequence[int]) -> Entries:
        sides = []
        for own in (self.keys, self.values):
            ends = []
            for end in (0, 1):
                table = np.stack([own[i][end] for i in positions], axis=1)
                split = table.reshape((*table.shape[:2], self.groups, -1))
                ends.append(np.moveaxis(split, 2, 0)[None])
            sides.append((ends[0], ends[1]))
        opened = np.stack([self.sets[i] for i in positions], axis=2)
        tokens = np.repeat(np.arange(opened.shape[1])[:, None], len(positions), axis=1)
        cells = np.array(positions), tokens
        return Entries(sides[0], sides[1], None if opened.all() else ~opened, cells)

    def least(
        self,
        state: int,
        rows: FloatArray,
        rng: random.Random,
        fixed: FloatArray | None = None,
    ) -> list[Any]:
        """For each direction, (heads * size,), its least value over choices, as a ball.

        ``fixed`` (directions, positions, entries) is added to each choice's.

        Of what is an interval, several corners are tried: then the least is no less than the truth.
        """
        query = corner(tuple(end[state] for end in self.query), rng)
        points = self._points(rng)
        heads = [self._head(h, state, query, points) for h in range(self.heads)]
        best: list[Any] = [None] * len(rows)
        for chosen, *means in zip(self._choices(state, points), *heads, strict=True):
            flat = [value for mean in means for value in mean]
            for i, row in enumerate(rows.tolist()):
                total = dot(row, flat)
                if fixed is not None:
                    own = fixed[i, range(len(chosen)), list(chosen)].tolist()
                    total = total + add(map(number, own))
                if best[i] is None or total < best[i]:
                    best[i] = total
        return best

    def _choices(self, state: int, points: list[list[list[Point]]]) -> Iterator[tuple[int, ...]]:
        """The entries of every choice, in the order of ``_head``."""
        return itertools.product(
            *(
                [e for e in np.flatnonzero(self.sets[i][state]).tolist() for _ in own[e]]
                for i, own in enumerate(points)
            )
        )

    def _points(self, rng: random.Random) -> list[list[list[Point]]]:
        """For each position and entry, keys with values."""
        points = []
        for keys, values in zip(self.keys, self.values, strict=True):
            rows = []
            for entry in range(len(keys[0])):
                own = [tuple(end[entry] for end in side) for side in (keys, values)]
                exactly = all((low == high).all() for low, high in own)
                count = 1 if exactly else 3
                rows.append([(corner(own[0], rng), corner(own[1], rng)) for _ in range(count)])
            points.append(rows)
        return points

    def _head(
        self, head: int, state: int, query: list[float], points: list[list[list[Point]]]
    ) -> Iterator[list[Any]]:
        """The mean of one head for every choice, in one order for all heads."""
        group, width = head // (self.heads // self.groups), len(query) // self.heads
        q = query[head * width : (head + 1) * width]
        scored: list[list[tuple[Any, list[Any]]]] = []
        for position, rows in enumerate(points):
            own = []
            for entry in np.flatnonzero(self.sets[position][state]).tolist():
                for key, value in rows[entry]:
                    size = len(value) // self.groups
                    k = key[group * width : (group + 1) * width]
                    v = value[group * size : (group + 1) * size]
                    own.append((number(self.scale) * dot(q, list(map(number, k))), v))
            scored.append(own)
        top = max(float(score.mid()) for own in scored for score, _ in own)
        weighted = [
            [((score - number(top)).exp(), [number(x) for x in value]) for score, value in own]
            for own in scored
        ]
        for choice in itertools.product(*weighted):
            total = add(weight for weight, _ in choice)
            yield [add(w * v[i] for w, v in choice) / total for i in range(len(choice[0][1]))]


def corner(ends: Sequence[FloatArray], rng: random.Random) -> list[float]:
    return [float(rng.choice(pair)) for pair in zip(*ends, strict=True)]


def number(value: float) -> Any:
    return exact.ball(Fraction(value))


def dot(c: Sequence[float], x: Sequence[Any]) -> Any:
    return add(number(a) * b for a, b in zip(c, x, strict=True) if a)


def add(terms: Any) -> Any:
    return sum(terms, flint.arb(0))
