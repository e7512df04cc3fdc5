"""One node forward on balls, for values that are known up to roundings.

A ball is a computed value with the most that it can be off by. Where intervals are thin this costs
half of what their two ends do, and no more is lost. Derivation: docs/rigor.md, section 11.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from absint.ir import Node
from absint.problem.contract import Contract
from absint.proofs import transcendental
from absint.proofs.arithmetic import TINY, FloatArray, U, down, inflate, midpoint_radius, up
from absint.proofs.transcendental import Enclosure
from absint.proofs.transformers import affine, forward, rounding
from absint.proofs.transformers.affine import AFFINE_OPS, Interval

Ball = tuple[FloatArray, FloatArray]
"""(centre, radius): the exact value lies within the radius of the centre."""

_ROUNDINGS = 8
"""At least the operations by which a radius is computed here."""
_SLACK = 2.0**-50


def ball(node: Node, xs: Sequence[Ball]) -> Ball:
    """A ball of the node's value for operands in their balls, each (batch, *shape).

    NaN, in all of a batch entry, where the node may have no value; NaN also after an overflow.
    """
    with np.errstate(all="ignore"):
        if node.op in _RULES:
            return _finite(_RULES[node.op](node, xs))
        if node.op in AFFINE_OPS:
            return _finite(affine.ball(node, xs))
        return _by_ends(node, xs)


def computed(node: Node, xs: Sequence[Ball], rules: Contract) -> Ball:
    """A ball of what the node gives as a contract allows, and as any reader may read it."""
    ends = [interval(x) for x in xs]
    if node.op in ("attend", "normalize"):
        return midpoint_radius(*rounding.computed(node, ends, rules))
    centre, radius = ball(node, xs)
    with np.errstate(all="ignore"):
        off = rounding.error(node, ends, interval((centre, radius)), None, rules) + rules.flush
        lost = np.isnan(off.reshape((len(off), -1))).any(axis=1)
        centre = np.where(lost.reshape((-1, *(1 for _ in node.shape))), np.nan, centre)
        return centre, inflate(radius + off, _ROUNDINGS)


def _by_ends(node: Node, xs: Sequence[Ball]) -> Ball:
    return midpoint_radius(*forward.interval(node, [interval(x) for x in xs]))


def _finite(x: Ball) -> Ball:
    """An infinite centre says nothing. A sum that is finite has finite terms only."""
    if np.isfinite(x[0].sum()):
        return x
    return np.where(np.isfinite(x[0]), x[0], np.nan), x[1]


def interval(x: Ball) -> Interval:
    """The ends of a ball; NaN where the centre is, so that what has no value stays without one."""
    lost = np.isnan(x[0])
    return np.where(lost, np.nan, down(x[0] - x[1])), np.where(lost, np.nan, up(x[0] + x[1]))


def _gather(node: Node, xs: Sequence[Ball]) -> Ball:
    """A slice is not copied: gates of recurrent networks are slices of one product."""
    index = node.consts["index"].value
    ((centre, radius),) = xs
    first, count = int(index.flat[0]), index.size
    plain = "bias" not in node.consts and index.ndim == centre.ndim - 1 == 1 and first >= 0
    if plain and (index == np.arange(first, first + count)).all():
        return centre[:, first : first + count], radius[:, first : first + count]
    return affine.ball(node, xs)


def _sum(node: Node, xs: Sequence[Ball]) -> Ball:
    """One rounding, and operands that are flushed, where there are two."""
    if len(xs) != 2:
        return affine.ball(node, xs)
    first, second = node.integers("coefficients")
    (a, r), (b, s) = xs
    centre = (a if first > 0 else -a) + (b if second > 0 else -b)
    return centre, inflate(r + s + (2 * U * np.abs(centre) + TINY), _ROUNDINGS)


def _mul(node: Node, xs: Sequence[Ball]) -> Ball:
    """``|x y - a b| <= |a| s + r (|b| + s)``, and s holds the rounding and flushes of operands."""
    if len({x[0].shape[1:] for x in xs}) > 1:
        return _by_ends(node, xs)
    (a, r), (b, s) = xs
    size = np.abs(b)
    s = s + 4 * U * size + TINY
    return a * b, inflate(np.abs(a) * s + (r + TINY) * (size + s), _ROUNDINGS)


def _relu(node: Node, xs: Sequence[Ball]) -> Ball:
    ((centre, radius),) = xs
    return np.maximum(centre, 0.0), radius + TINY


def _sigmoid(node: Node, xs: Sequence[Ball]) -> Ball:
    """The derivative is s (1 - s), at most 1/4; its own is below 0.097."""
    middle, width = _value(transcendental.sigmoid, xs[0])
    return middle, _spread(xs[0][1], middle * (1 - middle), width, 0.25, 0.097)


def _tanh(node: Node, xs: Sequence[Ball]) -> Ball:
    """The derivative is 1 - t^2, at most 1; its own is below 0.77."""
    middle, width = _value(transcendental.tanh, xs[0])
    return middle, _spread(xs[0][1], 1 - middle * middle, width, 1.0, 0.77)


def _value(function: Callable[[FloatArray], Enclosure], x: Ball) -> Ball:
    lower, upper = function(x[0])
    return 0.5 * (lower + upper), upper - lower


def _spread(
    radius: FloatArray, slope: FloatArray, width: FloatArray, steepest: float, bend: float
) -> FloatArray:
    """How far off a function's value is, by the mean value theorem."""
    slope = np.minimum(slope + (2 * width + _SLACK) + bend * radius, steepest)
    return inflate(radius * slope + width, _ROUNDINGS)


_RULES: dict[str, Callable[[Node, Sequence[Ball]], Ball]] = {
    "gather": _gather,
    "sum": _sum,
    "mul": _mul,
    "relu": _relu,
    "sigmoid": _sigmoid,
    "tanh": _tanh,
}
