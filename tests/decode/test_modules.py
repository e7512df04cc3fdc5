"""PyTorch decoders, exported, lowered and taken apart: they write what PyTorch writes."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from decoders import problem
from torch import Tensor, nn

from absint.decode import decode, decode_graph
from absint.frontends.torch import lower_module
from absint.ir import evaluate

SLOTS, STEPS, VOCABULARY, WIDTH, HEADS = 5, 3, 9, 16, 4


class Gpt(nn.Module):
    """Learned positions, layer norm, one layer for q, k and v, GELU, a tied output."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens = nn.Embedding(VOCABULARY, WIDTH)
        self.positions = nn.Embedding(SLOTS + STEPS, WIDTH)
        self.before, self.between = (
            nn.ModuleList(nn.LayerNorm(WIDTH) for _ in range(2)) for _ in range(2)
        )
        self.qkv = nn.ModuleList(nn.Linear(WIDTH, 3 * WIDTH) for _ in range(2))
        self.out = nn.ModuleList(nn.Linear(WIDTH, WIDTH) for _ in range(2))
        self.up = nn.ModuleList(nn.Linear(WIDTH, 24) for _ in range(2))
        self.down = nn.ModuleList(nn.Linear(24, WIDTH) for _ in range(2))

    def forward(self, tokens: Tensor) -> Tensor:
        batch, count = tokens.shape
        x = self.tokens(tokens) + self.positions(torch.arange(count))
        for layer in range(2):
            parts = self.qkv[layer](self.before[layer](x)).chunk(3, dim=-1)
            q, k, v = (p.view(batch, count, HEADS, -1).transpose(1, 2) for p in parts)
            y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
            x = x + self.out[layer](y.transpose(1, 2).reshape(batch, count, WIDTH))
            x = x + self.down[layer](F.gelu(self.up[layer](self.between[layer](x))))
        return F.linear(x, self.tokens.weight)


class Llama(nn.Module):
    """Rotary positions, RMS norm, grouped queries, SwiGLU, a mask of -inf."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens = nn.Embedding(VOCABULARY, WIDTH)
        self.before, self.between, self.last = (nn.RMSNorm(WIDTH, eps=1e-5) for _ in range(3))
        self.query, self.out = (nn.Linear(WIDTH, WIDTH, bias=False) for _ in range(2))
        self.key, self.value = (nn.Linear(WIDTH, WIDTH // 2, bias=False) for _ in range(2))
        self.gate, self.up = (nn.Linear(WIDTH, 24, bias=False) for _ in range(2))
        self.down = nn.Linear(24, WIDTH, bias=False)
        self.logits = nn.Linear(WIDTH, VOCABULARY, bias=False)

    def forward(self, tokens: Tensor) -> Tensor:
        batch, count = tokens.shape
        x = self.tokens(tokens)
        y = self.before(x)
        q, k, v = (
            part(y).view(batch, count, -1, WIDTH // HEADS).transpose(1, 2)
            for part in (self.query, self.key, self.value)
        )
        q, k = rotated(q), rotated(k)
        k, v = (part.repeat_interleave(2, dim=1) for part in (k, v))
        scores = q @ k.transpose(2, 3) / (WIDTH // HEADS) ** 0.5
        scores = scores + torch.full((count, count), -torch.inf).triu(1)
        mixed = (torch.softmax(scores, dim=-1) @ v).transpose(1, 2).reshape(batch, count, WIDTH)
        x = x + self.out(mixed)
        y = self.between(x)
        x = x + self.down(F.silu(self.gate(y)) * self.up(y))
        return self.logits(self.last(x))


def rotated(x: Tensor) -> Tensor:
    count, width = x.shape[-2:]
    angles = torch.outer(torch.arange(count).float(), 0.3 ** torch.arange(width // 2).float())
    cos, sin = angles.cos().repeat(1, 2), angles.sin().repeat(1, 2)
    low, high = x.chunk(2, dim=-1)
    return x * cos + torch.cat([-high, low], dim=-1) * sin


@pytest.mark.parametrize(("kind", "layers", "kv_heads"), [(Gpt, 2, 4), (Llama, 1, 2)])
def test_exported_decoders(kind: type[nn.Module], layers: int, kv_heads: int) -> None:
    torch.manual_seed(0)
    module, slots = kind().eval(), SLOTS + STEPS - 1
    network = lower_module(module, (torch.zeros((1, slots), dtype=torch.int64),))
    graph = decode_graph(network, STEPS)

    ops = Counter(node.op for node in graph.nodes)
    assert ops["attend"] == (layers - 1) * slots + STEPS
    assert not {"softmax", "matmul"} & set(ops)
    assert {n.integer("kv_heads") for n in graph.nodes if n.op == "attend"} == {kv_heads}

    generator = np.random.default_rng(1)
    x = generator.integers(VOCABULARY, size=(30, slots)).astype(float)
    wanted = evaluate(network, x)[:, -STEPS * VOCABULARY :]
    np.testing.assert_allclose(evaluate(graph, x), wanted, rtol=1e-12, atol=1e-12)

    prompts = generator.integers(VOCABULARY, size=(50, SLOTS))
    found = decode(graph, prompts, problem(VOCABULARY, SLOTS, STEPS))
    written = torch.tensor(prompts)
    with torch.no_grad():
        for _ in range(STEPS):
            written = torch.cat([written, module(written)[:, -1].argmax(-1, keepdim=True)], dim=1)
    assert found.margins.min() > 1e-5
    assert (found.tokens == written.numpy()[:, SLOTS:]).all()
