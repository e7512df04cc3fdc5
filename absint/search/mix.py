"""Weighted sums of constraints: what refutes a conjunction that no single constraint refutes.

If all constraints of a conjunction held, every sum of them with non-negative weights would: a sum
whose lower bound is positive refutes it. The best weights maximise a concave function (the dual of
asking for a point of the box where all the linear bounds are at most zero).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

STEPS = 24
WEIGHT_LEVELS = 255


@dataclass(frozen=True)
class Forms:
    """Linear lower bounds ``coefficients . (x - middle) + centre`` on boxes of radius ``radius``.

    ``coefficients`` (batch, rows, input_size), ``centre`` (batch, rows), ``radius``
    (batch, input_size).
    """

    coefficients: FloatArray
    centre: FloatArray
    radius: FloatArray

    def minimum(self) -> FloatArray:
        """The least value of each row, (batch, rows)."""
        value: FloatArray = (
            self.centre - (np.abs(self.coefficients) @ self.radius[..., None])[..., 0]
        )
        return value

    def take(self, boxes: IntArray) -> Forms:
        return Forms(self.coefficients[boxes], self.centre[boxes], self.radius[boxes])

    def rows(self, rows: IntArray) -> Forms:
        return Forms(self.coefficients[:, rows], self.centre[:, rows], self.radius)


@dataclass(frozen=True)
class Mix:
    """Integer weights (batch, rows), 0 to 255; the margin of the normalised sum (batch,)."""

    weights: IntArray
    margin: FloatArray


def best_mix(forms: Forms) -> Mix:
    """Good weights for each box, by exponentiated gradient ascent on the simplex."""
    rows = forms.centre.shape[1]
    share = np.full(forms.centre.shape, 1.0 / rows)
    best = _quantise(_best_single(forms))
    best_margin = _margin(forms, best)
    for step in range(STEPS if rows > 1 else 0):
        combined = (share[:, None] @ forms.coefficients)[:, 0]
        corner = -np.sign(combined) * forms.radius
        values = forms.centre + (forms.coefficients @ corner[..., None])[..., 0]
        spread = np.abs(values).max(axis=1, keepdims=True) + np.finfo(np.float64).tiny
        share = share * np.exp(3.0 / (1 + 0.3 * step) * values / spread)
        share = share / share.sum(axis=1, keepdims=True)
        weights = _quantise(share)
        margin = _margin(forms, weights)
        better = margin > best_margin
        best = np.where(better[:, None], weights, best)
        best_margin = np.where(better, margin, best_margin)
    return Mix(best, best_margin)


def _best_single(forms: Forms) -> FloatArray:
    hot = np.zeros(forms.centre.shape)
    hot[np.arange(len(hot)), forms.minimum().argmax(axis=1)] = 1.0
    return hot


def _quantise(share: FloatArray) -> IntArray:
    """Weights of one byte each, the largest of them 255."""
    top = share.max(axis=1, keepdims=True)
    weights: IntArray = np.rint(np.nan_to_num(share / top) * WEIGHT_LEVELS).astype(np.int64)
    return weights


def _margin(forms: Forms, weights: IntArray) -> FloatArray:
    share = weights / np.maximum(1, weights.sum(axis=1, keepdims=True))
    combined = (share[:, None] @ forms.coefficients)[:, 0]
    value: FloatArray = (share * forms.centre).sum(axis=1) - (np.abs(combined) * forms.radius).sum(
        axis=1
    )
    return value
