"""What cannot be lowered is named, all of it at once; what is wrong is one line."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torchfactories
from torch import nn
from torch.nn import functional as F  # noqa: N812
from torchmodels import Function, assert_equal, samples

from absint.frontends.torch import load_module
from absint.problem import InputError, UnsupportedError

T = torch.Tensor


def test_everything_unsupported_is_listed_with_node_and_op() -> None:
    with pytest.raises(UnsupportedError) as caught:
        load_module(*torchfactories.several())
    places = [item.place for item in caught.value.found]
    for op in ("atan", "special_i0", "sort"):
        assert any(op in place for place in places), places
    assert len(places) == 3
    assert caught.value.found[0].hint


def test_a_branch_on_data_becomes_advice_with_the_line() -> None:
    with pytest.raises(UnsupportedError) as caught:
        load_module(*torchfactories.branching())
    (found,) = caught.value.found
    assert found.place.startswith("torchfactories.py:")
    assert "torch.where" in found.hint


def test_a_module_that_changes_its_buffers_is_not_a_function() -> None:
    with pytest.raises(UnsupportedError, match="buffer_mutation"):
        load_module(*torchfactories.counting())


UNSUPPORTED: dict[str, tuple[Callable[[T], Any], str]] = {
    "a mask that depends on the input": (
        lambda x: torch.where(x > 0, x, float("-inf")),
        "a mask that depends on the input",
    ),
    "a power of variables": (lambda x: (x * x) ** x, "base and exponent"),
    "an infinite mask that something else reads": (
        lambda x: torch.tanh(x + torch.tensor([0.0, float("-inf")])),
        "-inf",
    ),
    "a fully masked row": (lambda x: F.softmax(x - float("inf"), -1), "masked"),
    "a low threshold": (lambda x: F.softplus(x, threshold=1), "threshold=1"),
    "an integer of a float": (lambda x: x.to(torch.int64) + 1, "int64"),
    "random numbers": (lambda x: x + torch.rand(1, 2), "rand"),
    "random integers": (lambda x: x + torch.randint(0, 9, (2,)), "randint"),
    "uninitialised memory": (lambda x: x + torch.empty(2, dtype=torch.int64), "empty"),
    "a half": (lambda x: x.bfloat16().relu(), "bfloat16"),
    "dropout in training": (lambda x: F.dropout(x, 0.5, training=True), "dropout"),
    "an order of norm": (lambda x: torch.linalg.vector_norm(x, 3), "order"),
}


@pytest.mark.parametrize("name", UNSUPPORTED)
def test_it_is_an_error(name: str) -> None:
    function, word = UNSUPPORTED[name]
    with pytest.raises((UnsupportedError, InputError), match=word):
        load_module(Function(function), (torch.zeros(1, 2),))


def test_a_module_that_fails_is_one_line() -> None:
    with pytest.raises(InputError, match="cannot export") as caught:
        load_module(nn.Linear(3, 1), (torch.zeros(1, 2),))
    assert "\n" not in str(caught.value)


def test_a_finite_mask_is_read_as_it_stands_by_what_is_no_softmax() -> None:
    example = torch.zeros(1, 2, dtype=torch.float64)
    mask = torch.tensor([0.0, -1e31], dtype=torch.float64)
    both = Function(lambda x: (F.softmax(x + mask, -1), torch.relu(x + mask)))
    assert_equal(both, (example,), samples(2, 5))
