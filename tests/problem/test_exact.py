"""Decimals as fractions, and rounding to floats against an independent search over bit patterns."""

from __future__ import annotations

import math
import struct
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from absint.problem import float_text, parse_number, round_all, round_to
from absint.problem.exact import Dtype, Rounding

F = Fraction
FORMATS: dict[Dtype, tuple[str, str, int]] = {
    "float32": ("<I", "<f", 0x7F7FFFFF),
    "float64": ("<Q", "<d", 0x7FEFFFFFFFFFFFFF),
}
LARGEST: dict[Dtype, Fraction] = {
    "float32": F(float(np.finfo(np.float32).max)),
    "float64": F(float(np.finfo(np.float64).max)),
}
EACH = pytest.mark.parametrize("dtype", FORMATS)


def of_bits(bits: int, dtype: Dtype) -> float:
    integer, real, _ = FORMATS[dtype]
    value: float = struct.unpack(real, struct.pack(integer, bits))[0]
    return value


def around(size: Fraction, dtype: Dtype) -> tuple[int, int]:
    """The bit patterns of the floats next below and above ``size >= 0`` (equal where it is one).

    Positive floats are ordered as their bit patterns are.
    """
    low, high = 0, FORMATS[dtype][2]
    while low < high:
        middle = (low + high + 1) // 2
        if F(of_bits(middle, dtype)) <= size:
            low = middle
        else:
            high = middle - 1
    return low, low if F(of_bits(low, dtype)) == size else low + 1


def reference(value: Fraction, dtype: Dtype, rounding: Rounding) -> float:
    """Rounding by definition, for values within the finite floats."""
    below, above = around(abs(value), dtype)
    low, high = F(of_bits(below, dtype)), F(of_bits(above, dtype))
    away = {"up": value > 0, "down": value < 0}.get(rounding)
    if away is None:
        middle = (low + high) / 2
        away = abs(value) > middle or (abs(value) == middle and below % 2 == 1)
    return float(math.copysign(high if away else low, value)) + 0.0


def interesting(dtype: Dtype) -> list[Fraction]:
    """Floats, points near them, and exact ties, at every scale."""
    _, _, top = FORMATS[dtype]
    rng = np.random.default_rng(0)
    bits = [0, 1, 2, 3, top - 1, top - 2, *(int(b) for b in rng.integers(0, top, 60))]
    one = 1 << (23 if dtype == "float32" else 52)
    bits += [one - 1, one, one + 1, 127 * one, 127 * one - 1]
    found = []
    for pattern in bits:
        low, high = F(of_bits(pattern, dtype)), F(of_bits(pattern + 1, dtype))
        gap = high - low
        found += [low, low + gap / 2, low + gap / 2 - gap / 10**40, low + gap / 2 + gap / 10**40]
        found += [low + gap / 10**9, high - gap / 10**40]
    return found + [-value for value in found]


@EACH
@pytest.mark.parametrize("rounding", ["nearest", "up", "down"])
def test_rounding_is_that_of_the_definition(dtype: Dtype, rounding: Rounding) -> None:
    for value in interesting(dtype):
        found = round_to(value, dtype, rounding)
        assert found == reference(value, dtype, rounding), (value, rounding)
        assert math.copysign(1, found) > 0 or found < 0, "never -0.0"


@settings(max_examples=300, deadline=None)
@given(st.fractions(), st.sampled_from(["float32", "float64"]))
def test_nearest_is_python_and_numpy(value: Fraction, dtype: Dtype) -> None:
    if dtype == "float64":
        assert round_to(value, dtype) == float(value)
    elif F(float(value)) == value:
        assert round_to(value, dtype) == float(np.float32(float(value)))


@given(st.floats(allow_nan=False, allow_infinity=False, width=32))
def test_a_float_rounds_to_itself_in_every_direction(value: float) -> None:
    for dtype in FORMATS:
        for rounding in ("nearest", "up", "down"):
            assert round_to(F(value), dtype, rounding) == value


def test_a_tie_that_double_rounding_would_move() -> None:
    """1 + 2^-24 + 2^-80 lies above the float32 tie; its nearest double is the tie itself."""
    value = 1 + F(1, 2**24) + F(1, 2**80)
    assert float(np.float32(float(value))) == 1.0
    assert round_to(value, "float32") == 1 + 2.0**-23


@EACH
def test_overflow_starts_half_a_step_above_the_largest_float(dtype: Dtype) -> None:
    largest = LARGEST[dtype]
    step = largest - F(of_bits(FORMATS[dtype][2] - 1, dtype))
    limit = largest + step / 2
    for sign in (1, -1):
        assert round_to(sign * (limit - F(1, 10**30)), dtype) == sign * float(largest)
        for value in (limit, limit + 1, 10 * largest, F(10) ** 400):
            with pytest.raises(OverflowError, match=dtype):
                round_to(sign * value, dtype)
    for value, rounding in ((largest + 1, "up"), (-largest - 1, "down")):
        with pytest.raises(OverflowError):
            round_to(value, dtype, rounding)  # type: ignore[arg-type]


def test_round_all_is_round_to_of_each() -> None:
    values = [F(1, 3), F(-1, 10), F(0)]
    found = round_all(iter(values), "float32", "up")
    assert found.dtype == np.float64
    assert found.tolist() == [round_to(v, "float32", "up") for v in values]
    assert round_all([], "float64").shape == (0,)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("12", F(12)),
        ("+12.", F(12)),
        (" -0.5 ", F(-1, 2)),
        (".25", F(1, 4)),
        ("1e-3", F(1, 1000)),
        ("1E+3", F(1000)),
        ("2/3", F(2, 3)),
        ("-1.5e1/3", F(-5)),
        ("012", F(12)),
        ("0.1", F(1, 10)),
        ("1e-1000", F(1, 10**1000)),
        ("0/5", F(0)),
    ],
)
def test_numbers_are_read_exactly(text: str, value: Fraction) -> None:
    assert parse_number(text) == value


NO_NUMBERS = [
    "e5",
    "1e",
    "1e5.0",
    "0x10",
    "nan",
    "inf",
    "-Infinity",
    "1_000",
    "1,5",
    "--1",
    "1/0",
    "1/-2",
    "1/2/3",
    "1e1001",
    "1e-99999999999",
    "1e+1001",
    "2/1e3",
    "½",
]


@pytest.mark.parametrize(
    "text", [*NO_NUMBERS, "", " ", "1 2", "9" * 1001, "1" * 5000, "0." + "0" * 1000]
)
def test_what_is_no_number_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"number|exponent|zero"):
        parse_number(text)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (F(3), "3"),
        (F(-1, 2), "-0.5"),
        (F(1, 3), "0.333333"),
        (F(10**12), "1e+12"),
        (F(10**400), "±huge"),
        (F(1, 10**400), "0"),
    ],
)
def test_short_text(value: Fraction, text: str) -> None:
    assert float_text(value) == text
