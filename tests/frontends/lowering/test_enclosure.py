"""Arithmetic on constants encloses the exact result, and is exact where it says so."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from operator import add, mul, sub, truediv

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from absint.frontends.lowering import enclosure
from absint.frontends.lowering.values import Const, MalformedError

Binary = Callable[[Const, Const], Const]
Exact = Callable[[Fraction, Fraction], Fraction]

OPERATIONS: list[tuple[Binary, Exact]] = [
    (enclosure.add, add),
    (enclosure.subtract, sub),
    (enclosure.multiply, mul),
    (enclosure.divide, truediv),
]
NUMBERS = st.floats(allow_nan=False, allow_infinity=False) | st.floats(width=32).filter(
    math.isfinite
)
ORDINARY = st.floats(-1e6, 1e6) | st.integers(-8, 8).map(float)
RADII = st.sampled_from([0.0, 0.0, 1e-300, 1e-9, 0.5])


def constant(value: float, radius: float = 0.0) -> Const:
    return Const(np.array([value]), "float64", np.array([radius]) if radius else None)


def contains(enclosed: Const, exact: Fraction) -> bool:
    radius = Fraction(0) if enclosed.radius is None else Fraction(float(enclosed.radius[0]))
    return abs(Fraction(float(enclosed.value[0])) - exact) <= radius


@pytest.mark.parametrize(("operation", "exact"), OPERATIONS)
@given(a=NUMBERS, b=NUMBERS)
def test_exact_operands_of_any_size(operation: Binary, exact: Exact, a: float, b: float) -> None:
    try:
        result = operation(constant(a), constant(b))
    except MalformedError:
        assert b == 0 or abs(exact(Fraction(a), Fraction(b))) > Fraction(2) ** 1023
        return
    assert contains(result, exact(Fraction(a), Fraction(b)))


@pytest.mark.parametrize(("operation", "exact"), OPERATIONS)
@given(
    a=ORDINARY,
    b=ORDINARY,
    ra=RADII,
    rb=RADII,
    s=st.sampled_from([-1, 0, 1]),
    t=st.sampled_from([-1, 0, 1]),
)
def test_operands_with_radii(
    operation: Binary, exact: Exact, a: float, b: float, ra: float, rb: float, s: int, t: int
) -> None:
    try:
        result = operation(constant(a, ra), constant(b, rb))
    except MalformedError:
        assert operation is enclosure.divide
        assert abs(b) <= rb + 1e-300
        return
    x, y = Fraction(a) + s * Fraction(ra), Fraction(b) + t * Fraction(rb)
    assert contains(result, exact(x, y))


@given(a=st.floats(0, 1e300), r=st.sampled_from([0.0, 1e-12, 0.25]), s=st.sampled_from([-1, 0, 1]))
def test_square_root(a: float, r: float, s: int) -> None:
    try:
        result = enclosure.square_root(constant(a, r))
    except MalformedError:
        assert a < r
        return
    x = Fraction(a) + s * Fraction(r)
    radius = Fraction(0) if result.radius is None else Fraction(float(result.radius[0]))
    value = Fraction(float(result.value[0]))
    assert max(value - radius, Fraction(0)) ** 2 <= x <= (value + radius) ** 2


@given(a=st.integers(-(2**24), 2**24), b=st.integers(-(2**24), 2**24), e=st.integers(-60, 60))
def test_what_float64_holds_is_exact(a: int, b: int, e: int) -> None:
    x, y = constant(math.ldexp(a, e)), constant(math.ldexp(b, e))
    assert all(op(x, y).radius is None for op in (enclosure.add, enclosure.multiply))
    power = constant(math.ldexp(1.0, e))
    assert enclosure.divide(x, power).radius is None
    assert enclosure.divide(constant(float(a * b)), constant(float(b or 1))).radius is None
    assert enclosure.square_root(constant(float(a) ** 2)).radius is None


def test_a_third_is_not_exact_and_its_radius_is_small() -> None:
    third = enclosure.divide(constant(1.0), constant(3.0))
    assert third.radius is not None
    assert 0 < third.radius[0] < 1e-16


@given(st.lists(ORDINARY, min_size=12, max_size=12))
def test_matrix_product(entries: list[float]) -> None:
    a, b = np.array(entries[:6]).reshape(2, 3), np.array(entries[6:]).reshape(3, 2)
    result = enclosure.matmul(Const(a, "float64"), Const(b, "float64"))
    for i in range(2):
        for j in range(2):
            terms = [Fraction(float(a[i, k])) * Fraction(float(b[k, j])) for k in range(3)]
            radius = None if result.radius is None else result.radius[i, j : j + 1]
            assert contains(
                Const(result.value[i, j : j + 1], "float64", radius), sum(terms, Fraction(0))
            )


@given(
    st.integers(-(2**40), 2**40), st.integers(-(2**10), 2**10).filter(bool), st.sampled_from("+-*/")
)
def test_integer_arithmetic_is_exact(a: int, b: int, operation: str) -> None:
    exact = {"+": a + b, "-": a - b, "*": a * b, "/": int(Fraction(a, b))}[operation]
    result = enclosure.integer(operation, Const(np.array(a), "int64"), Const(np.array(b), "int64"))
    assert int(result.value) == exact


def test_integers_do_not_wrap_around() -> None:
    large = Const(np.array(2**62), "int64")
    with pytest.raises(MalformedError, match="overflows"):
        enclosure.integer("*", large, large)
    with pytest.raises(MalformedError, match="zero"):
        enclosure.integer("/", large, Const(np.array(0), "int64"))
