"""Loops and branches that PyTorch keeps as higher-order ops, against eager mode."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch._higher_order_ops import map as mapped
from torch._higher_order_ops import scan, while_loop
from torchmodels import assert_equal, samples

from absint.frontends.torch import load_module
from absint.problem.errors import UnsupportedError

T = torch.Tensor


class Repeated(nn.Module):
    """A layer applied four times, the rounds counted in a tensor; a loop within the loop."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 3)

    def forward(self, x: T) -> Any:
        def inner(j: T, h: T) -> Any:
            return j + 1, torch.tanh(self.layer(h)) + x

        def body(i: T, h: T) -> Any:
            _, h = while_loop(lambda j, h: j < i, inner, (torch.zeros_like(i), h.clone()))
            return i + 1, h * 0.5

        return while_loop(lambda i, h: i < 3, body, (torch.tensor(0), x.clone()))[1]


class Greedy(nn.Module):
    """Writes three tokens by argmax into a buffer, in a loop that PyTorch keeps."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.head = nn.Embedding(7, 4), nn.Linear(4, 7)

    def forward(self, tokens: T) -> Any:
        places = torch.arange(6)

        def body(at: T, text: T) -> Any:
            logits = self.head(torch.tanh(self.embed(text).cumsum(1)))
            last = torch.where((places == at - 1)[None, :, None], logits, 0.0).sum(1)
            return at + 1, torch.where(places[None] == at, last.argmax(-1, keepdim=True), text)

        text = torch.cat([tokens, torch.zeros(1, 3, dtype=torch.int64)], 1)
        return while_loop(lambda at, text: at < 6, body, (torch.tensor(3), text))[1]


class Scanned(nn.Module):
    """A recurrence over the first axis, with two results a step."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 3)

    def forward(self, x: T) -> Any:
        def step(h: T, row: T) -> Any:
            new = torch.tanh(self.layer(h) + row)
            return new, (new * 2, row - h)

        return scan(step, torch.zeros(3), x, dim=0)


class Mapped(nn.Module):
    def forward(self, x: T) -> Any:
        return mapped(lambda row: torch.softmax(row, 0), x)


class Branched(nn.Module):
    """A branch on data: both sides are computed, and one is chosen."""

    def forward(self, x: T) -> Any:
        return torch.cond(x.sum() > 0, lambda x: x + 1, lambda x: x.exp(), (x,))


class Until(nn.Module):
    """Stops when the sum is large enough: nobody knows how often it goes round."""

    def forward(self, x: T) -> Any:
        return while_loop(lambda h: h.sum() < 4, lambda h: (h + 1,), (x.clone(),))


CASES: list[tuple[type[nn.Module], tuple[int, ...]]] = [
    (Repeated, (3,)),
    (Scanned, (5, 3)),
    (Mapped, (4, 3)),
    (Branched, (3,)),
]


@pytest.mark.parametrize(("kind", "shape"), CASES)
def test_control_flow_equals_eager_mode(kind: type[nn.Module], shape: tuple[int, ...]) -> None:
    torch.manual_seed(1)
    example = (torch.zeros(*shape, dtype=torch.float64),)
    size = int(np.prod(shape))
    torch.set_default_dtype(torch.float64)
    try:
        assert_equal(kind(), example, samples(size, 8))
    finally:
        torch.set_default_dtype(torch.float32)


def test_tokens_are_written_in_a_loop() -> None:
    torch.manual_seed(2)
    prompts = np.random.default_rng(0).integers(0, 7, (20, 3)).astype(np.float64)
    assert_equal(Greedy(), (torch.zeros(1, 3, dtype=torch.int64),), prompts)


def test_an_end_that_depends_on_the_input_is_named_with_advice() -> None:
    with pytest.raises(UnsupportedError, match="whose end depends on the input") as raised:
        load_module(Until(), (torch.zeros(2),))
    assert "fixed number" in str(raised.value)


class Inside(nn.Module):
    def forward(self, x: T) -> Any:
        def step(h: T, row: T) -> Any:
            return torch.atan(h + row), torch.special.i0(row)

        return scan(step, torch.zeros(3), x, dim=0)


def test_unsupported_ops_inside_are_all_listed_with_their_place() -> None:
    with pytest.raises(UnsupportedError) as raised:
        load_module(Inside(), (torch.zeros(2, 3),))
    text = str(raised.value)
    assert "atan" in text
    assert "i0" in text
    assert "inside" in text
