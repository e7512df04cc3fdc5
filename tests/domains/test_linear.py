"""Backward linear bounds with intervals: sound up to rounding, exact at points."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from itertools import islice

import numpy as np
import pytest
from boxes import Boxes, FloatArray, allowance, awkward_boxes, points
from elementwise import CASES
from exact import knots
from irmodels import PIECEWISE, Case, exact_outputs, random_graph

from absint.domains.arrays import Arrays, numpy_arrays, torch_arrays
from absint.domains.product import Query, analyse
from absint.ir import OPS, Constant, Graph, GraphBuilder, evaluate

ACTIVATIONS = {row.name for row in OPS.values() if row.univariate is not None}
SEEDS = range(60)
FLOAT64 = numpy_arrays()


def query(graph: Graph, rng: np.random.Generator) -> Query:
    """Each output and its negative, then sums of inputs and outputs with small weights."""
    n, m = graph.input_size, graph.output_size
    eye = np.concatenate([np.eye(m), -np.eye(m)])
    inputs = np.concatenate([np.zeros((2 * m, n)), rng.integers(-1, 2, (3, n))])
    outputs = np.concatenate([eye, rng.integers(-2, 3, (3, m))])
    return Query(inputs, outputs, np.round(rng.normal(size=len(outputs)) * 2) / 2)


@dataclass(frozen=True)
class Found:
    """An analysis on numpy, with the least value of each row's linear bound: (batch, rows)."""

    coefficients: FloatArray
    minimum: FloatArray
    influence: FloatArray
    centre: FloatArray

    def at(self, boxes: Boxes, x: FloatArray) -> FloatArray:
        """The linear bounds at points x (batch, count, input_size): (batch, count, rows)."""
        step = x - (boxes.lower + boxes.upper)[:, None] / 2
        return step @ np.swapaxes(self.coefficients, 1, 2) + self.centre[:, None]


def bounds(graph: Graph, boxes: Boxes, rows: Query, arrays: Arrays = FLOAT64) -> Found:
    box = (arrays.asarray(boxes.lower), arrays.asarray(boxes.upper))
    with np.errstate(all="ignore"):
        analysis = analyse(graph, box, rows, arrays)
    shape = (len(boxes), *rows.inputs.shape)
    coefficients = np.broadcast_to(arrays.numpy(analysis.coefficients), shape)
    centre = np.broadcast_to(arrays.numpy(analysis.centre), shape[:2])
    radius = (boxes.upper - boxes.lower) / 2
    spread = (np.abs(coefficients) @ radius[..., None])[..., 0]
    influence = np.broadcast_to(arrays.numpy(analysis.influence), shape)
    return Found(coefficients, centre - spread, influence, centre)


def row_values(graph: Graph, rows: Query, x: FloatArray) -> FloatArray:
    """Rows at points (batch, count, input_size): (batch, count, rows)."""
    y = evaluate(graph, x.reshape((-1, x.shape[-1]))).reshape((*x.shape[:2], -1))
    value: FloatArray = x @ rows.inputs.T + y @ rows.outputs.T - rows.bound
    return value


def room(graph: Graph, boxes: Boxes, rows: Query, dtype: str = "float64") -> FloatArray:
    """(batch, rows): the rounding allowance of each row, from the outputs' magnitudes."""
    sizes = allowance(graph, boxes, dtype)
    y = np.concatenate([sizes[p.node].reshape((len(boxes), -1)) for p in graph.outputs], axis=1)
    unit = 512 * float(np.finfo(dtype).eps) / 2
    x = unit * np.maximum(np.abs(boxes.lower), np.abs(boxes.upper))
    spare: FloatArray = x @ np.abs(rows.inputs).T + y @ np.abs(rows.outputs).T
    return 4 * (spare + unit * np.abs(rows.bound))


@pytest.mark.parametrize("seed", SEEDS)
def test_rows_of_a_random_network_stay_above_their_bounds(seed: int) -> None:
    graph, rng = random_graph(seed), np.random.default_rng(seed)
    boxes, rows = awkward_boxes(graph.input_size, rng), query(graph, rng)
    found, spare, x = bounds(graph, boxes, rows), room(graph, boxes, rows), points(boxes, rng)
    values = row_values(graph, rows, x)
    assert (found.minimum[:, None] - spare[:, None] <= values).all()
    assert (found.at(boxes, x) - spare[:, None] <= values).all(), "the linear form, not its least"


@pytest.mark.parametrize("seed", range(20))
def test_bounds_hold_for_exact_rational_values(seed: int) -> None:
    graph, rng = random_graph(seed, activations=PIECEWISE, integral=True), np.random.default_rng(1)
    boxes, rows = awkward_boxes(graph.input_size, rng, huge=2.0**40), query(graph, rng)
    found, spare, x = bounds(graph, boxes, rows), room(graph, boxes, rows), points(boxes, rng, 4)
    inputs, outputs, bound = (
        [[Fraction(float(v)) for v in row] for row in part]
        for part in (rows.inputs, rows.outputs, rows.bound[:, None])
    )
    for box in range(len(boxes)):
        corners = [[Fraction(float(v)) for v in point] for point in x[box]]
        at_knots = islice(knots(graph, corners[0], corners[1]), 6)
        for point in [*corners, *at_knots]:
            y = exact_outputs(graph, point)
            for row in range(len(bound)):
                value = sum(a * b for a, b in zip(inputs[row], point, strict=True)) - bound[row][0]
                value += sum(a * b for a, b in zip(outputs[row], y, strict=True))
                least = Fraction(found.minimum[box, row]) - Fraction(spare[box, row])
                assert least <= value


@pytest.mark.parametrize("seed", range(30))
def test_a_single_point_has_its_value_as_bound(seed: int) -> None:
    graph, rng = random_graph(seed), np.random.default_rng(seed)
    boxes = awkward_boxes(graph.input_size, rng)
    x = points(boxes, rng, 3)[:, 2]
    single, rows = Boxes(x, x), query(graph, rng)
    values = row_values(graph, rows, x[:, None])[:, 0]
    assert (np.abs(bounds(graph, single, rows).minimum - values) <= room(graph, single, rows)).all()


@pytest.mark.parametrize("seed", range(20))
def test_affine_networks_are_bounded_exactly(seed: int) -> None:
    """Without nonlinear nodes (a slope of 1 apart), bounds are the least values at corners."""
    graph = random_graph(seed, activations=["leaky_relu"], integral=True, nodes=6)
    if any(node.op == "leaky_relu" and node.number("alpha") != 1 for node in graph.nodes):
        graph = _without_activations(graph)
    rng = np.random.default_rng(seed)
    boxes, rows = awkward_boxes(graph.input_size, rng, huge=2.0**20), query(graph, rng)
    found = bounds(graph, boxes, rows)
    corner = np.where(found.coefficients > 0, boxes.lower[:, None], boxes.upper[:, None])
    values = np.diagonal(row_values(graph, rows, corner), axis1=1, axis2=2)
    assert (np.abs(found.minimum - values) <= room(graph, boxes, rows)).all()


def _without_activations(graph: Graph) -> Graph:
    builder = GraphBuilder()
    for node in graph.nodes:
        if node.op == "input":
            builder.input(node.name, node.shape)
        elif node.op == "leaky_relu":
            builder.add("scale", node.inputs)
        else:
            builder.add(node.op, node.inputs, attrs=node.attrs, consts=node.consts)
    return builder.build({port.name: port.node for port in graph.outputs})


@pytest.mark.parametrize("seed", range(12))
def test_bounds_of_a_box_do_not_depend_on_its_batch(seed: int) -> None:
    graph, rng = random_graph(seed), np.random.default_rng(seed)
    boxes, rows = awkward_boxes(graph.input_size, rng), query(graph, rng)
    together, spare = bounds(graph, boxes, rows), room(graph, boxes, rows)
    order = rng.permutation(len(boxes))
    shuffled = bounds(graph, boxes.take(order), rows)
    assert (np.abs(shuffled.minimum - together.minimum[order]) <= spare[order]).all()
    for i in range(len(boxes)):
        alone = bounds(graph, boxes.take([i]), rows)
        assert (np.abs(alone.minimum[0] - together.minimum[i]) <= spare[i]).all()
        assert np.allclose(alone.coefficients[0], together.coefficients[i], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("seed", range(8))
def test_torch_and_both_precisions_stay_sound(seed: int) -> None:
    graph, rng = random_graph(seed), np.random.default_rng(seed)
    boxes, rows = awkward_boxes(graph.input_size, rng, huge=1e6), query(graph, rng)
    short = [end.astype(np.float32).astype(np.float64) for end in (boxes.lower, boxes.upper)]
    boxes = boxes.take(((short[0] == boxes.lower) & (short[1] == boxes.upper)).all(axis=1))
    expected, spare = bounds(graph, boxes, rows), room(graph, boxes, rows)
    torch = bounds(graph, boxes, rows, torch_arrays())
    assert (np.abs(torch.minimum - expected.minimum) <= spare).all()
    x = points(boxes, rng)
    values, single = row_values(graph, rows, x), room(graph, boxes, rows, "float32")
    for arrays in (numpy_arrays("float32"), torch_arrays(dtype="float32")):
        found = bounds(graph, boxes, rows, arrays)
        assert (found.minimum[:, None] - single[:, None] <= values).all()


@pytest.mark.parametrize("seed", range(30))
def test_influence_is_not_negative_and_zero_without_width(seed: int) -> None:
    graph, rng = random_graph(seed), np.random.default_rng(seed)
    boxes, rows = awkward_boxes(graph.input_size, rng, huge=1e3), query(graph, rng)
    found, spare = bounds(graph, boxes, rows), room(graph, boxes, rows)
    assert (found.influence >= -spare[..., None]).all()
    fixed = np.broadcast_to((boxes.lower == boxes.upper)[:, None], found.influence.shape)
    assert (np.abs(found.influence) <= np.where(fixed, spare[..., None], np.inf)).all()


def test_influence_is_zero_for_inputs_that_cannot_matter() -> None:
    """Of four inputs, one is never read and one has a zero weight."""
    builder = GraphBuilder()
    x, unread = builder.input("x", (3,)), builder.input("unread", (1,))
    weight = np.array([[1.0, -2.0], [0.0, 0.0], [0.5, 1.0]])
    h = builder.add("dense", [x], consts={"weight": Constant(weight)})
    h = builder.add("relu", [h])
    y = builder.add("dense", [h], consts={"weight": Constant(np.array([[1.0], [-1.0]]))})
    graph = builder.build({"y": y})
    assert unread == 1
    rng = np.random.default_rng(0)
    boxes = Boxes(-rng.random((9, 4)), rng.random((9, 4)))
    rows = Query(np.zeros((2, 4)), np.array([[1.0], [-1.0]]), np.zeros(2))
    found = bounds(graph, boxes, rows)
    assert (found.influence[:, :, [1, 3]] == 0).all()
    assert (found.coefficients[:, :, [1, 3]] == 0).all()
    assert (found.influence[:, :, 0] > 0).all()


def test_an_input_counts_even_where_its_coefficient_is_zero() -> None:
    """|x| as relu(x) + relu(-x) over a symmetric box: flat bounds, all of it relaxations' gap."""
    builder = GraphBuilder()
    h = builder.add(
        "dense", [builder.input("x", (1,))], consts={"weight": Constant(np.array([[1.0, -1.0]]))}
    )
    y = builder.add(
        "dense",
        [builder.add("relu", [h])],
        consts={"weight": Constant(np.array([[1.0], [1.0]]))},
    )
    rows = Query(np.zeros((1, 1)), np.array([[-1.0]]), np.zeros(1))
    found = bounds(builder.build({"y": y}), Boxes(-np.ones((1, 1)), np.ones((1, 1))), rows)
    assert found.coefficients.tolist() == [[[0.0]]]
    assert found.minimum.tolist() == [[-1.0]]
    assert found.influence[0, 0, 0] > 0


@pytest.mark.parametrize("name", ["value", "bias"])
def test_radii_of_weights_and_biases_widen_the_bounds(name: str) -> None:
    """Any network within the radii must stay within the bounds: here, at both their ends."""
    radius = np.array([[0.5, 0.25]])
    weight = Constant(np.array([[1.0, -2.0]]), radius if name == "value" else None)
    bias = Constant(np.array([0.5, 0.0]), np.array([0.25, 0.5]) if name == "bias" else None)
    final = Constant(np.array([[1.0], [3.0]]), np.array([[0.125], [0.0]]))

    def build(sign: float) -> Graph:
        parts = [weight, bias, final]
        if sign:
            parts = [
                Constant(p.value + sign * (0 if p.radius is None else p.radius)) for p in parts
            ]
        builder = GraphBuilder()
        x = builder.input("x", (1, 1))
        h = builder.add("dense", [x], consts={"weight": parts[0], "bias": parts[1]})
        y = builder.add("dense", [builder.add("relu", [h])], consts={"weight": parts[2]})
        return builder.build({"y": y})

    boxes = Boxes(np.array([[-1.0], [0.5]]), np.array([[2.0], [0.5]]))
    rows = Query(np.zeros((2, 1)), np.array([[1.0], [-1.0]]), np.zeros(2))
    found = bounds(build(0), boxes, rows)
    x = np.linspace(boxes.lower, boxes.upper, 50, axis=1)
    for sign in (-1.0, 1.0):
        values = row_values(build(sign), rows, x)
        assert (found.minimum[:, None] <= values).all()


def test_the_product_is_no_looser_than_intervals_on_relu_layers() -> None:
    """Both bound |x| on [-1, 1] through relu: intervals give [0, 2], linear bounds 1 above."""
    case = Case("", "dense", ((1,),), {}, {"weight": np.array([[1.0, -1.0]])})
    builder = GraphBuilder()
    h = builder.add(
        "dense",
        [builder.input("x", (1,))],
        consts={"weight": Constant(case.consts["weight"])},
    )
    r = builder.add("relu", [h])
    s = builder.add("dense", [r], consts={"weight": Constant(np.ones((2, 1)))})
    t = builder.add("relu", [builder.add("scale", [s], consts={"bias": Constant(np.array(-1.5))})])
    rows = Query(np.zeros((1, 1)), np.array([[-1.0]]), np.zeros(1))
    found = bounds(builder.build({"t": t}), Boxes(-np.ones((1, 1)), np.ones((1, 1))), rows)
    assert found.minimum.tolist() == [[0.0]], "1 - 1.5 < 0: the second layer is known to be off"


@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
def test_pre_activations_are_bounded_linearly(activation: str) -> None:
    """f(t - t + 1.25) where t = tanh(x): intervals know no better than [-2, 2] for t - t."""
    builder = GraphBuilder()
    t = builder.add("tanh", [builder.input("x", (1,))])
    difference = builder.add("sum", [t, t], attrs={"coefficients": (1, -1)})
    shifted = builder.add("scale", [difference], consts={"bias": Constant(np.array(1.25))})
    case = next(case for case in CASES.values() if case.op == activation)
    y = builder.add(activation, [shifted], attrs=case.attrs)
    rows = Query(np.zeros((2, 1)), np.array([[1.0], [-1.0]]), np.zeros(2))
    graph = builder.build({"y": y})
    found = bounds(graph, Boxes(np.array([[-1.0]]), np.array([[2.0]])), rows)
    value = evaluate(graph, np.zeros((1, 1)))[0, 0]
    assert np.allclose(found.minimum, [[value, -value]], atol=1e-12)
