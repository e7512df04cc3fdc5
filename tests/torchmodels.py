"""The comparison of a lowering with PyTorch's eager mode."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from absint.frontends.torch import TorchModel, load_module
from absint.frontends.torch.runtime import TorchRuntime
from absint.ir import evaluate

ERROR = 1e-12
"""Of 1 or of the value: far above float64's roundings here, far below float32's."""


class Function(nn.Module):
    """A function of tensors as a module."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, *inputs: torch.Tensor) -> Any:
        return self.function(*inputs)


def assert_equal(
    module: nn.Module, examples: tuple[torch.Tensor, ...], x: NDArray[np.float64]
) -> TorchModel:
    """The lowering of ``module`` equals what eager mode gives on the rows of ``x``."""
    model = load_module(module, examples)
    truth, found = TorchRuntime(model).run(x), evaluate(model.graph, x)
    assert truth.shape == found.shape
    np.testing.assert_allclose(found, truth, rtol=ERROR, atol=ERROR)
    return model


def samples(size: int, count: int = 20, seed: int = 0) -> NDArray[np.float64]:
    """Rows of numbers about zero, the first of them zero itself, and one of large ones."""
    x = np.random.default_rng(seed).normal(size=(count, size))
    x[0] = 0.0
    x[1] *= 8
    return x
