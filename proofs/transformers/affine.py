"""Affine maps: rigorous interval images, and what one backward step may lose to rounding.

The maps themselves (``W x`` and its adjoint) come from the IR; every error bound is here.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from absint.ir import OPS, Node
from absint.ir.affine import AffineRule
from absint.proofs.arithmetic import TINY, FloatArray, down, gamma, inflate, midpoint_radius, up

Interval = tuple[FloatArray, FloatArray]

AFFINE_OPS = frozenset({"dense", "conv", "scale", "reshape", "gather", "sum", "concat"})


def interval(node: Node, xs: Sequence[Interval]) -> Interval:
    """Bounds of ``W x + b`` over the operands' intervals, each (batch, *shape)."""
    rule = _rule(node)
    if _moves(node, rule):
        lower, upper = (rule.forward(node, [x[side] for x in xs], None, np) for side in (0, 1))
        return lower, upper
    centre, spread = ball(node, [midpoint_radius(*x) for x in xs])
    return down(centre - spread), up(centre + spread)


def ball(node: Node, parts: Sequence[Interval]) -> Interval:
    """The same for operands given by their midpoints and radii, and as midpoint and radius."""
    rule = _rule(node)
    if _moves(node, rule):
        centre, spread = (rule.forward(node, [x[i] for x in parts], None, np) for i in (0, 1))
        return centre, spread
    terms = rule.fan_in(node) + 1
    centre = rule.forward(node, [m for m, _ in parts], _weight(node), np)
    reach = [inflate(r + gamma(terms) * np.abs(m), 2) for m, r in parts]
    far = [inflate(np.abs(m) + r) for m, r in parts]
    spread = _magnitude(node, rule, reach) + _weight_radius(node, rule, far)
    drowned = 4 * TINY * _total(far).reshape((-1, *(1 for _ in node.shape)))
    spread = inflate(spread + drowned + _bias_error(node, terms), 4 * terms + 8)
    if "bias" in node.consts:
        centre = centre + node.consts["bias"].value
    return centre, spread


def backward_loss(node: Node, xs: Sequence[Interval]) -> tuple[FloatArray, FloatArray]:
    """What one backward step may lose: by a unit of |coefficient| on each output, and by underflow.

    The first, (batch, *node.shape), covers the rounding of ``c W`` over all x of the operands'
    intervals, the rounding of ``c . b``, and weights and biases known up to a radius. The second,
    (batch,), is lost in a row whatever its coefficients are.
    """
    rule = _rule(node)
    reach = [np.maximum(np.abs(low), np.abs(high)) + TINY for low, high in xs]
    magnitude, total = _magnitude(node, rule, reach), _total(reach)
    unit = gamma(_products(rule, rule.fan_out(node))) * magnitude
    unit = unit + _weight_radius(node, rule, reach) + _bias_error(node, node.size + 1)
    unit = unit + 4 * TINY * total.reshape((-1, *(1 for _ in node.shape)))
    unit = inflate(unit, rule.fan_in(node) + 4)
    bias = np.abs(node.consts["bias"].value).sum() if "bias" in node.consts else 0.0
    swallowed = _total([magnitude]) + node.size * bias
    return unit, 2 * TINY * (4 * rule.fan_out(node) * total + swallowed)


def magnitude(node: Node, far: Sequence[FloatArray]) -> FloatArray:
    """``|W| far + |b|`` for the largest constants, as computed: (batch, *shape) or broadcasts."""
    rule = _rule(node)
    total = _magnitude(node, rule, far) + _weight_radius(node, rule, far)
    return (
        total + np.abs(node.consts["bias"].value) + _bias_error(node, 1)
        if ("bias" in node.consts)
        else total
    )


def _total(xs: Sequence[FloatArray]) -> FloatArray:
    """The sum of all entries of each batch element, (batch,)."""
    sums = [x.reshape((x.shape[0], -1)).sum(axis=1) for x in xs]
    result: FloatArray = np.add.reduce(sums)
    return result


def _rule(node: Node) -> AffineRule:
    rule = OPS[node.op].affine
    assert rule is not None
    return rule


def _products(rule: AffineRule, fan: int) -> int:
    """How many rounded terms a sum has; data movement copies, which is exact."""
    return fan if rule.weighted or fan > 1 else 0


def _moves(node: Node, rule: AffineRule) -> bool:
    """Whether every entry is a copy of one operand entry (or zero), so that ends map to ends."""
    return not rule.weighted and "bias" not in node.consts and node.op != "sum"


def _weight(node: Node) -> FloatArray | None:
    return node.consts["weight"].value if "weight" in node.consts else None


def _magnitude(node: Node, rule: AffineRule, xs: Sequence[FloatArray]) -> FloatArray:
    weight = _weight(node)
    result: FloatArray = rule.magnitude(node, xs, None if weight is None else np.abs(weight), np)
    return result


def _weight_radius(node: Node, rule: AffineRule, xs: Sequence[FloatArray]) -> FloatArray | float:
    if "weight" not in node.consts or node.consts["weight"].radius is None:
        return 0.0
    result: FloatArray = rule.magnitude(node, xs, node.consts["weight"].radius, np)
    return result


def _bias_error(node: Node, terms: int) -> FloatArray | float:
    if "bias" not in node.consts:
        return 0.0
    bias = node.consts["bias"]
    error: FloatArray = gamma(terms) * np.abs(bias.value)
    return error if bias.radius is None else error + bias.radius
