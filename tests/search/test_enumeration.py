"""Whole runs on tiny integer networks: no verdict contradicts exact evaluation on a grid."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence
from fractions import Fraction

import exact
import numpy as np
import pytest
from irmodels import Array
from searchcases import REAL, box, integer_network, solve

from absint.ir import Graph, evaluate
from absint.problem import Cell, Conjunction, LinearConstraint, Problem, constraint
from absint.proofs.check import check
from absint.proofs.format import Certificate
from absint.search.result import Result, Verdict

F = Fraction
STEP = F(1, 4)
SHAPES = ((1, 3, 1), (2, 4, 2), (2, 3, 3, 1), (1, 4, 4, 2))
ACTIVATIONS = ("relu", "leaky_relu", "abs", "clip", "relu", "sigmoid", "tanh")

Point = tuple[Fraction, ...]


def grid(cell: Cell) -> list[Point]:
    """Every multiple of a quarter in the box: its corners and the integers among them."""
    axes = [
        [low + STEP * i for i in range(int((high - low) / STEP) + 1)]
        for low, high in zip(cell.box.lower, cell.box.upper, strict=True)
    ]
    return list(itertools.product(*axes))


def rational(graph: Graph, x: Point) -> list[Fraction]:
    return exact.outputs(graph, exact.evaluate(graph, x))


def approximate(graph: Graph, points: Sequence[Point]) -> Array:
    return np.asarray(evaluate(graph, np.array([[float(v) for v in p] for p in points])))


def random_row(rng: np.random.Generator, sizes: tuple[int, int], mixed: bool) -> LinearConstraint:
    n, m = sizes
    ys = [(i, F(int(c))) for i, c in enumerate(rng.integers(-2, 3, m))]
    xs = [(i, F(int(c))) for i, c in enumerate(rng.integers(-1, 2, n))] if mixed else []
    return constraint(xs, ys, F(0), bool(rng.integers(2)))


def random_cell(rng: np.random.Generator, graph: Graph) -> Cell:
    """A box with integer ends (some without width), one to three conjunctions whose bounds lie at
    or near the least value on the grid, so that ties and near misses are common."""
    n, m = graph.input_size, graph.output_size
    low = rng.integers(-2, 2, n)
    high = low + rng.integers(0, 3, n)
    region: Conjunction = ()
    if rng.random() < 0.4:
        terms = [(i, F(int(c))) for i, c in enumerate(rng.integers(-1, 2, n))]
        middle = sum((c * F(int(a + b), 2) for (_, c), a, b in zip(terms, low, high, strict=True)))
        region = (constraint(terms, [], F(middle), bool(rng.integers(2))),)
    bare = Cell(box(*zip(low, high, strict=True)), (), region)
    points = grid(bare)
    values = approximate(graph, points)
    conjunctions = []
    for _ in range(int(rng.integers(1, 4))):
        rows = []
        for _ in range(int(rng.integers(1, 4))):
            row = random_row(rng, (n, m), bool(rng.random() < 0.3))
            least = min(
                float(row.value(p, [F(float(v)) for v in y]))
                for p, y in zip(points, values, strict=True)
            )
            shift = F(str(rng.choice(["0", "0", "-0.5", "-0.125", "1", "3"])))
            bound = F(round(least * 8), 8) + shift
            rows.append(constraint(row.inputs, row.outputs, bound, row.strict))
        conjunctions.append(tuple(rows))
    return Cell(bare.box, tuple(conjunctions), region)


def random_case(seed: int) -> tuple[Graph, Problem]:
    rng = np.random.default_rng(seed)
    activation = ACTIVATIONS[seed % len(ACTIVATIONS)]
    alpha = float(rng.choice([0.25, -0.5, 2.0]))
    graph = integer_network(rng, SHAPES[seed % len(SHAPES)], activation, alpha)
    cells = tuple(random_cell(rng, graph) for _ in range(int(rng.integers(1, 3))))
    return graph, Problem("p", graph.input_size, graph.output_size, cells, REAL)


def catastrophic(problem: Problem, cell: Cell, graph: Graph, x: Point) -> bool:
    """By exact values; where the network has none, only where floats leave no doubt."""
    if exact.is_rational(graph):
        return exact.violation(problem, cell, graph, x)
    if not all(row.holds(x, ()) for row in cell.constraints):
        return False
    y = [F(float(v)) for v in approximate(graph, [x])[0]]
    sure = F(1, 10**9)
    return any(all(row.value(x, y) < -sure for row in rows) for rows in cell.catastrophe)


def judge(graph: Graph, problem: Problem, result: Result) -> None:
    """Asserts that the verdict contradicts nothing that the grid shows."""
    if result.verdict is Verdict.VERIFIED:
        for cell in problem.cells:
            for x in grid(cell):
                assert not catastrophic(problem, cell, graph, x), (x, cell)
        assert result.certificate is not None
        certificate = Certificate.from_bytes(result.certificate)
        assert check(certificate, graph, problem).accepted
    elif result.verdict is Verdict.FALSIFIED:
        found = result.counterexample
        assert found is not None
        cell, x = problem.cells[found.cell], tuple(F(float(v)) for v in found.x)
        assert all(a <= v <= b for a, v, b in zip(cell.box.lower, x, cell.box.upper, strict=True))
        assert all(row.holds(x, ()) for row in cell.constraints)
        y = [F(float(v)) for v in found.y]
        assert np.array_equal(found.y, evaluate(graph, found.x[None])[0]), "a real replay"
        assert all(row.holds(x, y) for row in cell.catastrophe[found.conjunction])


@pytest.mark.parametrize("part", range(8))
def test_verdicts_agree_with_enumeration(part: int) -> None:
    seen: Counter[Verdict] = Counter()
    for seed in range(part * 15, part * 15 + 15):
        graph, problem = random_case(seed)
        result = solve(graph, problem, timeout=0.5)
        judge(graph, problem, result)
        seen[result.verdict] += 1
    assert seen[Verdict.UNKNOWN] <= 8, "bounds that are ties cannot be decided; most others are"
    assert seen[Verdict.VERIFIED] > 0
    assert seen[Verdict.FALSIFIED] > 0
