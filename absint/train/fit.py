"""A training loop over cases: products of token sets, each with the token that must win there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from absint.train.schedule import Ramp, grown_sets
from absint.train.tokens import TokenLoss

CHUNK = 128
"""Cases bounded at once where the share of certified ones is counted."""


@dataclass(frozen=True)
class Cases:
    """Cases of one output: sets ``allowed`` (cases, inputs, vocabulary) and ``targets`` (cases,).

    On each case, the logits of output ``output`` are to have their only maximum at the target.
    """

    output: str
    allowed: NDArray[np.bool_]
    targets: NDArray[np.int64]


def fit(
    loss: TokenLoss,
    cases: Sequence[Cases],
    steps: int,
    ramp: Ramp,
    *,
    batch: int = 64,
    outputs: int = 2,
    rate: float = 2e-3,
    seed: int = 0,
    watch: Callable[[int, float], bool] | None = None,
) -> None:
    """Trains the module of ``loss`` until its bounds decide the cases, or for ``steps`` steps.

    A step draws ``outputs`` of the outputs and ``batch`` cases of each, grows their sets to the
    share that ``ramp`` gives, and takes one step of Adam down the certified loss. ``watch`` is
    called after each step with its number and loss; training ends where it returns True.
    """
    rng = np.random.default_rng(seed)
    module = loss.parametric.module
    optimiser = torch.optim.Adam(module.parameters(), lr=rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, total_steps=steps)
    for step in range(steps):
        optimiser.zero_grad()
        total = 0.0
        groups = rng.permutation(len(cases))[:outputs]
        for group in groups:
            value = _drawn(loss, cases[group], batch, ramp(step), rng) / len(groups)
            value.backward()
            total += value.item()
        torch.nn.utils.clip_grad_norm_(module.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        if watch is not None and watch(step, total):
            return


def _drawn(
    loss: TokenLoss, cases: Cases, batch: int, share: float, rng: np.random.Generator
) -> torch.Tensor:
    some = rng.permutation(len(cases.targets))[:batch]
    allowed = grown_sets(cases.allowed[some], share, rng)
    return loss(allowed, torch.from_numpy(cases.targets[some]), cases.output)


def share_certified(loss: TokenLoss, cases: Sequence[Cases]) -> float:
    """The share of all cases that the bounds decide."""
    held = 0
    for group in cases:
        for begin in range(0, len(group.targets), CHUNK):
            part = slice(begin, begin + CHUNK)
            targets = torch.from_numpy(group.targets[part])
            held += int(loss.certified(group.allowed[part], targets, group.output).sum())
    return held / sum(len(group.targets) for group in cases)
