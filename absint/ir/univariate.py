"""Elementwise functions of one variable: concrete semantics, and the facts that domains read.

A new function is a new row of facts; transformers are written once for each *shape* of function:
piecewise linear (knots and the slope of each piece), and S-shaped (increasing, convex below an
inflection point, concave above it).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from absint.ir.affine import Array, Shape, ShapeError

if TYPE_CHECKING:
    from absint.ir.graph import Node


@dataclass(frozen=True)
class PiecewiseLinear:
    """Continuous: ``values`` at the ``knots``; one slope before, between and after them."""

    knots: tuple[float, ...]
    values: tuple[float, ...]
    slopes: tuple[float, ...]


@dataclass(frozen=True)
class SShaped:
    """Odd about (0, centre), increasing, convex on (-inf, 0] and concave on [0, inf)."""

    centre: float
    steepest: float
    """The derivative at 0, its maximum."""
    tangent: Callable[[Array, Any], Array]
    """``(slope, xp)`` to the point >= 0 where the derivative is ``slope`` in (0, steepest]."""


Facts = PiecewiseLinear | SShaped


@dataclass(frozen=True)
class Univariate:
    """One elementwise function. ``value`` and ``derivative`` take ``(node, x, xp)``."""

    value: Callable[[Node, Array, Any], Array]
    derivative: Callable[[Node, Array, Any], Array]
    facts: Callable[[Node], Facts]
    attributes: tuple[str, ...] = ()

    def shape(self, node: Node) -> Shape:
        if len(node.in_shapes) != 1 or set(node.attrs) != set(self.attributes) or node.consts:
            raise ShapeError(f"{node.op} takes one operand and attributes {self.attributes}")
        self.facts(node)
        return node.in_shapes[0]


def _leaky_facts(node: Node) -> PiecewiseLinear:
    return PiecewiseLinear((0.0,), (0.0,), (node.number("alpha"), 1.0))


def _clip_ends(node: Node) -> tuple[float, float]:
    """Raises ShapeError where nothing is clipped, or everything to one value: those are affine."""
    lower, upper = node.extended("lower"), node.extended("upper")
    if not lower < upper or (lower == -math.inf and upper == math.inf):
        raise ShapeError(f"clip to [{lower}, {upper}]")
    return lower, upper


def _clip_facts(node: Node) -> PiecewiseLinear:
    lower, upper = _clip_ends(node)
    ends = tuple(end for end in (lower, upper) if math.isfinite(end))
    below, above = (0.0,) * (lower > -math.inf), (0.0,) * (upper < math.inf)
    return PiecewiseLinear(ends, ends, (*below, 1.0, *above))


def _clip(node: Node, x: Array, xp: Any) -> Array:
    lower, upper = _clip_ends(node)
    return xp.where(x < lower, lower, xp.where(x > upper, upper, x))


def _clip_derivative(node: Node, x: Array, xp: Any) -> Array:
    lower, upper = _clip_ends(node)
    return xp.where((x > lower) & (x < upper), xp.ones_like(x), xp.zeros_like(x))


def _sigmoid(x: Array, xp: Any) -> Array:
    small = xp.exp(-xp.abs(x))
    return xp.where(x >= 0, 1 / (1 + small), small / (1 + small))


def _sigmoid_derivative(node: Node, x: Array, xp: Any) -> Array:
    y = _sigmoid(x, xp)
    return y * (1 - y)


def _tanh_tangent(slope: Array, xp: Any) -> Array:
    y = xp.sqrt(xp.clip(1 - slope, 0.0, 1 - 1e-15))
    return xp.atanh(y)


def _sigmoid_tangent(slope: Array, xp: Any) -> Array:
    return 2 * _tanh_tangent(4 * slope, xp)


RELU = Univariate(
    value=lambda node, x, xp: xp.where(x > 0, x, xp.zeros_like(x)),
    derivative=lambda node, x, xp: xp.where(x > 0, xp.ones_like(x), xp.zeros_like(x)),
    facts=lambda node: PiecewiseLinear((0.0,), (0.0,), (0.0, 1.0)),
)
LEAKY_RELU = Univariate(
    value=lambda node, x, xp: xp.where(x > 0, x, x * node.number("alpha")),
    derivative=lambda node, x, xp: xp.where(
        x > 0, xp.ones_like(x), xp.ones_like(x) * node.number("alpha")
    ),
    facts=_leaky_facts,
    attributes=("alpha",),
)
ABS = Univariate(
    value=lambda node, x, xp: xp.abs(x),
    derivative=lambda node, x, xp: xp.where(x > 0, xp.ones_like(x), -xp.ones_like(x)),
    facts=lambda node: PiecewiseLinear((0.0,), (0.0,), (-1.0, 1.0)),
)
CLIP = Univariate(
    value=_clip,
    derivative=_clip_derivative,
    facts=_clip_facts,
    attributes=("lower", "upper"),
)
"""``min(max(x, lower), upper)``; one end may be infinite."""
SIGMOID = Univariate(
    value=lambda node, x, xp: _sigmoid(x, xp),
    derivative=_sigmoid_derivative,
    facts=lambda node: SShaped(0.5, 0.25, _sigmoid_tangent),
)
TANH = Univariate(
    value=lambda node, x, xp: xp.tanh(x),
    derivative=lambda node, x, xp: 1 - xp.tanh(x) ** 2,
    facts=lambda node: SShaped(0.0, 1.0, _tanh_tangent),
)
