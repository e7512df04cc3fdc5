"""Batched greedy decoding against a loop that runs the whole network again for every token."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from decoders import Decoder as Model
from decoders import mlp_decoder, problem

from absint.decode import Decoder, decode, decode_graph
from absint.ir import Constant, Graph, GraphBuilder, evaluate
from absint.problem import InputError, UnsupportedError
from absint.problem.decode import DecodeProblem


def by_hand(network: Graph, prompt: list[int], spec: DecodeProblem) -> list[tuple[int, float]]:
    """(token, margin) until the stop; the tokens that are not known yet are padded with 0."""
    size, written = len(spec.vocabulary), []
    for t in range(spec.steps):
        text = [*prompt, *(token for token, _ in written)]
        padded = np.array([text + [0] * (network.input_size - len(text))], dtype=float)
        logits = evaluate(network, padded).reshape(-1, size)[len(text) - 1]
        order = sorted(spec.emitted(t), key=lambda token: (-logits[token], token))
        gap = logits[order[0]] - logits[order[1]] if len(order) > 1 else math.inf
        written.append((order[0], float(gap)))
        if order[0] in spec.stop:
            break
    return written


MODELS = {
    "one layer": Model(seed=3),
    "two layers": Model(layers=2, norm="layer", seed=4),
    "rotary, grouped": Model(
        layers=2, width=16, heads=4, kv_heads=2, norm="rms", rope=True, seed=5
    ),
    "swiglu": Model(activation="swiglu", norm="rms", seed=6),
}
SPECS = {
    "plain": {},
    "stop": {"stop": frozenset({0, 3, 5})},
    "allowed": {
        "allowed": (None, frozenset({2, 5}), frozenset({4}), frozenset({0, 1, 6})),
        "stop": frozenset({5}),
    },
}


@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize("name", MODELS)
def test_a_batch_agrees_with_a_loop(name: str, spec: str) -> None:
    network, slots, steps = MODELS[name].graph(7), 4, 4
    given = problem(7, slots, steps, **SPECS[spec])
    prompts = np.random.default_rng(1).integers(7, size=(40, slots))
    found = decode(decode_graph(network, steps), prompts, given)
    assert found.tokens.shape == found.margins.shape == (40, steps)
    for prompt, tokens, margins in zip(prompts.tolist(), found.tokens, found.margins, strict=True):
        wanted = by_hand(network, prompt, given)
        rest = steps - len(wanted)
        assert tokens.tolist() == [token for token, _ in wanted] + [-1] * rest
        np.testing.assert_allclose(margins[: len(wanted)], [m for _, m in wanted], atol=1e-12)
        assert np.isnan(margins[len(wanted) :]).all()


def test_fewer_steps_than_the_graph_has() -> None:
    network = MODELS["two layers"].graph(6)
    prompts = np.random.default_rng(2).integers(7, size=(9, 3))
    graph = decode_graph(network, 4)
    short, long = (decode(graph, prompts, problem(7, 3, steps)) for steps in (2, 4))
    assert (short.tokens == long.tokens[:, :2]).all()


def test_without_tables_the_same_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    graph, given = decode_graph(MODELS["two layers"].graph(6), 3), problem(7, 4, 3)
    prompts = np.random.default_rng(3).integers(7, size=(30, 4))
    with_tables = decode(graph, prompts, given)
    monkeypatch.setattr("absint.decode.plan.TABLE_ENTRIES", 0)
    without = decode(graph, prompts, given)
    assert (without.tokens == with_tables.tokens).all()
    np.testing.assert_allclose(without.margins, with_tables.margins, atol=1e-12)


def test_chunks_join(monkeypatch: pytest.MonkeyPatch) -> None:
    graph, given = decode_graph(Model().graph(5), 2), problem(7, 4, 2, stop=frozenset({1}))
    prompts = np.random.default_rng(4).integers(7, size=(11, 4))
    whole = decode(graph, prompts, given)
    monkeypatch.setattr("absint.decode.greedy.CHUNK", 4)
    assert (decode(graph, prompts, given).tokens == whole.tokens).all()


def test_torch_writes_the_same() -> None:
    import array_api_compat.torch as xp
    import torch

    graph, given = decode_graph(MODELS["rotary, grouped"].graph(6), 3), problem(7, 4, 3)
    prompts = np.random.default_rng(5).integers(7, size=(30, 4))
    wanted = decode(graph, prompts, given)
    found = decode(graph, prompts, given, xp, lambda x: torch.tensor(x, dtype=torch.float64))
    assert (found.tokens == wanted.tokens).all()
    np.testing.assert_allclose(found.margins, wanted.margins, atol=1e-12)


def test_of_equal_logits_the_lowest_index_wins() -> None:
    builder = GraphBuilder()
    token = builder.input("tokens", (1, 1), "int64")
    table = Constant(np.array([[0.0, 2.0, 2.0, 1.0, 2.0]] * 5))
    graph = builder.build({"y": builder.add("embedding", [token], consts={"weight": table})})
    prompts = np.array([[0], [3]])
    first = decode(decode_graph(graph, 1), prompts, problem(5, 1, 1))
    assert first.tokens.tolist() == [[1], [1]]
    assert first.margins.tolist() == [[0.0], [0.0]]
    allowed = (frozenset({4, 2, 3}),)
    assert decode(
        decode_graph(graph, 1), prompts, problem(5, 1, 1, allowed=allowed)
    ).tokens.tolist() == [[2], [2]]


def test_a_single_step_of_a_network_with_one_vector_of_logits() -> None:
    network, given = mlp_decoder(3), problem(6, 3, 1)
    prompts = np.random.default_rng(6).integers(6, size=(20, 3))
    found = decode(decode_graph(network, 1), prompts, given)
    wanted = evaluate(network, prompts.astype(float)).argmax(axis=1)
    assert (found.tokens[:, 0] == wanted).all()


def test_a_network_that_reads_ahead_is_refused() -> None:
    with pytest.raises(UnsupportedError, match="logits_1: reads token 3, of 3 known"):
        decode_graph(Model(causal=False).graph(5), 3)
    decode_graph(Model(causal=False).graph(5), 1)


def test_what_does_not_fit_is_an_input_error() -> None:
    network = Model().graph(5)
    graph, given = decode_graph(network, 3), problem(7, 3, 3)
    for steps in (0, 6):
        with pytest.raises(InputError, match="leave no prompt"):
            decode_graph(network, steps)
    with pytest.raises(InputError, match="no logits for each of 3 tokens"):
        decode_graph(mlp_decoder(3), 2)
    with pytest.raises(InputError, match="3 tokens are needed"):
        Decoder(graph, given).decode(np.zeros((2, 4), dtype=np.int64))
    with pytest.raises(InputError, match="outside the vocabulary of 7"):
        Decoder(graph, given).decode(np.full((2, 3), 7))
    with pytest.raises(InputError, match="4 steps of a network of 3"):
        Decoder(graph, replace(given, steps=4))
    with pytest.raises(InputError, match="one for each of 8 tokens"):
        Decoder(graph, problem(8, 3, 3))
