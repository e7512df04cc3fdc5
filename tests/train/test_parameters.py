"""A module's graph with live constants: it is the module, now and after its parameters change."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tokengraphs import Decoder, array, block_graph
from torch import nn

from absint.ir import Constant, Graph, GraphBuilder
from absint.ir.evaluate import evaluate
from absint.train import Parametric


def lower(module: nn.Module) -> Graph:
    assert isinstance(module, Decoder)
    return block_graph(module, [2, 3])


def logits(parametric: Parametric, tokens: torch.Tensor) -> torch.Tensor:
    arrays = parametric.arrays()
    value = evaluate(parametric.graph, tokens.to(arrays.dtype), arrays.xp, arrays.load)
    assert isinstance(value, torch.Tensor)
    return value


def test_the_graph_follows_the_parameters_and_so_do_gradients() -> None:
    torch.manual_seed(0)
    model = Decoder(5, 4).double()
    parametric = Parametric(model, lower)
    tokens = torch.randint(5, (7, 4))
    for _ in range(2):
        mine, its = logits(parametric, tokens), model(tokens)[:, 2:].flatten(1)
        torch.testing.assert_close(mine, its)
        found = torch.autograd.grad(mine.square().sum(), list(model.parameters()))
        wanted = torch.autograd.grad(its.square().sum(), list(model.parameters()))
        torch.testing.assert_close(found, wanted)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter += torch.randn_like(parameter)


def test_the_module_itself_is_left_as_it_was() -> None:
    model = Decoder(5, 4)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    Parametric(model, lower)
    assert model.training
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


def dense_graph(weight: np.ndarray, bias: np.ndarray | None = None) -> Graph:  # type: ignore[type-arg]
    builder = GraphBuilder()
    x = builder.input("x", (weight.shape[0],))
    consts = {"weight": Constant(weight)}
    if bias is not None:
        consts["bias"] = Constant(bias)
    return builder.build({"y": builder.add("dense", [x], consts=consts, name="layer")})


def test_fixed_entries_beside_copied_ones_stay() -> None:
    model = nn.Linear(2, 2, bias=False).double()

    def padded(module: nn.Module) -> Graph:
        assert isinstance(module, nn.Linear)
        return dense_graph(np.concatenate([array(module.weight), [[0.0, 5.0]]]))

    parametric = Parametric(model, padded)
    x = torch.tensor([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]], dtype=torch.float64)
    arrays = parametric.arrays()
    found = evaluate(parametric.graph, x, arrays.xp, arrays.load)
    assert found[0].tolist() == [0.0, 5.0]
    torch.testing.assert_close(found[1], model.weight[0])


@pytest.mark.parametrize(
    "computed",
    [lambda w: 2 * w, lambda w: -w, lambda w: w + w.T, lambda w: np.cumsum(w, axis=0)],
)
def test_a_constant_that_is_computed_from_parameters_is_refused(computed) -> None:  # type: ignore[no-untyped-def]
    model = nn.Linear(2, 2, bias=False)
    with pytest.raises(ValueError, match="weight of node 'layer' is computed from parameters"):
        Parametric(model, lambda module: dense_graph(computed(array(module.weight))))


def test_a_graph_that_depends_on_the_values_is_refused() -> None:
    def fickle(module: nn.Module) -> Graph:
        assert isinstance(module, nn.Linear)
        bias = np.zeros(2) if module.weight[0, 0] > 1 else None
        return dense_graph(array(module.weight), bias)

    with pytest.raises(ValueError, match="node 'layer' depends on the values"):
        Parametric(nn.Linear(2, 2, bias=False), fickle)


def test_too_many_parameters_for_their_dtype_are_refused() -> None:
    model = nn.Linear(64, 64, bias=False).to(torch.float16)
    with pytest.raises(ValueError, match="4096 parameters cannot be numbered"):
        Parametric(model, lambda module: dense_graph(array(module.weight)))
