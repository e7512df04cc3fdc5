"""Which neuron of a set to split next."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from absint.domains.hinges import Frame

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


def split_scores(
    frame: Frame, slope: FloatArray, coefficients: FloatArray, operands: FloatArray
) -> FloatArray:
    """(batch, entries): what the relaxation of each neuron costs the bound; -1 where it is stable.

    What the bound's own line misses the function by at the bound's own point, times the
    coefficient: the bound rises by no more than that where the line is replaced by the function.
    To it comes a share of the largest gap of the chord (Bunel et al. 2020, "BaBSR"), because the
    point moves.
    """
    free = np.where(frame.convex, coefficients > 0, coefficients < 0)
    step = np.clip(operands, frame.lower, frame.upper) - frame.knot
    at_knot = frame.chord * frame.knot + frame.chord_offset - _corner(frame)
    line = np.where(free, slope * step, frame.chord * step + at_knot)
    bend = np.where(step > 0, frame.right, frame.left) * step
    here = np.abs(coefficients * (line - bend))
    widest = np.where(free, 0.0, np.abs(coefficients * at_knot))
    return np.where(frame.unstable, here + CHORD_SHARE * widest, -1.0)


CHORD_SHARE = 0.5


def _corner(frame: Frame) -> FloatArray:
    """The functions' values at their knots."""
    values = [np.full(hinge.size, hinge.value) for hinge in frame.hinges]
    return np.concatenate(values)


@dataclass(frozen=True)
class Start:
    """Multipliers for the two parts of a split that leave a pass's coefficients as they were, as
    far as multipliers can: (batch,) for the part below the knot and for the one above."""

    below: FloatArray
    above: FloatArray


def first_multipliers(
    frame: Frame, slope: FloatArray, coefficients: FloatArray, entries: IntArray
) -> Start:
    """``coefficients`` (batch,) of the neurons ``entries`` (batch,), whose free lines have
    ``slope``."""
    free = np.where(frame.convex[entries], coefficients > 0, coefficients < 0)
    line = np.where(free, slope, frame.chord[entries])
    return Start(
        np.maximum(0.0, coefficients * (line - frame.left[entries])),
        np.maximum(0.0, coefficients * (frame.right[entries] - line)),
    )
