"""Steps of gradient ascent that are scaled by the gradient's history (Kingma and Ba 2015)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


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
