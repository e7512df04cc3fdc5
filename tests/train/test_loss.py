"""The certified losses: no member of a region is worse than they say, and training lowers them."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from tokengraphs import Decoder, array, block_graph
from torch import nn

from absint.ir import Constant, Graph, GraphBuilder
from absint.train import (
    BoxLoss,
    Cases,
    Ramp,
    TokenLoss,
    fit,
    grown_boxes,
    grown_sets,
    share_certified,
)

VOCABULARY, LENGTH = 5, 4


def lower(module: nn.Module) -> Graph:
    assert isinstance(module, Decoder)
    return block_graph(module, [LENGTH - 1])


def majority(observed: int) -> Cases:
    """Copy the token at position 0; what else was read is of no consequence."""
    allowed = np.ones((observed, LENGTH, VOCABULARY), dtype=bool)
    allowed[:, 0] = np.eye(VOCABULARY, dtype=bool)[:observed]
    allowed[:, -1] = np.eye(VOCABULARY, dtype=bool)[0]
    return Cases(f"logits_{LENGTH - 1}", allowed, np.arange(observed))


def worst(model: Decoder, cases: Cases) -> torch.Tensor:
    """The largest cross-entropy in each case, by enumeration."""
    found = []
    for sets, target in zip(cases.allowed, cases.targets, strict=True):
        texts = np.array(list(itertools.product(*(np.flatnonzero(s) for s in sets))))
        with torch.no_grad():
            logits = model(torch.from_numpy(texts))[:, -1]
        targets = torch.full((len(texts),), int(target))
        found.append(nn.functional.cross_entropy(logits, targets, reduction="none").max())
    return torch.stack(found)


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("coupled", [False, True])
def test_the_loss_is_above_the_true_worst_case(layers: int, coupled: bool) -> None:
    torch.manual_seed(layers)
    model = Decoder(VOCABULARY, LENGTH, layers=layers).double()
    cases = majority(VOCABULARY)
    loss = TokenLoss(model, lower, coupled)
    value = loss(cases.allowed, torch.from_numpy(cases.targets)).item()
    assert value >= worst(model, cases).mean().item() - 1e-9
    points = grown_sets(cases.allowed, 0.0, np.random.default_rng(0))
    value = loss(points, torch.from_numpy(cases.targets)).item()
    exact = worst(model, Cases(cases.output, points, cases.targets)).mean().item()
    assert value == pytest.approx(exact, rel=1e-9)


def test_a_few_hundred_steps_raise_the_share_of_certified_cases() -> None:
    torch.manual_seed(0)
    model = Decoder(VOCABULARY, LENGTH, width=16)
    cases = majority(VOCABULARY)
    loss = TokenLoss(model, lower)
    before = share_certified(loss, [cases])
    fit(loss, [cases], 200, Ramp(30, 120), rate=5e-3)
    assert before < 0.5
    assert share_certified(loss, [cases]) == 1.0
    assert (worst(model, cases) < np.log(2)).all()


def test_training_ends_where_the_watcher_says_so() -> None:
    model = Decoder(VOCABULARY, LENGTH)
    seen: list[int] = []

    def watch(step: int, value: float) -> bool:
        assert value > 0
        seen.append(step)
        return step == 2

    fit(TokenLoss(model, lower), [majority(2)], 10, Ramp(0, 1), watch=watch)
    assert seen == [0, 1, 2]


class Mlp(nn.Module):
    def __init__(self, last: nn.Module) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(2, 16), nn.ReLU(), nn.Linear(16, 16), last)
        self.logits = nn.Linear(16, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.logits(self.layers(x))
        return result


def lower_mlp(module: nn.Module) -> Graph:
    assert isinstance(module, Mlp)
    builder = GraphBuilder()
    x = builder.input("x", (2,))
    for layer in (*module.layers, module.logits):
        if isinstance(layer, nn.Linear):
            consts = {
                "weight": Constant(array(layer.weight.T)),
                "bias": Constant(array(layer.bias)),
            }
            x = builder.add("dense", [x], consts=consts)
        else:
            x = builder.add("relu" if isinstance(layer, nn.ReLU) else "tanh", [x])
    return builder.build({"y": x})


def sectors(rng: np.random.Generator, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Points in the plane and which of three sectors they lie in, away from the borders."""
    sector = rng.integers(0, 3, count)
    angle = (sector + rng.uniform(0.25, 0.75, count)) * 2 * np.pi / 3
    points = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return torch.from_numpy(points).float(), torch.from_numpy(sector)


@pytest.mark.parametrize("last", [nn.ReLU(), nn.Tanh()])
def test_no_point_of_a_box_is_worse_than_the_loss(last: nn.Module) -> None:
    torch.manual_seed(1)
    model = Mlp(last).double()
    points, targets = sectors(np.random.default_rng(1), 64)
    loss, low, high = BoxLoss(model, lower_mlp), points.double() - 0.4, points.double() + 0.4
    _check_samples(model, loss, low, high, targets)
    loss(low, high, targets).backward()
    for parameter in model.parameters():
        assert parameter.grad is not None
        assert parameter.grad.isfinite().all()
    loss(points.double(), points.double(), targets)  # boxes without width


def test_training_on_boxes_certifies_them() -> None:
    torch.manual_seed(0)
    model = Mlp(nn.ReLU())
    loss = BoxLoss(model, lower_mlp)
    points, targets = sectors(np.random.default_rng(0), 128)
    low, high = points - 0.1, points + 0.1
    before = loss.certified(low, high, targets).float().mean().item()
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-2)
    ramp = Ramp(20, 100)
    for step in range(150):
        value = loss(*grown_boxes(low, high, ramp(step)), targets)
        optimiser.zero_grad()
        value.backward()
        optimiser.step()
    _check_samples(model, loss, low, high, targets, 1e-4)
    assert loss.certified(low, high, targets).float().mean().item() > max(0.95, before + 0.3)


def _check_samples(
    model: Mlp,
    loss: BoxLoss,
    low: torch.Tensor,
    high: torch.Tensor,
    targets: torch.Tensor,
    roundings: float = 1e-9,
) -> None:
    with torch.no_grad():
        bounds = loss.margins(low, high, targets)
        for corner in itertools.product([0.0, 0.5, 1.0], repeat=2):
            logits = model(low + (high - low) * low.new_tensor(corner))
            margins = logits - logits.gather(1, targets[:, None])
            assert (margins <= bounds + roundings).all()


def test_grown_sets_are_not_empty_and_grow_to_the_whole() -> None:
    rng = np.random.default_rng(0)
    allowed = rng.random((6, 3, 9)) < 0.5
    allowed[..., 0] |= ~allowed.any(-1)
    for share in (0.0, 0.3, 1.0):
        grown = grown_sets(allowed, share, rng)
        assert grown.any(-1).all()
        assert not (grown & ~allowed).any()
        assert (grown.sum(-1) == 1).all() == (share == 0.0)
    assert (grown == allowed).all()


def test_a_ramp_is_flat_at_both_ends() -> None:
    ramp = Ramp(10, 20)
    assert [ramp(step) for step in (0, 10, 15, 20, 99)] == [0.0, 0.0, 0.5, 1.0, 1.0]
    assert Ramp(0, 0)(0) == 1.0
