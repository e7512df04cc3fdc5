"""Boxes of the operands of an op that mixes values, and exact points of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any

import exact
import numpy as np
from numpy.typing import NDArray
from strategies import intervals

from absint.ir import Node

Interval = tuple[NDArray[np.float64], NDArray[np.float64]]


def boxes(draw: Any, node: Node, far: bool = True) -> list[Interval]:
    """An interval of each operand, a batch of one."""
    found = []
    for shape in node.in_shapes:
        ends = [draw(intervals(far)) for _ in range(int(np.prod(shape)))]
        sides = (np.array([end[side] for end in ends]) for side in (0, 1))
        low, high = (side.reshape((1, *shape)) for side in sides)
        found.append((low, high))
    return found


def samples(xs: Sequence[Interval], seed: int) -> Iterator[list[exact.Numbers]]:
    """Exact points: corners all low and all high, random corners, and points inside."""
    rng = np.random.default_rng(seed)
    for kind in range(8):
        point = []
        for low, high in xs:
            a, b = exact.exactly(low[0]), exact.exactly(high[0])
            share = np.empty(a.shape, dtype=object)
            for i in np.ndindex(a.shape):
                pick = [0, 97] if kind < 6 else [0, 1, 13, 50, 96, 97]
                share[i] = Fraction(int(rng.choice(pick)), 97) if kind > 1 else Fraction(kind)
            point.append(np.asarray(a + share * (b - a), dtype=object))
        yield point
