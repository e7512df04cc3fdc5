"""Small verification problems for tests of the search, and a runtime that evaluates the graph."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
from irmodels import Array

from absint.ir import Constant, Graph, GraphBuilder, evaluate
from absint.problem import Box, Cell, Conjunction, LinearConstraint, Problem, Semantics, constraint
from absint.search.attack import Runtime
from absint.search.options import SearchOptions
from absint.search.prove import Binding, prove
from absint.search.result import Result

F = Fraction
BINDING = Binding("11" * 32, "22" * 32)
REAL = Semantics(dtype="float64")
"""Networks with float64 inputs: every dyadic number in reach is an input."""


def runtime(graph: Graph) -> Runtime:
    """The graph in float64: exact on short numbers where the network is piecewise linear."""
    return lambda x: np.asarray(evaluate(graph, x))


def network(
    weights: Sequence[Array],
    biases: Sequence[Array],
    activation: str = "relu",
    alpha: float = 0.25,
) -> Graph:
    """Dense layers with an activation between them."""
    builder = GraphBuilder()
    h = builder.input("x", (len(weights[0]),), "float64")
    for i, (w, b) in enumerate(zip(weights, biases, strict=True)):
        if i:
            attrs = {"leaky_relu": {"alpha": alpha}, "clip": {"lower": -1.0, "upper": 2.0}}
            attrs["elu"] = {"alpha": 1.0}
            h = builder.add(activation, [h], attrs=attrs.get(activation))
        consts = {"weight": Constant(np.asarray(w, float)), "bias": Constant(np.asarray(b, float))}
        h = builder.add("dense", [h], consts=consts)
    return builder.build({"y": h}, "float64")


def integer_network(
    rng: np.random.Generator, sizes: Sequence[int], activation: str = "relu", alpha: float = 0.25
) -> Graph:
    pairs = list(itertools.pairwise(sizes))
    weights = [rng.integers(-2, 3, pair).astype(float) for pair in pairs]
    biases = [rng.integers(-2, 3, size).astype(float) for _, size in pairs]
    return network(weights, biases, activation, alpha)


def one_relu() -> Graph:
    """y = relu(x)."""
    builder = GraphBuilder()
    return builder.build({"y": builder.add("relu", [builder.input("x", (1,), "float64")])})


def box(*ends: tuple[object, object]) -> Box:
    return Box(tuple(F(str(low)) for low, _ in ends), tuple(F(str(high)) for _, high in ends))


def least(index: int, bound: object, strict: bool = False) -> LinearConstraint:
    """``y[index] >= bound`` (strict: ``>``)."""
    return constraint([], [(index, F(-1))], -F(str(bound)), strict)


def most(index: int, bound: object, strict: bool = False) -> LinearConstraint:
    """``y[index] <= bound`` (strict: ``<``)."""
    return constraint([], [(index, F(1))], F(str(bound)), strict)


def problem(
    graph: Graph,
    region: Box,
    *conjunctions: Conjunction,
    constraints: tuple[LinearConstraint, ...] = (),
) -> Problem:
    cell = Cell(region, conjunctions, constraints)
    return Problem("p", graph.input_size, graph.output_size, (cell,), REAL)


def solve(graph: Graph, asked: Problem, timeout: float = 5.0, **options: object) -> Result:
    """``prove`` with the graph itself as the runtime."""
    chosen = SearchOptions(timeout=timeout, **options)  # type: ignore[arg-type]
    return prove(graph, asked, BINDING, runtime(graph), chosen)


def hard(seed: int = 1, margin: float = 0.05, inputs: int = 4) -> tuple[Graph, Problem]:
    """A property that holds and takes some thousand boxes to prove (four inputs), or ages (eight).

    The bound lies above the largest of many sampled outputs by ``margin`` of its size.
    """
    rng = np.random.default_rng(seed)
    sizes = [(inputs, 16), (16, 16), (16, 16), (16, 1)]
    weights = [rng.normal(size=size) / np.sqrt(size[0]) * 2.0 for size in sizes]
    biases = [rng.normal(size=size[1]) * 0.3 for size in sizes]
    graph = network(weights, biases)
    x = rng.uniform(-1, 1, (20_000, inputs))
    x[::2] = np.sign(x[::2])
    top = float(evaluate(graph, x).max())
    bound = F(top + margin * (abs(top) + 1))
    return graph, problem(graph, box(*[(-1, 1)] * inputs), (least(0, float(bound)),))
