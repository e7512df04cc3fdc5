"""The zonotope domain: sound up to rounding, exact on affine maps, correlated, of bounded order."""

from __future__ import annotations

import numpy as np
import pytest
from boxes import Boxes, FloatArray, allowance, awkward_boxes, check_exact_outputs, points
from elementwise import CASES, inside, row
from irmodels import AFFINE, PIECEWISE, Case, matrix, random_graph

from absint.domains import interval
from absint.domains.arrays import Arrays, numpy_arrays, torch_arrays
from absint.domains.forms import Form, promote, union
from absint.domains.interval import Interval
from absint.domains.product import Query, analyse
from absint.domains.relaxation import band, relax
from absint.domains.zonotope import LIMIT, Zonotopes
from absint.ir import Constant, Curved, Graph, GraphBuilder, PiecewiseLinear
from absint.ir.evaluate import run

FLOAT64 = numpy_arrays()
BACKENDS = [FLOAT64, torch_arrays(), numpy_arrays("float32"), torch_arrays(dtype="float32")]
NAMES = ["numpy", "torch", "numpy-single", "torch-single"]


def zonotopes(
    graph: Graph, boxes: Boxes, arrays: Arrays = FLOAT64, limit: int = LIMIT
) -> Zonotopes:
    return Zonotopes(
        graph, (arrays.asarray(boxes.lower), arrays.asarray(boxes.upper)), arrays, limit
    )


def query(graph: Graph) -> Query:
    """Sums of inputs and outputs with small weights."""
    rng, shape = np.random.default_rng(7), (6, graph.input_size)
    outputs = rng.integers(-2, 3, (6, graph.output_size)).astype(np.float64)
    return Query(rng.integers(-1, 2, shape).astype(np.float64), outputs, np.arange(6.0))


@pytest.mark.parametrize("limit", [LIMIT, 4], ids=["all", "four-symbols"])
@pytest.mark.parametrize("arrays", BACKENDS, ids=NAMES)
@pytest.mark.parametrize("seed", range(12))
def test_nodes_and_rows_of_random_networks(seed: int, arrays: Arrays, limit: int) -> None:
    graph, rng = random_graph(seed), np.random.default_rng(seed)
    boxes, dtype = awkward_boxes(graph.input_size, rng, huge=1e6), str(arrays.dtype)[-7:]
    short = [end.astype(np.float32).astype(np.float64) for end in (boxes.lower, boxes.upper)]
    boxes = boxes.take(((short[0] == boxes.lower) & (short[1] == boxes.upper)).all(axis=1))
    found, x = zonotopes(graph, boxes, arrays, limit), points(boxes, rng)
    spare, flat = allowance(graph, boxes, dtype), run(graph, x.reshape((-1, x.shape[-1])))
    for value, bound, room in zip(flat, found.bounds, spare, strict=True):
        low, high = (arrays.numpy(end)[:, None] for end in bound)
        value = value.reshape((*x.shape[:2], *value.shape[1:]))
        assert (low - room[:, None] <= value).all()
        assert (value <= high + room[:, None]).all()
    rows = query(graph)
    y = np.concatenate([flat[p.node].reshape((len(flat[0]), -1)) for p in graph.outputs], axis=1)
    value = x @ rows.inputs.T + (y @ rows.outputs.T).reshape((*x.shape[:2], -1)) - rows.bound
    size = np.concatenate([spare[p.node].reshape((len(boxes), -1)) for p in graph.outputs], axis=1)
    unit = 512 * float(np.finfo(dtype).eps)
    ends = np.maximum(np.abs(boxes.lower), np.abs(boxes.upper))
    room = 4 * size @ np.abs(rows.outputs).T + unit * (1 + ends @ np.abs(rows.inputs).T)
    assert (arrays.numpy(found.minimum(rows))[:, None] - room[:, None] <= value).all()


@pytest.mark.parametrize("seed", range(10))
def test_bounds_hold_for_exact_rational_values(seed: int) -> None:
    graph, rng = random_graph(seed, activations=PIECEWISE, integral=True), np.random.default_rng(1)
    boxes = awkward_boxes(graph.input_size, rng, huge=2.0**40)
    check_exact_outputs(graph, boxes, zonotopes(graph, boxes).bounds, rng)


@pytest.mark.parametrize("case", AFFINE, ids=lambda case: case.name)
def test_an_affine_node_is_exact(case: Case) -> None:
    """Its generators are the columns of the explicit matrix times the inputs' radii."""
    graph, w, rng = case.graph(), matrix(case.node()), np.random.default_rng(3)
    lower = rng.integers(-4, 3, (5, graph.input_size)).astype(np.float64)
    upper = lower + 2 * rng.integers(0, 4, lower.shape)
    upper[0] = lower[0] + 2  # so that each input has its symbol
    form = zonotopes(graph, Boxes(lower, upper)).forms[graph.outputs[0].node]
    assert form.symbols.tolist() == list(range(graph.input_size))
    expected = np.swapaxes(w, 0, 1) * ((upper - lower) / 2)[..., None]
    assert np.array_equal(form.generators.reshape(expected.shape), expected)
    assert (form.rest == 0).all()


def test_correlation_is_kept() -> None:
    """tanh(x) - tanh(x) is zero, whatever its band; intervals know [-2, 2] at the best."""
    builder = GraphBuilder()
    t = builder.add("tanh", [builder.input("x", (3,))])
    y = builder.add("sum", [t, t], attrs={"coefficients": (1, -1)})
    found = zonotopes(builder.build({"y": y}), Boxes(-np.ones((2, 3)), np.full((2, 3), 2.0)))
    assert np.abs(np.array(found.bounds[-1])).max() == 0.0


def test_a_square_is_known_to_be_one() -> None:
    """x * x for x in [-1, 1]: the product of two boxes reaches -1, a shared symbol's square 0."""
    builder = GraphBuilder()
    x = builder.input("x", (1,))
    found = zonotopes(
        builder.build({"y": builder.add("mul", [x, x])}), Boxes(-np.ones((1, 1)), np.ones((1, 1)))
    )
    assert (found.bounds[-1][0].item(), found.bounds[-1][1].item()) == (0.0, 1.0)


def test_matrix_products_of_correlated_operands() -> None:
    """(x 1^T)(x 1^T) row by row, against values on a grid: sound, and tighter than intervals."""
    builder, rng = GraphBuilder(), np.random.default_rng(0)
    x = builder.input("x", (2,))
    weights = [Constant(rng.normal(size=(2, 6))) for _ in range(2)]
    a, b = (builder.add("dense", [x], consts={"weight": weight}) for weight in weights)
    a, b = (
        builder.add("reshape", [h], attrs={"shape": shape})
        for h, shape in ((a, (2, 3)), (b, (3, 2)))
    )
    graph = builder.build({"y": builder.add("matmul", [a, b])})
    box = np.array([[0.5, -0.25]]), np.array([[1.5, 0.5]])
    low, high = zonotopes(graph, Boxes(*box)).bounds[-1]
    grid = np.stack(np.meshgrid(*np.linspace(box[0][0], box[1][0], 40).T), axis=-1)
    values = run(graph, grid.reshape((-1, 2)))[-1]
    assert (low - 1e-12 <= values).all()
    assert (values <= high + 1e-12).all()
    known: list[Interval] = [box]
    for node in graph.nodes[1:]:
        known.append(interval.transform(node, [known[i] for i in node.inputs], FLOAT64))
    assert (high - low).mean() < 0.8 * (known[-1][1] - known[-1][0]).mean()


@pytest.mark.parametrize("seed", range(5))
def test_a_reduced_form_holds_the_form(seed: int) -> None:
    """Girard's reduction: every point of the form lies in what is left, at the limit's order."""
    rng = np.random.default_rng(seed)
    sizes = 10.0 ** rng.uniform(-3, 1, (1, 12, 1))
    form = Form(
        rng.normal(size=(2, 4)),
        rng.normal(size=(2, 12, 4)) * sizes,
        np.arange(12),
        rng.random((2, 4)),
    )
    directions = rng.normal(size=(200, 4))
    for limit in (0, 3, 7, 12, 16):
        less = promote(form, 12, limit, FLOAT64)
        assert len(less.symbols) == len(np.unique(less.symbols)) == min(limit, 16)
        assert (np.diff(less.symbols) > 0).all()
        for batch in range(2):
            room = 1e-12 * _support(form, directions, batch)
            assert (
                _support(less, directions, batch) >= _support(form, directions, batch) - room
            ).all()
            box = np.abs(form.generators[batch]).sum(0) + form.rest[batch]
            left = np.abs(less.generators[batch]).sum(0) + less.rest[batch]
            assert np.allclose(box, left, rtol=1e-12), "the box about the form stays"
    assert np.array_equal(promote(form, 12, 16, FLOAT64).generators[:, :12], form.generators)


def _support(form: Form, directions: FloatArray, batch: int) -> FloatArray:
    """The largest value of each direction, less the centre's."""
    reach = np.abs(directions @ form.generators[batch].T).sum(1)
    value: FloatArray = reach + np.abs(directions) @ form.rest[batch]
    return value


def test_forms_of_different_symbols_are_brought_together() -> None:
    one = Form(np.zeros((1, 1)), np.array([[[1.0], [2.0]]]), np.array([0, 3]), np.zeros((1, 1)))
    two = Form(np.zeros((1, 1)), np.array([[[5.0]]]), np.array([1]), np.zeros((1, 1)))
    symbols = union([one, two])
    assert symbols.tolist() == [0, 1, 3]
    assert one.spread(symbols, FLOAT64).reshape(-1).tolist() == [1.0, 0.0, 2.0]
    assert two.spread(symbols, FLOAT64).reshape(-1).tolist() == [0.0, 5.0, 0.0]


def test_radii_of_weights_and_biases_widen_the_bounds() -> None:
    """y = (2 ± 1/2) x + (1 ± 1/4) on [-1, 3]: from -1 to 8.75 at the extremes."""
    builder = GraphBuilder()
    consts = {
        "weight": Constant(np.array([[2.0]]), np.array([[0.5]])),
        "bias": Constant(np.array([1.0]), np.array([0.25])),
    }
    y = builder.add("dense", [builder.input("x", (1,))], consts=consts)
    found = zonotopes(builder.build({"y": y}), Boxes(np.array([[-1.0]]), np.array([[3.0]])))
    low, high = found.forms[1].box(FLOAT64)
    for weight in (1.5, 2.5):
        for bias in (0.75, 1.25):
            for x in (-1.0, 3.0):
                assert low[0, 0] <= weight * x + bias <= high[0, 0]


def test_known_bounds_are_used() -> None:
    """relu(x) over [-1, 3], where it is known by other means that x is never negative."""
    builder = GraphBuilder()
    x = builder.add("scale", [builder.input("x", (1,))])
    builder.add("relu", [x])
    box, known = (
        (np.array([[-1.0]]), np.array([[3.0]])),
        {1: (np.zeros((1, 1)), np.full((1, 1), 9))},
    )
    found = Zonotopes(builder.build({"y": x + 1}), box, FLOAT64, known=known)
    assert (found.bounds[1][0].item(), found.bounds[1][1].item()) == (0.0, 3.0)
    form = found.forms[2]
    assert (form.generators.tolist(), form.rest.tolist()) == ([[[2.0]]], [[0.0]])


@pytest.mark.parametrize("name", CASES)
def test_bands_are_sound_and_no_wider_than_both_lines_need(name: str) -> None:
    """Against samples; and the narrowest of a convex or concave function on an interval."""
    node, univariate, facts = row(name)
    rng = np.random.default_rng(0)
    lower = rng.normal(0, 3, (100, 1))
    upper = lower + 10.0 ** rng.uniform(-6, 1, (100, 1))
    keep = inside(name, lower, upper)[:, 0]
    lower, upper = lower[keep], upper[keep]
    found, x = band(node, (lower, upper), FLOAT64), np.linspace(lower, upper, 801, axis=-1)[:, 0]
    x = np.clip(x, lower, upper)
    y, line = univariate.value(node, x, np), found.slope * x + found.offset
    room = 1e-11 * (1 + np.abs(y).max(1, keepdims=True) + np.abs(found.slope * x).max(1)[:, None])
    assert (np.abs(y - line) <= found.half_offset + room).all()
    assert (found.half_slope == 0).all()
    lines = relax(node, (lower, upper), FLOAT64)
    gaps = [lines.mean_gap((end, end)) for end in (lower, upper)]
    assert (found.half_offset <= np.maximum(*gaps) + room).all()
    if isinstance(facts, Curved | PiecewiseLinear) and name.split()[0] in ("exp", "relu", "log"):
        for slope in np.linspace(-1, 3, 81):
            other = y - slope * x
            width = (other.max(1) - other.min(1)) / 2
            assert (found.half_offset[:, 0] <= width + room[:, 0] + 1e-3 * np.abs(width)).all()


def test_the_product_with_intervals_beats_both_where_each_is_better() -> None:
    """Forms lose the sign of relu's result, intervals the correlation; the product has both."""
    builder = GraphBuilder()
    x = builder.input("x", (1,))
    r = builder.add("relu", [x])
    found = zonotopes(builder.build({"r": r}), Boxes(np.array([[-1.0]]), np.array([[3.0]])))
    assert found.forms[1].box(FLOAT64)[0].item() < 0
    assert (found.bounds[1][0].item(), found.bounds[1][1].item()) == (0.0, 3.0)


def test_on_one_layer_zonotopes_and_lines_find_the_same_upper_bound() -> None:
    """sum relu(w x): DeepZ's upper line is the chord that CROWN's upper bound takes, too."""
    builder, rng = GraphBuilder(), np.random.default_rng(2)
    h = builder.add(
        "dense", [builder.input("x", (3,))], consts={"weight": Constant(rng.normal(size=(3, 8)))}
    )
    y = builder.add(
        "dense", [builder.add("relu", [h])], consts={"weight": Constant(np.ones((8, 1)))}
    )
    graph, boxes = builder.build({"y": y}), Boxes(-np.ones((1, 3)), np.ones((1, 3)))
    found = analyse(
        graph,
        (boxes.lower, boxes.upper),
        Query(np.zeros((1, 3)), -np.ones((1, 1)), np.zeros(1)),
        FLOAT64,
    )
    lines = found.centre - np.abs(found.coefficients).sum(2)
    forms = zonotopes(graph, boxes).minimum(Query(np.zeros((1, 3)), -np.ones((1, 1)), np.zeros(1)))
    assert np.allclose(forms, lines, rtol=1e-12)
