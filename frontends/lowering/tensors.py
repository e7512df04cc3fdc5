"""Tensors of a model: what one declares, and what one stores as an exact constant."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from absint.frontends.lowering.values import Const, require

Extent = int | str
"""A dimension: its size, or its symbol (empty where it has none)."""


@dataclass(frozen=True)
class TensorInfo:
    """A declared input or output: symbolic extents are given by name, an open rank by None."""

    name: str
    dtype: str
    shape: tuple[Extent, ...] | None


def from_array(array: np.ndarray[Any, Any], dtype: str) -> Const:
    """An exact constant, which may hold -inf: masks do.

    Raises MalformedError for NaN, +inf and integers beyond int64.
    """
    if array.dtype.kind == "f":
        with np.errstate(invalid="ignore"):
            exact = array.astype(np.float64)
        require(bool((exact < np.inf).all()), "the tensor holds NaN or infinity")
        stored = np.ascontiguousarray(array).view(f"u{array.itemsize}")
        kept = (exact != 0) == (stored << stored.dtype.type(1) != 0)
        require(bool(kept.all()), "this process takes subnormal numbers for zero")
        return Const(exact, dtype)
    if array.dtype.kind == "b":
        return Const(array.astype(np.bool_), dtype)
    top = int(array.max(initial=0))
    require(top < 1 << 63, f"the integer {top} does not fit 64 bits with a sign")
    return Const(array.astype(np.int64), dtype)
