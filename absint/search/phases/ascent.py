"""Better multipliers, weights and slopes by ascent on the bound that they give.

Adam on the derivatives that ``absint.domains.dual`` reads off the bound's own
point; weights by exponentiated gradients, as in ``absint.search.mix``. Every value is that of
numbers rounded as a certificate holds them; the best is kept.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from absint.domains.dual import Dual, Lines
from absint.domains.hinges import Frame
from absint.domains.product import Query
from absint.search.adam import Adam
from absint.search.phases.pairs import MULTIPLIERS, Pairs, nearest_bytes
from absint.search.query import CellQuery

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Bytes = NDArray[np.uint8]

LEVELS = 255
RATE, DECAY = 0.8, 0.2
SLOPE_RATE, SLOPE_DECAY = 0.15, 0.1
"""Step k is of size RATE / (1 + DECAY k)."""
WEIGHT_RATE = 2.0


@dataclass
class Climbed:
    """The best values found, (batch,), the bytes that give them, and the bound there.

    ``slopes`` (batch, entries) of the free lines: 0 is the left piece's slope, 255 the right's.
    """

    value: FloatArray
    weights: IntArray
    multipliers: IntArray
    slopes: Bytes
    operands: FloatArray
    coefficients: FloatArray
    x: FloatArray

    @staticmethod
    def of(dual: Dual, pairs: Pairs) -> Climbed:
        return Climbed(
            dual.value,
            pairs.weights,
            pairs.multipliers,
            pairs.slopes,
            dual.operands,
            dual.coefficients,
            dual.x,
        )

    def improve(self, dual: Dual, pairs: Pairs) -> None:
        """Takes over what is better."""
        new, better = Climbed.of(dual, pairs), dual.value > self.value
        for name in self.__dataclass_fields__:
            old, now = getattr(self, name), getattr(new, name)
            chosen = better.reshape((-1, *(1,) * (old.ndim - 1)))
            setattr(self, name, np.where(chosen, now, old))


@dataclass
class Shares:
    """The weights of each pair's rows as shares of one, of those that its conjunction may use."""

    share: FloatArray
    allowed: NDArray[np.bool_]
    count: int = 0

    @staticmethod
    def of(pairs: Pairs, query: CellQuery) -> Shares:
        allowed = np.zeros(pairs.weights.shape, dtype=bool)
        for conjunction, members in enumerate(query.members):
            allowed[np.ix_(pairs.conjunction == conjunction, members)] = True
        start = np.where(allowed, np.maximum(pairs.weights, 1), 0)
        return Shares(start / start.sum(axis=1, keepdims=True), allowed)

    @property
    def free(self) -> bool:
        """Whether some conjunction has several rows."""
        return bool((self.allowed.sum(axis=1) > 1).any())

    def step(self, query: Query, dual: Dual) -> IntArray:
        """New weights, from the rows' values at the bound's point."""
        values = dual.x @ query.inputs.T + dual.y @ query.outputs.T - query.bound
        spread = np.abs(np.where(self.allowed, values, 0.0)).max(axis=1, keepdims=True)
        self.count += 1
        rate = WEIGHT_RATE / (1 + 0.3 * self.count)
        grown = self.share * np.exp(rate * values / (spread + np.finfo(np.float64).tiny))
        self.share = np.where(self.allowed, grown, 0.0)
        self.share = self.share / self.share.sum(axis=1, keepdims=True)
        top = self.share.max(axis=1, keepdims=True)
        weights: IntArray = np.rint(self.share / top * LEVELS).astype(np.int64)
        return weights


def climb(
    frame: Frame, query: CellQuery, pairs: Pairs, steps: int, enough: float, steer: bool = False
) -> Climbed:
    """Better multipliers and weights for the pairs, until all values are ``enough``.

    With ``steer`` better slopes too.
    """
    side = pairs.dense_sides(frame.size)
    lines = Lines.of(frame, slopes(frame, pairs.slopes), side)
    dual, rows = pairs.bound(lines, query.query), np.arange(len(pairs))[:, None]
    best, shares = Climbed.of(dual, pairs), Shares.of(pairs, query)
    beta, share = MULTIPLIERS[pairs.multipliers] / pairs.total()[:, None], pairs.slopes / LEVELS
    scale, adam, adam_slopes = _scale(frame, pairs, dual), Adam.like(beta), Adam.like(share)
    for step in range(steps):
        if (best.value > enough).all():
            break
        miss = dual.operands[rows, pairs.entries] - frame.knot[pairs.entries]
        beta = beta + RATE / (1 + DECAY * step) * scale * adam.step(-pairs.sides * miss)
        beta = np.where(pairs.sides != 0, np.maximum(beta, 0.0), 0.0)
        if steer:
            move = adam_slopes.step(_by_slope(frame, dual, side))
            share = np.clip(share + SLOPE_RATE / (1 + SLOPE_DECAY * step) * move, 0.0, 1.0)
            pairs = replace(pairs, slopes=np.rint(share * LEVELS).astype(np.uint8))
            lines = Lines.of(frame, slopes(frame, pairs.slopes), side)
        if shares.free:
            pairs = replace(pairs, weights=shares.step(query.query, dual))
        pairs = replace(pairs, multipliers=nearest_bytes(beta * pairs.total()[:, None]))
        dual = pairs.bound(lines, query.query)
        best.improve(dual, pairs)
    return best


def slopes(frame: Frame, chosen: Bytes) -> FloatArray:
    """The slopes that bytes stand for."""
    found: FloatArray = frame.left + (frame.right - frame.left) * chosen / LEVELS
    return found


def default_slopes(frame: Frame) -> Bytes:
    """The bytes of the slopes that are used where none are named, (entries,)."""
    share = (frame.slope - frame.left) / (frame.right - frame.left)
    chosen: Bytes = np.rint(np.clip(share, 0, 1) * LEVELS).astype(np.uint8)
    return chosen


def _by_slope(frame: Frame, dual: Dual, side: NDArray[np.int8]) -> FloatArray:
    """The bound's derivatives by the free lines' slopes, as shares between the pieces' slopes."""
    free = np.where(frame.convex, dual.coefficients > 0, dual.coefficients < 0)
    turn = dual.coefficients * (dual.operands - frame.knot) * (frame.right - frame.left)
    return np.where(free & frame.unstable & (side == 0), turn, 0.0)


def _scale(frame: Frame, pairs: Pairs, dual: Dual) -> FloatArray:
    """The natural size of each multiplier: what its neuron's coefficient could be changed by."""
    rows, size = np.arange(len(pairs))[:, None], np.abs(dual.coefficients)
    mean = size.sum(axis=1, keepdims=True) / np.maximum(1, (size > 0).sum(axis=1, keepdims=True))
    steep = np.abs(frame.right - frame.left)[pairs.entries]
    scale: FloatArray = steep * np.maximum(size[rows, pairs.entries], 0.3 * mean)
    return scale


def first_pairs(query: CellQuery, chosen: Bytes) -> Pairs:
    """The box itself with each conjunction, its rows weighted alike.

    ``chosen`` (conjunctions, entries) or (entries,): the slopes.
    """
    count = len(query.members)
    weights = np.zeros((count, len(query.query.bound)), dtype=np.int64)
    for conjunction, members in enumerate(query.members):
        weights[conjunction, members] = LEVELS
    none = np.zeros((count, 0), dtype=np.int64)
    slopes = np.broadcast_to(chosen, (count, chosen.shape[-1]))
    return Pairs(np.arange(count), weights, slopes, none, none.astype(np.int8), none)
