"""A one-layer decoder-only transformer, in plain PyTorch: what the monitors are.

The positions are absolute, so a model is made for one length. ``monitor(16)`` is the factory that
a spec can name; it reads the weights beside this file.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

OBSERVATIONS = ("ok", "idle", "sync", "ping", "boot", "warn", "slow", "retry", "fail", "crash")
SEVERITY = (0, 0, 0, 0, 0, 1, 1, 1, 2, 2)
"""What an observation adds to the running state. The model has to learn it."""
CAP = 3
STATES = tuple(f"S{count}" for count in range(CAP + 1))
VOCABULARY = (*OBSERVATIONS, *STATES, "ALERT", "SAFE", "LAUNCH", ">")
TOKEN = {token: index for index, token in enumerate(VOCABULARY)}


class Decoder(nn.Module):
    """Tokens (batch, m) to next-token logits (batch, m, vocabulary), for m up to ``length``."""

    mask: Tensor

    def __init__(
        self, vocabulary: int, length: int, width: int = 48, heads: int = 2, hidden: int = 64
    ) -> None:
        super().__init__()
        self.heads = heads
        self.tokens = nn.Embedding(vocabulary, width)
        self.positions = nn.Parameter(0.5 * waves(length, width))
        self.query = nn.Linear(width, width, bias=False)
        self.key = nn.Linear(width, width, bias=False)
        self.value = nn.Linear(width, width, bias=False)
        self.out = nn.Linear(width, width, bias=False)
        self.up = nn.Linear(width, hidden)
        self.down = nn.Linear(hidden, width)
        self.logits = nn.Linear(width, vocabulary, bias=False)
        mask = torch.full((length, length), -torch.inf).triu(1)
        self.register_buffer("mask", mask, persistent=False)

    def forward(self, tokens: Tensor) -> Tensor:
        count = tokens.shape[1]
        x = self.tokens(tokens) + self.positions[:count]
        x = x + self.out(self.attend(x))
        x = x + self.down(torch.relu(self.up(x)))
        logits: Tensor = self.logits(x)
        return logits

    def attend(self, x: Tensor) -> Tensor:
        """The heads' means of earlier values, (batch, m, width)."""
        batch, count, width = x.shape
        size = width // self.heads
        q, k, v = (
            part(x).reshape(batch, count, self.heads, size).transpose(1, 2)
            for part in (self.query, self.key, self.value)
        )
        scores = q @ k.transpose(2, 3) * size**-0.5 + self.mask[:count, :count]
        mixed = torch.softmax(scores, dim=-1) @ v
        joined: Tensor = mixed.transpose(1, 2).reshape(batch, count, width)
        return joined


def waves(length: int, width: int) -> Tensor:
    """Sines and cosines of the position, (length, width): where the positions start in training."""
    rates = torch.pi * torch.arange(1, width // 2 + 1) / (width // 2 + 1)
    angles = torch.arange(length)[:, None] * rates
    return torch.cat([angles.sin(), angles.cos()], dim=1)


def length(observations: int) -> int:
    """The most tokens that the network reads: the observations, ``>`` and a state after each."""
    return 2 * observations + 1


def monitor(observations: int) -> Decoder:
    """The trained monitor of ``observations`` slots."""
    model = Decoder(len(VOCABULARY), length(observations))
    weights = Path(__file__).with_name(f"monitor_{observations}.pt")
    model.load_state_dict(torch.load(weights, weights_only=True))
    return model.eval()
