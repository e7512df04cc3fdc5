"""Arrays of rationals: numpy arrays of flint's fmpq."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import flint
import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
"""Of fmpq."""
Number = Any
"""An fmpq."""
ZERO: Number = flint.fmpq(0)


def exact(x: float | Fraction) -> Number:
    """A finite float's value, or a fraction's."""
    return flint.fmpq(*x.as_integer_ratio())


exact_all = np.vectorize(exact, otypes=[object])
floats = np.vectorize(float, otypes=[np.float64])


def zeros(*shape: int) -> Array:
    return np.full(shape, ZERO, dtype=object)


def chosen(where: NDArray[np.bool_], x: Array | Number, y: Array | Number) -> Array:
    """``x`` where it is set, and ``y`` elsewhere."""
    found: Array = np.where(where, x, y)
    return found


def positive(x: Array) -> Array:
    return chosen(x > 0, x, ZERO)


def negative(x: Array) -> Array:
    return chosen(x < 0, x, ZERO)


def dot(c: Array, x: Array) -> Array:
    """(rows,): inner products of (rows, *shape) with (*shape)."""
    found: Array = c.reshape((len(c), -1)) @ x.reshape(-1)
    return found
