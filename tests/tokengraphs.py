"""A small decoder-only transformer in PyTorch, and its block graph built by hand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from absint.ir import Constant, Graph, GraphBuilder


class Decoder(nn.Module):
    """Tokens (batch, m) to logits (batch, m, vocabulary); ``layers`` of attention and an MLP."""

    def __init__(
        self, vocabulary: int, length: int, width: int = 8, heads: int = 2, layers: int = 1
    ) -> None:
        super().__init__()
        self.heads = heads
        self.tokens = nn.Embedding(vocabulary, width)
        self.positions = nn.Parameter(torch.randn(length, width))
        self.layers = nn.ModuleList(Layer(width) for _ in range(layers))
        self.logits = nn.Linear(width, vocabulary, bias=False)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.tokens(tokens) + self.positions[: tokens.shape[1]]
        for layer in self.layers:
            x = layer(x, self.heads)
        result: Tensor = self.logits(x)
        return result


class Layer(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.query, self.key, self.value, self.out = (
            nn.Linear(width, width, bias=False) for _ in range(4)
        )
        self.up, self.down = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)

    def forward(self, x: Tensor, heads: int) -> Tensor:
        batch, count, width = x.shape
        q, k, v = (
            part(x).reshape(batch, count, heads, -1).transpose(1, 2)
            for part in (self.query, self.key, self.value)
        )
        mixed = nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(mixed.transpose(1, 2).reshape(batch, count, width))
        result: Tensor = x + self.down(torch.relu(self.up(x)))
        return result


def array(tensor: Tensor) -> Any:
    return tensor.detach().double().numpy()


def block_graph(model: Decoder, queries: Sequence[int]) -> Graph:
    """Outputs ``logits_q`` for each position q of ``queries``; inputs token_0 .. token_max."""
    builder = GraphBuilder()
    tokens = [builder.input(f"token_{i}", ()) for i in range(max(queries) + 1)]
    weight = Constant(array(model.tokens.weight))
    xs = []
    for i, token in enumerate(tokens):
        row = builder.add("embedding", [token], consts={"weight": weight})
        bias = Constant(array(model.positions[i]))
        xs.append(builder.add("scale", [row], consts={"bias": bias}))
    for layer in model.layers:
        assert isinstance(layer, Layer)
        xs = block(builder, layer, model.heads, xs)
    outputs = {f"logits_{q}": dense(builder, xs[q], model.logits) for q in queries}
    return builder.build(outputs)


def dense(builder: GraphBuilder, x: int, linear: nn.Linear) -> int:
    consts = {"weight": Constant(array(linear.weight.T))}
    if linear.bias is not None:
        consts["bias"] = Constant(array(linear.bias))
    return builder.add("dense", [x], consts=consts)


def block(builder: GraphBuilder, layer: Layer, heads: int, xs: list[int]) -> list[int]:
    plus = {"coefficients": (1, 1)}
    keys = [dense(builder, x, layer.key) for x in xs]
    values = [dense(builder, x, layer.value) for x in xs]
    made = []
    for i, x in enumerate(xs):
        query = dense(builder, x, layer.query)
        size = layer.query.out_features // heads
        attrs = {"heads": heads, "kv_heads": heads, "scale": size**-0.5}
        operands = [query, *keys[: i + 1], *values[: i + 1]]
        mixed = builder.add("attend", operands, attrs=attrs)
        x = builder.add("sum", [x, dense(builder, mixed, layer.out)], attrs=plus)
        hidden = builder.add("relu", [dense(builder, x, layer.up)])
        made.append(builder.add("sum", [x, dense(builder, hidden, layer.down)], attrs=plus))
    return made
