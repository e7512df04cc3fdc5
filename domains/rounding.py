"""What a node computed in float32 may be off by (unsound in rounding).

The same bounds as the checker's, ``absint.proofs.transformers.rounding``, on any array library.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from absint.domains.arrays import Array, Arrays
from absint.domains.normalize import Chord
from absint.ir import OPS, Node
from absint.ir.joint import aligned
from absint.problem.contract import Contract

Interval = tuple[Array, Array]


def error(
    node: Node,
    xs: Sequence[Interval],
    value: Interval,
    chord: Chord | None,
    rules: Contract,
    arrays: Arrays,
) -> Array | None:
    """(batch, *shape) for bounds of operands and value, each (batch, *shape); None where zero."""
    xp = arrays.xp
    far = [xp.maximum(xp.abs(low), xp.abs(high)) for low, high in xs]
    size = xp.maximum(xp.abs(value[0]), xp.abs(value[1]))
    if OPS[node.op].affine is not None:
        found = _affine(node, far, rules, arrays)
    elif node.op in rules.elementwise:
        found = _elementwise(node, far[0], size, rules)
    else:
        found = _joint(node, far, size, chord, rules, arrays)
    if found is None:
        return None
    return xp.where(size + found <= rules.largest, found, math.inf)


def _gamma(terms: float, rules: Contract) -> float:
    share = math.ceil(terms) * rules.unit
    return share / (1 - share) if share < 1 else math.inf


def _affine(node: Node, far: list[Array], rules: Contract, arrays: Arrays) -> Array | None:
    rule, xp = OPS[node.op].affine, arrays.xp
    assert rule is not None
    if node.op not in rules.roundings or (node.op == "gather" and "bias" not in node.consts):
        return None
    weight = xp.abs(arrays.load(node.consts["weight"].value)) if "weight" in node.consts else None
    reached = rule.magnitude(node, far, weight, xp)
    if "bias" in node.consts:
        reached = reached + xp.abs(arrays.load(node.consts["bias"].value))
    return _gamma(rule.fan_in(node) + rules.roundings[node.op], rules) * reached


def _elementwise(node: Node, far: Array, size: Array, rules: Contract) -> Array | None:
    row = rules.elementwise[node.op]
    absolute = row.absolute * (abs(node.number("alpha")) if node.op == "elu" else 1.0)
    relative = row.relative * (node.integer("exponent") if node.op == "power" else 1.0)
    if not (absolute or relative or row.argument):
        return None
    return rules.unit * (absolute + relative * size + row.argument * far)


def _joint(
    node: Node, far: list[Array], size: Array, chord: Chord | None, rules: Contract, arrays: Arrays
) -> Array | None:
    if node.op == "mul":
        return _gamma(1 + rules.roundings["mul"], rules) * size
    if node.op == "matmul":
        a, b = (aligned(x, len(node.shape)) for x in far)
        return _gamma(a.shape[-1] + rules.roundings["matmul"], rules) * (a @ b)
    if node.op == "softmax":
        count = size.shape[-1]
        terms = count + math.log(count) + 16 + 4 * rules.elementwise["exp"].relative
        return 1.02 * (rules.unit * 0.37 + _gamma(terms, rules) * size)
    if chord is not None:
        return _normalize(node, far[0], size, chord, rules, arrays)
    return None


def _normalize(
    node: Node, far: Array, size: Array, chord: Chord, rules: Contract, arrays: Arrays
) -> Array:
    """See the checker's; where the variance is not known well enough, infinite."""
    xp, groups = arrays.xp, chord.x[0].shape
    x, y, most = far.reshape(groups), size.reshape(groups), chord.factor[1][..., None]
    relative = _gamma(groups[2] + 16, rules)
    moved, share = 0.0 * x, relative
    if node.integer("centered"):
        mean = xp.mean(x, axis=2, keepdims=True)
        squares = xp.mean(x * x, axis=2, keepdims=True)
        share = 4 * relative * (squares + node.number("epsilon")) * most * most
        moved = relative * mean + 8 * rules.unit * (x + 2 * mean)
    with np.errstate(all="ignore"):
        found = 1.5 * moved * most + (share + 16 * rules.unit) * y
        found = xp.where(share + 0.0 * y <= 0.25, found, math.inf)
    return found.reshape(size.shape)
