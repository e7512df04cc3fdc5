"""Counterexamples held against the runtime's two settings and against exact arithmetic."""

from __future__ import annotations

import math
from fractions import Fraction

import exact
import numpy as np
import pytest
from irmodels import random_graph
from searchcases import box, integer_network, least, most, network, one_relu, problem, runtime

from absint.ir import evaluate
from absint.problem import constraint
from absint.search.attack import Counterexample
from absint.search.confirm import RealArithmetic, confirm, real_arithmetic

F = Fraction
AGREES, DISAGREES, UNDECIDED = RealArithmetic


@pytest.mark.parametrize(
    ("bound", "strict", "answer"),
    [
        ("0.5", False, AGREES),
        ("0.875", False, DISAGREES),
        ("0.75", True, UNDECIDED),
        ("0.7500001", True, DISAGREES),
        ("0.7499999", True, AGREES),
    ],
)
def test_real_arithmetic_at_a_point(bound: str, strict: bool, answer: RealArithmetic) -> None:
    """y = relu(3/4) = 3/4; a tie cannot be told apart by bounds that are rounded outwards."""
    graph = one_relu()
    asked = problem(graph, box((0, 1)), (least(0, bound, strict),))
    assert real_arithmetic(asked.cells[0], graph, np.array([0.75])) is answer


def test_a_float_sum_that_real_arithmetic_contradicts() -> None:
    """0.1 + 0.2 > 0.3 in floats as in reals; 2^53 + 1 - 2^53 is 0 in floats and 1 in reals."""
    graph = network(
        [np.array([[1.0]]), np.array([[1.0]])], [np.array([1.0]), np.array([-(2.0**53)])]
    )
    asked = problem(graph, box((2**53, 2**53)), (most(0, "0.5"),))
    x = np.array([2.0**53])
    assert evaluate(graph, x[None])[0].tolist() == [0.0]
    assert real_arithmetic(asked.cells[0], graph, x) is not AGREES


@pytest.mark.parametrize("seed", range(20))
def test_answers_are_those_of_exact_evaluation(seed: int) -> None:
    rng = np.random.default_rng(seed)
    graph = random_graph(seed, activations=("relu", "leaky_relu"))
    x = rng.normal(size=graph.input_size)
    y = evaluate(graph, x[None])[0]
    rows = []
    for _ in range(3):
        ys = [(i, F(int(c))) for i, c in enumerate(rng.integers(-2, 3, graph.output_size))]
        xs = [(i, F(int(c))) for i, c in enumerate(rng.integers(-1, 2, graph.input_size))]
        value = sum((c * F(float(y[i])) for i, c in ys), F(0))
        value += sum((c * F(float(x[i])) for i, c in xs), F(0))
        rows.append(constraint(xs, ys, value + F(str(rng.choice(["1e-3", "-1e-3"])))))
    asked = problem(graph, box(*[(-9, 9)] * graph.input_size), tuple(rows[:2]), tuple(rows[2:]))
    truth = exact.violation(asked, asked.cells[0], graph, [F(float(v)) for v in x])
    assert real_arithmetic(asked.cells[0], graph, x) is (AGREES if truth else DISAGREES)


def test_both_settings_of_the_runtime_are_reported() -> None:
    graph = integer_network(np.random.default_rng(0), (2, 3, 1))
    x = np.array([0.5, -0.25])
    y = evaluate(graph, x[None])[0]
    asked = problem(graph, box((-1, 1), (-1, 1)), (least(0, float(y[0])),))
    found = Counterexample(0, 0, x, y)
    result = confirm(asked, graph, found, runtime(graph), lambda v: evaluate(graph, v) - 1.0)
    assert (result.catastrophic, result.catastrophic_default) == (True, False)
    assert result.y_default.tolist() == [y[0] - 1.0]
    assert [value for _, value in result.margins] == [0.0]


def test_margins_of_outputs_that_are_not_finite_are_not_numbers() -> None:
    graph = one_relu()
    asked = problem(graph, box((0, 1)), (least(0, 2),))
    found = Counterexample(0, 0, np.array([0.5]), np.array([np.inf]))
    nowhere = lambda x: np.full((len(x), 1), np.inf)  # noqa: E731
    result = confirm(asked, graph, found, nowhere, nowhere)
    assert result.catastrophic
    assert math.isnan(result.margins[0][1])


def test_margins_beyond_every_float_are_infinite() -> None:
    graph = one_relu()
    asked = problem(graph, box((0, 1)), (constraint([], [(0, F(1))], F(10) ** 400),))
    found = Counterexample(0, 0, np.array([0.5]), np.array([0.5]))
    result = confirm(asked, graph, found, runtime(graph), runtime(graph))
    assert result.margins[0][1] == -math.inf
    assert result.real is AGREES
