"""The interval domain: sound on every op up to rounding, exact on one op, monotone."""

from __future__ import annotations

import numpy as np
import pytest
from boxes import Boxes, FloatArray, allowance, awkward_boxes, check_exact_outputs, points
from elementwise import CASES, inside
from irmodels import AFFINE, PIECEWISE, Case, matrix, random_graph

from absint.domains import interval
from absint.domains.arrays import Arrays, numpy_arrays, torch_arrays
from absint.domains.interval import Interval
from absint.ir import Constant, Graph, GraphBuilder
from absint.ir.evaluate import run

SEEDS = range(40)
FLOAT64 = numpy_arrays()


def bounds(graph: Graph, boxes: Boxes, arrays: Arrays = FLOAT64) -> list[Interval]:
    """Interval bounds of every node, as numpy arrays."""
    places, found = graph.input_slices(), []
    for position, node in enumerate(graph.nodes):
        if node.op == "input":
            low, high = (
                arrays.asarray(end[:, places[position]].reshape((-1, *node.shape)))
                for end in (boxes.lower, boxes.upper)
            )
            found.append((low, high))
        else:
            found.append(interval.transform(node, [found[i] for i in node.inputs], arrays))
    return [(arrays.numpy(low), arrays.numpy(high)) for low, high in found]


def values(graph: Graph, x: FloatArray) -> list[FloatArray]:
    """All nodes' values at points (batch, count, input_size): (batch, count, *shape)."""
    flat = run(graph, x.reshape((-1, x.shape[-1])))
    return [v.reshape((*x.shape[:2], *v.shape[1:])) for v in flat]


@pytest.mark.parametrize("seed", SEEDS)
def test_every_node_of_a_random_network_stays_within_its_bounds(seed: int) -> None:
    graph, rng = random_graph(seed), np.random.default_rng(seed)
    boxes = awkward_boxes(graph.input_size, rng)
    spare = allowance(graph, boxes)
    found = bounds(graph, boxes)
    for value, (low, high), room in zip(
        values(graph, points(boxes, rng)), found, spare, strict=True
    ):
        assert (low[:, None] - room[:, None] <= value).all()
        assert (value <= high[:, None] + room[:, None]).all()


@pytest.mark.parametrize("seed", range(15))
def test_bounds_hold_for_exact_rational_values(seed: int) -> None:
    graph, rng = random_graph(seed, activations=PIECEWISE, integral=True), np.random.default_rng(1)
    boxes = awkward_boxes(graph.input_size, rng, huge=2.0**40)
    check_exact_outputs(graph, boxes, bounds(graph, boxes), rng)


@pytest.mark.parametrize("case", AFFINE, ids=lambda case: case.name)
def test_affine_bounds_are_the_extremes_over_corners(case: Case) -> None:
    """Against the explicit matrix: sum of min(w l, w u), exact on small integers."""
    node, w, graph = case.node(), matrix(case.node()), case.graph()
    rng = np.random.default_rng(3)
    lower = rng.integers(-4, 3, (5, graph.input_size)).astype(np.float64)
    upper = lower + 2 * rng.integers(0, 4, lower.shape)
    bias = np.zeros(node.shape)
    if "bias" in node.consts:
        bias = np.broadcast_to(node.consts["bias"].value, node.shape)
    ends = w * lower[:, None], w * upper[:, None]
    low, high = bounds(graph, Boxes(lower, upper))[-1]
    flat = (5, -1)
    assert np.array_equal(low.reshape(flat), np.minimum(*ends).sum(axis=2) + bias.reshape(-1))
    assert np.array_equal(high.reshape(flat), np.maximum(*ends).sum(axis=2) + bias.reshape(-1))


@pytest.mark.parametrize("seed", range(20))
def test_a_smaller_box_has_no_worse_bounds(seed: int) -> None:
    graph, rng = random_graph(seed), np.random.default_rng(seed)
    boxes = awkward_boxes(graph.input_size, rng)
    ends = points(boxes, rng, 5)[:, 3:]
    inner = Boxes(ends.min(axis=1), ends.max(axis=1))
    inner = Boxes(
        np.where(rng.random(boxes.lower.shape) < 0.5, boxes.lower, inner.lower),
        np.where(rng.random(boxes.lower.shape) < 0.5, boxes.upper, inner.upper),
    )
    spare = allowance(graph, boxes)
    pairs = zip(bounds(graph, inner), bounds(graph, boxes), spare, strict=True)
    for (low, high), (outer_low, outer_high), room in pairs:
        assert (low >= outer_low - room).all()
        assert (high <= outer_high + room).all()


@pytest.mark.parametrize("seed", range(20))
def test_a_single_point_has_its_value_as_bounds(seed: int) -> None:
    graph, rng = random_graph(seed), np.random.default_rng(seed)
    boxes = awkward_boxes(graph.input_size, rng)
    x = points(boxes, rng, 3)[:, 2]
    single = Boxes(x, x)
    spare = allowance(graph, single)
    for value, (low, high), room in zip(
        values(graph, x[:, None]), bounds(graph, single), spare, strict=True
    ):
        assert (np.abs(low - value[:, 0]) <= room).all()
        assert (np.abs(high - value[:, 0]) <= room).all()


@pytest.mark.parametrize("seed", range(8))
def test_torch_and_both_precisions_agree_and_stay_sound(seed: int) -> None:
    graph, rng = random_graph(seed), np.random.default_rng(seed)
    boxes = awkward_boxes(graph.input_size, rng, huge=1e6)
    boxes = boxes.take(
        [i for i in range(len(boxes)) if np.array_equal(boxes.lower[i], _short(boxes.lower[i]))]
    )
    expected, spare = bounds(graph, boxes), allowance(graph, boxes)
    for (low, high), (a, b), room in zip(
        bounds(graph, boxes, torch_arrays()), expected, spare, strict=True
    ):
        assert (np.abs(low - a) <= room).all()
        assert (np.abs(high - b) <= room).all()
    single, x = allowance(graph, boxes, "float32"), points(boxes, rng)
    for arrays in (numpy_arrays("float32"), torch_arrays(dtype="float32")):
        for value, (low, high), room in zip(
            values(graph, x), bounds(graph, boxes, arrays), single, strict=True
        ):
            assert (low[:, None] - room[:, None] <= value).all()
            assert (value <= high[:, None] + room[:, None]).all()


def _short(x: FloatArray) -> FloatArray:
    return x.astype(np.float32).astype(np.float64)


@pytest.mark.parametrize("seed", range(8))
def test_bounds_of_a_box_do_not_depend_on_its_batch(seed: int) -> None:
    graph, rng = random_graph(seed), np.random.default_rng(seed)
    boxes = awkward_boxes(graph.input_size, rng)
    together, spare = bounds(graph, boxes), allowance(graph, boxes)
    for i in range(len(boxes)):
        for (low, high), (a, b), room in zip(
            bounds(graph, boxes.take([i])), together, spare, strict=True
        ):
            assert (np.abs(low[0] - a[i]) <= room[i]).all()
            assert (np.abs(high[0] - b[i]) <= room[i]).all()


def test_radii_of_weights_and_biases_widen_the_bounds() -> None:
    """y = (2 ± 1/2) x + (1 ± 1/4) on [-1, 3]: from -1 to 8.75 at the extremes."""
    builder = GraphBuilder()
    consts = {
        "weight": Constant(np.array([[2.0]]), np.array([[0.5]])),
        "bias": Constant(np.array([1.0]), np.array([0.25])),
    }
    y = builder.add("dense", [builder.input("x", (1,))], consts=consts)
    low, high = bounds(
        builder.build({"y": y}), Boxes(np.array([[-1.0], [2.0]]), np.array([[3.0], [2.0]]))
    )[-1]
    for weight in (1.5, 2.5):
        for bias in (0.75, 1.25):
            for x in (-1.0, 3.0):
                assert low[0, 0] <= weight * x + bias <= high[0, 0]
    assert (low[1, 0], high[1, 0]) == (1.5 * 2 + 0.75, 2.5 * 2 + 1.25)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("library", ["numpy", "torch"])
def test_images_of_elementwise_functions(name: str, library: str) -> None:
    """Sound on a dense sample, reached by it, and no worse on a part of the interval."""
    arrays = numpy_arrays() if library == "numpy" else torch_arrays()
    graph, rng = CASES[name].graph(), np.random.default_rng(0)
    lower = rng.normal(0, 3, (200, 1))
    upper = lower + 10.0 ** rng.uniform(-9, 1, (200, 1))
    special = [(0.0, 0.0), (-0.0, 1.0), (-5e-324, 5e-324), (1.0, 1.0), (-3.0, 3.0), (-50.0, 50.0)]
    lower = np.concatenate([lower, np.array(special)[:, :1]])
    upper = np.concatenate([upper, np.array(special)[:, 1:]])
    keep = inside(name, lower, upper)[:, 0]
    lower, upper = lower[keep], upper[keep]
    low, high = bounds(graph, Boxes(lower, upper), arrays)[-1]
    x = np.clip(lower + (upper - lower) * np.linspace(0, 1, 2001), lower, upper)
    y = values(graph, x[:, :, None])[-1][..., 0]
    spare = 1e-14 * (1 + np.abs(y).max(axis=1, keepdims=True))
    assert (low <= y + spare).all()
    assert (y <= high + spare).all()
    if name not in ("sign", "floor", "round"):
        rise = np.abs(np.diff(y, axis=1)).max(axis=1, keepdims=True) + spare
        assert (y.min(axis=1, keepdims=True) - low <= rise).all()
        assert (high - y.max(axis=1, keepdims=True) <= rise).all()
    inner = bounds(graph, Boxes(x[:, 300:301], x[:, 1700:1701]), arrays)[-1]
    assert (inner[0] >= low - spare).all()
    assert (inner[1] <= high + spare).all()


@pytest.mark.parametrize("name", ["log", "sqrt", "reciprocal"])
def test_nothing_is_known_outside_a_functions_domain(name: str) -> None:
    boxes = Boxes(np.array([[-1.0], [-1e-9]]), np.array([[1.0], [2.0]]))
    low, high = bounds(CASES[name].graph(), boxes)[-1]
    assert (low == -np.inf).all()
    assert (high == np.inf).all()
