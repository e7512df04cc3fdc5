"""Better multipliers and slopes by ascent on the bound that they give.

Adam (Kingma and Ba 2015) on the derivatives that ``absint.domains.dual`` reads off the bound's own
point. Every value is that of numbers rounded as a certificate holds them; the best is kept.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from absint.domains.dual import Dual, Lines
from absint.domains.hinges import Frame
from absint.domains.product import Query
from absint.search.phases.pairs import MULTIPLIERS, Pairs, bound, nearest_bytes

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

SLOPE_LEVELS = 255
SLOPE_RATE = 0.15
RATE = 0.4
DECAY = 0.85


@dataclass
class Adam:
    """Steps of about one unit each, by the history of a gradient."""

    first: FloatArray
    second: FloatArray
    count: int = 0

    @staticmethod
    def like(shape: tuple[int, ...]) -> Adam:
        return Adam(np.zeros(shape), np.zeros(shape))

    def step(self, gradient: FloatArray) -> FloatArray:
        self.count += 1
        self.first = 0.9 * self.first + 0.1 * gradient
        self.second = 0.99 * self.second + 0.01 * gradient**2
        mean = self.first / (1 - 0.9**self.count)
        size = np.sqrt(self.second / (1 - 0.99**self.count))
        return np.asarray(mean / (size + np.finfo(np.float64).tiny))


@dataclass
class Climbed:
    """The best values found, (batch,), with the bytes that give them, and the bound there."""

    value: FloatArray
    multipliers: IntArray
    operands: FloatArray
    coefficients: FloatArray
    x: FloatArray

    @staticmethod
    def of(dual: Dual, multipliers: IntArray) -> Climbed:
        return Climbed(
            dual.value.copy(), multipliers.copy(), dual.operands, dual.coefficients, dual.x
        )

    def improve(self, dual: Dual, multipliers: IntArray) -> None:
        better = dual.value > self.value
        self.value = np.where(better, dual.value, self.value)
        self.multipliers = np.where(better[:, None], multipliers, self.multipliers)
        self.operands = np.where(better[:, None], dual.operands, self.operands)
        self.coefficients = np.where(better[:, None], dual.coefficients, self.coefficients)
        self.x = np.where(better[:, None], dual.x, self.x)


def climb(
    frame: Frame, query: Query, pairs: Pairs, slope: FloatArray, steps: int, enough: float
) -> Climbed:
    """Better multipliers for the pairs; those whose value is ``enough`` are left as they are.

    ``slope`` (conjunctions, entries) of the free lines.
    """
    lines = Lines.of(frame, slope[pairs.conjunction], pairs.dense_sides(frame.size))
    dual = bound(pairs, lines, query)
    best = Climbed.of(dual, pairs.multipliers)
    beta = MULTIPLIERS[pairs.multipliers] / pairs.total()[:, None]
    rows = np.arange(len(pairs))[:, None]
    scale = _scale(frame, pairs, dual)
    adam, rate = Adam.like(beta.shape), RATE
    for _ in range(steps):
        if (best.value > enough).all():
            break
        miss = dual.operands[rows, pairs.entries] - frame.knot[pairs.entries]
        beta = beta + rate * scale * adam.step(-pairs.sides * miss)
        beta = np.where(pairs.sides != 0, np.maximum(beta, 0.0), 0.0)
        rate *= DECAY
        pairs.multipliers = nearest_bytes(beta * pairs.total()[:, None])
        dual = bound(pairs, lines, query)
        best.improve(dual, pairs.multipliers)
    pairs.multipliers = best.multipliers
    return best


def _scale(frame: Frame, pairs: Pairs, dual: Dual) -> FloatArray:
    """The natural size of each multiplier: what its neuron's coefficient could be changed by."""
    rows = np.arange(len(pairs))[:, None]
    size = np.abs(dual.coefficients)
    mean = size.sum(axis=1, keepdims=True) / np.maximum(1, (size > 0).sum(axis=1, keepdims=True))
    steep = np.abs(frame.right - frame.left)[pairs.entries]
    scale: FloatArray = steep * np.maximum(size[rows, pairs.entries], 0.3 * mean)
    return scale


def choose_slopes(
    frame: Frame, query: Query, weights: IntArray, steps: int, enough: float
) -> tuple[IntArray, FloatArray]:
    """Slopes for each conjunction's row, as bytes (conjunctions, entries), and what they give.

    ``weights`` (conjunctions, rows) of the query's rows.
    """
    count = len(weights)
    none = np.zeros((count, 0), dtype=np.int64)
    pairs = Pairs(np.arange(count), weights, none, none.astype(np.int8), none)
    side = np.zeros((count, frame.size), dtype=np.int8)
    steep = frame.right - frame.left
    share = np.tile(np.clip((frame.slope - frame.left) / steep, 0, 1), (count, 1))
    best = np.rint(share * SLOPE_LEVELS).astype(np.int64)
    value, adam, rate = np.full(count, -np.inf), Adam.like(share.shape), SLOPE_RATE
    for _ in range(steps):
        chosen = np.rint(share * SLOPE_LEVELS).astype(np.int64)
        dual = bound(pairs, Lines.of(frame, slopes(frame, chosen), side), query)
        better = dual.value > value
        best = np.where(better[:, None], chosen, best)
        value = np.where(better, dual.value, value)
        if (value > enough).all():
            break
        free = np.where(frame.convex, dual.coefficients > 0, dual.coefficients < 0)
        gradient = dual.coefficients * (dual.operands - frame.knot) * steep
        move = adam.step(np.where(free & frame.unstable, gradient, 0.0))
        share = np.clip(share + rate * move, 0.0, 1.0)
        rate *= 0.97
    return best, value


def slopes(frame: Frame, chosen: IntArray) -> FloatArray:
    """The slopes that bytes stand for."""
    found: FloatArray = frame.left + (frame.right - frame.left) * chosen / SLOPE_LEVELS
    return found
