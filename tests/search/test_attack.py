"""The attack: it finds planted counterexamples, and returns nothing but exact violations."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from irmodels import Array, random_graph
from searchcases import box, integer_network, least, most, network, one_relu, problem, runtime

from absint.domains.arrays import Arrays, numpy_arrays, torch_arrays
from absint.ir import Graph, evaluate
from absint.problem import Problem, constraint, violated
from absint.search.attack import Attack, Counterexample
from absint.search.gradient import row_gradient, row_values
from absint.search.query import cell_query

F = Fraction
FLOAT64 = numpy_arrays()


def attack(
    graph: Graph, asked: Problem, arrays: Arrays = FLOAT64, run: object = None, reach: float = 0.0
) -> Attack:
    query = cell_query(asked.cells[0], graph.input_size, graph.output_size)
    chosen = runtime(graph) if run is None else run
    dtype = asked.semantics.dtype
    return Attack(graph, asked.cells[0], 0, query, arrays, chosen, dtype, reach)  # type: ignore[arg-type]


def search(graph: Graph, asked: Problem, arrays: Arrays = FLOAT64) -> Counterexample | None:
    lower, upper = asked.network_box(asked.cells[0])
    return attack(graph, asked, arrays).descend(lower, upper, np.random.default_rng(0))


def real(asked: Problem, found: Counterexample, graph: Graph) -> bool:
    """Whether the find is what it says, from its own numbers alone."""
    cell = asked.cells[found.cell]
    lower, upper = asked.network_box(cell)
    return (
        bool(((lower <= found.x) & (found.x <= upper)).all())
        and np.array_equal(found.y, evaluate(graph, found.x[None])[0])
        and violated(cell, found.x, found.y) == found.conjunction
    )


def planted(seed: int) -> tuple[Graph, Problem]:
    """The catastrophe is where a sampled extreme output is nearly reached."""
    rng = np.random.default_rng(seed)
    activation = ("relu", "leaky_relu", "sigmoid", "tanh")[seed % 4]
    graph = integer_network(rng, (3, 6, 6, 2), activation)
    y = evaluate(graph, rng.uniform(-2, 2, (4000, 3)))
    high = F(float(np.quantile(y[:, 0], 0.999)))
    low = F(float(np.quantile(y[:, 1], 0.5)))
    region = box(*[(-2, 2)] * 3)
    return graph, problem(graph, region, (least(0, high),), (most(1, -1000), least(1, low)))


@pytest.mark.parametrize("seed", range(24))
def test_planted_counterexamples_are_found_and_real(seed: int) -> None:
    graph, asked = planted(seed)
    found = search(graph, asked)
    assert found is not None
    assert real(asked, found, graph)


def test_torch_finds_them_too() -> None:
    graph, asked = planted(2)
    found = search(graph, asked, torch_arrays())
    assert found is not None
    assert real(asked, found, graph)


def test_a_conjunction_needs_all_its_constraints_at_once() -> None:
    """y = (x0, x1): a strip of width 1/8 in both."""
    graph = network([np.eye(2)], [np.zeros(2)])
    narrow = (least(0, "0.5"), most(0, "0.625"), least(1, "-0.25"), most(1, "-0.125"))
    asked = problem(graph, box((-4, 4), (-4, 4)), narrow)
    found = search(graph, asked)
    assert found is not None
    assert real(asked, found, graph)


def test_a_point_must_lie_in_the_region() -> None:
    """y = relu(x) on [-1, 1] where x <= 1/4: y >= 1/4 is reached on the region's edge only."""
    graph = one_relu()
    inside = (constraint([(0, F(1))], [], F(1, 4)),)
    reached = problem(graph, box((-1, 1)), (least(0, "0.125"),), constraints=inside)
    found = search(graph, reached)
    assert found is not None
    assert found.x[0] <= 0.25
    assert real(reached, found, graph)
    outside = problem(graph, box((-1, 1)), (least(0, "0.26"),), constraints=inside)
    assert search(graph, outside) is None


def test_inputs_in_the_catastrophe_are_followed() -> None:
    """y = relu(x) and x - y <= -3/4 cannot be; y - x >= 3/4 is at x <= -3/4."""
    graph = one_relu()
    row = constraint([(0, F(1))], [(0, F(-1))], F(-3, 4))
    asked = problem(graph, box((-1, 1)), (row,))
    found = search(graph, asked)
    assert found is not None
    assert found.x[0] <= -0.75


@pytest.mark.parametrize(("bound", "strict", "there"), [(1, False, True), (1, True, False)])
def test_equality_is_found_and_strictness_kept(bound: int, strict: bool, there: bool) -> None:
    graph = one_relu()
    asked = problem(graph, box((-1, 1)), (least(0, bound, strict),))
    found = search(graph, asked)
    assert (found is not None) is there
    if found is not None:
        assert (found.x.tolist(), found.y.tolist()) == ([1.0], [1.0])


def test_a_box_that_is_one_point_is_tried() -> None:
    graph = one_relu()
    assert search(graph, problem(graph, box(("0.5", "0.5")), (least(0, "0.5"),))) is not None
    assert search(graph, problem(graph, box(("0.5", "0.5")), (least(0, "0.51"),))) is None


def test_what_the_runtime_does_not_confirm_is_not_returned() -> None:
    graph = one_relu()
    asked = problem(graph, box((0, 1)), (least(0, "0.5"),))
    trial = attack(graph, asked, run=lambda x: np.zeros((len(x), 1)))
    lower, upper = asked.network_box(asked.cells[0])
    assert trial.descend(lower, upper, np.random.default_rng(0)) is None
    assert trial.near <= 0


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_an_output_that_is_not_finite_is_a_counterexample(bad: float) -> None:
    graph = one_relu()
    asked = problem(graph, box((0, 1)), (least(0, "0.99"),))
    trial = attack(graph, asked, run=lambda x: np.full((len(x), 1), bad))
    lower, upper = asked.network_box(asked.cells[0])
    found = trial.descend(lower, upper, np.random.default_rng(0))
    assert found is not None
    assert found.conjunction == 0


def test_only_floats_of_the_inputs_type_are_returned() -> None:
    graph = one_relu()
    inner = problem(graph, box(("0.1", "0.3")), (least(0, "0.2"), most(0, "0.22")))
    asked = Problem("p", 1, 1, inner.cells)  # float32 inputs; no corner and no centre is one
    lower, upper = asked.network_box(asked.cells[0])
    found = attack(graph, asked).descend(lower, upper, np.random.default_rng(0))
    assert found is not None
    assert np.array_equal(found.x, found.x.astype(np.float32))
    assert lower <= found.x <= upper
    assert 0.2 <= found.x[0] <= 0.22


def test_a_point_is_replayed_once() -> None:
    graph, calls = one_relu(), []

    def run(x: Array) -> Array:
        calls.append(x.copy())
        return np.zeros((len(x), 1))

    asked = problem(graph, box(("0.5", "0.5")), (least(0, "0.5"),))
    trial = attack(graph, asked, run=run)
    point = np.array([[0.5]])
    for _ in range(3):
        distance, found = trial.probe(point)
        assert (distance.tolist(), found) == ([0.0], None)
    assert len(calls) == 1


@pytest.mark.parametrize("seed", range(12))
def test_row_values_are_the_rows(seed: int) -> None:
    graph, rng = random_graph(seed), np.random.default_rng(seed)
    asked, x = _rows(graph, rng), rng.normal(size=(7, graph.input_size))
    query = cell_query(asked.cells[0], graph.input_size, graph.output_size).query
    values, inner = row_values(graph, query, x, FLOAT64)
    y = evaluate(graph, x)
    assert np.allclose(values, x @ query.inputs.T + y @ query.outputs.T - query.bound)
    assert len(inner) == len(graph.nodes)


@pytest.mark.parametrize("seed", range(20))
def test_gradients_are_those_of_finite_differences(seed: int) -> None:
    graph, rng = random_graph(seed, activations=("sigmoid", "tanh")), np.random.default_rng(seed)
    asked, x = _rows(graph, rng), rng.normal(size=(4, graph.input_size))
    query = cell_query(asked.cells[0], graph.input_size, graph.output_size).query
    weights = rng.random((4, len(query.bound)))
    _, inner = row_values(graph, query, x, FLOAT64)
    found = row_gradient(graph, query, weights, inner, FLOAT64)
    for dimension in range(graph.input_size):
        step = np.zeros(graph.input_size)
        step[dimension] = 1e-6
        ends = [row_values(graph, query, x + s * step, FLOAT64)[0] for s in (-1, 1)]
        slope = (weights * (ends[1] - ends[0])).sum(axis=1) / 2e-6
        assert np.allclose(found[:, dimension], slope, rtol=1e-5, atol=1e-5)


def _rows(graph: Graph, rng: np.random.Generator) -> Problem:
    """A catastrophe of a few dense rows over inputs and outputs."""
    rows = tuple(
        constraint(
            [(i, F(int(c))) for i, c in enumerate(rng.integers(-2, 3, graph.input_size))],
            [(i, F(int(c))) for i, c in enumerate(rng.integers(-2, 3, graph.output_size))],
            F(int(rng.integers(-2, 3))),
        )
        for _ in range(3)
    )
    return problem(graph, box(*[(-1, 1)] * graph.input_size), rows)
