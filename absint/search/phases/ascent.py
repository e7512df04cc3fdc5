"""Better multipliers, weights and slopes by ascent on the bound that they give.

Adam (Kingma and Ba 2015) on the derivatives that ``absint.domains.dual`` reads off the bound's own
point; weights by exponentiated gradients, as in ``absint.search.mix``. Every value is that of
numbers rounded as a certificate holds them; the best is kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from absint.domains.dual import Dual, Lines
from absint.domains.hinges import Frame
from absint.domains.product import Query
from absint.search.phases.pairs import MULTIPLIERS, Pairs, nearest_bytes
from absint.search.query import CellQuery

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

SLOPE_LEVELS = WEIGHT_LEVELS = 255
SLOPE_RATE, SLOPE_DECAY = 0.15, 0.97
RATE, DECAY = 0.8, 0.2
WEIGHT_RATE = 2.0


@dataclass
class Adam:
    """Steps of about one unit each, by the history of a gradient."""

    first: FloatArray
    second: FloatArray
    count: int = 0

    @staticmethod
    def like(array: FloatArray) -> Adam:
        return Adam(np.zeros(array.shape), np.zeros(array.shape))

    def step(self, gradient: FloatArray) -> FloatArray:
        self.count += 1
        self.first = 0.9 * self.first + 0.1 * gradient
        self.second = 0.99 * self.second + 0.01 * gradient**2
        mean = self.first / (1 - 0.9**self.count)
        size = np.sqrt(self.second / (1 - 0.99**self.count))
        moved: FloatArray = mean / (size + np.finfo(np.float64).tiny)
        return moved


@dataclass
class Climbed:
    """The best values found, (batch,), the bytes that give them, and the bound there."""

    value: FloatArray
    weights: IntArray
    multipliers: IntArray
    operands: FloatArray
    coefficients: FloatArray
    x: FloatArray

    @staticmethod
    def of(dual: Dual, pairs: Pairs) -> Climbed:
        return Climbed(
            dual.value, pairs.weights, pairs.multipliers, dual.operands, dual.coefficients, dual.x
        )

    @staticmethod
    def join(parts: Sequence[Climbed]) -> Climbed:
        names = Climbed.__dataclass_fields__
        return Climbed(*(np.concatenate([getattr(p, name) for p in parts]) for name in names))

    def take(self, which: IntArray | list[int]) -> Climbed:
        return Climbed(*(getattr(self, name)[which] for name in self.__dataclass_fields__))

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
        weights: IntArray = np.rint(self.share / top * WEIGHT_LEVELS).astype(np.int64)
        return weights


def climb(
    frame: Frame, query: CellQuery, pairs: Pairs, slope: FloatArray, steps: int, enough: float
) -> Climbed:
    """Better multipliers and weights for the pairs, until all values are ``enough``.

    ``slope`` (conjunctions, entries) of the free lines.
    """
    lines = Lines.of(frame, slope[pairs.conjunction], pairs.dense_sides(frame.size))
    dual, rows = pairs.bound(lines, query.query), np.arange(len(pairs))[:, None]
    best, shares = Climbed.of(dual, pairs), Shares.of(pairs, query)
    beta = MULTIPLIERS[pairs.multipliers] / pairs.total()[:, None]
    scale, adam, weights = _scale(frame, pairs, dual), Adam.like(beta), pairs.weights
    for step in range(steps):
        if (best.value > enough).all():
            break
        miss = dual.operands[rows, pairs.entries] - frame.knot[pairs.entries]
        beta = beta + RATE / (1 + DECAY * step) * scale * adam.step(-pairs.sides * miss)
        beta = np.where(pairs.sides != 0, np.maximum(beta, 0.0), 0.0)
        if shares.free:
            weights = shares.step(query.query, dual)
        total = np.maximum(1, weights.sum(axis=1, keepdims=True))
        bytes_ = nearest_bytes(beta * total)
        pairs = Pairs(pairs.conjunction, weights, pairs.entries, pairs.sides, bytes_)
        dual = pairs.bound(lines, query.query)
        best.improve(dual, pairs)
    return best


def _scale(frame: Frame, pairs: Pairs, dual: Dual) -> FloatArray:
    """The natural size of each multiplier: what its neuron's coefficient could be changed by."""
    rows, size = np.arange(len(pairs))[:, None], np.abs(dual.coefficients)
    mean = size.sum(axis=1, keepdims=True) / np.maximum(1, (size > 0).sum(axis=1, keepdims=True))
    steep = np.abs(frame.right - frame.left)[pairs.entries]
    scale: FloatArray = steep * np.maximum(size[rows, pairs.entries], 0.3 * mean)
    return scale


@dataclass(frozen=True)
class Slopes:
    """Slopes for each conjunction, and the bound of its row that they give without any phase.

    ``chosen`` (conjunctions, entries): bytes from 0, the left piece's slope, to 255, the right's;
    ``slope``: what they stand for.
    """

    chosen: IntArray
    slope: FloatArray
    best: Climbed
    default: bool = False
    """Whether they are the ones that are used without any being named."""

    def to_bytes(self) -> bytes:
        return self.chosen.astype(np.uint8).tobytes()


def slopes(frame: Frame, chosen: IntArray) -> FloatArray:
    """The slopes that bytes stand for."""
    found: FloatArray = frame.left + (frame.right - frame.left) * chosen / SLOPE_LEVELS
    return found


def choose_slopes(frame: Frame, query: CellQuery, steps: int, enough: float) -> Slopes:
    """Good slopes for each conjunction on the whole box, by ascent from the default ones."""
    pairs = first_pairs(query)
    side = np.zeros((len(pairs), frame.size), dtype=np.int8)
    steep = frame.right - frame.left
    share = np.tile(np.clip((frame.slope - frame.left) / steep, 0, 1), (len(pairs), 1))
    shares, adam = Shares.of(pairs, query), Adam.like(share)
    best: Climbed | None = None
    kept = np.zeros(share.shape, dtype=np.int64)
    for step in range(steps):
        chosen = np.rint(share * SLOPE_LEVELS).astype(np.int64)
        dual = pairs.bound(Lines.of(frame, slopes(frame, chosen), side), query.query)
        better = np.full(len(pairs), True) if best is None else dual.value > best.value
        kept = np.where(better[:, None], chosen, kept)
        if best is None:
            best = Climbed.of(dual, pairs)
        best.improve(dual, pairs)
        if (best.value > enough).all():
            break
        free = np.where(frame.convex, dual.coefficients > 0, dual.coefficients < 0)
        gradient = dual.coefficients * (dual.operands - frame.knot) * steep
        move = adam.step(np.where(free & frame.unstable, gradient, 0.0))
        share = np.clip(share + SLOPE_RATE * SLOPE_DECAY**step * move, 0.0, 1.0)
        if shares.free:
            weights = shares.step(query.query, dual)
            pairs = Pairs(pairs.conjunction, weights, pairs.entries, pairs.sides, pairs.multipliers)
    assert best is not None
    return Slopes(kept, slopes(frame, kept), best, default=step == 0)


def given_slopes(frame: Frame, query: CellQuery, given: bytes) -> Slopes:
    """The slopes of a proof."""
    chosen = np.frombuffer(given, dtype=np.uint8).astype(np.int64)
    chosen = chosen.reshape((len(query.members), frame.size))
    pairs, slope = first_pairs(query), slopes(frame, chosen)
    side = np.zeros(chosen.shape, dtype=np.int8)
    dual = pairs.bound(Lines.of(frame, slope, side), query.query)
    return Slopes(chosen, slope, Climbed.of(dual, pairs))


def first_pairs(query: CellQuery) -> Pairs:
    """The box itself with each conjunction, its rows weighted alike."""
    count = len(query.members)
    weights = np.zeros((count, len(query.query.bound)), dtype=np.int64)
    for conjunction, members in enumerate(query.members):
        weights[conjunction, members] = WEIGHT_LEVELS
    none = np.zeros((count, 0), dtype=np.int64)
    return Pairs(np.arange(count), weights, none, none.astype(np.int8), none)
