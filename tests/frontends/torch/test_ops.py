"""Every op of the table with its arguments, against eager mode in float64."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F  # noqa: N812
from torchmodels import ERROR, Function, assert_equal, samples
from torchops import BINARY, LOGIC, MOVES, SHAPE, UNARY, WHOLE, T, tensor

from absint.frontends.torch import load_module
from absint.frontends.torch.runtime import TorchRuntime
from absint.ir import evaluate


def _names(table: dict[str, Callable[[T], Any]]) -> str:
    return next(iter(table))


@pytest.mark.parametrize("table", [UNARY, BINARY, LOGIC, MOVES, WHOLE], ids=_names)
def test_ops_equal_eager_mode(table: dict[str, Callable[[T], Any]]) -> None:
    """One export for all of a table: it takes a second."""
    example = torch.zeros(SHAPE, dtype=torch.float64)
    together = Function(lambda x: tuple(function(x) for function in table.values()))
    model = load_module(together, (example,))
    x = samples(math.prod(SHAPE), 12)
    truth, found = TorchRuntime(model).run(x), evaluate(model.graph, x)
    assert truth.shape == found.shape
    ends = np.cumsum([function(example).numel() for function in table.values()])
    off = ~np.isclose(found, truth, rtol=ERROR, atol=ERROR)
    parts = np.split(off, ends[:-1], axis=1)
    wrong = {name for name, part in zip(table, parts, strict=True) if part.any()}
    assert not wrong
    assert ends[-1] == truth.shape[1]


FOLDED: dict[str, Callable[[T], Any]] = {
    "a range": lambda x: x + torch.arange(4),
    "a sum of a Boolean": lambda x: x * (torch.arange(4) % 3 == 1).sum(),
    "an exact product": lambda x: x * (torch.full((4,), 0.5, dtype=x.dtype) * 3),
    "an exponential": lambda x: x * torch.exp(torch.arange(4, dtype=x.dtype)),
    "one over a root": lambda x: x * torch.rsqrt(torch.arange(1, 5, dtype=x.dtype)),
    "rates": lambda x: x * 10000 ** -(torch.arange(4, dtype=x.dtype) / 4),
    "zeros like": lambda x: torch.cat([torch.zeros_like(x), x, torch.ones_like(x)]),
}


def test_constants_are_folded() -> None:
    example = torch.zeros(SHAPE, dtype=torch.float64)
    together = Function(lambda x: tuple(function(x) for function in FOLDED.values()))
    model = assert_equal(together, (example,), samples(math.prod(SHAPE), 4))
    assert {node.op for node in model.graph.nodes} <= {"input", "scale", "gather", "concat"}


def test_a_rounding_constant_carries_its_radius() -> None:
    """1/3 lies in the enclosure, and the enclosure is one rounding wide."""
    example = torch.zeros(1, 1, dtype=torch.float64)
    model = assert_equal(Function(lambda x: x / 3), (example,), samples(1, 4))
    weight = next(node for node in model.graph.nodes if node.op == "scale").consts["weight"]
    assert weight.radius is not None
    assert 0 < weight.radius.item() < 1e-16
    assert abs(3 * weight.value.item() - 1) <= 3 * weight.radius.item() + 2**-52


def test_argmax_takes_the_lowest_of_several() -> None:
    example = torch.zeros(2, 3, dtype=torch.float64)
    x = np.array([[1, 1, 0, 0, 2, 2], [0, 0, 0, 3, 2, 3]], dtype=float)
    together = Function(lambda x: (x.argmax(-1), x.argmax(0, keepdim=True), x.argmax()))
    assert_equal(together, (example,), x)


def test_tokens_are_looked_up_in_tables() -> None:
    table = tensor(5, 3)
    tokens = np.arange(5, dtype=float).repeat(2).reshape(5, 2)
    example = torch.zeros(1, 2, dtype=torch.int64)
    looked_up = Function(lambda t: (F.embedding(t, table), table[t].sum(1)))
    assert_equal(looked_up, (example,), tokens)


def test_masks_of_attention() -> None:
    """Keys and values of another length than the queries, a bias and a scale."""
    q, k, v = tensor(2, 3, 4), tensor(2, 5, 4), tensor(2, 5, 6)
    example = (torch.zeros(2, 3, 4, dtype=torch.float64),)
    options: list[dict[str, Any]] = [
        {"is_causal": True},
        {"attn_mask": tensor(3, 5), "scale": 0.3},
        {"attn_mask": tensor(2, 3, 5) > -0.9},
    ]

    def attend(x: T) -> tuple[T, ...]:
        return tuple(F.scaled_dot_product_attention(x + q, k + 0, v, **o) for o in options)

    assert_equal(Function(attend), example, samples(24, 6))
