"""Which neuron of a set to split next, and what its multipliers start from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from absint.domains.hinges import Frame
from absint.search.phases.pairs import Pairs

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

CHORD_SHARE = 8.0
"""How much the chord's largest gap counts against the lines' gap at the bound's own point."""


def choose_neurons(
    frame: Frame, pairs: Pairs, slope: FloatArray, coefficients: FloatArray, operands: FloatArray
) -> IntArray:
    """The entry to split for each pair, (batch,); -1 where no unstable neuron is left."""
    scores = split_scores(frame, slope, coefficients, operands)
    row, place = np.nonzero(pairs.sides)
    scores[row, pairs.entries[row, place]] = -1.0
    best: IntArray = scores.argmax(axis=1)
    return np.where(scores.max(axis=1) >= 0, best, -1)


def split_scores(
    frame: Frame, slope: FloatArray, coefficients: FloatArray, operands: FloatArray
) -> FloatArray:
    """(batch, entries): what the relaxation of each neuron costs the bound; -1 where it is stable.

    The largest gap of the chord, times the coefficient (Bunel et al. 2020, "BaBSR"); and what the
    chosen line misses the function by at the bound's own point, because no more than that is won
    there by replacing the line.
    """
    free = np.where(frame.convex, coefficients > 0, coefficients < 0)
    step = np.clip(operands, frame.lower, frame.upper) - frame.knot
    at_knot = frame.chord * frame.knot + frame.chord_offset - frame.corner
    line = np.where(free, slope * step, frame.chord * step + at_knot)
    bend = np.where(step > 0, frame.right, frame.left) * step
    here = np.abs(coefficients * (line - bend))
    widest = np.where(free, 0.0, np.abs(coefficients * at_knot))
    return np.where(frame.unstable, here + CHORD_SHARE * widest, -1.0)


@dataclass(frozen=True)
class Start:
    """Multipliers, (batch,), for the part below the knot and for the one above."""

    below: FloatArray
    above: FloatArray


def first_multipliers(
    frame: Frame, slope: FloatArray, coefficients: FloatArray, entries: IntArray
) -> Start:
    """Those with which a split leaves a bound's coefficients as they were, as far as possible.

    ``coefficients`` (batch,) of the neurons ``entries`` (batch,), whose free lines have ``slope``.
    Where the line before was the free one, the bound of either part is then no worse.
    """
    free = np.where(frame.convex[entries], coefficients > 0, coefficients < 0)
    line = np.where(free, slope, frame.chord[entries])
    return Start(
        np.maximum(0.0, coefficients * (line - frame.left[entries])),
        np.maximum(0.0, coefficients * (frame.right[entries] - line)),
    )
