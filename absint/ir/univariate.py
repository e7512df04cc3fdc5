"""Elementwise functions of one variable: concrete semantics, and the facts that domains read.

A new function is a new row of facts; transformers are written once for each *shape* of function:
piecewise linear (knots and the slope of each piece), curved (convex or concave between bends), a
wave, and steps. The curved ones and those after them are in ``absint.ir.smooth``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from absint.ir.affine import Array, Shape, ShapeError

if TYPE_CHECKING:
    from absint.ir.graph import Node


@dataclass(frozen=True)
class PiecewiseLinear:
    """Continuous: ``values`` at the ``knots``; one slope before, between and after them."""

    knots: tuple[float, ...]
    values: tuple[float, ...]
    slopes: tuple[float, ...]


Domain = Literal["all", "positive", "nonnegative", "nonzero"]
"""Where a function has a value."""


@dataclass(frozen=True)
class Curved:
    """Continuous on its domain, and convex or concave between its ``bends``, smoothly.

    A bend is an inflection point, a kink or a pole: exact, or the float nearest to it.
    """

    bends: tuple[float, ...]
    convex: tuple[bool, ...]
    """Before, between and after the bends."""
    extrema: tuple[float, ...] = ()
    """Contains each local minimum and maximum."""
    domain: Domain = "all"
    odd: bool = False
    """Whether ``f(-x) - f(0) = f(0) - f(x)``."""
    tangent: Callable[[Array, int, Any], Array] | None = None
    """``(slope, side, xp)`` to the point where the derivative is ``slope``: beyond the only bend
    (side 1), before it (side -1), or anywhere. None where there is no formula."""


@dataclass(frozen=True)
class Wave:
    """``sin(x + phase)``."""

    phase: float


@dataclass(frozen=True)
class Steps:
    """Non-decreasing, constant but for jumps."""


Facts = PiecewiseLinear | Curved | Wave | Steps


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
