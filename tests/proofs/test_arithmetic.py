"""The float helpers against fractions, in ordinary and in flush-to-zero mode."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from flush import flush_to_zero
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import intervals

from absint.problem import round_to
from absint.problem.exact import Dtype, Rounding
from absint.proofs.arithmetic import (
    MAX_TERMS,
    U,
    above,
    down,
    gamma,
    inflate,
    midpoint_radius,
    nearest,
    up,
    without_subnormals,
)

NORMAL = 2.0**-1022
QUICK = settings(max_examples=300, deadline=None)
floats = st.floats(allow_nan=False, allow_infinity=False)


@st.composite
def rationals(draw: st.DrawFn) -> Fraction:
    """Fractions of any size, near floats and far beyond them."""
    value = Fraction(draw(st.integers(-(2**60), 2**60)), draw(st.integers(1, 2**60)))
    return value * Fraction(2) ** draw(st.sampled_from([0, 0, -40, 900, -1000, -1070, -2000, 2000]))


def is_subnormal(x: float) -> bool:
    return x != 0 and abs(x) < NORMAL


@QUICK
@given(rationals(), st.booleans())
def test_above(value: Fraction, flush: bool) -> None:
    with flush_to_zero(flush):
        found = above(value)
    assert found == math.inf or Fraction(found) >= value
    assert not is_subnormal(found)
    if abs(value) <= 2**1000:
        assert Fraction(found) - value <= max(abs(value) * Fraction(U) * 2, Fraction(NORMAL))


@QUICK
@given(st.lists(rationals(), min_size=1, max_size=4), st.booleans())
def test_nearest(values: list[Fraction], flush: bool) -> None:
    with flush_to_zero(flush):
        centre, off = nearest(values)
    for value, c, d in zip(values, centre.tolist(), off.tolist(), strict=True):
        assert d == math.inf or abs(Fraction(c) - value) <= Fraction(d)
        assert not is_subnormal(c)
        assert not is_subnormal(d)


@QUICK
@given(intervals(), st.booleans())
def test_midpoint_radius(ends: tuple[float, float], flush: bool) -> None:
    with flush_to_zero(flush):
        m, r = (float(v[0]) for v in midpoint_radius(*(np.array([e]) for e in ends)))
    assert Fraction(m) - Fraction(r) <= Fraction(ends[0])
    assert Fraction(m) + Fraction(r) >= Fraction(ends[1])


@QUICK
@given(intervals(), st.booleans())
def test_without_subnormals(ends: tuple[float, float], flush: bool) -> None:
    with flush_to_zero(flush):
        low, high = (float(v[0]) for v in without_subnormals(*(np.array([e]) for e in ends)))
    assert low <= ends[0]
    assert high >= ends[1]
    assert not is_subnormal(low)
    assert not is_subnormal(high)
    assert low == ends[0] or is_subnormal(ends[0])
    assert high == ends[1] or is_subnormal(ends[1])


@QUICK
@given(floats, floats, st.sampled_from("+-*"), st.booleans())
def test_up_and_down_enclose_one_operation(a: float, b: float, op: str, flush: bool) -> None:
    x, y = np.array([a]), np.array([b])
    if flush and (is_subnormal(a) or is_subnormal(b)):
        x, y = np.array([0.0]), np.array([b])  # operands read as zero are the caller's to cover
    with flush_to_zero(flush), np.errstate(all="ignore"):
        result = x + y if op == "+" else x - y if op == "-" else x * y
        lower, upper = float(down(result)[0]), float(up(result)[0])
    p, q = Fraction(float(x[0])), Fraction(float(y[0]))
    exact = p + q if op == "+" else p - q if op == "-" else p * q
    assert lower == -math.inf or Fraction(lower) <= exact
    assert upper == math.inf or Fraction(upper) >= exact


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
def test_nothing_is_known_after_an_overflow(value: float) -> None:
    assert down(np.array([value]))[0] == -math.inf
    assert up(np.array([value]))[0] == math.inf


@QUICK
@given(st.lists(st.floats(0, 1e30), min_size=1, max_size=30), st.booleans(), st.randoms())
def test_inflate_covers_a_sum_in_any_order(parts: list[float], flush: bool, random: object) -> None:
    order = list(parts)
    random.shuffle(order)  # type: ignore[attr-defined]
    with flush_to_zero(flush):
        total = np.float64(0.0)
        for part in order:
            total = total + np.float64(part)
        found = float(inflate(np.array([total]), 2 * len(parts))[0])
    assert Fraction(found) >= sum(map(Fraction, parts))


def test_gamma_is_generous_and_bounded() -> None:
    for terms in (1, 7, 10_000, MAX_TERMS):
        exact = Fraction(terms) * Fraction(U) / (1 - terms * Fraction(U))
        assert 2 * exact <= Fraction(gamma(terms)) <= 5 * exact
    with pytest.raises(OverflowError):
        gamma(MAX_TERMS + 1)


@QUICK
@given(rationals(), st.sampled_from(["float32", "float64"]), st.booleans())
def test_regions_are_rounded_exactly(value: Fraction, dtype: Dtype, flush: bool) -> None:
    """To the nearest, ties to even: what a conversion of the decimal gives, in any mode."""
    ends: dict[Rounding, float] = {}
    for rounding in ("nearest", "up", "down"):
        try:
            with flush_to_zero(flush):
                ends[rounding] = round_to(value, dtype, rounding)
        except OverflowError:
            assert abs(value) > (2**128 if dtype == "float32" else 2**1023) * Fraction(99, 100)
            return
    flushed = {e for e in ends.values() if e == 0.0} if flush and dtype == "float64" else set()
    if flushed and value != 0:
        assert abs(value) <= Fraction(NORMAL)
        return
    low, near, high = ends["down"], ends["nearest"], ends["up"]
    assert Fraction(low) <= value <= Fraction(high)
    kind = np.float32 if dtype == "float32" else np.float64
    assert low == high or np.nextafter(kind(low), kind(np.inf)) == kind(high)
    assert near in (low, high)
    assert math.copysign(1, near) == 1 or near < 0
    distance = abs(Fraction(near) - value)
    assert distance == min(abs(Fraction(low) - value), abs(Fraction(high) - value))
    if abs(value) < 2**1000 and dtype == "float64":
        assert near == float(value)


@pytest.mark.parametrize("flush", [False, True])
def test_a_float32_subnormal_region_keeps_its_ends(flush: bool) -> None:
    """It was once rounded to almost zero in flush-to-zero mode, on both sides."""
    with flush_to_zero(flush):
        low = round_to(Fraction(1, 10**40), "float32")
        high = round_to(Fraction(3, 10**40), "float32")
    assert low == float(np.float32(1e-40))
    assert high == float(np.float32(3e-40))
