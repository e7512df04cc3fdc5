"""Elementary functions of constants, as enclosures in ball arithmetic (flint's arb)."""

from __future__ import annotations

import math
import sys
from typing import Any

import numpy as np

from absint.frontends.lowering.values import FLOATS, Const, NotLoweredError, require
from absint.problem.contract import FLOAT32

MAX_IMAGES = 1 << 20
"""How many entries are worth it."""


def image(function: str, x: Const) -> Const:
    """``function`` of every entry: "sigmoid", or the name of a method of ``flint.arb``.

    In float32 the enclosure holds whatever the contract allows to be computed.

    Raises MalformedError where the result is not finite.
    """
    require(x.dtype in FLOATS, f"{function} of {x.dtype}")
    if x.value.size > MAX_IMAGES:
        raise NotLoweredError(f"{function} of {x.value.size} constants")
    if x.value.size == 0:
        return x
    from flint import arb

    flat = x.value.reshape(-1)
    radii = np.zeros(flat.shape) if x.radius is None else x.radius.reshape(-1)
    pairs = [
        _rounded(_apply(function, arb(float(v), float(r))), arb)
        for v, r in zip(flat, radii, strict=True)
    ]
    values, errors = (np.array(part, dtype=np.float64) for part in zip(*pairs, strict=True))
    require(bool(np.isfinite(values + errors).all()), f"{function} of a constant is not finite")
    if x.dtype == "float32":
        row = FLOAT32.elementwise[function]
        errors = errors + 1.001 * FLOAT32.unit * (
            row.absolute + row.relative * (np.abs(values) + errors) + 4 * FLOAT32.flush
        )
    radius = errors.reshape(x.shape) if errors.any() else None
    return Const(values.reshape(x.shape), x.dtype, radius)


def _apply(function: str, x: Any) -> Any:
    return 1 / (1 + (-x).exp()) if function == "sigmoid" else getattr(x, function)()


def _rounded(ball: Any, arb: Any) -> tuple[float, float]:
    """The nearest float, and a bound of its distance from every point of the ball."""
    value = float(ball.mid())
    if not (math.isfinite(value) and ball.is_finite()):
        return math.inf, 0.0
    distance = (ball - arb(value)).abs_upper()
    if distance == 0:
        return value, 0.0
    return value, math.nextafter(float(distance), math.inf) + sys.float_info.min
