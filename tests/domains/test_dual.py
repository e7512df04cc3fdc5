"""Bounds with phases, multipliers and free slopes: sound, exact where they can be, and their own
derivatives right."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from searchcases import integer_network

from absint.domains.arrays import Arrays, numpy_arrays, torch_arrays
from absint.domains.dual import Dual, Lines, Rows
from absint.domains.hinges import Frame, frame, hinges
from absint.domains.product import Query, analyse
from absint.ir import Graph, evaluate
from absint.ir.evaluate import run

FloatArray = NDArray[np.float64]
FLOAT64 = numpy_arrays()
ACTIVATIONS = [("relu", 0.0), ("leaky_relu", 0.25), ("leaky_relu", 2.0), ("abs", 0.0)]


def drawn(
    seed: int, activation: str = "relu", alpha: float = 0.25, arrays: Arrays = FLOAT64
) -> tuple[Graph, Frame, np.random.Generator]:
    rng = np.random.default_rng(seed)
    graph = integer_network(rng, (3, 6, 6, 2), activation, alpha)
    lower = rng.integers(-3, 1, 3) / 2.0
    return graph, frame(graph, lower, lower + rng.integers(1, 5, 3) / 2.0, arrays), rng


def some_rows(rng: np.random.Generator, count: int) -> Rows:
    shape = (count, 1)
    return Rows(rng.normal(size=(*shape, 3)), rng.normal(size=(*shape, 2)), rng.normal(size=shape))


def some_phases(found: Frame, rng: np.random.Generator, count: int) -> NDArray[np.int8]:
    sides = rng.integers(-1, 2, (count, found.size))
    return np.where(found.unstable, sides, 0).astype(np.int8)


def some_slopes(found: Frame, rng: np.random.Generator, count: int) -> FloatArray:
    slope: FloatArray = found.left + (found.right - found.left) * rng.random((count, found.size))
    return slope


def operands(found: Frame, x: FloatArray) -> FloatArray:
    """The hinges' operands at points x."""
    values = run(found.graph, x)
    parts = [values[h.operand].reshape((len(x), -1)) for h in found.hinges]
    return np.concatenate(parts, axis=1)


@pytest.mark.parametrize(("activation", "alpha"), ACTIVATIONS)
@pytest.mark.parametrize("seed", range(8))
def test_no_point_with_the_phases_lies_below_the_bound(
    seed: int, activation: str, alpha: float
) -> None:
    graph, found, rng = drawn(seed, activation, alpha)
    x = rng.uniform(*(end[0] for end in found.box), (400, 3))
    before = operands(found, x)
    side = np.where(found.unstable, np.sign(before - found.knot), 0).astype(np.int8)
    side[rng.random(side.shape) < 0.5] = 0
    rows = some_rows(rng, len(x))
    pull = -side * rng.exponential(size=side.shape) * (rng.random(side.shape) < 0.7)
    dual = Lines.of(found, some_slopes(found, rng, len(x)), side).bound(rows, pull)
    y = evaluate(graph, x)
    value = (
        (rows.inputs[:, 0] * x).sum(axis=1)
        + (rows.outputs[:, 0] * y).sum(axis=1)
        - rows.bound[:, 0]
    )
    assert (side != 0).any()
    assert (dual.value <= value + 1e-9 * (1 + np.abs(dual.value))).all()


@pytest.mark.parametrize(("activation", "alpha"), ACTIVATIONS)
@pytest.mark.parametrize("seed", range(4))
def test_without_phases_and_with_default_slopes_it_is_the_plain_bound(
    seed: int, activation: str, alpha: float
) -> None:
    graph, found, rng = drawn(seed, activation, alpha)
    rows = some_rows(rng, 5)
    side = np.zeros((5, found.size), dtype=np.int8)
    dual = Lines.of(found, np.tile(found.slope, (5, 1)), side).bound(rows, 0.0 * side)
    plain = analyse(
        graph, found.box, Query(rows.inputs[:, 0], rows.outputs[:, 0], rows.bound[:, 0]), FLOAT64
    )
    reach = np.abs(plain.coefficients) @ ((found.box[1] - found.box[0])[0] / 2)
    assert np.allclose(dual.value, (plain.centre - reach)[0], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("seed", range(6))
def test_the_bound_is_the_row_at_its_own_point(seed: int) -> None:
    _, found, rng = drawn(seed)
    side = some_phases(found, rng, 9)
    rows, pull = some_rows(rng, 9), -side * rng.exponential(size=side.shape)
    dual = Lines.of(found, some_slopes(found, rng, 9), side).bound(rows, pull)
    there = (rows.inputs[:, 0] * dual.x).sum(axis=1) + (rows.outputs[:, 0] * dual.y).sum(axis=1)
    there += (pull * (dual.operands - found.knot)).sum(axis=1) - rows.bound[:, 0]
    assert np.allclose(dual.value, there, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(("activation", "alpha"), ACTIVATIONS)
@pytest.mark.parametrize("seed", range(4))
def test_derivatives_are_those_of_small_steps(seed: int, activation: str, alpha: float) -> None:
    _, found, rng = drawn(seed, activation, alpha)
    side, slope = some_phases(found, rng, 1), some_slopes(found, rng, 1)
    rows, pull = some_rows(rng, 1), -side * rng.exponential(size=side.shape)

    def at(step: FloatArray, move: FloatArray) -> Dual:
        return Lines.of(found, slope + move, side).bound(rows, pull + step)

    nothing, size = np.zeros(found.size), 1e-6
    here = at(nothing, nothing)
    free = np.where(found.convex, here.coefficients > 0, here.coefficients < 0)
    by_slope = np.where(
        free & found.unstable & (side == 0), here.coefficients * (here.operands - found.knot), 0.0
    )[0]
    for entry in range(found.size):
        unit = size * np.eye(found.size)[entry]
        for step, move, derivative in (
            (unit, nothing, (here.operands - found.knot)[0, entry]),
            (nothing, unit, by_slope[entry]),
        ):
            right = (at(step, move).value[0] - here.value[0]) / size
            left = (here.value[0] - at(-step, -move).value[0]) / size
            assert min(left, right) - 1e-4 <= derivative <= max(left, right) + 1e-4


@pytest.mark.parametrize("seed", range(3))
def test_torch_gives_the_same(seed: int) -> None:
    duals = []
    for arrays in (FLOAT64, torch_arrays()):
        _, found, rng = drawn(seed, "leaky_relu", arrays=arrays)
        side = some_phases(found, rng, 4)
        slope, rows = some_slopes(found, rng, 4), some_rows(rng, 4)
        duals.append(Lines.of(found, slope, side).bound(rows, -0.5 * side))
    for first, second in zip(*([*vars(dual).values()] for dual in duals), strict=True):
        assert np.allclose(first, second, rtol=1e-10, atol=1e-10)


def test_products_of_variables_leave_no_hinges() -> None:
    from absint.ir import GraphBuilder

    builder = GraphBuilder()
    x = builder.input("x", (2,), "float64")
    graph = builder.build({"y": builder.add("mul", [builder.add("relu", [x]), x])})
    assert hinges(graph) == ()


def test_hinges_are_the_functions_with_one_knot_in_order() -> None:
    from absint.ir import GraphBuilder

    builder = GraphBuilder()
    h = builder.input("x", (2,), "float64")
    h = builder.add("relu", [h])
    h = builder.add("clip", [h], attrs={"lower": -1.0, "upper": 1.0})
    h = builder.add("clip", [h], attrs={"lower": 0.5, "upper": np.inf})
    found = hinges(builder.build({"y": builder.add("abs", [h])}))
    assert [(h.position, h.place.start, h.knot, h.value) for h in found] == [
        (1, 0, 0.0, 0.0),
        (3, 2, 0.5, 0.5),
        (4, 4, 0.0, 0.0),
    ]
