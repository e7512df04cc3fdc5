"""How much work a search still has, from what its splits have gained so far."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

LEAST_SHARE = 0.25
MOST_DOUBLINGS = 200.0


def outlook(score: FloatArray, depth: FloatArray, root: float) -> float:
    """The number of splits that will be needed, as a power of two.

    ``score`` and ``depth`` are those of the open sets, and ``root`` is the score before any split:
    if each further level gains as much as the levels so far have on average, a set whose bound
    misses by m takes 2^(m / gain) splits. Infinite where splits gained nothing, NaN where there was
    none.
    """
    known = np.isfinite(score) & (depth > 0)
    if not known.any() or not math.isfinite(root):
        return math.nan
    gain = float(np.mean((score[known] - root) / depth[known]))
    if gain <= 0:
        return math.inf
    levels = np.minimum(np.maximum(0.0, -score[known]) / gain, MOST_DOUBLINGS)
    return float(np.logaddexp2.reduce(levels))


def share(own: float, other: float) -> float:
    """The part of the work that a search gets whose outlook is ``own``, in doublings of work.

    The worse of two gets ``LEAST_SHARE`` at the most, and less the more it is behind. Both get the
    same while nothing is known of one.
    """
    if math.isnan(own) or math.isnan(other) or own == other:
        return 0.5
    worse = LEAST_SHARE / (1 + min(abs(own - other), MOST_DOUBLINGS) / 4)
    return worse if own > other else 1 - worse
