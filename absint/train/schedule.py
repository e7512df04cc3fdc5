"""Warm-up: regions that grow from points to their full size while training goes on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor


@dataclass(frozen=True)
class Ramp:
    """0 until step ``start``, 1 from step ``end``, linear between."""

    start: int
    end: int

    def __call__(self, step: int) -> float:
        if step >= self.end:
            return 1.0
        return max(0.0, (step - self.start) / (self.end - self.start))


def grown_sets(
    allowed: NDArray[np.bool_], share: float, rng: np.random.Generator
) -> NDArray[np.bool_]:
    """Random subsets: each token stays with probability ``share``, one always does.

    ``allowed`` is (..., vocabulary). The same tokens stay in all cases of a batch (the first of
    three axes), so that cases go on sharing most of their sets.
    """
    lot = rng.random(allowed.shape[-2:])
    kept = allowed & (lot < share)
    first = np.where(allowed, lot, np.inf).argmin(axis=-1)
    np.put_along_axis(kept, first[..., None], True, axis=-1)
    return kept


def grown_boxes(low: Tensor, high: Tensor, share: float) -> tuple[Tensor, Tensor]:
    """Each box shrunk about its middle to ``share`` of its width."""
    middle, radius = (low + high) / 2, (high - low) / 2 * share
    return middle - radius, middle + radius
