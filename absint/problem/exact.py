"""Exact numbers: decimals as fractions, and rounding to the floats that a network receives."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from fractions import Fraction
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Dtype = Literal["float32", "float64"]
Rounding = Literal["nearest", "up", "down"]

_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?(/\d+)?")
MAX_LENGTH = 1_000
MAX_EXPONENT = 1_000
"""Beyond every float. Numbers stay short enough for the canonical form's decimal digits."""


def parse_number(text: str) -> Fraction:
    """The exact value of ``12``, ``-0.5``, ``1e-3`` or ``2/3``. Raises ValueError."""
    match = _NUMBER.fullmatch(text.strip())
    if len(text) > MAX_LENGTH:
        raise ValueError(f"a number of more than {MAX_LENGTH} characters: {text[:20]!r}...")
    if match is None:
        raise ValueError(f"not a number: {text!r}")
    exponent = match.group(3)
    if exponent and abs(int(exponent[1:])) > MAX_EXPONENT:
        raise ValueError(f"exponent out of range: {text!r}")
    numerator, _, denominator = text.strip().partition("/")
    if denominator and int(denominator) == 0:
        raise ValueError(f"division by zero: {text!r}")
    return Fraction(numerator) / (int(denominator) if denominator else 1)


_WHOLE: dict[Rounding, Callable[[Fraction], int]] = {
    "nearest": round,
    "up": math.ceil,
    "down": math.floor,
}


def round_to(value: Fraction, dtype: Dtype, rounding: Rounding = "nearest") -> float:
    """The float of ``dtype`` that ``value`` rounds to (nearest: ties to even), never -0.0.

    In integers, so that it does not depend on the process's rounding or flush-to-zero mode.
    Raises OverflowError when that is infinite, or ``value`` lies beyond the largest float by more
    than a rounding.
    """
    precision, least, top = (24, -149, 128) if dtype == "float32" else (53, -1074, 1024)
    size = abs(value)
    exponent = size.numerator.bit_length() - size.denominator.bit_length()
    if size < Fraction(2) ** exponent:
        exponent -= 1  # now 2^exponent <= size < 2^(exponent + 1)
    quantum = max(exponent - precision + 1, least)
    whole = _WHOLE[rounding](value / Fraction(2) ** quantum)
    if abs(whole) * Fraction(2) ** quantum >= Fraction(2) ** top:
        raise OverflowError(f"{float_text(value)} does not fit {dtype}")
    return math.ldexp(whole, quantum)


def round_all(
    values: Iterable[Fraction], dtype: Dtype, rounding: Rounding = "nearest"
) -> NDArray[np.float64]:
    """``round_to`` of every value, as float64 (each of which ``dtype`` represents)."""
    return np.array([round_to(v, dtype, rounding) for v in values], dtype=np.float64)


def float_text(value: Fraction) -> str:
    """A short decimal for people: exact where that is short, otherwise six digits."""
    if value.denominator == 1 and abs(value) < 10**12:
        return str(value.numerator)
    try:
        return f"{value.numerator / value.denominator:.6g}"
    except OverflowError:
        return "±huge"
