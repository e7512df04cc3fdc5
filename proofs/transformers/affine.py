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
    terms = _products(rule, rule.fan_in(node)) + (1 if "bias" in node.consts else 0)
    if terms == 0:
        lower, upper = (rule.forward(node, [x[side] for x in xs], None, np) for side in (0, 1))
        return lower, upper
    parts = [midpoint_radius(*x) for x in xs]
    centre = rule.forward(node, [m for m, _ in parts], _weight(node), np)
    reach = [inflate(r + gamma(terms) * np.abs(m), 2) for m, r in parts]
    spread = _magnitude(node, rule, reach)
    radius = _weight_radius(node, rule, [inflate(np.abs(m) + r) for m, r in parts])
    spread = inflate(spread + radius + _bias_error(node, terms), 2 * terms + 3)
    if "bias" in node.consts:
        centre = centre + node.consts["bias"].value
    return down(centre - spread), up(centre + spread)


def backward_loss(node: Node, xs: Sequence[Interval]) -> FloatArray:
    """What a unit of |coefficient| on each output entry may lose in one backward step.

    Covers the rounding of ``c W`` over all x of the operands' intervals, the rounding of ``c . b``,
    and weights and biases known up to a radius. Shape (batch, *node.shape).
    """
    rule, batch = _rule(node), xs[0][0].shape[0]
    reach = [np.maximum(np.abs(low), np.abs(high)) for low, high in xs]
    terms = _products(rule, rule.fan_out(node))
    loss = np.zeros((batch, *node.shape))
    if terms:
        loss = gamma(terms) * _magnitude(node, rule, reach)
    loss = loss + _weight_radius(node, rule, reach)
    return inflate(loss + _bias_error(node, node.size + 1), rule.fan_in(node) + 4)


def underflow_loss(node: Node, xs: Sequence[Interval]) -> FloatArray:
    """What underflow in one backward step may lose in a row, whatever its coefficients: (batch,)."""
    terms = _rule(node).fan_out(node)
    total = sum(np.abs(x).reshape((x.shape[0], -1)).sum(axis=1) for ends in xs for x in ends)
    return 2 * terms * TINY * total


def _rule(node: Node) -> AffineRule:
    rule = OPS[node.op].affine
    assert rule is not None
    return rule


def _products(rule: AffineRule, fan: int) -> int:
    """How many rounded terms a sum has; data movement copies, which is exact."""
    return fan if rule.weighted or fan > 1 else 0


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
    error = gamma(terms) * np.abs(bias.value)
    return error if bias.radius is None else error + bias.radius
