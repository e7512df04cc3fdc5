"""Networks of every kind that people bring, against eager mode in float64."""

from __future__ import annotations

import functools
import math

import numpy as np
import pytest
import torch
from torch import nn
from torchmodels import assert_equal, samples
from torchzoo import Decoder, Greedy, networks

from absint.frontends.torch import lower_module
from absint.ir import digest

ZOO = functools.cache(networks)


@pytest.mark.parametrize("name", list(ZOO()))
def test_a_network_equals_eager_mode(name: str) -> None:
    module, shape = ZOO()[name]
    example = torch.zeros(shape, dtype=torch.float64)
    assert_equal(module, (example,), samples(math.prod(shape), 6))


@pytest.mark.parametrize("causal", ["flag", "bool", "fill", "where", "add"])
def test_a_decoder_equals_eager_mode_however_its_mask_is_written(causal: str) -> None:
    torch.manual_seed(1)
    module = Decoder(causal=causal).double()
    tokens = np.random.default_rng(0).integers(0, 7, size=(10, 5)).astype(float)
    model = assert_equal(module, (torch.zeros(1, 5, dtype=torch.int64),), tokens)
    masks = [node.consts["mask"].value for node in model.graph.nodes if node.op == "softmax"]
    assert [(mask == np.tril(np.ones((5, 5)))).all() for mask in masks] == [True]
    assert [port.dtype for port in model.graph.inputs] == ["int64"]


def test_a_greedy_loop_is_unrolled() -> None:
    torch.manual_seed(2)
    module = Greedy(3).double()
    prompts = np.array([[a, b] for a in range(7) for b in range(7)], dtype=float)
    model = assert_equal(module, (torch.zeros(1, 2, dtype=torch.int64),), prompts)
    assert sum(node.op == "argmax" for node in model.graph.nodes) == 3
    assert model.graph.outputs[0].dtype == "int64"


def test_float32_weights_keep_their_exact_values() -> None:
    module = nn.Linear(2, 1, bias=False)
    with torch.no_grad():
        module.weight.copy_(torch.tensor([[0.1, -0.3]]))
    graph = lower_module(module, (torch.zeros(1, 2),))
    (node,) = [node for node in graph.nodes if node.op == "dense"]
    stored = np.array([[np.float32(0.1)], [np.float32(-0.3)]], dtype=np.float64)
    assert (node.consts["weight"].value == stored).all()
    assert graph.outputs[0].dtype == "float32"


def test_the_digest_is_of_structure_and_weights() -> None:
    example = (torch.zeros(1, 2),)
    first, second = nn.Linear(2, 2), nn.Linear(2, 2)
    second.load_state_dict(first.state_dict())
    same = digest(lower_module(first, example))
    assert digest(lower_module(second, example)) == same
    with torch.no_grad():
        second.weight[0, 0] += 1
    assert digest(lower_module(second, example)) != same


def test_lowering_leaves_the_mode_of_the_module_as_it_was() -> None:
    module = nn.Sequential(nn.Linear(2, 2), nn.Dropout(), nn.BatchNorm1d(2))
    module[2].eval()
    lower_module(module, (torch.zeros(1, 2),))
    assert [part.training for part in module.modules()] == [True, True, True, False]
