"""PyTorch's tensors as exact constants, and back."""

from __future__ import annotations

from typing import Any

import numpy as np

from absint.frontends.lowering.tensors import from_array
from absint.frontends.lowering.values import FLOATS, Array, Const, NotLoweredError, require

DTYPES = (*FLOATS, "int8", "int16", "int32", "int64", "uint8", "bool")
"""The element types that tensors may have, by their common names in numpy and PyTorch."""


def dtype_name(dtype: Any) -> str:
    """The name of a ``torch.dtype``. Raises NotLoweredError."""
    name = str(dtype).removeprefix("torch.")
    if name not in DTYPES:
        raise NotLoweredError(f"element type {name}", f"{', '.join(DTYPES)} are")
    return name


def constant(tensor: Any) -> Const:
    """The tensor's exact values, which may be infinite. Raises MalformedError for NaN."""
    dtype = dtype_name(tensor.dtype)
    if str(tensor.layout) != "torch.strided":
        raise NotLoweredError(f"a tensor of layout {tensor.layout}")
    array = np.asarray(tensor.detach().cpu().numpy())
    if dtype not in FLOATS:
        return from_array(array, dtype)
    require(not np.isnan(array).any(), "the tensor holds NaN")
    infinite = np.isinf(array)
    finite = from_array(np.where(infinite, array.dtype.type(0), array), dtype)
    if not infinite.any():
        return finite
    return Const(np.where(infinite, array.astype(np.float64), finite.value), dtype)


def tensor(const: Const) -> Any:
    """An exact constant as a tensor on the CPU."""
    import torch

    exact(const)
    return torch.from_numpy(np.array(const.value, order="C")).to(getattr(torch, const.dtype))


def exact(const: Const) -> Const:
    """``const``. Raises NotLoweredError where it is the result of rounding arithmetic."""
    if const.radius is not None:
        raise NotLoweredError("a constant that is the result of rounding arithmetic")
    return const


def index_tensor(size: int) -> Any:
    """1 .. size in an element type that every data movement takes and that holds them exactly."""
    import torch

    return torch.arange(1, size + 1, dtype=torch.float64)


def index_array(tensor: Any) -> Array:
    """What became of an ``index_tensor``: positions from 0, and -1 for a filled-in zero."""
    return np.asarray(tensor.numpy()).astype(np.int64) - 1
