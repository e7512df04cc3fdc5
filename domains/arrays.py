"""Where domains compute: an array namespace, a dtype and a device, with constants kept there."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = Any  # numpy.ndarray or torch.Tensor


@dataclass(frozen=True)
class Arrays:
    """An array namespace with a floating dtype on a device.

    ``load`` keeps converted constants for the life of this object: graphs are immutable, and a
    constant is converted or moved to a GPU once.
    """

    xp: Any
    dtype: Any
    device: str
    _kept: dict[int, tuple[NDArray[Any], Array]] = field(default_factory=dict, repr=False)

    @property
    def on_cpu(self) -> bool:
        return self.device == "cpu"

    def load(self, array: NDArray[Any]) -> Array:
        """A constant of a graph in this namespace, dtype and device."""
        if id(array) not in self._kept:
            self._kept[id(array)] = (array, self.asarray(array))
        return self._kept[id(array)][1]

    def asarray(self, array: NDArray[Any]) -> Array:
        if self.xp is np:
            return np.asarray(array, dtype=self.dtype)
        return self.xp.asarray(np.array(array), dtype=self.dtype, device=self.device)

    def numpy(self, array: Array) -> NDArray[np.float64]:
        if self.xp is np:
            return np.asarray(array, dtype=np.float64)
        return np.asarray(array.detach().cpu(), dtype=np.float64)


def still(x: Array) -> Array:
    """``x``, out of the reach of gradients."""
    return x.detach() if hasattr(x, "detach") else x


def numpy_arrays(dtype: str = "float64") -> Arrays:
    """Computes with numpy on the CPU; imports nothing else."""
    return Arrays(np, np.dtype(dtype), "cpu")


def torch_arrays(device: str = "cpu", dtype: str = "float64") -> Arrays:
    """Computes with PyTorch. Raises ValueError when ``device`` is not available."""
    import torch
    from array_api_compat import torch as xp

    try:
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ValueError(f"device {device!r} is not available: {error}") from error
    return Arrays(xp, getattr(torch, dtype), device)
