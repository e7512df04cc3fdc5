"""Ops that mix values in the search's domains: sound up to rounding, and what the checker finds."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from irmodels import Array, Case
from jointmodels import JOINT, operands

from absint.domains import interval
from absint.domains.arrays import Arrays, numpy_arrays, torch_arrays
from absint.domains.bilinear import Bilinear, bilinear
from absint.domains.product import Query, analyse
from absint.ir import OPS, Constant, Graph, GraphBuilder, Node, evaluate
from absint.ir.planes import EXACT_TERMS, default_tilts
from absint.proofs.transformers import joint

Interval = tuple[Array, Array]
EVERY = pytest.mark.parametrize("case", JOINT, ids=lambda case: case.name)
FLOAT64 = numpy_arrays()
BACKENDS = [FLOAT64, torch_arrays(), numpy_arrays("float32"), torch_arrays(dtype="float32")]
NAMES = ["numpy", "torch", "numpy-single", "torch-single"]


def boxes(case: Case, seed: int, batch: int = 6) -> list[Interval]:
    """Points, narrow boxes and wide ones; of token ids, sets within the table."""
    rng = np.random.default_rng(seed)
    found = []
    for x in operands(case, batch, seed, 2.0):
        radius = rng.choice([0.0, 0.05, 1.0, 4.0], (batch, *(1,) * (x.ndim - 1)))
        low, high = x - radius * rng.random(x.shape), x + radius * rng.random(x.shape)
        if case.op == "embedding":
            last = case.consts["weight"].shape[0] - 1
            low, high = (np.clip(end, 0, last) for end in (low, high))
            low, high = np.minimum(low, x), np.maximum(high, x)
        found.append((low, high))
    return found


def inside(xs: list[Interval], rng: np.random.Generator, case: Case) -> list[Array]:
    """A point of each box of the batch: a corner, or anywhere."""
    corner = rng.random() < 0.5
    points = []
    for low, high in xs:
        share = rng.random(low.shape)
        x = np.clip(low + (np.round(share) if corner else share) * (high - low), low, high)
        points.append(
            np.clip(np.round(x), np.ceil(low), np.floor(high)) if case.op == "embedding" else x
        )
    return points


def image(case: Case, xs: list[Interval], arrays: Arrays = FLOAT64) -> Interval:
    loaded = [(arrays.asarray(low), arrays.asarray(high)) for low, high in xs]
    low, high = interval.transform(case.node(), loaded, arrays)
    assert low.dtype == high.dtype == arrays.dtype
    return arrays.numpy(low), arrays.numpy(high)


def value(node: Node, xs: list[Array]) -> Array:
    rule = OPS[node.op].joint
    assert rule is not None
    weight = node.consts["weight"].value if "weight" in node.consts else None
    return np.asarray(rule.value(node, xs, weight, np))


@EVERY
@pytest.mark.parametrize("arrays", BACKENDS, ids=NAMES)
def test_values_lie_within(case: Case, arrays: Arrays) -> None:
    xs, rng, node = boxes(case, 1), np.random.default_rng(2), case.node()
    if "32" in str(arrays.dtype):
        xs = [(low.astype(np.float32), high.astype(np.float32)) for low, high in xs]
    low, high = image(case, xs, arrays)
    assert low.shape == (6, *node.shape)
    room = (1e-4 if "32" in str(arrays.dtype) else 1e-11) * (1 + np.abs(low) + np.abs(high))
    for _ in range(60):
        y = value(node, inside(xs, rng, case))
        assert not (y < low - room).any()
        assert not (y > high + room).any()
    known = joint.defined(node, boxes(case, 1))
    assert known.any()
    assert np.isfinite(low[known]).all()
    assert np.isfinite(high[known]).all()


@EVERY
def test_the_checker_finds_the_same_bounds(case: Case) -> None:
    """Its bounds are wider by roundings only: what the search finds, the checker can accept."""
    for seed in range(4):
        xs = boxes(case, seed)
        (low, high), (least, most) = image(case, xs), joint.interval(case.node(), xs)
        known = joint.defined(case.node(), xs)
        assert known.any()
        assert np.isnan(least[~known]).all()
        assert np.allclose(low[known], least[known], rtol=1e-9, atol=1e-9)
        assert np.allclose(high[known], most[known], rtol=1e-9, atol=1e-9)


def test_unknown_token_ids_have_no_bounds() -> None:
    case = JOINT[0]
    xs = np.array([[0.0, 4.0, 5.0]]), np.array([[0.0, 4.0, 5.0]])
    low, high = image(case, [xs])
    assert np.isfinite(low[0, :2]).all()
    assert np.isnan(low[0, 2]).all()
    assert np.isnan(high[0, 2]).all()


def test_tilts_are_the_best_over_the_box() -> None:
    """Of the lower planes with tilts on a grid, none has a larger least value at the corners."""
    rng = np.random.default_rng(3)
    x, y = ((m - r, m + r) for m, r in (rng.normal(size=(2, 50)) ** 3, rng.random((2, 50))))
    x, y = ((np.minimum(*e), np.maximum(*e)) for e in (x, y))
    tilts = default_tilts(x, y, np)
    (m, r), (n, s) = (((e[0] + e[1]) / 2, (e[1] - e[0]) / 2) for e in (x, y))

    def least(t: Array) -> Array:
        ends = [
            (n - t * s) * a + (m - t * r) * b - m * n - r * s + t * (m * s + n * r)
            for a in x
            for b in y
        ]
        return np.asarray(np.min(ends, axis=0))

    def most(u: Array) -> Array:
        ends = [
            (n + u * s) * a + (m - u * r) * b - m * n + r * s - u * (m * s - n * r)
            for a in x
            for b in y
        ]
        return np.asarray(np.max(ends, axis=0))

    for t in np.linspace(-1, 1, 21):
        assert (least(tilts[0]) >= least(np.full(50, t)) - 1e-12).all()
        assert (most(tilts[1]) <= most(np.full(50, t)) + 1e-12).all()


LARGE = Case("matmul-large", "matmul", ((40, 30), (30, 40)))
PRODUCTS = [case for case in JOINT if case.op in ("mul", "matmul")] + [LARGE]


def relaxation(case: Case, xs: list[Interval], arrays: Arrays = FLOAT64) -> Bilinear:
    loaded = [(arrays.asarray(low), arrays.asarray(high)) for low, high in xs]
    found = bilinear(case.node(), loaded, arrays)
    assert found is not None
    return found


@pytest.mark.parametrize("case", PRODUCTS, ids=lambda case: case.name)
@pytest.mark.parametrize("arrays", BACKENDS[:2], ids=NAMES[:2])
def test_planes_bound_products_in_any_direction(case: Case, arrays: Arrays) -> None:
    node, rng = case.node(), np.random.default_rng(4)
    xs = boxes(case, 5, 3)
    rule = relaxation(case, xs, arrays)
    for batch in (1, 3):
        c = rng.normal(size=(batch, 4, *node.shape)) * rng.integers(0, 2, (batch, 4, *node.shape))
        parts, offset = rule.backward(arrays.asarray(c), arrays)
        assert [tuple(p.shape[2:]) for p in parts] == list(node.in_shapes)
        for _ in range(20):
            points = inside(xs, rng, case)
            y = value(node, points)
            bound = arrays.numpy(offset) + sum(
                (arrays.numpy(p) * x[:, None]).reshape((3, 4, -1)).sum(axis=2)
                for p, x in zip(parts, points, strict=True)
            )
            truth = (c * y[:, None]).reshape((3, 4, -1)).sum(axis=2)
            assert (bound <= truth + 1e-9 * (1 + np.abs(truth))).all()


def test_the_large_product_has_no_planes_of_its_own() -> None:
    assert LARGE.node().size * 30 > EXACT_TERMS
    assert not relaxation(LARGE, boxes(LARGE, 6, 1)).whole


@pytest.mark.parametrize("case", PRODUCTS, ids=lambda case: case.name)
def test_planes_at_a_point_are_its_value(case: Case) -> None:
    node, xs = case.node(), operands(case, 2, 7)
    c = np.random.default_rng(8).normal(size=(1, 3, *node.shape))
    parts, offset = relaxation(case, [(x, x) for x in xs]).backward(c, FLOAT64)
    bound = offset + sum(
        (p * x[:, None]).reshape((2, 3, -1)).sum(axis=2) for p, x in zip(parts, xs, strict=True)
    )
    truth = (c * value(node, xs)[:, None]).reshape((2, 3, -1)).sum(axis=2)
    assert np.allclose(bound, truth, rtol=1e-10, atol=1e-10)


def dense(builder: GraphBuilder, x: int, out: int, rng: np.random.Generator) -> int:
    weight = Constant(rng.normal(size=(builder.shape(x)[-1], out)) / 2)
    return builder.add("dense", [x], consts={"weight": weight})


def block(seed: int) -> Graph:
    """A transformer block on (3, 4): norm, attention by matmul and softmax, a gated MLP, argmax."""
    builder, rng = GraphBuilder(), np.random.default_rng(seed)
    x = builder.input("x", (3, 4))
    norm = {"axes": 1, "centered": seed % 2, "epsilon": 0.01}
    h = builder.add("normalize", [x], attrs=norm)
    q, k, v = (dense(builder, h, 4, rng) for _ in range(3))
    turned = np.arange(12).reshape(3, 4).T
    k = builder.add("gather", [k], consts={"index": Constant(turned)})
    mask = Constant(np.tril(np.ones((3, 3), dtype=np.int64)))
    shares = builder.add("softmax", [builder.add("matmul", [q, k])], consts={"mask": mask})
    mixed = builder.add("matmul", [shares, v])
    x = builder.add("sum", [x, mixed], attrs={"coefficients": (1, 1)})
    gate = builder.add("sigmoid", [dense(builder, x, 5, rng)])
    y = dense(builder, builder.add("mul", [gate, dense(builder, x, 5, rng)]), 4, rng)
    token = builder.add("argmax", [y])
    return builder.build({"y": y, "t": token})


def decoder(seed: int) -> Graph:
    """One position's attention over three, as block graphs have it, with a table of embeddings."""
    builder, rng = GraphBuilder(), np.random.default_rng(seed)
    table = {"weight": Constant(rng.normal(size=(6, 4)))}
    xs = [builder.add("embedding", [builder.input(f"t{i}", ())], consts=table) for i in range(3)]
    z = builder.add("sum", [xs[2], builder.input("z", (4,))], attrs={"coefficients": (1, 1)})
    q, *keys = (dense(builder, x, 4, rng) for x in (z, *xs))
    values = [dense(builder, x, 4, rng) for x in xs]
    attrs = {"heads": 2, "kv_heads": 2, "scale": 0.7}
    y = builder.add("attend", [q, *keys, *values], attrs=attrs)
    return builder.build({"y": dense(builder, y, 3, rng)})


def everything(graph: Graph) -> Query:
    count = graph.output_size
    rows = np.concatenate([np.eye(count), -np.eye(count)])
    return Query(np.zeros((2 * count, graph.input_size)), rows, np.zeros(2 * count))


def least(graph: Graph, low: Array, high: Array, arrays: Arrays = FLOAT64) -> Array:
    found = analyse(graph, (arrays.asarray(low), arrays.asarray(high)), everything(graph), arrays)
    shape = (len(low), 2 * graph.output_size, graph.input_size)
    spread = np.broadcast_to(np.abs(arrays.numpy(found.coefficients)), shape)
    assert np.isfinite(arrays.numpy(found.influence)).all()
    return np.asarray(arrays.numpy(found.centre) - (spread @ ((high - low) / 2)[..., None])[..., 0])


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("arrays", BACKENDS[:2], ids=NAMES[:2])
def test_networks_that_mix_values_stay_above_their_bounds(seed: int, arrays: Arrays) -> None:
    graph, rng = block(seed), np.random.default_rng(seed)
    middle = rng.normal(size=(4, graph.input_size))
    radius = np.array([[0.0], [1e-3], [0.1], [2.0]]) * rng.random(middle.shape)
    bound = least(graph, middle - radius, middle + radius, arrays)
    for _ in range(100):
        share = rng.uniform(-1, 1, middle.shape)
        x = middle + radius * (np.sign(share) if rng.random() < 0.5 else share)
        y = evaluate(graph, x)
        assert (bound <= np.concatenate([y, -y], axis=1) + 1e-9).all()
    y = evaluate(graph, middle)
    assert np.allclose(bound[0], np.concatenate([y, -y], axis=1)[0], atol=1e-9)
    narrow = np.abs(bound[1] - np.concatenate([y, -y], axis=1)[1]).reshape(2, -1)[:, :-3]
    assert (narrow < 0.1).all(), "argmax apart, which may be tied"


@pytest.mark.parametrize("seed", range(4))
def test_attention_over_token_sets_stays_above_its_bounds(seed: int) -> None:
    graph, rng = decoder(seed), np.random.default_rng(seed)
    low = np.concatenate([rng.integers(0, 6, (5, 3)), rng.normal(size=(5, 4))], axis=1)
    high = np.concatenate([np.minimum(low[:, :3] + [0, 1, 5], 5), low[:, 3:] + 0.5], axis=1)
    bound = least(graph, low, high)
    assert np.isfinite(bound).all()
    for tokens in itertools.product(*(range(6) for _ in range(3))):
        x = np.concatenate([np.tile(tokens, (5, 1)), low[:, 3:] + 0.5 * rng.random((5, 4))], axis=1)
        within = ((low <= x) & (x <= high)).all(axis=1)
        y = evaluate(graph, x)
        assert (bound <= np.concatenate([y, -y], axis=1) + 1e-9)[within].all()


def test_a_product_minus_itself_is_small() -> None:
    """(x + 10) y - 10 y - x y = 0: intervals know no better than +-20 on this box."""
    builder = GraphBuilder()
    x, y = builder.input("x", (1,)), builder.input("y", (1,))
    shifted = builder.add("scale", [x], consts={"bias": Constant(np.array([10.0]))})
    products = [builder.add("mul", [first, y]) for first in (shifted, x)]
    ten = builder.add("scale", [y], consts={"weight": Constant(np.array([10.0]))})
    z = builder.add("sum", [products[0], ten, products[1]], attrs={"coefficients": (1, -1, -1)})
    one = np.ones((1, 2))
    bound = least(builder.build({"z": z}), -one, one)
    assert (bound >= -2 - 1e-9).all()


def test_branching_sees_which_inputs_a_cut_depends_on() -> None:
    """softmax(a x, b y): nothing linear is left, but a wide x accounts for more than a narrow y."""
    builder = GraphBuilder()
    x = builder.input("x", (3,))
    builder.input("unused", (2,))
    y = builder.add("softmax", [dense(builder, x, 3, np.random.default_rng(1))])
    graph = builder.build({"y": y})
    low, high = np.zeros((1, 5)), np.array([[2.0, 0.5, 0.0, 9.0, 9.0]])
    found = analyse(graph, (low, high), everything(graph), FLOAT64)
    assert (found.coefficients == 0).all()
    assert (found.influence[0, :, 0] > found.influence[0, :, 1]).all()
    assert (found.influence[0, :, 1] > 0).all()
    assert (found.influence[0, :, 2:] == 0).all()
