"""Arithmetic on constants: exact where the result is a float64, otherwise an enclosure.

Every operation returns the rounded value with a radius that bounds both its own rounding error and
what its operands' radii contribute. Rounding errors come from error-free transformations (TwoSum of
Knuth, TwoProduct of Dekker/Veltkamp; see Ogita, Rump, Oishi, "Accurate sum and dot product", 2005),
so that an operation whose result is exact keeps radius None. Radii are rounded up after every step.

An enclosure also holds what the same operation gives in the constants' own type if that is narrower
than float64, where it is not the exact result: so it serves ``semantics: float32`` and, a little
wider than it need be, ``real``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from absint.frontends.lowering.values import (
    Array,
    Const,
    FloatArray,
    NotLoweredError,
    broadcast,
    require,
)

_TINY = np.finfo(np.float64).tiny
_SPLITTER = 134217729.0  # 2**27 + 1
MAX_PRODUCTS = 1 << 28
"""How much work a product of two constant matrices may be."""
_SAFE_LOW, _SAFE_HIGH = 2.0**-450, 2.0**450


def _up(x: FloatArray) -> FloatArray:
    """An upper bound of the non-negative number of which ``x`` is the rounded value.

    The smallest normal number is added because flush-to-zero may be on in the process.
    """
    return np.nextafter(x, np.inf) + _TINY


def _plus(*terms: FloatArray) -> FloatArray:
    """An upper bound of a sum of non-negative terms; zero where all are zero."""
    total = terms[0]
    for term in terms[1:]:
        total = np.where(term == 0, total, np.where(total == 0, term, _up(total + term)))
    return total


def _times(a: FloatArray, b: FloatArray) -> FloatArray:
    """An upper bound of a product of non-negative factors; zero where one is zero."""
    return np.where((a == 0) | (b == 0), 0.0, _up(a * b))


def _over(a: FloatArray, b: FloatArray) -> FloatArray:
    """An upper bound of ``a / b`` for a not negative and b positive; zero where a is."""
    return np.where(a == 0, 0.0, _up(a / b))


def _radius(c: Const) -> FloatArray:
    return np.zeros(c.shape) if c.radius is None else c.radius


def _make(value: FloatArray, radius: FloatArray, dtype: str) -> Const:
    require(
        bool(np.isfinite(value).all() and np.isfinite(radius).all()),
        "constant arithmetic overflows or divides by zero",
    )
    if dtype in _UNITS:
        own = np.where((radius == 0) & _representable(value, dtype), 0.0, _rounding(value, dtype))
        radius = _plus(radius + 0 * own, own)
    return Const(value, dtype, radius if radius.any() else None)


_UNITS = {"float16": (2.0**-11, 2.0**-14), "float32": (2.0**-24, 2.0**-126)}
"""Unit roundoff and smallest normal number of the narrower types."""


def _rounding(value: FloatArray, dtype: str) -> FloatArray:
    """At least what one operation in this type, on operands rounded to it, may be off by."""
    unit, smallest = _UNITS.get(dtype, (2.0**-53, 2.0**-1022))
    return np.asarray(4 * unit * np.abs(value) + 4 * smallest)


def _representable(value: FloatArray, dtype: str) -> NDArray[np.bool_]:
    """Whether each entry is zero or a normal number of the type."""
    narrow = value.astype(dtype).astype(np.float64) == value
    result: NDArray[np.bool_] = narrow & ((value == 0) | (np.abs(value) >= _UNITS[dtype][1]))
    return result


def loosened(c: Const, size: Const, roundings: int) -> Const:
    """``c`` for any order of operations that rounds terms of this ``size`` that often."""
    far = _rounding(np.abs(size.value) + _radius(size), c.dtype) * roundings
    return Const(c.value, c.dtype, _plus(_radius(c), _up(far)))


def _sum_error(a: FloatArray, b: FloatArray, s: FloatArray) -> FloatArray:
    """``|(a + b) - s|`` for ``s = fl(a + b)``, exactly (TwoSum)."""
    back = s - a
    return np.abs((a - (s - back)) + (b - back))


def _split(a: FloatArray) -> tuple[FloatArray, FloatArray]:
    high = _SPLITTER * a
    high = high - (high - a)
    return high, a - high


def _product_error(a: FloatArray, b: FloatArray, p: FloatArray) -> FloatArray:
    """A bound of ``|a b - p|`` for ``p = fl(a b)``: exact where nothing can under- or overflow."""
    (ah, al), (bh, bl) = _split(a), _split(b)
    exact = np.abs(((ah * bh - p) + ah * bl + al * bh) + al * bl)
    zero = (a == 0) | (b == 0)
    safe = _safe(a) & _safe(b)
    return np.where(zero, 0.0, np.where(safe, exact, _ulp(p)))


def _safe(a: FloatArray) -> NDArray[np.bool_]:
    size = np.abs(a)
    return (size >= _SAFE_LOW) & (size <= _SAFE_HIGH)


def _ulp(x: FloatArray) -> FloatArray:
    """At least the error of a rounding to nearest that gave ``x``."""
    return np.asarray(np.spacing(np.abs(x)) + _TINY)


def negate(a: Const) -> Const:
    return Const(-a.value, a.dtype, a.radius)


def add(a: Const, b: Const) -> Const:
    """``a + b`` with broadcasting; -inf, as masks hold it, stays what it is."""
    with np.errstate(all="ignore"):
        if (infinite := np.isneginf(a.value) | np.isneginf(b.value)).any():
            finite = add(_finite(a), _finite(b))
            return Const(np.where(infinite, -np.inf, finite.value), a.dtype, finite.radius)
        value = np.asarray(a.value + b.value)
        error = _sum_error(a.value, b.value, value)
        return _make(value, _plus(error, _radius(a) + 0 * value, _radius(b)), a.dtype)


def _finite(a: Const) -> Const:
    return Const(np.where(np.isneginf(a.value), 0.0, a.value), a.dtype, a.radius)


def subtract(a: Const, b: Const) -> Const:
    return add(a, negate(b))


def multiply(a: Const, b: Const) -> Const:
    """``a * b`` with broadcasting."""
    with np.errstate(all="ignore"):
        value = np.asarray(a.value * b.value)
        error = _product_error(a.value, b.value, value)
        if a.radius is None and b.radius is None:
            return _make(value, error, a.dtype)
        ra, rb = _radius(a), _radius(b)
        spread = _plus(_times(np.abs(a.value), rb), _times(np.abs(b.value), ra), _times(ra, rb))
        return _make(value, _plus(error, spread), a.dtype)


def divide(a: Const, b: Const) -> Const:
    """``a / b`` with broadcasting. Raises MalformedError where ``b`` may be zero.

    With ``q = a / b``: ``(a + da) / (b + db) - q = (da - q db) / (b + db)``.
    """
    with np.errstate(all="ignore"):
        value = np.asarray(a.value / b.value)
        error = _quotient_error(a.value, b.value, value)
        if a.radius is None and b.radius is None:
            return _make(value, error, a.dtype)
        ra, rb = _radius(a) + 0 * value, _radius(b) + 0 * value
        room = np.nextafter(np.abs(b.value) - rb, -np.inf) - _TINY
        require(bool((room > 0).all()), "a constant divisor may be zero")
        largest = _plus(np.abs(value), error)
        spread = _plus(ra, _times(largest, rb))
        return _make(value, _plus(error, _over(spread, room)), a.dtype)


def _quotient_error(a: FloatArray, b: FloatArray, q: FloatArray) -> FloatArray:
    back = q * b
    exact = (back == a) & (_product_error(q, b, back) == 0)
    return np.where(exact, 0.0, _ulp(q))


def square_root(a: Const) -> Const:
    """``sqrt(a)``. Raises MalformedError where ``a`` may be negative.

    ``|sqrt(a + da) - sqrt(a)| <= |da| / sqrt(a)``.
    """
    with np.errstate(all="ignore"):
        ra = _radius(a)
        require(bool((a.value - ra >= 0).all()), "the square root of a negative constant")
        value = np.asarray(np.sqrt(a.value))
        back = value * value
        exact = (back == a.value) & (_product_error(value, value, back) == 0)
        error = np.where(exact, 0.0, _ulp(value))
        spread = _over(ra, np.nextafter(value, -np.inf))
        return _make(value, _plus(error, spread), a.dtype)


def matmul(a: Const, b: Const) -> Const:
    """``a @ b`` for operands of at least two axes, summed one product at a time."""
    shape = (*broadcast(a.shape[:-2], b.shape[:-2]), a.shape[-2], b.shape[-1])
    total = Const(np.zeros(shape), a.dtype)
    terms = a.shape[-1]
    if terms * max(total.value.size, 1 << 10) > MAX_PRODUCTS:
        raise NotLoweredError(f"a product of constant matrices that sums {terms} terms")
    for k in range(terms):
        column = _part(a, (..., slice(None), k, None))
        row = _part(b, (..., k, None, slice(None)))
        total = add(total, multiply(column, row))
    return total


def _part(c: Const, key: tuple[Any, ...]) -> Const:
    return Const(c.value[key], c.dtype, None if c.radius is None else c.radius[key])


def integer(operation: str, a: Const, b: Const) -> Const:
    """``a (+, -, *, /) b`` on integer constants; division truncates, as in ONNX.

    Raises MalformedError where a divisor is zero, or a result's size reaches ``MAX_INTEGER``.
    """
    require(operation != "/" or bool((b.value != 0).all()), "integer division by zero")
    exact, wide = _INTEGER[operation]
    check_integers(np.asarray(wide(a.value.astype(np.float64), b.value.astype(np.float64))))
    return Const(np.asarray(exact(a.value, b.value)), a.dtype)


def check_integers(wide: FloatArray) -> None:
    """Raises MalformedError unless integers of which these are rounded values fit int64."""
    require(bool((np.abs(wide) < MAX_INTEGER).all()), "integer arithmetic overflows")


def _truncated(x: Array, y: Array) -> Array:
    return np.asarray(x // y + ((x % y != 0) & ((x < 0) != (y < 0))))


MAX_INTEGER = 2.0**62
_INTEGER: dict[str, tuple[Callable[[Array, Array], Array], Callable[[Array, Array], Array]]] = {
    "+": (np.add, np.add),
    "-": (np.subtract, np.subtract),
    "*": (np.multiply, np.multiply),
    "/": (_truncated, np.divide),
}
FLOAT = {"+": add, "-": subtract, "*": multiply, "/": divide}
"""The same four operations on float constants."""
