"""Exact numbers: decimals as fractions, and rounding to the floats that a network receives."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from fractions import Fraction
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Dtype = Literal["float32", "float64"]
Rounding = Literal["nearest", "up", "down"]

_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?(/\d+)?")
MAX_EXPONENT = 10_000


def parse_number(text: str) -> Fraction:
    """The exact value of ``12``, ``-0.5``, ``1e-3`` or ``2/3``. Raises ValueError."""
    match = _NUMBER.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"not a number: {text!r}")
    exponent = match.group(3)
    if exponent and abs(int(exponent[1:])) > MAX_EXPONENT:
        raise ValueError(f"exponent out of range: {text!r}")
    numerator, _, denominator = text.strip().partition("/")
    if denominator and int(denominator) == 0:
        raise ValueError(f"division by zero: {text!r}")
    return Fraction(numerator) / (int(denominator) if denominator else 1)


def round_to(value: Fraction, dtype: Dtype, rounding: Rounding = "nearest") -> float:
    """The float of ``dtype`` that ``value`` rounds to (nearest: ties to even).

    Raises OverflowError when the result is not finite.
    """
    kind: Any = np.float32 if dtype == "float32" else np.float64
    try:
        with np.errstate(over="ignore"):
            guess = kind(value.numerator / value.denominator)
    except OverflowError:
        guess = kind(math.inf)
    if not np.isfinite(guess):
        raise OverflowError(f"{float_text(value)} does not fit {dtype}")
    around = [np.nextafter(guess, kind(-math.inf)), guess, np.nextafter(guess, kind(math.inf))]
    finite = [float(g) for g in around if np.isfinite(g)]
    if rounding == "nearest":
        even = {
            g: int(kind(g).view(np.uint32 if dtype == "float32" else np.uint64)) & 1 for g in finite
        }
        return min(finite, key=lambda g: (abs(Fraction(g) - value), even[g])) + 0.0
    fits = [
        g for g in finite if (Fraction(g) >= value if rounding == "up" else Fraction(g) <= value)
    ]
    if not fits:
        raise OverflowError(f"{float_text(value)} does not fit {dtype}")
    return (min(fits) if rounding == "up" else max(fits)) + 0.0


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
