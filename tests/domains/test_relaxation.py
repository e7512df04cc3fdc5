"""Relaxations: lines that contain the function on dense samples, and touch it where they can."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from boxes import FloatArray
from irmodels import CLIPS, Case

from absint.domains.arrays import Arrays, numpy_arrays, torch_arrays
from absint.domains.relaxation import relax
from absint.ir import OPS, Node, PiecewiseLinear
from absint.ir.slopes import default_slopes

NODES = {
    "relu": Case("", "relu", ((1,),)),
    **{f"leaky {a}": Case("", "leaky_relu", ((1,),), {"alpha": a}) for a in (0.1, 1.0, 1.5, -0.5)},
    "abs": Case("", "abs", ((1,),)),
    **{f"clip {a} {b}": Case("", "clip", ((1,),), {"lower": a, "upper": b}) for a, b in CLIPS},
    "sigmoid": Case("", "sigmoid", ((1,),)),
    "tanh": Case("", "tanh", ((1,),)),
}
KNOTS = sorted({0.0, *(end for ends in CLIPS for end in ends if np.isfinite(end))})
EVERY = pytest.mark.parametrize("name", NODES)
SMOOTH = pytest.mark.parametrize("name", ["sigmoid", "tanh"])
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


def room(
    lower: FloatArray, upper: FloatArray, unit: float = UNIT, value: float = 1.0
) -> FloatArray:
    """The rounding allowance: 64 units of the largest argument, 32 of ``value``, and underflow."""
    return 32 * unit * (value + 2 * np.maximum(np.abs(lower), np.abs(upper))) + 1e-322


@EVERY
@pytest.mark.parametrize("library", ["numpy", "torch"])
def test_the_lines_contain_the_function(name: str, library: str) -> None:
    node, arrays = NODES[name].node(), numpy_arrays() if library == "numpy" else torch_arrays()
    smooth = name in ("sigmoid", "tanh")  # the others scale, so they get no absolute part
    x, spare = samples(LOWER, UPPER), room(LOWER, UPPER, value=float(smooth))
    low, high = lines(node, LOWER, UPPER, arrays).at(x)
    y = value(node, x)
    assert (low <= y + spare).all()
    assert (y <= high + spare).all()


@EVERY
def test_float32_lines_contain_the_function(name: str) -> None:
    node, keep = NODES[name].node(), np.abs(np.concatenate([LOWER, UPPER], axis=1)).max(axis=1)
    lower, upper = (
        end[(keep < 1e9) & (keep > 1e-30)].astype(np.float32).astype(np.float64)
        for end in (LOWER, UPPER)
    )
    x, spare = samples(lower, upper), room(lower, upper, 2.0**-24)
    low, high = lines(node, lower, upper, numpy_arrays("float32")).at(x)
    assert (low <= value(node, x) + spare).all()
    assert (value(node, x) <= high + spare).all()


@EVERY
def test_each_line_touches_the_function_somewhere(name: str) -> None:
    """The offset is the smallest for its slope: a denser sample leaves next to no distance."""
    node = NODES[name].node()
    keep = (UPPER - LOWER < 50)[:, 0]
    lower, upper = LOWER[keep], UPPER[keep]
    x = samples(lower, upper, 4001)
    low, high = lines(node, lower, upper, numpy_arrays()).at(x)
    spare = room(lower, upper)[:, 0] + ((upper - lower)[:, 0] / 4000) ** 2
    assert ((value(node, x) - low).min(axis=1) <= spare).all()
    assert ((high - value(node, x)).min(axis=1) <= spare).all()


@EVERY
def test_a_point_or_a_linear_piece_is_exact(name: str) -> None:
    node = NODES[name].node()
    low, high = lines(node, LOWER, LOWER, numpy_arrays()).at(LOWER)
    assert (np.abs(low - value(node, LOWER)) <= room(LOWER, LOWER)).all()
    assert (np.abs(high - value(node, LOWER)) <= room(LOWER, LOWER)).all()
    if name in ("sigmoid", "tanh"):
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


@pytest.mark.parametrize(("name", "side"), [("relu", 1), ("leaky 0.1", 1), ("leaky 1.5", 0)])
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
    lower, upper = LOWER[keep], UPPER[keep]
    with np.errstate(all="ignore"):
        gap = relax(node, (lower, upper), numpy_arrays()).mean_gap((lower, upper))
    low, high = lines(node, lower, upper, numpy_arrays()).at(np.concatenate([lower, upper], axis=1))
    mean = (high - low).mean(axis=1, keepdims=True)
    assert np.allclose(gap, mean, rtol=0, atol=1e-13 * (1 + np.abs(lower) + np.abs(upper)).max())
