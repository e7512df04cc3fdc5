"""Bounds over products of token sets, against enumeration of all their members."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from tokengraphs import Decoder, block_graph

from absint.domains.arrays import Arrays, numpy_arrays, torch_arrays
from absint.domains.tokens import largest_mean, largest_mean_of_tokens
from absint.domains.tokens_bounds import TokenBounds
from absint.domains.tokens_sets import SEVERAL, TokenSets, ports_read
from absint.ir import Constant, GraphBuilder, evaluate

VOCABULARY, LENGTH = 5, 4
ARRAYS = [numpy_arrays(), torch_arrays()]
WITH = pytest.mark.parametrize("arrays", ARRAYS, ids=["numpy", "torch"])
Array = NDArray[np.float64]
seeds = st.integers(0, 2**32 - 1)


def relative(bound: Any, truth: Array) -> Array:
    """How far a bound is above the truth, in parts of its size."""
    return np.asarray((np.asarray(bound) - truth) / (1 + abs(truth)))


@given(seeds)
def test_the_largest_mean_is_that_of_the_best_corner(seed: int) -> None:
    rng = np.random.default_rng(seed)
    low = rng.uniform(0.01, 1, (2, 5))
    high, values = low + rng.uniform(0, 3, (2, 5)), rng.normal(size=(2, 5))
    corners = np.array(list(itertools.product([0, 1], repeat=5)))
    weights = np.where(corners[:, None], high, low)
    truth = ((weights * values).sum(-1) / weights.sum(-1)).max(0)
    assert largest_mean(low, high, values, np) == pytest.approx(truth, rel=1e-12)


@given(seeds)
def test_the_largest_mean_of_tokens_is_that_of_the_best_choice(seed: int) -> None:
    rng = np.random.default_rng(seed)
    weights = np.exp(3 * rng.normal(size=(2, 4, 3)))
    values, allowed = rng.normal(size=(2, 4, 3)), rng.random((2, 4, 3)) < 0.7
    allowed[..., 1] |= ~allowed.any(-1)
    found = largest_mean_of_tokens(weights, values, allowed, np)
    for case in range(2):
        truth = max(
            sum(weights[case, p, t] * values[case, p, t] for p, t in enumerate(choice))
            / sum(weights[case, p, t] for p, t in enumerate(choice))
            for choice in itertools.product(*(np.flatnonzero(s) for s in allowed[case]))
        )
        assert found[case] == pytest.approx(truth, rel=1e-9, abs=1e-12)


def test_equal_values_and_single_positions_are_exact() -> None:
    one = np.ones((1, 3))
    assert largest_mean(one, 5 * one, 0.25 * one, np) == pytest.approx(0.25)
    assert largest_mean(one[:, :1], 9 * one[:, :1], 7 * one[:, :1], np) == 7


def random_sets(rng: np.random.Generator, batch: int) -> NDArray[np.bool_]:
    allowed = rng.random((batch, LENGTH, VOCABULARY)) < 0.6
    allowed[..., 0] |= ~allowed.any(-1)
    return allowed


def truth(model: Decoder, allowed: NDArray[np.bool_], rows: Array) -> Array:
    """The largest ``rows . logits`` of the last position over each case: (batch, rows)."""
    best = []
    for sets, some in zip(allowed, rows, strict=True):
        members = np.array(list(itertools.product(*(np.flatnonzero(s) for s in sets))))
        with torch.no_grad():
            logits = model(torch.from_numpy(members))[:, -1].numpy()
        best.append((logits @ some.T).max(0))
    return np.array(best)


def decoder(seed: int, layers: int) -> Decoder:
    torch.manual_seed(seed)
    return Decoder(VOCABULARY, LENGTH, layers=layers).double()


@WITH
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("seed", range(3))
def test_no_member_exceeds_the_bound(arrays: Arrays, layers: int, seed: int) -> None:
    rng, model = np.random.default_rng(seed), decoder(seed, layers)
    graph = block_graph(model, [LENGTH - 1])
    allowed, rows = random_sets(rng, 5), rng.normal(size=(5, 3, VOCABULARY))
    bounds = TokenBounds(graph, TokenSets(allowed), arrays)
    upper = bounds.upper(graph.outputs[0].node, arrays.asarray(rows))
    assert relative(arrays.numpy(upper), truth(model, allowed, rows)).min() >= -1e-9


@WITH
def test_coupled_attention_is_tighter_and_still_a_bound(arrays: Arrays) -> None:
    rng, model = np.random.default_rng(7), decoder(7, 1)
    graph = block_graph(model, [LENGTH - 1])
    allowed, rows = random_sets(rng, 8), rng.normal(size=(8, 4, VOCABULARY))
    allowed[:, -1] = np.eye(VOCABULARY, dtype=bool)[rng.integers(0, VOCABULARY, 8)]
    loose, tight = (
        arrays.numpy(
            TokenBounds(graph, TokenSets(allowed), arrays, coupled).upper(
                graph.outputs[0].node, arrays.asarray(rows)
            )
        )
        for coupled in (False, True)
    )
    best = truth(model, allowed, rows)
    assert relative(tight, best).min() >= -1e-9
    assert relative(loose, best).min() >= -1e-9
    assert (tight - best).mean() < 0.9 * (loose - best).mean()


@WITH
@pytest.mark.parametrize("coupled", [False, True])
def test_the_bound_of_a_single_text_is_its_value(arrays: Arrays, coupled: bool) -> None:
    rng, model = np.random.default_rng(1), decoder(1, 2)
    graph = block_graph(model, [LENGTH - 1])
    tokens = rng.integers(0, VOCABULARY, (6, LENGTH))
    allowed, rows = np.eye(VOCABULARY, dtype=bool)[tokens], rng.normal(size=(6, 2, VOCABULARY))
    bounds = TokenBounds(graph, TokenSets(allowed), arrays, coupled)
    upper = bounds.upper(graph.outputs[0].node, arrays.asarray(rows))
    assert abs(relative(arrays.numpy(upper), truth(model, allowed, rows))).max() < 1e-9


@WITH
def test_one_heads_bound_is_attained_when_its_tokens_are_coupled(arrays: Arrays) -> None:
    """Without an MLP nothing is relaxed: the programme is exact, not only a bound."""
    rng = np.random.default_rng(3)
    graph, position = attention_alone(rng)
    allowed, rows = random_sets(rng, 4), rng.normal(size=(4, 3, 3))
    allowed[:, -1] = np.eye(VOCABULARY, dtype=bool)[rng.integers(0, VOCABULARY, 4)]
    bounds = TokenBounds(graph, TokenSets(allowed), arrays, coupled=True)
    upper = arrays.numpy(bounds.upper(position, arrays.asarray(rows)))
    for case in range(4):
        texts = np.array(list(itertools.product(*(np.flatnonzero(s) for s in allowed[case]))))
        best = (evaluate(graph, texts.astype(float)) @ rows[case].T).max(0)
        assert upper[case] == pytest.approx(best, rel=1e-9, abs=1e-9)


def attention_alone(rng: np.random.Generator) -> tuple[Any, int]:
    builder = GraphBuilder()
    tokens = [builder.input(f"token_{i}", ()) for i in range(LENGTH)]
    weights = [Constant(rng.normal(size=(VOCABULARY, 3))) for _ in range(3)]
    keys, values = (
        [builder.add("embedding", [token], consts={"weight": weight}) for token in tokens]
        for weight in weights[:2]
    )
    query = builder.add("embedding", [tokens[-1]], consts={"weight": weights[2]})
    attrs = {"heads": 1, "kv_heads": 1, "scale": 1.0}
    builder.add("attend", [query, *keys, *values], attrs=attrs)
    graph = builder.build({"y": len(builder.nodes) - 1})
    return graph, graph.outputs[0].node


@WITH
def test_shared_keys_of_several_heads(arrays: Arrays) -> None:
    rng = np.random.default_rng(5)
    builder = GraphBuilder()
    tokens = [builder.input(f"token_{i}", ()) for i in range(3)]
    shapes = [(VOCABULARY, 2), (VOCABULARY, 4), (VOCABULARY, 4)]
    key, value, query = (Constant(rng.normal(size=shape)) for shape in shapes)
    keys = [builder.add("embedding", [t], consts={"weight": key}) for t in tokens]
    values = [builder.add("embedding", [t], consts={"weight": value}) for t in tokens]
    asked = builder.add("embedding", [tokens[-1]], consts={"weight": query})
    attrs = {"heads": 4, "kv_heads": 2, "scale": -0.7}
    builder.add("attend", [asked, *keys, *values], attrs=attrs)
    graph = builder.build({"y": len(builder.nodes) - 1})
    allowed = random_sets(rng, 3)[:, :3]
    rows = rng.normal(size=(3, 2, graph.outputs[0].size))
    upper = TokenBounds(graph, TokenSets(allowed), arrays).upper(
        graph.outputs[0].node, arrays.asarray(rows)
    )
    for case in range(3):
        texts = np.array(list(itertools.product(*(np.flatnonzero(s) for s in allowed[case]))))
        best = (evaluate(graph, texts.astype(float)) @ rows[case].T).max(0)
        assert (arrays.numpy(upper)[case] >= best - 1e-9).all()


def test_what_depends_on_one_token_is_told_from_what_depends_on_several() -> None:
    graph = block_graph(decoder(0, 1), [LENGTH - 1])
    read = dict(zip((node.op for node in graph.nodes), ports_read(graph), strict=True))
    assert read["attend"] == read["relu"] == SEVERAL
    assert ports_read(graph)[: graph.inputs[1].node] == [0] * graph.inputs[1].node


def test_bad_sets_are_errors() -> None:
    graph = block_graph(decoder(0, 1), [LENGTH - 1])
    with pytest.raises(ValueError, match="none may be empty"):
        TokenSets(np.zeros((1, LENGTH, VOCABULARY), dtype=bool))
    with pytest.raises(ValueError, match="2 token sets for 4 inputs"):
        TokenBounds(graph, TokenSets(np.ones((1, 2, VOCABULARY), dtype=bool)), numpy_arrays())
