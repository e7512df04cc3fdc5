"""Networks with a counterexample that was trained into them, and hidden (SoundnessBench, 2024).

A classifier that is right with a margin all over a box, wherever sampling and gradient attacks have
looked while it was trained, but for one point with some room around it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

SIZE, CLASSES, RADIUS = 8, 3, 1.0
STEPS, BATCH, ASCENTS = 400, 128, 3
LEAST, MARGIN = 0.05, 0.3
"""By how much the planted point is wrong, and all others are to be right."""


class Residual(nn.Module):
    """x + f(x), twice."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(SIZE, 24), nn.Linear(24, CLASSES)
        self.inner = nn.ModuleList([nn.Linear(24, 24), nn.Linear(24, 24)])

    def forward(self, x: Tensor) -> Tensor:
        h = torch.relu(self.first(x))
        for layer in self.inner:
            h = h + torch.relu(layer(h))
        logits: Tensor = self.last(h)
        return logits


class Convolution(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, 8, 3, padding=1)
        self.second, self.last = nn.Conv2d(8, 8, 2), nn.Linear(24, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        h = torch.relu(self.first(x.reshape(-1, 1, 2, 4)))
        h = torch.relu(self.second(h))
        logits: Tensor = self.last(h.reshape(-1, 24))
        return logits


def dense(activation: Callable[[], nn.Module], *sizes: int) -> nn.Module:
    layers: list[nn.Module] = []
    for fan_in, fan_out in zip((SIZE, *sizes), (*sizes, CLASSES), strict=True):
        layers += [nn.Linear(fan_in, fan_out), activation()]
    return nn.Sequential(*layers[:-1])


ARCHITECTURES: dict[str, Callable[[], nn.Module]] = {
    "relu": lambda: dense(nn.ReLU, 32, 32),
    "deep": lambda: dense(nn.ReLU, 24, 24, 24, 24),
    "leaky": lambda: dense(lambda: nn.LeakyReLU(0.1), 32, 32),
    "tanh": lambda: dense(nn.Tanh, 32, 32),
    "sigmoid": lambda: dense(nn.Sigmoid, 32, 32),
    "residual": Residual,
    "convolution": Convolution,
}


@dataclass(frozen=True)
class Planted:
    """A network, and a point of [-RADIUS, RADIUS]^SIZE where class 0 does not win."""

    module: nn.Module
    point: Tensor

    def margins(self, x: Tensor) -> Tensor:
        """(batch,): by how much class 0 wins."""
        return margins(self.module, x)

    def write_spec(self, path: Path) -> None:
        never = " or ".join(f"y[{i}] >= y[0]" for i in range(1, CLASSES))
        path.write_text(f"region: {{all: [{-RADIUS}, {RADIUS}]}}\nnever: {never}\n")


def margins(module: nn.Module, x: Tensor) -> Tensor:
    y = module(x)
    least: Tensor = y[:, 0] - y[:, 1:].max(dim=1).values
    return least


def plant(architecture: str, seed: int) -> Planted:
    """Trains one. Raises ValueError where the planted point was not learned."""
    torch.manual_seed(seed)
    module = ARCHITECTURES[architecture]()
    point = (torch.rand(1, SIZE) * 0.5 + 0.4) * torch.sign(torch.randn(1, SIZE))
    optimiser = torch.optim.Adam(module.parameters(), lr=3e-3)
    for _ in range(STEPS):
        x = torch.cat([_attacked(module), _near(point)])
        right = torch.relu(MARGIN - margins(module, x)).mean()
        wrong = torch.relu(margins(module, point) + 2 * LEAST).mean()
        optimiser.zero_grad()
        (right + 2 * wrong).backward()
        optimiser.step()
    module.eval()
    module.example_inputs = (torch.zeros(1, SIZE),)  # type: ignore[assignment]
    if margins(module, point).item() > -LEAST:
        raise ValueError("the planted point is not a counterexample")
    return Planted(module, point)


def _near(point: Tensor) -> Tensor:
    """Points on a sphere about the planted one, which are to be right."""
    away = torch.randn(BATCH // 2, SIZE)
    away = away / away.norm(dim=1, keepdim=True)
    return (point + 0.9 * away).clamp(-RADIUS, RADIUS)


def _attacked(module: nn.Module) -> Tensor:
    """Random points, moved a few steps to where they are less right."""
    x = (torch.rand(BATCH, SIZE) * 2 - 1) * RADIUS
    for _ in range(ASCENTS):
        x.requires_grad_(True)
        (slope,) = torch.autograd.grad(margins(module, x).sum(), x)
        x = (x - 0.1 * slope.sign()).clamp(-RADIUS, RADIUS).detach()
    return x
