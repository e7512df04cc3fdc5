"""Bounds under the float32 contract hold every execution that it allows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from executions import Execution
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jointmodels import JOINT
from numpy.typing import NDArray
from strategies import ALL_OPS, WEIGHT_KINDS, cases, graphs

from absint.ir import Constant, Graph, GraphBuilder
from absint.problem.contract import FLOAT32
from absint.proofs.bounds import Bounds
from absint.proofs.regions import Boxes, Rows

FloatArray = NDArray[np.float64]

QUICK = settings(
    max_examples=120,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


def as_float32(lower: FloatArray, upper: FloatArray) -> tuple[FloatArray, FloatArray]:
    with np.errstate(over="ignore"):
        ends = [np.clip(end, -3e38, 3e38).astype(np.float32) for end in (lower, upper)]
    return ends[0].astype(np.float64), ends[1].astype(np.float64)


def sample(lower: FloatArray, upper: FloatArray, rng: np.random.Generator, count: int) -> Any:
    """Float32 points of a box, many of its corners among them."""
    t = rng.choice([0.0, 1.0, 0.5, -1.0], size=(count, len(lower)))
    t = np.where(t < 0, rng.random(t.shape), t)
    with np.errstate(over="ignore"):
        x = (lower + t * (upper - lower)).astype(np.float32).astype(np.float64)
    return np.clip(x, lower, upper)


def check(graph: Graph, lower: FloatArray, upper: FloatArray, seed: int, count: int) -> int:
    """How many executions were held against the bounds of all nodes, and of a row."""
    rng = np.random.default_rng(seed)
    lower, upper = as_float32(lower, upper)
    bounds = Bounds(graph, Boxes(graph, lower[None], upper[None]), FLOAT32)
    row = rng.integers(-3, 4, (1, 1, graph.output_size)) / 1.0
    zero = np.zeros((1, 1, 0))
    least = bounds.minimum(Rows(zero, zero, row, 0 * row, np.zeros((1, 1))))[0, 0]
    inner = [bounds.enclosure(node) for node in range(len(graph.nodes))]
    if not np.isfinite(least):
        return 0
    values = Execution(rng).run(graph, sample(lower, upper, rng, count))
    for node, value in enumerate(values):
        assert np.isfinite(value).all(), graph.nodes[node].op
        assert (inner[node][0] <= value).all(), graph.nodes[node].op
        assert (value <= inner[node][1]).all(), graph.nodes[node].op
    ys = [values[port.node].reshape((count, -1)) for port in graph.outputs]
    found = np.concatenate(ys, axis=1) @ row[0, 0]
    assert (found - least >= -(2.0**-40) * np.abs(found)).all()
    return count


@QUICK
@given(cases(graphs(ALL_OPS, dtype="float32"), far=False), st.integers(0, 2**32 - 1))
def test_random_executions_of_random_networks_are_inside(
    case: tuple[Graph, FloatArray, FloatArray], seed: int
) -> None:
    check(*case, seed, 20)


joint = [case for case in JOINT if FLOAT32.covers(case.op)]


@pytest.mark.parametrize("case", joint, ids=lambda case: case.name)
def test_random_executions_of_ops_that_mix_values_are_inside(case: Any) -> None:
    rng, graph = np.random.default_rng(5), case.graph()
    held = 0
    for seed in range(40):
        centre, radius = rng.normal(size=(2, graph.input_size)) * rng.choice([1e-3, 1.0, 30.0])
        if case.op == "embedding":
            rows = len(case.consts["weight"])
            centre, radius = rng.integers(0, rows, graph.input_size), 0 * radius
        radius = np.abs(radius) * rng.choice([0.0, 1e-3, 0.1])
        held += check(graph, centre - radius, centre + radius, seed, 50)
    assert held > 500


def test_real_arithmetic_does_not_hold_them() -> None:
    """The bounds are not wide enough by chance: without the contract they are left."""
    rng, left = np.random.default_rng(0), 0
    for _ in range(20):
        builder = GraphBuilder()
        weight = Constant(rng.normal(size=(40, 3)).astype(np.float32))
        y = builder.add("dense", [builder.input("x", (40,))], consts={"weight": weight})
        graph, x = builder.build({"y": y}), rng.normal(size=(1, 40)).astype(np.float32)
        x = x.astype(np.float64)
        lower, upper = Bounds(graph, Boxes(graph, x, x)).enclosure(y)
        value = Execution(rng).run(graph, x)[y]
        left += int(((value < lower) | (value > upper)).any())
    assert left == 20


@pytest.mark.full
def test_a_million_random_executions_are_inside() -> None:
    """Networks of every elementwise and affine op; ops that mix values."""
    held = 0

    @settings(QUICK, max_examples=1500)
    @given(
        cases(graphs(ALL_OPS, ("float32", "dyadic"), dtype="float32"), far=False),
        st.integers(0, 2**32 - 1),
    )
    def drawn(case: tuple[Graph, FloatArray, FloatArray], seed: int) -> None:
        nonlocal held
        held += check(*case, seed, 1000)

    while held < 1_000_000:
        drawn()
    print(held, "executions")


def test_weight_kinds_are_those_that_are_drawn() -> None:
    assert {"float32", "dyadic"} <= set(WEIGHT_KINDS)
