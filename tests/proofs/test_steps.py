"""Backward steps through ops that mix values, against exact arithmetic, with no tolerance."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import exact
import exactjoint
import numpy as np
import pytest
from flush import flush_to_zero
from hypothesis import given, settings
from hypothesis import strategies as st
from irmodels import Case
from jointboxes import boxes, samples
from jointmodels import JOINT
from numpy.typing import NDArray
from strategies import intervals

from absint.domains.arrays import numpy_arrays
from absint.domains.product import Query, analyse
from absint.ir import Constant, Graph, GraphBuilder, Node
from absint.proofs.arithmetic import without_subnormals
from absint.proofs.bounds import Bounds
from absint.proofs.regions import Boxes, Rows
from absint.proofs.transformers import bilinear, forward
from absint.proofs.transformers.bilinear import Bilinear
from absint.proofs.transformers.directions import Normalized
from absint.proofs.transformers.steps import Back, Step

FloatArray = NDArray[np.float64]
Interval = tuple[FloatArray, FloatArray]
PRODUCTS = [case for case in JOINT if case.op in ("mul", "matmul")]
NORMS = [case for case in JOINT if case.op == "normalize"]
ONE_GROUP = [
    Case(f"{size}-{kind}", "normalize", ((size,),), {"axes": 1, "centered": kind, "epsilon": e})
    for size, kind, e in ((5, 0, 0.0), (4, 0, 2.0**-10), (4, 1, 2.0**-10), (3, 1, 1.0))
]
FACTORS = (-2.0, -1.0, 0.0, 0.3, 1.0, 7.0, 1e-300, 1e200, 5e-324)


def coefficients(draw: Any, node: Node, count: int = 2) -> FloatArray:
    some = [draw(st.sampled_from(FACTORS)) for _ in range(count * node.size)]
    return np.array(some).reshape((1, count, *node.shape))


def step_of(node: Node, xs: Sequence[Interval]) -> Step:
    ends = [without_subnormals(*x) for x in xs]
    if node.op == "normalize":
        return Normalized.of(node, ends[0], forward.interval(node, xs))
    return Bilinear.of(node, ends)


def assert_step_sound(
    node: Node, xs: Sequence[Interval], c: FloatArray, seed: int, flush: bool
) -> None:
    """``c . y`` is never below what the step makes of it, at any exact point of the box."""
    with flush_to_zero(flush), np.errstate(all="ignore"):
        back = step_of(node, xs).back(c)
    assert_below(node, xs, c, back, seed)


def assert_below(
    node: Node,
    xs: Sequence[Interval],
    c: FloatArray,
    back: Back,
    seed: int,
    least: FloatArray | None = None,
) -> None:
    """The same for a step that was taken; of ``least``, only where ``c . z`` is at least that."""
    shift, lost = (np.broadcast_to(b, (1, c.shape[1])) for b in (back.shift, back.lost))
    for point in samples(xs, seed):
        if node.op == "normalize" and node.number("epsilon") == 0 and not any(point[0].flat):
            continue
        truth = exactjoint.value(node, point)
        for row in range(c.shape[1]):
            if least is not None and dot(c[0, row], entries(node, point[0])) < Fraction(least[row]):
                continue
            ends = [shift[0, row], lost[0, row], *(x for p in back.parts for x in p[0, row].flat)]
            if not np.isfinite(ends).all():  # then the whole bound is NaN or -inf
                continue
            value = dot(c[0, row], truth)
            bound = Fraction(shift[0, row]) - Fraction(lost[0, row])
            bound -= Fraction(2.0**-981)  # what every bound is lowered by
            bound += sum((dot(p[0, row], x) for p, x in zip(back.parts, point, strict=True)), 0)
            assert not value < (exact.ball(bound) if node.op == "normalize" else bound)


def entries(node: Node, x: exact.Numbers) -> exact.Numbers:
    """What a norm of one group divides, exactly."""
    return x - x.mean() if node.integer("centered") else x


def dot(c: FloatArray, x: exact.Numbers) -> Any:
    """An exact inner product."""
    pairs = zip(exact.exactly(c).reshape(-1), x.reshape(-1), strict=True)
    return sum((a * b if isinstance(b, Fraction) else exact.ball(a) * b for a, b in pairs), 0)


@pytest.mark.parametrize("case", PRODUCTS + NORMS, ids=lambda case: case.name)
@settings(max_examples=15, deadline=None)
@given(data=st.data(), seed=st.integers(0, 999), flush=st.booleans(), far=st.booleans())
def test_a_step_back_is_sound(
    case: Case, data: st.DataObject, seed: int, flush: bool, far: bool
) -> None:
    node = case.node()
    xs = boxes(data.draw, node, far)
    assert_step_sound(node, xs, coefficients(data.draw, node), seed, flush)


@pytest.mark.parametrize("case", ONE_GROUP, ids=lambda case: case.name)
@settings(max_examples=15, deadline=None)
@given(data=st.data(), seed=st.integers(0, 999), flush=st.booleans(), far=st.booleans())
def test_a_norm_with_a_known_direction_is_sound(
    case: Case, data: st.DataObject, seed: int, flush: bool, far: bool
) -> None:
    """What is said of the points whose direction is at least some number holds for all of them."""
    node = case.node()
    xs = boxes(data.draw, node, far)
    c = coefficients(data.draw, node)
    point = next(iter(samples(xs, seed)))[0]
    shares = [data.draw(st.sampled_from((-3.0, 0.0, 0.5, 1.0, 2.0))) for _ in range(c.shape[1])]
    z = entries(node, point)
    along = [share * float(dot(row, z)) for share, row in zip(shares, c[0], strict=True)]
    least = np.clip(np.array(along), -1e300, 1e300)
    with flush_to_zero(flush), np.errstate(all="ignore"):
        step = step_of(node, xs)
        assert isinstance(step, Normalized)
        back = step.bent(c, least[None])
    assert_below(node, xs, c, back, seed, least)


@pytest.mark.parametrize("case", PRODUCTS, ids=lambda case: case.name)
@settings(max_examples=8, deadline=None)
@given(data=st.data(), seed=st.integers(0, 999))
def test_planes_without_tilt_are_sound(case: Case, data: st.DataObject, seed: int) -> None:
    """Those of matrix products that are too large for planes of each product."""
    node, exact_terms = case.node(), bilinear.EXACT_TERMS
    xs, c = boxes(data.draw, node), coefficients(data.draw, node)
    try:
        bilinear.EXACT_TERMS = 0
        assert_step_sound(node, xs, c, seed, flush=False)
    finally:
        bilinear.EXACT_TERMS = exact_terms


@settings(max_examples=200, deadline=None)
@given(x=intervals(False), y=intervals(False), sign=st.sampled_from([-1.0, 1.0]))
def test_planes_touch_the_product(
    x: tuple[float, float], y: tuple[float, float], sign: float
) -> None:
    """At two corners at least: no slope has a better offset."""
    node = Case("mul", "mul", ((), ())).node()
    xs = [(np.array([end[0]]), np.array([end[1]])) for end in (x, y)]
    back = step_of(node, xs).back(np.array([[sign]]))
    slopes = [float(p[0, 0]) for p in back.parts]
    gaps = [sign * a * b - slopes[0] * a - slopes[1] * b for a in x for b in y]
    size = 1 + max(map(abs, x)) * max(map(abs, y))
    assert sorted(gaps)[1] == pytest.approx(float(back.shift[0, 0]), abs=1e-12 * size)


def attention(seed: int, size: int = 3, width: int = 2) -> Graph:
    """x W (x V)^T, times a gate: products of every kind, one after another."""
    rng, builder = np.random.default_rng(seed), GraphBuilder()
    x = builder.input("x", (size, width), "float64")
    q, k, v = (
        builder.add("dense", [x], consts={"weight": Constant(rng.normal(size=(width, width)))})
        for _ in range(3)
    )
    turned = builder.add(
        "gather", [k], consts={"index": Constant(np.arange(size * width).reshape(size, -1).T)}
    )
    scores = builder.add("matmul", [q, turned])
    mixed = builder.add("matmul", [scores, v])
    gate = builder.add("sigmoid", [mixed])
    y = builder.add("mul", [gate, mixed])
    return builder.build({"y": y}, "float64")


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("norm", [False, True])
def test_search_and_checker_agree_on_products(seed: int, norm: bool) -> None:
    """The plain bound of the search, with its default planes, within roundings."""
    graph, rng = attention(seed), np.random.default_rng(seed)
    if norm:
        graph = normed(seed, 1.0)
    row = rng.normal(size=(1, graph.output_size))
    centre, radius = rng.normal(size=(2, graph.input_size)), rng.uniform(0, 0.4)
    lower, upper = centre[:1] - radius, centre[:1] + radius
    found = margins(graph, lower, upper, row)[0, 0]
    query = Query(np.zeros((1, graph.input_size)), row, np.zeros(1))
    plain = analyse(graph, (lower, upper), query, numpy_arrays())
    margin = float(plain.centre[0, 0] - np.abs(plain.coefficients[0, 0]).sum() * radius)
    if norm:  # the checker bounds a norm's divisor by lines, the search by intervals
        assert found >= margin - 1e-9 * (1 + abs(margin))
    else:
        assert found == pytest.approx(margin, rel=1e-9, abs=1e-9)
        assert found <= margin


def margins(
    graph: Graph, lower: FloatArray, upper: FloatArray, row: FloatArray, signs: bool = False
) -> FloatArray:
    none, zeros = np.zeros((1, len(row), 0)), np.zeros((1, len(row)))
    rows = Rows(none, none, row[None], np.zeros((1, *row.shape)), zeros)
    return Bounds(graph, Boxes(graph, lower, upper)).minimum(rows, signs)


def normed(
    seed: int, shift: float, centered: int = 0, size: int = 5, epsilon: float = 1e-5
) -> Graph:
    """Two dense layers about a normalisation; ``shift`` scales the last bias."""
    rng, builder = np.random.default_rng(seed), GraphBuilder()

    def dense(x: int, bias: float) -> int:
        consts = {"weight": Constant(rng.normal(size=(size, size)))}
        return builder.add(
            "dense", [x], consts=consts | {"bias": Constant(bias * rng.normal(size=size))}
        )

    x = dense(builder.input("x", (size,), "float64"), 1.0)
    attrs = {"axes": 1, "centered": centered, "epsilon": 1e-5}
    y = builder.add("normalize", [x], attrs=attrs)
    return builder.build({"y": dense(y, shift)}, "float64")


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("centered", [0, 1])
@pytest.mark.parametrize("shift", [0.0, 0.5, 3.0])
def test_signs_are_those_of_every_exact_point(seed: int, centered: int, shift: float) -> None:
    """A row with a positive bound is positive everywhere.

    Without a bias after the norm no fewer rows have one than where the margin itself is bounded.
    """
    graph, rng = normed(seed, shift, centered), np.random.default_rng(seed)
    row = rng.normal(size=(20, graph.output_size))
    centre, radius = rng.normal(size=(1, graph.input_size)), 0.3
    lower, upper = centre - radius, centre + radius
    proved = margins(graph, lower, upper, row, signs=True)[0] > 0
    least = margins(graph, lower, upper, row)[0]
    plain = least > 0
    assert shift or proved.sum() >= plain.sum()
    for _ in range(10):
        x = np.where(rng.random(lower.shape) < 0.5, lower, upper)
        y = np.array(exact.outputs(graph, evaluated(graph, x[0])), dtype=object)
        assert all(dot(weights, y) > 0 for weights in row[proved])
        assert not any(dot(weights, y) < bound for weights, bound in zip(row, least, strict=True))


def evaluated(graph: Graph, x: FloatArray) -> list[exact.Numbers]:
    """Exact values of all nodes, the ops that mix values among them."""
    values: list[exact.Numbers] = []
    for node in graph.nodes:
        operands = [values[i] for i in node.inputs]
        if node.op == "input":
            values.append(exact.exactly(x).reshape(node.shape))
        elif node.op == "normalize":
            values.append(exactjoint.value(node, operands))
        else:
            values.append(exact._STEPS[node.op](node, operands, exact.centre))
    return values
