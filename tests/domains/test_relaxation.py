"""Relaxations: lines that contain the function on dense samples, and touch it where they can."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from boxes import FloatArray
from elementwise import CASES, CURVED, PIECEWISE, S_SHAPED, inside, row
from irmodels import CLIPS

from absint.domains.arrays import Arrays, numpy_arrays, torch_arrays
from absint.domains.relaxation import relax
from absint.ir import OPS, Curved, Node, PiecewiseLinear
from absint.ir.slopes import default_slopes

NODES = CASES
KNOTS = sorted({0.0, *(end for ends in CLIPS for end in ends if np.isfinite(end))})
EVERY = pytest.mark.parametrize("name", NODES)
SMOOTH = pytest.mark.parametrize("name", S_SHAPED)
WITH_CHORDS = [n for n in CURVED if len(row(n)[2].convex) == 1]  # type: ignore[union-attr]
UNIT = 2.0**-53


def intervals() -> tuple[FloatArray, FloatArray]:
    """(n, 1) ends: random ones of every width and place, knots at the ends, tiny and huge."""
    rng = np.random.default_rng(0)
    ends = rng.normal(size=(300, 2)) * 10.0 ** rng.integers(-8, 3, (300, 1))
    shift = rng.normal(size=(300, 1)) * 10.0 ** rng.integers(-3, 2, (300, 1))
    ends = np.concatenate([ends, ends + shift])
    special = [
        (0.0, 0.0),
        (-0.0, 0.0),
        (0.0, 1.0),
        (-1.0, -0.0),
        (-1.0, 0.0),
        (1.0, 1.0),
        (-2.0, -2.0),
        (1.0, np.nextafter(1.0, 2)),
        (-5e-324, 5e-324),
        (-1e-300, 1e-300),
        (0.0, 5e-324),
        (-1e30, 1e30),
        (-1e-9, 1e30),
        (-1e30, 1e-9),
        (30.0, 40.0),
        (-800.0, -750.0),
        (-800.0, 0.5),
        (-0.5, 800.0),
    ]
    ends = np.sort(np.concatenate([ends, np.array(special)]), axis=1)
    return ends[:, :1], ends[:, 1:]


LOWER, UPPER = intervals()


@dataclass(frozen=True)
class Lines:
    """A relaxation as two lines, on numpy: arrays of (n, 1)."""

    lower_slope: FloatArray
    lower_offset: FloatArray
    upper_slope: FloatArray
    upper_offset: FloatArray

    def at(self, x: FloatArray) -> tuple[FloatArray, FloatArray]:
        return self.lower_slope * x + self.lower_offset, self.upper_slope * x + self.upper_offset


def lines(node: Node, lower: FloatArray, upper: FloatArray, arrays: Arrays) -> Lines:
    with np.errstate(all="ignore"):
        found = relax(node, (arrays.asarray(lower), arrays.asarray(upper)), arrays)
    slope, half, offset, half_offset = (
        arrays.numpy(part)
        for part in (found.slope, found.half_slope, found.offset, found.half_offset)
    )
    return Lines(slope - half, offset - half_offset, slope + half, offset + half_offset)


def samples(lower: FloatArray, upper: FloatArray, count: int = 401) -> FloatArray:
    """(n, count): evenly spaced, the ends and every knot that lies inside; clipped."""
    t = np.linspace(0, 1, count)
    x = lower * (1 - t) + upper * t
    x[:, 1 : 1 + len(KNOTS)] = KNOTS
    return np.clip(x, lower, upper)


def value(node: Node, x: FloatArray) -> FloatArray:
    univariate = OPS[node.op].univariate
    assert univariate is not None
    y: FloatArray = univariate.value(node, x, np)
    return y


def usable(name: str, lower: FloatArray, upper: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The intervals on which the function is defined, with values that are floats."""
    largest = np.maximum(np.abs(lower), np.abs(upper))
    node = NODES[name].node()
    keep = inside(name, lower, upper) & (lower == lower)
    if node.op in ("exp", "power"):
        keep &= largest < 60
    elif name not in PIECEWISE:
        keep &= largest < 1e15
    return lower[keep[:, 0]], upper[keep[:, 0]]


def room(
    lower: FloatArray, upper: FloatArray, unit: float = UNIT, value: FloatArray | float = 1.0
) -> FloatArray:
    """The rounding allowance: 64 units of the largest argument, 32 of ``value``, and underflow."""
    return 32 * unit * (value + 2 * np.maximum(np.abs(lower), np.abs(upper))) + 1e-322


def sizes(found: Lines, y: FloatArray, lower: FloatArray, upper: FloatArray) -> FloatArray:
    """(n, 1): the largest number that is added up."""
    reach = np.maximum(np.abs(lower), np.abs(upper))
    steep = np.maximum(np.abs(found.lower_slope), np.abs(found.upper_slope))
    size: FloatArray = np.abs(y).max(axis=1, keepdims=True) + steep * reach
    return size


@EVERY
@pytest.mark.parametrize("library", ["numpy", "torch"])
def test_the_lines_contain_the_function(name: str, library: str) -> None:
    node, arrays = NODES[name].node(), numpy_arrays() if library == "numpy" else torch_arrays()
    lower, upper = usable(name, LOWER, UPPER)
    x, found = samples(lower, upper), lines(node, lower, upper, arrays)
    y = value(node, x)
    absolute = 0.0 if name in PIECEWISE else 1.0 + sizes(found, y, lower, upper)
    spare = room(lower, upper, value=absolute)
    low, high = found.at(x)
    assert (low <= y + spare).all()
    assert (y <= high + spare).all()


@EVERY
def test_float32_lines_contain_the_function(name: str) -> None:
    node, keep = NODES[name].node(), np.abs(np.concatenate([LOWER, UPPER], axis=1)).max(axis=1)
    lower, upper = (
        end[(keep < 1e9) & (keep > 1e-30)].astype(np.float32).astype(np.float64)
        for end in (LOWER, UPPER)
    )
    lower, upper = usable(name, lower, upper)
    if name == "reciprocal":
        big = (np.minimum(np.abs(lower), np.abs(upper)) > 1e-6)[:, 0]
        lower, upper = lower[big], upper[big]
    x, found = samples(lower, upper), lines(node, lower, upper, numpy_arrays("float32"))
    y = value(node, x)
    absolute = 1.0 if name in PIECEWISE else 1.0 + 8 * sizes(found, y, lower, upper)
    spare = room(lower, upper, 2.0**-24, absolute)
    low, high = found.at(x)
    assert (low <= y + spare).all()
    assert (y <= high + spare).all()


@EVERY
def test_each_line_touches_the_function_somewhere(name: str) -> None:
    """The offset is the smallest for its slope: a denser sample leaves next to no distance."""
    node = NODES[name].node()
    keep = (UPPER - LOWER < 50)[:, 0]
    lower, upper = usable(name, LOWER[keep], UPPER[keep])
    if node.op in ("exp", "power", "reciprocal", "log"):  # not so steep between samples
        near = ((np.abs(upper) < 9) & (np.abs(lower) < 9) & (np.abs(lower) > 0.1))[:, 0]
        lower, upper = lower[near], upper[near]
    x = samples(lower, upper, 4001)
    found, y = lines(node, lower, upper, numpy_arrays()), value(node, x)
    low, high = found.at(x)
    steep = np.abs(np.diff(np.sort(y, axis=1), axis=1)).max(axis=1) if name not in PIECEWISE else 0
    spare = room(lower, upper, value=sizes(found, y, lower, upper))[:, 0] + steep
    spare = spare + ((upper - lower)[:, 0] / 4000) ** 2
    assert ((y - low).min(axis=1) <= spare).all()
    assert ((high - y).min(axis=1) <= spare).all()


@EVERY
def test_a_point_or_a_linear_piece_is_exact(name: str) -> None:
    node = NODES[name].node()
    lower, _ = usable(name, LOWER, LOWER)
    found, y = lines(node, lower, lower, numpy_arrays()), value(node, lower)
    low, high = found.at(lower)
    spare = room(lower, lower, value=1 + sizes(found, y, lower, lower))
    assert (np.abs(low - y) <= spare).all()
    assert (np.abs(high - y) <= spare).all()
    if name not in PIECEWISE:
        return
    univariate = OPS[node.op].univariate
    assert univariate is not None
    facts = univariate.facts(node)
    assert isinstance(facts, PiecewiseLinear)
    one_piece = np.all([(k <= LOWER) | (k >= UPPER) for k in facts.knots], axis=0)[:, 0]
    lower, upper = LOWER[one_piece], UPPER[one_piece]
    x = samples(lower, upper)
    low, high = lines(node, lower, upper, numpy_arrays()).at(x)
    assert (np.abs(high - value(node, x)) <= room(lower, upper)).all()
    assert (np.abs(low - value(node, x)) <= room(lower, upper)).all()


@pytest.mark.parametrize("name", WITH_CHORDS)
def test_convex_and_concave_functions_get_their_chord(name: str) -> None:
    node, _, facts = row(name)
    assert isinstance(facts, Curved)
    lower, upper = usable(name, LOWER, UPPER)
    keep = ((upper - lower > 1e-3) & (upper - lower < 30))[:, 0]
    lower, upper = lower[keep], upper[keep]
    found = lines(node, lower, upper, numpy_arrays())
    for end in (lower, upper):
        y, line = value(node, end), found.at(end)[1 if facts.convex[0] else 0]
        assert np.allclose(line, y, rtol=1e-9, atol=1e-9 * sizes(found, y, lower, upper).max())


@pytest.mark.parametrize("name", [*CURVED, "sin", "cos"])
def test_lines_leave_at_most_a_few_times_the_least_area(name: str) -> None:
    """Against a scan of slopes: at the middle, no more than 1.6 times the distance that is left."""
    node, rng = NODES[name].node(), np.random.default_rng(1)
    lower = rng.uniform(-4, 4, (300, 1)) if name not in ("log", "sqrt", "reciprocal") else None
    lower = rng.uniform(0.2, 4, (300, 1)) if lower is None else lower
    upper = lower + rng.exponential(1.5, (300, 1)) + 0.01
    x, middle = samples(lower, upper, 65), (lower + upper) / 2
    y = value(node, x)
    low, high = (line[:, 0] for line in lines(node, lower, upper, numpy_arrays()).at(middle))
    best_low, best_high = np.full(300, -np.inf), np.full(300, np.inf)
    slopes = np.diff(y, axis=1) / np.maximum(np.diff(x, axis=1), 1e-12)
    least, most = slopes.min(axis=1, keepdims=True), slopes.max(axis=1, keepdims=True)
    for share in np.linspace(0, 1, 201):
        rest = y - (least + share * (most - least)) * (x - middle)
        best_low = np.maximum(best_low, rest.min(axis=1))
        best_high = np.minimum(best_high, rest.max(axis=1))
    size = np.abs(y).max(axis=1)
    assert (high - low <= 1.6 * (best_high - best_low) + 1e-2 * size).all()


@pytest.mark.parametrize("name", ["log", "sqrt", "reciprocal"])
@pytest.mark.parametrize("library", ["numpy", "torch"])
def test_there_are_no_lines_outside_the_domain(name: str, library: str) -> None:
    arrays = numpy_arrays() if library == "numpy" else torch_arrays()
    lower, upper = np.array([[-1.0], [-2.0], [-1e-9]]), np.array([[1.0], [0.0], [3.0]])
    found = lines(NODES[name].node(), lower, upper, arrays)
    low, high = found.at((lower + upper) / 2)
    assert not np.isfinite(low).any()
    assert not np.isfinite(high).any()


@pytest.mark.parametrize(
    ("name", "side"), [("relu", 1), ("leaky_relu 0.25", 1), ("leaky_relu 1.5", 0)]
)
def test_across_the_knot_one_side_is_the_chord(name: str, side: int) -> None:
    node, across = NODES[name].node(), ((LOWER < 0) & (UPPER > 0))[:, 0]
    lower, upper = LOWER[across], UPPER[across]
    found = lines(node, lower, upper, numpy_arrays())
    for end in (lower, upper):
        assert (np.abs(found.at(end)[side] - value(node, end)) <= room(lower, upper)).all()
    other = found.at(np.zeros_like(lower))[1 - side]
    assert (np.abs(other) <= room(lower, upper)).all(), "the other side passes through the knot"


def test_relu_takes_the_piece_that_covers_more() -> None:
    lower, upper = np.array([[-1.0], [-2.0]]), np.array([[2.0], [1.0]])
    assert lines(NODES["relu"].node(), lower, upper, numpy_arrays()).lower_slope.tolist() == [
        [1.0],
        [0.0],
    ]


@pytest.mark.parametrize("name", [name for name in NODES if name.startswith(("abs", "clip"))])
def test_no_other_slopes_leave_less_area(name: str) -> None:
    """Against a scan of slopes, each with the offset that the samples and knots ask for."""
    node, rng = NODES[name].node(), np.random.default_rng(1)
    lower = rng.uniform(-4, 7, (500, 1))
    upper = lower + rng.exponential(4, (500, 1))
    x = samples(lower, upper, 33)
    y, middle = value(node, x), (lower + upper) / 2
    low, high = (line[:, 0] for line in lines(node, lower, upper, numpy_arrays()).at(middle))
    for slope in np.linspace(-1, 1, 201):
        rest = y - slope * (x - middle)
        assert (rest.min(axis=1) <= low + 1e-5).all()
        assert (rest.max(axis=1) >= high - 1e-5).all()


@pytest.mark.parametrize("name", [name for name in NODES if name.startswith("clip")])
def test_roundings_do_not_change_the_side_of_a_symmetric_interval(name: str) -> None:
    """The checker's bounds are a little wider than the search's, and must get the same slopes."""
    node, radius = NODES[name].node(), np.array([[0.5], [1.0], [5.0], [40.0]])
    for knot in KNOTS:
        expected = default_slopes(node, knot - radius, knot + radius, np)
        for low, high in ((1e-12, 0.0), (0.0, 1e-12), (3e-12, 2e-12)):
            found = default_slopes(node, knot - radius - low, knot + radius + high, np)
            assert np.allclose(expected, found, rtol=0, atol=1e-9)


@SMOOTH
def test_s_shaped_functions_get_the_chord_on_the_side_that_it_bounds(name: str) -> None:
    node = NODES[name].node()
    for side, keep in ((0, LOWER >= 0), (1, UPPER <= 0)):
        lower, upper = LOWER[keep[:, 0]], UPPER[keep[:, 0]]
        found = lines(node, lower, upper, numpy_arrays())
        for end in (lower, upper):
            distance = np.abs(found.at(end)[side] - value(node, end))
            assert (distance <= room(lower, upper)).all()


@SMOOTH
def test_across_the_inflection_lines_pass_through_the_near_ends(name: str) -> None:
    """Tangents from the ends: the bisection's last step is 2^-20 of the interval."""
    node, across = NODES[name].node(), ((LOWER < -1e-3) & (UPPER > 1e-3) & (UPPER < 50))[:, 0]
    across &= (LOWER > -50)[:, 0]
    lower, upper = LOWER[across], UPPER[across]
    assert len(lower) > 50
    low, high = lines(node, lower, upper, numpy_arrays()).at(np.concatenate([lower, upper], axis=1))
    spare = room(lower, upper) + 2.0**-19 * (upper - lower)
    assert (np.abs(high[:, :1] - value(node, lower)) <= spare).all()
    assert (np.abs(low[:, 1:] - value(node, upper)) <= spare).all()


@EVERY
def test_the_mean_gap_is_the_mean_distance_of_the_lines(name: str) -> None:
    node, keep = NODES[name].node(), (UPPER - LOWER < 50)[:, 0]
    lower, upper = usable(name, LOWER[keep], UPPER[keep])
    with np.errstate(all="ignore"):
        gap = relax(node, (lower, upper), numpy_arrays()).mean_gap((lower, upper))
    low, high = lines(node, lower, upper, numpy_arrays()).at(np.concatenate([lower, upper], axis=1))
    mean = (high - low).mean(axis=1, keepdims=True)
    atol = 1e-13 * (1 + np.abs(lower) + np.abs(upper) + np.abs(low) + np.abs(high)).max()
    assert np.allclose(gap, mean, rtol=1e-12, atol=atol)
