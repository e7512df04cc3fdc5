"""Decoders as PyTorch's two ONNX exporters write them, against onnxruntime and eager mode."""

from __future__ import annotations

import io
import math
import warnings
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from onnxmodels import ops
from torch import nn
from torch.nn import functional as F  # noqa: N812

from absint.frontends.onnx import load
from absint.frontends.runtime import OnnxRuntime
from absint.ir import evaluate

WIDTH, HEADS, VOCABULARY, LENGTH = 8, 2, 7, 5


class RootMeanSquare(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6)


class Block(nn.Module):
    """Causal attention with rotary positions, then a gated or plain layer."""

    def __init__(self, modern: bool) -> None:
        super().__init__()
        self.modern = modern
        self.mixed = nn.Linear(WIDTH, 3 * WIDTH)
        self.wide, self.gate = nn.Linear(WIDTH, 12), nn.Linear(WIDTH, 12)
        self.narrow = nn.Linear(12, WIDTH)
        norm = RootMeanSquare if modern else lambda: nn.LayerNorm(WIDTH)
        self.first, self.second = norm(), norm()

    def attend(self, x: torch.Tensor) -> torch.Tensor:
        batch, length, _ = x.shape
        parts = self.mixed(x).view(batch, length, 3, HEADS, WIDTH // HEADS).permute(2, 0, 3, 1, 4)
        q, k, v = parts[0], parts[1], parts[2]
        if self.modern:
            angle = torch.arange(length).float()[:, None] * torch.tensor([1.0, 0.1, 1.0, 0.1])
            q, k = (self.turn(t, angle) for t in (q, k))
            y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        else:
            low = torch.triu(torch.full((length, length), -math.inf), 1)
            y = torch.softmax(q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1]) + low, -1) @ v
        return y.transpose(1, 2).reshape(batch, length, WIDTH)

    def turn(self, x: torch.Tensor, angle: torch.Tensor) -> torch.Tensor:
        a, b = x.chunk(2, -1)
        return x * angle.cos() + torch.cat([-b, a], -1) * angle.sin()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.attend(self.first(x))
        h = self.second(x)
        inner = F.silu(self.gate(h)) * self.wide(h) if self.modern else F.gelu(self.wide(h))
        return x + self.narrow(inner)


class Decoder(nn.Module):
    def __init__(self, modern: bool) -> None:
        super().__init__()
        self.table = nn.Embedding(VOCABULARY, WIDTH)
        self.block = Block(modern)
        self.head = nn.Linear(WIDTH, VOCABULARY, bias=False)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.head(self.block(self.table(ids)))


def export(module: nn.Module, dynamo: bool, opset: int, path: Path) -> None:
    """With the length of the prompt left open."""
    ids = torch.zeros(1, LENGTH, dtype=torch.int64)
    open_axes: dict[str, Any] = {"ids": {0: "batch", 1: "length"}}
    kind = {"dynamic_shapes" if dynamo else "dynamic_axes": open_axes}
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module, (ids,), str(path), dynamo=dynamo, opset_version=opset, input_names=["ids"],
            **kind,
        )  # fmt: skip


@pytest.mark.parametrize(
    ("dynamo", "opset", "modern"),
    [
        *[(False, 14, True), (False, 14, False), (False, 17, True), (False, 17, False)],
        *[(True, 18, False), (True, 23, True)],
    ],
)
def test_a_decoder(dynamo: bool, opset: int, modern: bool, tmp_path: Path) -> None:
    torch.manual_seed(0)
    module = Decoder(modern).eval()
    export(module, dynamo, opset, tmp_path / "model.onnx")
    loaded = load(tmp_path / "model.onnx", {"length": LENGTH})
    ids = np.random.default_rng(0).integers(0, VOCABULARY, (10, LENGTH)).astype(np.float64)
    ours = evaluate(loaded.graph, ids)
    assert np.abs(ours - OnnxRuntime(loaded).run(ids)).max() < 1e-5
    with torch.no_grad():
        eager = module.double()(torch.tensor(ids).long()).numpy().reshape(ours.shape)
    assert np.abs(ours - eager).max() < 1e-6
    found = ops(loaded.graph)
    assert (found.count("embedding"), found.count("softmax"), found.count("normalize")) == (1, 1, 2)
    assert found.count("silu" if modern else "gelu") == 1
    assert not {"reciprocal", "sqrt", "erf", "sigmoid"} & set(found)
