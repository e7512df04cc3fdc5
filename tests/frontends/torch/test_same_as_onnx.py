"""A module lowered directly and by way of its ONNX export is one graph, or one function."""

from __future__ import annotations

import dataclasses
import io
from contextlib import redirect_stdout
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torchzoo import Decoder, Greedy, networks

from absint.frontends.onnx import load
from absint.frontends.torch import lower_module
from absint.ir import Graph, digest, evaluate

TOKENS = (torch.zeros(1, 5, dtype=torch.int64),)


def exported(module: nn.Module, examples: tuple[torch.Tensor, ...], path: Path) -> Graph:
    with redirect_stdout(io.StringIO()):
        torch.onnx.export(module.eval(), examples, str(path), dynamo=True, opset_version=20)
    return load(path).graph


def unnamed(graph: Graph) -> str:
    """The digest without the names of inputs and outputs, which exporters choose."""
    inputs = tuple(dataclasses.replace(p, name=str(i)) for i, p in enumerate(graph.inputs))
    outputs = tuple(dataclasses.replace(p, name=str(i)) for i, p in enumerate(graph.outputs))
    return digest(dataclasses.replace(graph, inputs=inputs, outputs=outputs))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["mlp", "cnn", "gru"])
def test_the_graphs_are_equal(name: str, tmp_path: Path) -> None:
    module, shape = networks()[name]
    examples = (torch.zeros(shape),)
    module = module.float()
    other = exported(module, examples, tmp_path / "model.onnx")
    assert unnamed(lower_module(module, examples)) == unnamed(other)


@pytest.mark.filterwarnings("ignore")
def test_the_graphs_of_a_greedy_loop_are_equal(tmp_path: Path) -> None:
    module = Greedy(2)
    other = exported(module, TOKENS, tmp_path / "model.onnx")
    assert unnamed(lower_module(module, TOKENS)) == unnamed(other)
    assert unnamed(lower_module(Greedy(2), TOKENS)) != unnamed(other), "other weights"


@pytest.mark.filterwarnings("ignore")
def test_the_functions_are_equal_where_the_exporter_rounds_constants(tmp_path: Path) -> None:
    """The exporter folds the tables of rotary positions in float32."""
    torch.manual_seed(0)
    module = Decoder()
    own = lower_module(module, TOKENS)
    other = exported(module, TOKENS, tmp_path / "model.onnx")
    x = np.random.default_rng(0).integers(0, 7, size=(20, 5)).astype(float)
    np.testing.assert_allclose(evaluate(own, x), evaluate(other, x), rtol=1e-6, atol=1e-6)
