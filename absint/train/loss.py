"""What is made of bounds: a worst case of cross-entropy."""

from __future__ import annotations

import torch
from torch import Tensor


def margin_rows(classes: int, targets: Tensor, like: Tensor) -> Tensor:
    """Rows ``e_k - e_target`` for each class k, (batch, classes, classes): what must be negative.

    The target's own row is zero.
    """
    units = torch.eye(classes, dtype=like.dtype, device=like.device)
    return units[None] - units[targets.to(like.device)][:, None]


def worst_cross_entropy(margins: Tensor) -> Tensor:
    """The mean of ``log sum_k exp(margin_k)``: cross-entropy where each margin is at its worst.

    ``margins`` (batch, classes) are upper bounds of ``logit_k - logit_target``, zero for the target
    itself. No member of a case has a cross-entropy above that of its bounds.
    """
    return torch.logsumexp(margins, dim=1).mean()


def certified(margins: Tensor, targets: Tensor) -> Tensor:
    """Which cases have all margins but the target's below zero: (batch,) Booleans."""
    own = torch.nn.functional.one_hot(targets.to(margins.device), margins.shape[1]).bool()
    return (margins.detach() < 0).logical_or(own).all(dim=1)
