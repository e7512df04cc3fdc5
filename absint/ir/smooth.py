"""Elementwise functions that are not piecewise linear: one row each.

The facts are proved in docs/rigor.md, and again from second derivatives in tests.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from absint.ir.affine import Array, ShapeError
from absint.ir.erf import erf
from absint.ir.univariate import Curved, Facts, Steps, Univariate, Wave

if TYPE_CHECKING:
    from absint.ir.graph import Node

GELU_BEND = 1.4142135623730951
GELU_LEAST = -0.7517915246935645
GELU_TANH_BEND = 1.4185040087908283
GELU_TANH_LEAST = -0.7524614220710163
SILU_BEND = 2.3993572805154675
SILU_LEAST = -1.2784645427610737
MISH_BENDS = (-2.256376396360793, 1.4905711794854284)
MISH_LEAST = -1.1924312145154952
MAX_EXPONENT = 1000
_GELU_TANH = (math.sqrt(2 / math.pi), 0.044715)

Function = Callable[[Array, Any], Array]
"""``(x, xp)`` to f(x) or f'(x)."""


def _row(value: Function, derivative: Function, facts: Facts) -> Univariate:
    return Univariate(
        lambda node, x, xp: value(x, xp), lambda node, x, xp: derivative(x, xp), lambda node: facts
    )


def _sigmoid(x: Array, xp: Any) -> Array:
    small = xp.exp(-xp.abs(x))
    return xp.where(x >= 0, 1 / (1 + small), small / (1 + small))


def _sigmoid_derivative(x: Array, xp: Any) -> Array:
    y = _sigmoid(x, xp)
    return y * (1 - y)


def _tanh_tangent(slope: Array, side: int, xp: Any) -> Array:
    y = xp.sqrt(xp.clip(1 - slope, 0.0, 1 - 1e-15))
    return side * xp.atanh(y)


def _erf_derivative(x: Array, xp: Any) -> Array:
    return 2 / math.sqrt(math.pi) * xp.exp(-x * x)


def _erf_tangent(slope: Array, side: int, xp: Any) -> Array:
    return side * xp.sqrt(-xp.log(xp.clip(slope * math.sqrt(math.pi) / 2, 1e-300, 1.0)))


def _normal(x: Array, xp: Any) -> Array:
    """The standard normal distribution function."""
    return (1 + erf(x * math.sqrt(0.5), xp)) / 2


def _gelu_derivative(x: Array, xp: Any) -> Array:
    return _normal(x, xp) + x * xp.exp(-x * x / 2) / math.sqrt(2 * math.pi)


def _gelu_tanh(x: Array, xp: Any) -> Array:
    scale, cubic = _GELU_TANH
    return x * (1 + xp.tanh(scale * (x + cubic * x * x * x))) / 2


def _gelu_tanh_derivative(x: Array, xp: Any) -> Array:
    scale, cubic = _GELU_TANH
    bounded = xp.clip(x, -1e3, 1e3)
    t = xp.tanh(scale * (bounded + cubic * bounded**3))
    inner = scale * (1 + 3 * cubic * bounded * bounded)
    return (1 + t) / 2 + bounded * (1 - t * t) * inner / 2


def _silu_derivative(x: Array, xp: Any) -> Array:
    y = _sigmoid(x, xp)
    return y * (1 + x * (1 - y))


def _positive_part(x: Array, xp: Any) -> Array:
    return xp.where(x > 0, x, xp.zeros_like(x))


def _softplus(x: Array, xp: Any) -> Array:
    return _positive_part(x, xp) + xp.log1p(xp.exp(-xp.abs(x)))


def _mish_derivative(x: Array, xp: Any) -> Array:
    gate = xp.tanh(_softplus(x, xp))
    return gate + x * (1 - gate * gate) * _sigmoid(x, xp)


def _hard_swish(x: Array, xp: Any) -> Array:
    bent = x * (xp.clip(x, -3.0, 3.0) + 3) / 6
    return xp.where(x <= -3, xp.zeros_like(x), xp.where(x >= 3, x, bent))


def _hard_swish_derivative(x: Array, xp: Any) -> Array:
    flat, steep = xp.zeros_like(x), xp.ones_like(x)
    return xp.where(x <= -3, flat, xp.where(x >= 3, steep, x / 3 + 0.5))


def _flat(x: Array, xp: Any) -> Array:
    return xp.zeros_like(x)


def _elu(node: Node, x: Array, xp: Any) -> Array:
    return xp.where(x > 0, x, node.number("alpha") * xp.expm1(-_positive_part(-x, xp)))


def _elu_derivative(node: Node, x: Array, xp: Any) -> Array:
    below = node.number("alpha") * xp.exp(-_positive_part(-x, xp))
    return xp.where(x > 0, xp.ones_like(x), below)


def _elu_facts(node: Node) -> Curved:
    alpha = node.number("alpha")
    steepest = alpha if alpha else 1.0

    def tangent(slope: Array, side: int, xp: Any) -> Array:
        below = xp.log(slope / steepest)
        return below if side < 0 else xp.full_like(below, math.inf)  # away from the kink

    return Curved((0.0,), (alpha >= 0, True), (0.0,), tangent=tangent)


def _exponent(node: Node) -> int:
    exponent = node.integer("exponent")
    if not 2 <= exponent <= MAX_EXPONENT:
        raise ShapeError(f"power: exponent must be from 2 to {MAX_EXPONENT}, not {exponent}")
    return exponent


def _power_derivative(node: Node, x: Array, xp: Any) -> Array:
    return _exponent(node) * x ** (_exponent(node) - 1)


def _power_facts(node: Node) -> Curved:
    n = _exponent(node)
    even = n % 2 == 0

    def tangent(slope: Array, side: int, xp: Any) -> Array:
        sign = xp.sign(slope) if even else side
        return sign * (xp.abs(slope) / n) ** (1 / (n - 1))

    if even:
        return Curved((), (True,), (0.0,), tangent=tangent)
    return Curved((0.0,), (False, True), odd=True, tangent=tangent)


def _gated(bends: tuple[float, float], least: float) -> Curved:
    """x times a gate that opens: concave, convex about 0, and concave again."""
    return Curved(bends, (False, True, False), (least,))


ROWS: dict[str, Univariate] = {
    "sigmoid": _row(
        _sigmoid,
        _sigmoid_derivative,
        Curved(
            (0.0,),
            (True, False),
            odd=True,
            tangent=lambda s, side, xp: 2 * _tanh_tangent(4 * s, side, xp),
        ),
    ),
    "tanh": _row(
        lambda x, xp: xp.tanh(x),
        lambda x, xp: 1 - xp.tanh(x) ** 2,
        Curved((0.0,), (True, False), odd=True, tangent=_tanh_tangent),
    ),
    "erf": _row(
        erf, _erf_derivative, Curved((0.0,), (True, False), odd=True, tangent=_erf_tangent)
    ),
    "exp": _row(
        lambda x, xp: xp.exp(x),
        lambda x, xp: xp.exp(x),
        Curved((), (True,), tangent=lambda s, side, xp: xp.log(s)),
    ),
    "log": _row(
        lambda x, xp: xp.log(x),
        lambda x, xp: 1 / x,
        Curved((), (False,), domain="positive", tangent=lambda s, side, xp: 1 / s),
    ),
    "sqrt": _row(
        lambda x, xp: xp.sqrt(x),
        lambda x, xp: 0.5 / xp.sqrt(x),
        Curved((), (False,), domain="nonnegative", tangent=lambda s, side, xp: 0.25 / (s * s)),
    ),
    "reciprocal": _row(
        lambda x, xp: 1 / x,
        lambda x, xp: -1 / (x * x),
        Curved(
            (0.0,),
            (False, True),
            domain="nonzero",
            tangent=lambda s, side, xp: side / xp.sqrt(-s),
        ),
    ),
    "power": Univariate(
        lambda node, x, xp: x ** _exponent(node), _power_derivative, _power_facts, ("exponent",)
    ),
    "sin": _row(lambda x, xp: xp.sin(x), lambda x, xp: xp.cos(x), Wave(0.0)),
    "cos": _row(lambda x, xp: xp.cos(x), lambda x, xp: -xp.sin(x), Wave(math.pi / 2)),
    "gelu": _row(
        lambda x, xp: x * _normal(x, xp),
        _gelu_derivative,
        _gated((-GELU_BEND, GELU_BEND), GELU_LEAST),
    ),
    "gelu_tanh": _row(
        _gelu_tanh,
        _gelu_tanh_derivative,
        _gated((-GELU_TANH_BEND, GELU_TANH_BEND), GELU_TANH_LEAST),
    ),
    "silu": _row(
        lambda x, xp: x * _sigmoid(x, xp),
        _silu_derivative,
        _gated((-SILU_BEND, SILU_BEND), SILU_LEAST),
    ),
    "mish": _row(
        lambda x, xp: x * xp.tanh(_softplus(x, xp)),
        _mish_derivative,
        _gated(MISH_BENDS, MISH_LEAST),
    ),
    "softplus": _row(
        _softplus,
        _sigmoid,
        Curved((), (True,), tangent=lambda s, side, xp: -xp.log(1 / s - 1)),
    ),
    "elu": Univariate(_elu, _elu_derivative, _elu_facts, ("alpha",)),
    "hard_swish": _row(
        _hard_swish,
        _hard_swish_derivative,
        Curved((-3.0, 3.0), (True,) * 3, (-1.5,), tangent=lambda s, side, xp: 3 * s - 1.5),
    ),
    "sign": _row(lambda x, xp: xp.sign(x), _flat, Steps()),
    "floor": _row(lambda x, xp: xp.floor(x), _flat, Steps()),
    "round": _row(lambda x, xp: xp.round(x), _flat, Steps()),
}
"""``round`` is half to even; ``gelu`` is x Phi(x), and ``gelu_tanh`` its approximation by tanh."""
