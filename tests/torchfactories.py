"""Factories for tests of the command line: ``torchfactories:NAME``."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn


def small() -> tuple[nn.Module, tuple[torch.Tensor, ...]]:
    """``y = relu(x0) - relu(x1) + 1`` and ``2 x0``."""
    first, last = nn.Linear(2, 3, bias=False), nn.Linear(3, 2)
    with torch.no_grad():
        first.weight.copy_(torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]]))
        last.weight.copy_(torch.tensor([[1.0, -1.0, 0.0], [2.0, 0.0, -2.0]]))
        last.bias.copy_(torch.tensor([1.0, 0.0]))
    return nn.Sequential(first, nn.ReLU(), last), (torch.zeros(1, 2),)


def without_inputs() -> nn.Module:
    return nn.Sequential(nn.ReLU(), nn.Linear(2, 2))


def number() -> int:
    return 3


def failing() -> nn.Module:
    raise RuntimeError("no\nweights")


class Branching(nn.Module):
    """Decides on its data."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x if x.sum() > 0 else -x


def branching() -> tuple[nn.Module, Any]:
    return Branching(), torch.zeros(1, 2)


class Several(nn.Module):
    """Holds three things that are not supported."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = torch.atan(x) + torch.special.i0(x)
        return torch.clamp(y, min=y.flip(1)) @ torch.sort(x)[0].T


def several() -> tuple[nn.Module, Any]:
    return Several(), torch.zeros(1, 2)


class Counting(nn.Module):
    """Changes a buffer as it runs."""

    count: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("count", torch.zeros(1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.count += 1
        return x * self.count


def counting() -> tuple[nn.Module, Any]:
    return Counting(), torch.zeros(1, 2)
