"""PyTorch modules for tests: the kinds of networks that the front-end must lower."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812


class Residual(nn.Module):
    """Two convolutions with batch norms, around which the input is carried."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 3, padding="same"),
            nn.BatchNorm2d(channels),
        )

    def forward(self, x: torch.Tensor) -> Any:
        return F.relu(x + self.body(x))


class Vision(nn.Module):
    """A small vision transformer: patches, a class token, encoder layers."""

    def __init__(self) -> None:
        super().__init__()
        self.patch = nn.Conv2d(1, 8, 4, stride=4)
        self.token = nn.Parameter(torch.randn(1, 1, 8))
        self.place = nn.Parameter(torch.randn(1, 5, 8))
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(8, 2, 16, activation="gelu", batch_first=True)
            for _ in range(2)
        )
        self.head = nn.Linear(8, 3)

    def forward(self, x: torch.Tensor) -> Any:
        patches = self.patch(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(x.shape[0], -1, -1), patches], 1) + self.place
        for layer in self.layers:
            x = layer(x)
        return self.head(x[:, 0])


class Rotary(nn.Module):
    """Grouped-query causal attention with rotary positions, computed or stored."""

    def __init__(self, width: int, heads: int, shared: int, length: int, causal: str) -> None:
        super().__init__()
        self.heads, self.shared, self.size = heads, shared, width // heads
        self.length, self.causal = length, causal
        self.query = nn.Linear(width, width, bias=False)
        self.key = nn.Linear(width, shared * self.size)
        self.value = nn.Linear(width, shared * self.size)
        self.out = nn.Linear(width, width)

    def turn(self, x: torch.Tensor) -> torch.Tensor:
        steps = torch.arange(self.length, dtype=x.dtype)
        rates = 1.0 / 10000 ** (torch.arange(0, self.size, 2, dtype=x.dtype) / self.size)
        angles = torch.outer(steps, rates)
        angles = torch.cat([angles, angles], -1)
        first, second = x.chunk(2, -1)
        return x * angles.cos() + torch.cat([-second, first], -1) * angles.sin()

    def parts(self, x: torch.Tensor, heads: int) -> torch.Tensor:
        return x.view(1, self.length, heads, self.size).transpose(1, 2)

    def attend(self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        if self.causal == "flag":
            return F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
        k, v = (x.repeat_interleave(self.heads // self.shared, dim=1) for x in (k, v))
        ones = torch.ones(self.length, self.length)
        if self.causal == "bool":
            mask = torch.tril(ones).bool()
            return F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        scores = q @ k.transpose(-2, -1) / self.size**0.5
        if self.causal == "fill":
            scores = scores.masked_fill(torch.tril(ones) == 0, float("-inf"))
        elif self.causal == "where":
            scores = torch.where(torch.tril(ones) == 1, scores, torch.finfo(q.dtype).min)
        else:
            scores = scores + torch.triu(torch.full_like(ones, float("-inf")), diagonal=1)
        return torch.softmax(scores, -1) @ v

    def forward(self, x: torch.Tensor) -> Any:
        q = self.turn(self.parts(self.query(x), self.heads))
        k = self.turn(self.parts(self.key(x), self.shared))
        y = self.attend(q, k, self.parts(self.value(x), self.shared))
        return self.out(y.transpose(1, 2).reshape(1, self.length, -1))


class Block(nn.Module):
    """Pre-norm attention and a gated feed-forward part."""

    def __init__(self, width: int, length: int, causal: str) -> None:
        super().__init__()
        self.before, self.between = nn.RMSNorm(width), nn.LayerNorm(width)
        self.attention = Rotary(width, 4, 2, length, causal)
        self.gate, self.up = nn.Linear(width, 24, bias=False), nn.Linear(width, 24, bias=False)
        self.down = nn.Linear(24, width, bias=False)

    def forward(self, x: torch.Tensor) -> Any:
        x = x + self.attention(self.before(x))
        y = self.between(x)
        return x + self.down(F.silu(self.gate(y)) * self.up(y))


class Decoder(nn.Module):
    """A decoder-only transformer: tokens (1, length) to logits (1, length, vocabulary)."""

    def __init__(self, vocabulary: int = 7, length: int = 5, causal: str = "flag") -> None:
        super().__init__()
        self.embed, self.place = nn.Embedding(vocabulary, 16), nn.Embedding(length, 16)
        self.blocks = nn.ModuleList(Block(16, length, causal) for _ in range(1))
        self.norm, self.head = nn.RMSNorm(16), nn.Linear(16, vocabulary, bias=False)

    def forward(self, tokens: torch.Tensor) -> Any:
        x = self.embed(tokens) + self.place(torch.arange(tokens.shape[1]))
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))


class Greedy(nn.Module):
    """Writes tokens by argmax and reads them back, a fixed number of times."""

    def __init__(self, steps: int = 3) -> None:
        super().__init__()
        self.steps, self.embed = steps, nn.Embedding(7, 12)
        self.mix, self.head = nn.Linear(12, 12), nn.Linear(12, 7)

    def logits(self, tokens: torch.Tensor) -> Any:
        return self.head(torch.tanh(self.mix(self.embed(tokens)).cumsum(1)))

    def forward(self, tokens: torch.Tensor) -> Any:
        for _ in range(self.steps):
            following = self.logits(tokens)[:, -1].argmax(-1, keepdim=True)
            tokens = torch.cat([tokens, following], 1)
        return tokens


class Recurrent(nn.Module):
    """The outputs and final states of a recurrent layer, side by side."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: torch.Tensor) -> Any:
        outputs, finals = self.layer(x)
        return (outputs, *finals) if isinstance(finals, tuple) else (outputs, finals)


def networks() -> dict[str, tuple[nn.Module, torch.Size]]:
    """Networks on real inputs, by name, with the shape of their input."""
    torch.manual_seed(0)
    image = (1, 2, 8, 8)
    found: dict[str, tuple[nn.Module, tuple[int, ...]]] = {
        "mlp": (nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Dropout(), nn.Linear(8, 3)), (1, 4)),
        "cnn": (
            nn.Sequential(
                nn.Conv2d(2, 4, 3, stride=2, padding=1, groups=2),
                nn.LeakyReLU(0.1),
                nn.MaxPool2d(3, stride=1, padding=1),
                nn.AvgPool2d(3, stride=2, padding=1, count_include_pad=False),
                nn.Flatten(),
                nn.Linear(16, 3),
            ),
            image,
        ),
        "resnet": (
            nn.Sequential(
                nn.Conv2d(2, 4, 3, padding=1),
                nn.BatchNorm2d(4),
                nn.MaxPool2d(2),
                Residual(4),
                nn.AdaptiveAvgPool2d(3),
                Residual(4),
                nn.AdaptiveAvgPool2d(1),
                nn.Flatten(),
                nn.Linear(4, 3),
            ),
            image,
        ),
        "decoding cnn": (
            nn.Sequential(
                nn.ConvTranspose2d(2, 4, 3, stride=2, output_padding=1), nn.GroupNorm(2, 4)
            ),
            image,
        ),
        "vit": (Vision(), (1, 1, 8, 8)),
        "attention": (Block(16, 4, "flag"), (1, 4, 16)),
        "lstm": (Recurrent(nn.LSTM(3, 4, 2, batch_first=True, bidirectional=True)), (1, 4, 3)),
        "gru": (Recurrent(nn.GRU(3, 4, batch_first=True)), (2, 4, 3)),
        "rnn": (Recurrent(nn.RNN(3, 4, nonlinearity="relu", bias=False)), (4, 1, 3)),
    }
    for module, _ in found.values():
        for part in module.modules():
            if isinstance(part, nn.BatchNorm2d):
                assert part.running_mean is not None
                assert part.running_var is not None
                nn.init.normal_(part.running_mean)
                nn.init.uniform_(part.running_var, 0.5, 2.0)
    return {name: (module.double(), torch.Size(shape)) for name, (module, shape) in found.items()}
