"""A two-layer transformer with RMS norm, in plain PyTorch, on the monitor's task with N = 8.

``plain()`` is the factory that a spec can name; it reads the weights beside this file.
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
SLOTS = 8
LENGTH = 2 * SLOTS + 1
"""The most tokens that the network reads: the observations, ``>`` and a state after each."""
WIDTH, HEADS, HIDDEN, LAYERS = 48, 2, 64, 2


class Block(nn.Module):
    """Attention and an MLP, each on normalised values and added to what comes in."""

    def __init__(self) -> None:
        super().__init__()
        self.before = nn.RMSNorm(WIDTH, eps=1e-5)
        self.query = nn.Linear(WIDTH, WIDTH, bias=False)
        self.key = nn.Linear(WIDTH, WIDTH, bias=False)
        self.value = nn.Linear(WIDTH, WIDTH, bias=False)
        self.out = nn.Linear(WIDTH, WIDTH, bias=False)
        self.between = nn.RMSNorm(WIDTH, eps=1e-5)
        self.up = nn.Linear(WIDTH, HIDDEN)
        self.down = nn.Linear(HIDDEN, WIDTH)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        x = x + self.out(self.attend(self.before(x), mask))
        changed: Tensor = x + self.down(torch.relu(self.up(self.between(x))))
        return changed

    def attend(self, x: Tensor, mask: Tensor) -> Tensor:
        """The heads' means of earlier values, (batch, m, width)."""
        batch, count, width = x.shape
        size = width // HEADS
        q, k, v = (
            part(x).reshape(batch, count, HEADS, size).transpose(1, 2)
            for part in (self.query, self.key, self.value)
        )
        mixed = torch.softmax(q @ k.transpose(2, 3) * size**-0.5 + mask, dim=-1) @ v
        joined: Tensor = mixed.transpose(1, 2).reshape(batch, count, width)
        return joined


class Decoder(nn.Module):
    """Tokens (batch, m) to next-token logits (batch, m, vocabulary), for m up to ``LENGTH``."""

    mask: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.tokens = nn.Embedding(len(VOCABULARY), WIDTH)
        self.positions = nn.Parameter(0.5 * torch.randn(LENGTH, WIDTH))
        self.blocks = nn.ModuleList(Block() for _ in range(LAYERS))
        self.after = nn.RMSNorm(WIDTH, eps=1e-5)
        self.logits = nn.Linear(WIDTH, len(VOCABULARY), bias=False)
        mask = torch.full((LENGTH, LENGTH), -torch.inf).triu(1)
        self.register_buffer("mask", mask, persistent=False)

    def forward(self, tokens: Tensor) -> Tensor:
        count = tokens.shape[1]
        x = self.tokens(tokens) + self.positions[:count]
        for block in self.blocks:
            x = block(x, self.mask[:count, :count])
        logits: Tensor = self.logits(self.after(x))
        return logits


def plain() -> Decoder:
    """The trained network."""
    model = Decoder()
    model.load_state_dict(torch.load(Path(__file__).with_name("plain_8.pt"), weights_only=True))
    return model.eval()
