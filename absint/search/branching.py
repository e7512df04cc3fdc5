"""Which input dimension of a box to split."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


def choose_dimensions(
    coefficients: FloatArray, lower: FloatArray, upper: FloatArray, root_width: FloatArray
) -> IntArray:
    """The dimension to halve in each box, (batch,); -1 where no dimension can be split.

    Geometric mean of two scores: what a dimension adds to the linear bound (|coefficient| width)
    and its width relative to the root's. The first alone starves dimensions whose influence only
    shows once others are narrow; the second alone wastes splits on dimensions that do not matter.

    ``coefficients`` (batch, input_size) are those of the bound that is to be improved.
    """
    width = upper - lower
    middle = 0.5 * lower + 0.5 * upper
    splittable = (lower < middle) & (middle < upper)
    relative = width / np.where(root_width > 0, root_width, 1.0)
    influence = np.abs(coefficients) * width
    floor = 1e-6 * influence.max(axis=1, keepdims=True) + np.finfo(np.float64).tiny
    score = np.where(splittable, (influence + floor) * relative, -1.0)
    chosen: IntArray = np.where(splittable.any(axis=1), score.argmax(axis=1), -1)
    return chosen
