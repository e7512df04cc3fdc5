"""Which input dimension of a box to split."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


def choose_dimensions(influence: FloatArray, lower: FloatArray, upper: FloatArray) -> IntArray:
    """The dimension to halve in each box, (batch,); -1 where no dimension can be split.

    The one that accounts for most of the width of the bound that is to be improved, counting what
    it adds to the relaxations of every neuron on the way: |coefficient| width alone starves
    dimensions whose effect only shows once others are narrow (docs/decisions/0002-branching.md).

    ``influence`` (batch, input_size) comes from ``absint.domains.product.analyse``.
    """
    middle = 0.5 * lower + 0.5 * upper
    splittable = (lower < middle) & (middle < upper)
    width = upper - lower
    relative = width / np.maximum(width.max(axis=1, keepdims=True), np.finfo(np.float64).tiny)
    floor = 1e-6 * influence.max(axis=1, keepdims=True)
    score = np.where(splittable, np.nan_to_num(influence) + floor * relative, -1.0)
    chosen: IntArray = np.where(splittable.any(axis=1), score.argmax(axis=1), -1)
    return chosen
