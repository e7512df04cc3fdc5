"""The interval domain: a box a node, in midpoint-radius form for affine maps."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from absint.domains import joint
from absint.domains.arrays import Array, Arrays
from absint.ir import OPS, Node, PiecewiseLinear
from absint.ir.pieces import defined, inner_extrema

Interval = tuple[Array, Array]
"""(lower, upper), each (batch, *shape)."""


def transform(node: Node, xs: Sequence[Interval], arrays: Arrays) -> Interval:
    """Bounds of one node's values from those of its operands (unsound in rounding)."""
    op = OPS[node.op]
    if op.univariate is not None:
        return univariate_image(node, xs[0], arrays)
    if op.joint is not None:
        return joint.image(node, xs, arrays)
    return affine(node, xs, arrays)


def affine(node: Node, xs: Sequence[Interval], arrays: Arrays) -> Interval:
    rule, xp = OPS[node.op].affine, arrays.xp
    assert rule is not None
    middle = [(low + high) / 2 for low, high in xs]
    radius = [(high - low) / 2 for low, high in xs]
    weight = arrays.load(node.consts["weight"].value) if "weight" in node.consts else None
    magnitude = None if weight is None else xp.abs(weight)
    centre = rule.forward(node, middle, weight, xp)
    spread = rule.magnitude(node, radius, magnitude, xp)
    if "bias" in node.consts:
        centre = centre + arrays.load(node.consts["bias"].value)
    moved = deviation(node, xs, arrays)
    if moved is not None:
        spread = spread + moved
    return centre - spread, centre + spread


def deviation(node: Node, xs: Sequence[Interval], arrays: Arrays) -> Array | None:
    """How far the radii of an affine node's constants can move its values: (batch, *shape).

    None where its constants are exact.
    """
    rule, xp = OPS[node.op].affine, arrays.xp
    assert rule is not None
    radii = {name: c.radius for name, c in node.consts.items() if c.radius is not None}
    if not radii:
        return None
    total = xp.zeros((xs[0][0].shape[0], *node.shape), dtype=arrays.dtype, device=arrays.device)
    if "weight" in radii:
        reach = [xp.maximum(xp.abs(low), xp.abs(high)) for low, high in xs]
        total = total + rule.magnitude(node, reach, arrays.load(radii["weight"]), xp)
    return total + arrays.load(radii["bias"]) if "bias" in radii else total


def univariate_image(node: Node, x: Interval, arrays: Arrays) -> Interval:
    """Ends, knots and extrema; no bounds where the function is not defined on all of ``x``."""
    univariate, xp = OPS[node.op].univariate, arrays.xp
    assert univariate is not None
    facts = univariate.facts(node)
    with np.errstate(all="ignore"):
        low, high = (univariate.value(node, end, xp) for end in x)
        lower, upper = xp.minimum(low, high), xp.maximum(low, high)
        if isinstance(facts, PiecewiseLinear):
            for knot, value in zip(facts.knots, facts.values, strict=True):
                inside = (x[0] < knot) & (x[1] > knot)
                lower = xp.where(inside & (lower > value), value, lower)
                upper = xp.where(inside & (upper < value), value, upper)
            return lower, upper
        for inside, point in inner_extrema(facts, *x, xp):
            value = univariate.value(node, point + xp.zeros_like(lower), xp)
            lower = xp.where(inside, xp.minimum(lower, value), lower)
            upper = xp.where(inside, xp.maximum(upper, value), upper)
        known = defined(facts, *x)
    return xp.where(known, lower, -math.inf), xp.where(known, upper, math.inf)
