"""Block graphs compute what the network over whole sequences does."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from decoders import Decoder, last_rows, mlp_decoder, move

from absint.ir import Constant, Graph, GraphBuilder, ShapeError, evaluate
from absint.ir.blocks import slots_of, unroll

MODELS = {
    "plain": Decoder(),
    "two layers, layer norm": Decoder(layers=2, norm="layer"),
    "two layers, rms norm": Decoder(layers=2, norm="rms", seed=1),
    "attention only": Decoder(activation=""),
    "attention only, not causal": Decoder(activation="", causal=False, layers=2),
    "grouped queries": Decoder(heads=6, kv_heads=3, layers=2),
    "one key head": Decoder(heads=3, kv_heads=1),
    "rotary": Decoder(rope=True, layers=2, norm="rms"),
    "swiglu": Decoder(activation="swiglu", norm="rms", rope=True, kv_heads=1),
    "gelu": Decoder(activation="gelu", norm="layer"),
    "silu, not causal": Decoder(activation="silu", causal=False, layers=2),
    "scaled query": Decoder(scaled="query"),
    "scaled twice": Decoder(scaled="both", layers=2),
    "a factor for each head": Decoder(scaled="heads", layers=2),
}


def tokens(slots: int, vocabulary: int, count: int = 20) -> np.ndarray:
    return np.random.default_rng(5).integers(vocabulary, size=(count, slots)).astype(float)


def agree(graph: Graph, block: Graph, rows: dict, x: np.ndarray) -> None:
    wanted = evaluate(graph, x)[:, np.concatenate([np.asarray(r) for r in rows.values()])]
    np.testing.assert_allclose(evaluate(block, x), wanted, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", MODELS)
def test_transformers(name: str) -> None:
    model, slots, steps = MODELS[name], 5, 3
    graph = model.graph(slots)
    rows = last_rows(graph, steps)
    block = unroll(graph, rows)
    agree(graph, block, rows, tokens(slots, model.vocabulary))
    ops = Counter(node.op for node in block.nodes)
    assert not {"softmax", "matmul", "conv"} & set(ops)
    assert ops["attend"] == (model.layers - 1) * slots + steps
    for node in block.nodes:
        if node.op == "attend":
            assert node.integer("heads") == model.heads
            assert node.integer("kv_heads") == model.kv_heads
        assert len(node.shape) == (node.op != "input")
    if model.causal:
        slot_sets = slots_of(block)
        for t, port in enumerate(block.outputs):
            assert slot_sets[port.node] == frozenset(range(slots - steps + t + 1))


def test_weights_are_shared() -> None:
    block = unroll(graph := Decoder(layers=2, norm="layer").graph(9), last_rows(graph, 4))
    first = unroll(graph := Decoder(layers=2, norm="layer").graph(3), last_rows(graph, 1))
    counts = [
        sum(c.value.size for c in {id(c): c for n in g.nodes for c in n.consts.values()}.values())
        for g in (block, first)
    ]
    assert counts[0] - counts[1] == 6 * 12  # the positions' biases alone


def test_an_mlp_on_joined_embeddings() -> None:
    graph, rows = mlp_decoder(4), {"y": range(6), "z": [2, 0]}
    block = unroll(graph, rows)
    agree(graph, block, rows, tokens(4, 6))
    assert Counter(n.op for n in block.nodes)["dense"] == 2


def test_blocks_of_one_layer_read_one_token_each() -> None:
    block = unroll(graph := Decoder(norm="rms", rope=True).graph(6), last_rows(graph, 1))
    slots = slots_of(block)
    for node in block.nodes:
        if node.op == "attend":
            assert [slots[i] for i in node.inputs[1:]] == [frozenset({i}) for i in range(6)] * 2
            break


def test_what_is_computed_twice_is_there_twice() -> None:
    """The two may be rounded differently. Copies are there once."""
    rng, builder = np.random.default_rng(0), GraphBuilder()
    ids = builder.input("tokens", (1, 3), "int64")
    table = {"weight": Constant(rng.normal(size=(4, 2)))}
    x, y = (builder.add("embedding", [ids], consts=table) for _ in range(2))
    weight = {"weight": Constant(rng.normal(size=(2, 2)))}
    sides = [builder.add("dense", [z], consts=weight) for z in (x, y)]
    rows = move(builder, sides[0], lambda a: np.repeat(a, 2, axis=1))
    sides += [builder.add("tanh", [rows])]
    joined = builder.add("concat", sides, attrs={"axis": 1})
    graph = builder.build({"y": joined})
    block = unroll(graph, rows := {"all": range(graph.output_size)})
    agree(graph, block, rows, tokens(3, 4))
    ops = Counter(node.op for node in block.nodes)
    assert ops["embedding"] == 3
    assert ops["dense"] == 6
    assert sum(node.size for node in block.nodes if node.op == "tanh") == 12


def _joined(outputs: str) -> Graph:
    """Ops outside attention that mix positions: softmax, products, a convolution, a pool."""
    rng, builder = np.random.default_rng(2), GraphBuilder()
    ids = builder.input("tokens", (1, 4), "int64")
    table = {"weight": Constant(rng.normal(size=(5, 3)))}
    x = builder.add("embedding", [ids], consts=table)
    turned = move(builder, x, lambda a: np.swapaxes(a, 1, 2))
    scores = builder.add("matmul", [x, turned])
    mask = Constant(np.broadcast_to(np.tril(np.ones((4, 4), dtype=np.int64)), (1, 4, 4)))
    biased = builder.add("scale", [scores], consts={"bias": Constant(rng.normal(size=(4, 4)))})
    shares = builder.add("softmax", [biased], consts={"mask": mask})
    attrs = {"strides": (1,), "pads": (1, 1), "dilations": (1,), "groups": 1}
    consts = {"weight": Constant(rng.normal(size=(2, 3, 3)))}
    made = {
        "scores": scores,
        "shares": shares,
        "scaled": builder.add("scale", [scores], consts={"weight": Constant(rng.normal(size=4))}),
        "mixed": builder.add("matmul", [shares, x]),
        "twice": builder.add("matmul", [shares, shares]),
        "turned": builder.add("matmul", [turned, move(builder, shares, lambda a: a[:, ::-1])]),
        "conv": builder.add("conv", [turned], attrs=attrs, consts=consts),
        "pool": builder.add("dense", [turned], consts={"weight": Constant(np.full((4, 1), 0.25))}),
        "argmax": builder.add("argmax", [x]),
        "group": builder.add("normalize", [x], attrs={"axes": 2, "centered": 1, "epsilon": 1e-5}),
        "padded": builder.add(
            "gather",
            [x],
            consts={
                "index": Constant(np.array([[-1, 3, 3], [5, -1, 0]])),
                "bias": Constant(rng.normal(size=3)),
            },
        ),
        "rows": builder.add(
            "dense",
            [x],
            consts={
                "weight": Constant(rng.normal(size=(3, 2))),
                "bias": Constant(rng.normal(size=(4, 2))),
            },
        ),
        "ids": builder.add("relu", [ids]),
    }
    return builder.build({outputs: made[outputs]})


@pytest.mark.parametrize(
    "name",
    [
        "scores",
        "shares",
        "scaled",
        "mixed",
        "twice",
        "turned",
        "conv",
        "pool",
        "argmax",
        "group",
        "padded",
        "rows",
        "ids",
    ],
)
def test_what_is_no_attention_is_exact_too(name: str) -> None:
    graph = _joined(name)
    rows = {"all": range(graph.output_size), "odd": range(graph.output_size)[::-2]}
    agree(graph, unroll(graph, rows), rows, tokens(4, 5))


def test_softmax_with_a_bias_stays_causal() -> None:
    graph = _joined("mixed")
    block = unroll(graph, {"first": range(3), "third": range(6, 9)})
    slots = slots_of(block)
    assert [slots[p.node] for p in block.outputs] == [frozenset({0}), frozenset({0, 1, 2})]


def test_keys_times_queries_is_attention_too() -> None:
    rng, builder = np.random.default_rng(3), GraphBuilder()
    ids = builder.input("tokens", (4,), "int64")
    x = builder.add("embedding", [ids], consts={"weight": Constant(rng.normal(size=(5, 3)))})
    q = builder.add("dense", [x], consts={"weight": Constant(rng.normal(size=(3, 3)))})
    turned = move(builder, q, np.transpose)
    scores = move(builder, builder.add("matmul", [x, turned]), np.transpose)
    shares = move(builder, builder.add("softmax", [scores]), np.transpose)
    mixed = builder.add("matmul", [move(builder, x, np.transpose), shares])
    graph = builder.build({"y": mixed})
    rows = {"y": range(graph.output_size)}
    block = unroll(graph, rows)
    agree(graph, block, rows, tokens(4, 5))
    assert Counter(n.op for n in block.nodes)["attend"] == 4


def test_constants_with_a_radius_keep_it() -> None:
    builder = GraphBuilder()
    ids = builder.input("tokens", (1, 3), "int64")
    table = {"weight": Constant(np.random.default_rng(0).normal(size=(4, 2)))}
    x = builder.add("embedding", [ids], consts=table)
    turned = move(builder, x, lambda a: np.swapaxes(a, 1, 2))
    scores = builder.add("matmul", [x, turned])
    factor = Constant(np.array(0.7), np.array(1e-9))
    scores = builder.add("scale", [scores], consts={"weight": factor})
    weight = Constant(np.arange(6.0).reshape(3, 2), np.full((3, 2), 0.5))
    y = builder.add("matmul", [builder.add("softmax", [scores]), x])
    graph = builder.build({"y": builder.add("scale", [y], consts={"weight": weight})})
    block = unroll(graph, {"y": [4, 5]})
    kept = [c for n in block.nodes for c in n.consts.values() if c.radius is not None]
    assert sorted(float(c.radius.max()) for c in kept if c.radius is not None) == [1e-9, 0.5]
    assert [c.value.tolist() for c in kept if c.value.size == 2][-1] == [4.0, 5.0]


def test_rows_outside_the_output_are_refused() -> None:
    graph = mlp_decoder(3)
    for rows in ([6], [-1], []):
        with pytest.raises(ShapeError, match="y does not name"):
            unroll(graph, {"y": rows})
