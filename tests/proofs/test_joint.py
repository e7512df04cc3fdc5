"""Interval images of ops that mix values: rigorous, in any mode, and as tight as they claim."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from fractions import Fraction

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

from absint.ir import OPS, Constant, GraphBuilder, Node
from absint.proofs.transformers import joint, products, softmax
from absint.proofs.transformers.joint import JOINT_OPS, defined

FloatArray = NDArray[np.float64]
Interval = tuple[FloatArray, FloatArray]
QUICK = settings(max_examples=120, deadline=None)
CASES = {case.name: case for case in JOINT}
REAL = [case for case in JOINT if case.op != "embedding"]
EVERY = pytest.mark.parametrize("case", REAL, ids=lambda case: case.name)


def test_the_checker_has_a_rule_for_every_op() -> None:
    assert {name for name, op in OPS.items() if op.joint is not None} == JOINT_OPS


def assert_contains(node: Node, xs: Sequence[Interval], seed: int, flush: bool) -> None:
    with flush_to_zero(flush):
        low, high = joint.interval(node, xs)
        known = bool(defined(node, xs)[0])
    assert low.shape == high.shape == (1, *node.shape)
    for point in samples(xs, seed):
        if node.op == "normalize" and node.number("epsilon") == 0 and not any(point[0].flat):
            assert not known
            continue
        truth = exactjoint.value(node, point)
        for place in np.ndindex(truth.shape):
            assert not exact.surely_below(truth[place], float(low[(0, *place)]))
            assert not exact.surely_above(truth[place], float(high[(0, *place)]))


@EVERY
@settings(QUICK, max_examples=25)
@given(data=st.data(), seed=st.integers(0, 999), flush=st.booleans(), far=st.booleans())
def test_every_exact_value_lies_within(
    case: Case, data: st.DataObject, seed: int, flush: bool, far: bool
) -> None:
    node = case.node()
    assert_contains(node, boxes(data.draw, node, far), seed, flush)


@pytest.mark.full
@EVERY
@settings(QUICK, max_examples=1_000)
@given(data=st.data(), seed=st.integers(0, 999), flush=st.booleans(), far=st.booleans())
def test_many_exact_values_lie_within(
    case: Case, data: st.DataObject, seed: int, flush: bool, far: bool
) -> None:
    node = case.node()
    assert_contains(node, boxes(data.draw, node, far), seed, flush)


SCALES = [1e-310, 1e-160, 1e-40, 1e-6, 1.0, 30.0, 800.0, 1e9, 1e160, 1e307]


@EVERY
@pytest.mark.parametrize("flush", [False, True])
def test_magnitudes_of_every_size_together(case: Case, flush: bool) -> None:
    node, rng = case.node(), np.random.default_rng(7)
    for seed in range(12):
        xs = []
        for shape in node.in_shapes:
            size = rng.choice(SCALES, (1, *shape)) if seed % 3 else rng.choice(SCALES)
            middle = rng.normal(size=(1, *shape)) * size
            radius = np.abs(middle) * rng.choice([0.0, 1e-15, 1e-3, 1.0, 3.0])
            xs.append((middle - radius, middle + radius))
        assert_contains(node, xs, seed, flush)


@EVERY
def test_a_point_is_known_to_roundings(case: Case) -> None:
    node, rng = case.node(), np.random.default_rng(8)
    xs = [rng.normal(size=(6, *shape)) for shape in node.in_shapes]
    low, high = joint.interval(node, [(x, x) for x in xs])
    assert defined(node, [(x, x) for x in xs]).all()
    assert (high - low <= 1e-12 * (1 + np.abs(low))).all()


@EVERY
def test_a_batch_is_its_entries_one_by_one(case: Case) -> None:
    node, rng = case.node(), np.random.default_rng(9)
    middle = [rng.normal(size=(5, *shape)) for shape in node.in_shapes]
    xs = [(m - rng.random(m.shape), m + rng.random(m.shape)) for m in middle]
    low, high = joint.interval(node, xs)
    for i in range(5):
        one = joint.interval(node, [(a[i : i + 1], b[i : i + 1]) for a, b in xs])
        assert np.array_equal(one[0][0], low[i])
        assert np.array_equal(one[1][0], high[i])


@EVERY
def test_a_larger_box_has_no_tighter_bounds(case: Case) -> None:
    node, rng = case.node(), np.random.default_rng(10)
    middle = [rng.normal(size=(5, *shape)) for shape in node.in_shapes]
    inner = [(m - 0.3 * rng.random(m.shape), m + 0.3 * rng.random(m.shape)) for m in middle]
    outer = [(a - rng.random(a.shape), b + rng.random(b.shape)) for a, b in inner]
    (low, high), (least, most) = joint.interval(node, inner), joint.interval(node, outer)
    assert (least <= low + 1e-9).all()
    assert (most >= high - 1e-9).all()


@EVERY
@pytest.mark.parametrize("unknown", [(-np.inf, np.inf), (-np.inf, 0.0), (0.0, np.inf)])
def test_what_is_not_known_leaves_what_the_type_says(
    case: Case, unknown: tuple[float, float]
) -> None:
    """An operand with no bounds in one entry, somewhere: the truth for any number there."""
    node, rng = case.node(), np.random.default_rng(11)
    points = [rng.normal(size=(1, *shape)) for shape in node.in_shapes]
    for slot, shape in enumerate(node.in_shapes):
        xs = [(x.copy(), x.copy()) for x in points]
        place = tuple(int(rng.integers(n)) for n in shape)
        xs[slot][0][(0, *place)], xs[slot][1][(0, *place)] = unknown
        low, high = joint.interval(node, xs)
        assert not np.isnan(low).any()
        assert not np.isnan(high).any()
        sides = [side for side in (-1.0, 1.0) if np.isinf(unknown[int(side > 0)])]
        for number in [s * n for s in sides for n in (0.0, 1e-200, 3.0, 750.0, 1e10, 1e300)]:
            point = [exact.exactly(x[0]) for x in points]
            point[slot] = np.asarray(point[slot], dtype=object)
            point[slot][place] = Fraction(number)
            truth = exactjoint.value(node, point)
            for at in np.ndindex(truth.shape):
                assert not exact.surely_below(truth[at], float(low[(0, *at)]))
                assert not exact.surely_above(truth[at], float(high[(0, *at)]))


@EVERY
def test_nan_poisons_its_batch_entry_and_no_other(case: Case) -> None:
    """A value that does not exist may not become one again."""
    node, rng = case.node(), np.random.default_rng(11)
    points = [rng.normal(size=(2, *shape)) for shape in node.in_shapes]
    for slot in range(len(points)):
        for side in (0, 1):
            xs = [(x.copy(), x.copy()) for x in points]
            xs[slot][side].reshape((2, -1))[1, 0] = np.nan
            low, high = joint.interval(node, xs)
            assert np.isnan(low[1]).all()
            assert np.isnan(high[1]).all()
            assert np.isfinite(low[0]).all()
            assert np.isfinite(high[0]).all()


@pytest.mark.parametrize("name", ["softmax", "softmax-masked"])
def test_bounds_of_softmax_are_attained(name: str) -> None:
    node, rng = CASES[name].node(), np.random.default_rng(12)
    for width in (1e-3, 1.0, 20.0):
        middle = rng.normal(size=(4, *node.shape)) * 3
        x = (middle - width * rng.random(middle.shape), middle + width * rng.random(middle.shape))
        low, high = joint.interval(node, [x])
        rule = OPS["softmax"].joint
        assert rule is not None
        for j in range(node.shape[-1]):
            own = np.arange(node.shape[-1]) == j
            least = rule.value(node, [np.where(own, x[0], x[1])], None, np)[..., j]
            most = rule.value(node, [np.where(own, x[1], x[0])], None, np)[..., j]
            assert np.allclose(low[..., j], least, rtol=1e-11, atol=1e-300)
            assert np.allclose(high[..., j], most, rtol=1e-11, atol=1e-300)


@pytest.mark.parametrize("width", [1e-3, 0.5, 5.0, 40.0])
def test_the_largest_mean_is_that_of_all_corners(width: float) -> None:
    """Every choice of an end for every score, with the values at their ends: 2^6 of them."""
    rng = np.random.default_rng(13)
    middle = rng.normal(size=(3, 2, 6))
    scores = middle - width * rng.random(middle.shape), middle + width * rng.random(middle.shape)
    centre = rng.normal(size=(3, 2, 4, 6))
    values = centre - rng.random(centre.shape), centre + rng.random(centre.shape)
    low, high = softmax.mean(scores, values)
    corners = []
    for sides in itertools.product((0, 1), repeat=6):
        s = np.where(np.array(sides) == 1, scores[1], scores[0])
        e = np.exp(s - s.max(axis=-1, keepdims=True))
        share = (e / e.sum(axis=-1, keepdims=True))[..., None, :]
        corners.append([(share * v).sum(axis=-1) for v in values])
    least = np.min([c[0] for c in corners], axis=0)
    most = np.max([c[1] for c in corners], axis=0)
    assert (low <= least + 1e-14).all()
    assert (most - 1e-14 <= high).all()
    assert np.allclose(low, least, rtol=1e-10, atol=1e-10)
    assert np.allclose(high, most, rtol=1e-10, atol=1e-10)


def test_scores_far_apart_leave_the_largest_value() -> None:
    """Weights that underflow can be any share of nothing: the bound falls back on the values."""
    scores = np.array([[-3000.0, -1000.0, 0.0]]), np.array([[3000.0, 1000.0, 0.0]])
    values = np.array([[[-1.0, 0.0, 2.0]]])
    with np.errstate(invalid="ignore"):
        low, high = softmax.mean(scores, (values, values))
    assert low[0, 0] <= -1.0
    assert high[0, 0] >= 2.0
    assert high[0, 0] - low[0, 0] <= 3.0


def test_products_take_the_exact_hull() -> None:
    node, rng = CASES["matmul-stacked"].node(), np.random.default_rng(14)
    middle = [rng.normal(size=(3, *shape)) for shape in node.in_shapes]
    xs = [(m - rng.random(m.shape), m + rng.random(m.shape)) for m in middle]
    low, high = joint.interval(node, xs)
    ends = [x[:, :, :, :, None] * y[:, :, None] for x in xs[0] for y in xs[1]]
    assert np.allclose(low, np.min(ends, axis=0).sum(axis=3), rtol=1e-12)
    assert np.allclose(high, np.max(ends, axis=0).sum(axis=3), rtol=1e-12)


@pytest.mark.parametrize("flush", [False, True])
def test_long_products_by_midpoint_and_radius(flush: bool) -> None:
    terms, rng = products.SHORT + 1, np.random.default_rng(15)
    for scale in (1.0, 1e-300, 1e150):
        middle = rng.normal(size=(1, 2, terms)) * scale, rng.normal(size=(1, terms, 2))
        ends = [(m - 0.1 * np.abs(m), m + 0.1 * np.abs(m)) for m in middle]
        with flush_to_zero(flush):
            low, high = products.matmul(*ends)
        for point in samples(ends, 1):
            truth = np.array(
                [
                    [sum(p * q for p, q in zip(a, b, strict=True)) for b in point[1].T]
                    for a in point[0]
                ],
                dtype=object,
            )
            for i in np.ndindex(2, 2):
                assert Fraction(float(low[(0, *i)])) <= truth[i] <= Fraction(float(high[(0, *i)]))


NORMS = [case for case in JOINT if case.attrs.get("epsilon", 0)]


@pytest.mark.parametrize("case", NORMS, ids=lambda case: case.name)
def test_normalised_entries_are_never_beyond_their_type(case: Case) -> None:
    """|y| <= sqrt(n), and sqrt(n - 1) for a layer norm: whatever the box."""
    node = case.node()
    count = int(np.prod(node.shape[len(node.shape) - node.integer("axes") :]))
    limit = np.sqrt(count - node.integer("centered"))
    for width in (1.0, 1e10, 1e200, np.inf):
        end = np.full((1, *node.shape), width)
        low, high = joint.interval(node, [(-end, end)])
        assert (high <= limit * (1 + 1e-15) + 1e-300).all()
        assert (low >= -limit * (1 + 1e-15) - 1e-300).all()


def test_rms_norm_is_bounded_by_its_corners() -> None:
    """Each entry's extremes over a box are at corners or where the others are zero."""
    node, rng = CASES["rms-norm"].node(), np.random.default_rng(16)
    rule = OPS["normalize"].joint
    assert rule is not None
    middle = rng.normal(size=(4, *node.shape)) * 2
    x = middle - rng.random(middle.shape), middle + rng.random(middle.shape)
    low, high = joint.interval(node, [x])
    ends = [x[0], x[1], np.clip(0.0, *x)]
    least, most = np.full(low.shape, np.inf), np.full(low.shape, -np.inf)
    for sides in itertools.product(range(3), repeat=4):
        point = np.stack([ends[side][..., j] for j, side in enumerate(sides)], axis=-1)
        y = rule.value(node, [point], None, np)
        least, most = np.minimum(least, y), np.maximum(most, y)
    assert np.allclose(low, least, rtol=1e-10)
    assert np.allclose(high, most, rtol=1e-10)


def test_layer_norm_is_at_most_twice_as_wide_as_what_is_seen() -> None:
    node, rng = CASES["layer-norm"].node(), np.random.default_rng(18)
    rule = OPS["normalize"].joint
    assert rule is not None
    middle = rng.normal(size=(4, *node.shape)) * 3
    radius = 0.2 * rng.random(middle.shape)
    low, high = joint.interval(node, [(middle - radius, middle + radius)])
    corners = [
        rule.value(node, [middle + radius * np.array(signs)], None, np)
        for signs in itertools.product((-1, 1), repeat=4)
    ]
    seen = np.max(corners, axis=0) - np.min(corners, axis=0)
    assert (high - low).sum() <= 2 * seen.sum()


def test_a_norm_that_may_divide_by_zero_is_not_defined() -> None:
    node = CASES["rms-norm-exact"].node()
    low = np.array([[-1.0, -1, -1, -1, -1], [0.5, -1, -1, -1, -1]])
    high = np.array([[1.0, 1, 1, 1, 1], [1, 1, 1, 1, 1]])
    assert defined(node, [(low, high)]).tolist() == [False, True]
    builder = GraphBuilder()
    attrs = {"axes": 1, "centered": 1, "epsilon": 0.0}
    builder.add("normalize", [builder.input("x", (2,))], attrs=attrs)
    ends = np.array([[0.0, 1.0], [0.0, 2.0]]), np.array([[1.0, 2.0], [1.0, 3.0]])
    assert defined(builder.nodes[-1], [ends]).tolist() == [False, True]


def table() -> Node:
    builder = GraphBuilder()
    weight = Constant(np.array([[0.0, 5.0], [3.0, -1.0], [1.0, 2.0]]), np.full((3, 2), 2.0**-10))
    builder.add("embedding", [builder.input("t", (2,))], consts={"weight": weight})
    return builder.nodes[-1]


def test_embedding_is_the_hull_of_the_rows_that_an_id_can_name() -> None:
    ids = np.array([[0.0, 0.5], [1.25, 2.0]]), np.array([[1.0, 2.5], [2.75, 2.0]])
    low, high = joint.interval(table(), [ids])
    expected = [[[0.0, -1.0], [1.0, -1.0]], [[1.0, 2.0], [1.0, 2.0]]]
    assert np.allclose(low, np.array(expected) - 2.0**-10, atol=1e-300, rtol=1e-15)
    most = [[[3.0, 5.0], [3.0, 2.0]], [[1.0, 2.0], [1.0, 2.0]]]
    assert np.allclose(high, np.array(most) + 2.0**-10, atol=1e-300, rtol=1e-15)
    assert (low <= np.array(expected) - 2.0**-10).all()
    assert (high >= np.array(most) + 2.0**-10).all()
    assert defined(table(), [ids]).tolist() == [True, True]


@pytest.mark.parametrize(
    "ids",
    [(-1.0, 1.0), (0.0, 3.0), (0.2, 0.8), (-np.inf, np.inf), (np.nan, np.nan), (7.0, 7.0)],
)
def test_ids_outside_the_table_have_no_bounds(ids: tuple[float, float]) -> None:
    x = np.array([[0.0, ids[0]], [0.0, 0.0]]), np.array([[0.0, ids[1]], [0.0, 0.0]])
    low, high = joint.interval(table(), [x])
    assert np.isnan(low[0]).all()
    assert np.isnan(high[0]).all()
    assert np.isfinite(low[1]).all()
    assert np.isfinite(high[1]).all()
    assert defined(table(), [x]).tolist() == [False, True]


def test_argmax_names_all_that_can_win_and_no_more() -> None:
    """Against every corner; on a line of equal ends the lowest wins."""
    builder = GraphBuilder()
    builder.add("argmax", [builder.input("x", (4,))])
    rng = np.random.default_rng(17)
    low = rng.integers(-2, 3, (200, 4)).astype(np.float64)
    high = low + rng.integers(0, 3, low.shape)
    first, last = joint.interval(builder.nodes[-1], [(low, high)])
    for box in range(200):
        winners = set()
        for sides in itertools.product((0, 1), repeat=4):
            point = np.where(np.array(sides) == 1, high[box], low[box])
            winners.add(int(point.argmax()))
        assert (min(winners), max(winners)) == (first[box], last[box])
