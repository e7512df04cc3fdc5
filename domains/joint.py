"""Interval images of the ops that mix values (unsound in rounding).

The same bounds as the checker's, ``absint.proofs.transformers.joint``, on any array library.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from absint.domains.arrays import Array, Arrays
from absint.domains.normalize import normalize
from absint.ir import Node
from absint.ir.joint import aligned

Interval = tuple[Array, Array]

SHORT = 128
"""Up to so many products a sum, the exact hull of each is taken; beyond, midpoint and radius."""


def image(node: Node, xs: Sequence[Interval], arrays: Arrays) -> Interval:
    """Bounds of the node's value over the operands' intervals, each (batch, *shape)."""
    return _RULES[node.op](node, xs, arrays)


def _embedding(node: Node, xs: Sequence[Interval], arrays: Arrays) -> Interval:
    """The hull of the rows that the ids can name; NaN where one may be outside the table."""
    low = high = node.consts["weight"].value
    radius = node.consts["weight"].radius
    if radius is not None:
        low, high = low - radius, high + radius
    first, last = np.ceil(arrays.numpy(xs[0][0])), np.floor(arrays.numpy(xs[0][1]))
    inside, count = (first >= 0) & (first <= last) & (last < low.shape[0]), low.shape[0]
    pairs = np.where(inside, first * count + last, 0).astype(np.int64)
    codes, places = np.unique(pairs, return_inverse=True)
    spans = [slice(code // count, code % count + 1) for code in codes.tolist()]
    lower = np.stack([low[span].min(axis=0) for span in spans])[places.reshape(first.shape)]
    upper = np.stack([high[span].max(axis=0) for span in spans])[places.reshape(first.shape)]
    known = inside[..., None]
    return (
        arrays.asarray(np.where(known, lower, np.nan)),
        arrays.asarray(np.where(known, upper, np.nan)),
    )


def product(a: Interval, b: Interval, arrays: Arrays) -> Interval:
    """Bounds of ``x y``, elementwise with broadcasting."""
    xp = arrays.xp
    first, second, third, fourth = (x * y for x in a for y in b)
    lower = xp.minimum(xp.minimum(first, second), xp.minimum(third, fourth))
    return lower, xp.maximum(xp.maximum(first, second), xp.maximum(third, fourth))


def _dot(a: Interval, b: Interval, arrays: Arrays) -> Interval:
    """Bounds of ``sum_i x_i y_i`` on the last axis, the axes before it broadcast."""
    lower: Array = 0
    upper: Array = 0
    for i in range(a[0].shape[-1]):
        low, high = product((a[0][..., i], a[1][..., i]), (b[0][..., i], b[1][..., i]), arrays)
        lower, upper = lower + low, upper + high
    return lower, upper


def _mul(node: Node, xs: Sequence[Interval], arrays: Arrays) -> Interval:
    a, b = (_aligned(x, len(node.shape)) for x in xs)
    return product(a, b, arrays)


def _aligned(x: Interval, rank: int) -> Interval:
    return aligned(x[0], rank), aligned(x[1], rank)


def _matmul(node: Node, xs: Sequence[Interval], arrays: Arrays) -> Interval:
    a, b = (_aligned(x, len(node.shape)) for x in xs)
    if a[0].shape[-1] > SHORT:
        return _long_matmul(a, b, arrays)
    rows = a[0][..., :, None, :], a[1][..., :, None, :]
    turn = arrays.xp.matrix_transpose
    return _dot(rows, (turn(b[0])[..., None, :, :], turn(b[1])[..., None, :, :]), arrays)


def _long_matmul(a: Interval, b: Interval, arrays: Arrays) -> Interval:
    (m, r), (n, s) = (((x[0] + x[1]) / 2, (x[1] - x[0]) / 2) for x in (a, b))
    centre, size = m @ n, arrays.xp.abs(n) + s
    spread = arrays.xp.abs(m) @ s + r @ size
    return centre - spread, centre + spread


def _softmax(node: Node, xs: Sequence[Interval], arrays: Arrays) -> Interval:
    """Each share is increasing in its own score and decreasing in the others'."""
    xp, x = arrays.xp, xs[0]
    takes = None
    if "mask" in node.consts:
        takes = arrays.load(node.consts["mask"].value) > 0
        x = xp.where(takes, x[0], -math.inf), xp.where(takes, x[1], -math.inf)
    lower, upper = _share(x[0], x[1], arrays), _share(x[1], x[0], arrays)
    if takes is not None:
        lower, upper = xp.where(takes, lower, 0.0), xp.where(takes, upper, 0.0)
    return lower, upper


def _share(own: Array, others: Array, arrays: Arrays) -> Array:
    """``1 / (1 + sum_(j != i) exp(others_j - own_i))``, without a positive exponent."""
    xp = arrays.xp
    places = xp.arange(others.shape[-1], device=others.device)
    first = places == xp.argmax(others, axis=-1)[..., None]
    top = xp.max(others, axis=-1, keepdims=True)
    rest = xp.where(first, -math.inf, others)
    next_top = xp.max(rest, axis=-1, keepdims=True)
    alone = next_top == -math.inf
    terms = xp.exp(others - top)
    after = xp.sum(xp.exp(rest - xp.where(alone, 0.0, next_top)), axis=-1, keepdims=True)
    tail = xp.where(first, after, xp.sum(terms, axis=-1, keepdims=True) - terms)
    ahead = own - xp.where(first, xp.where(alone, 0.0, next_top), top)
    small = xp.exp(-xp.abs(ahead))
    share = xp.where(ahead >= 0, 1 / (1 + tail * small), small / (small + tail))
    return xp.where(first & alone, 1.0, share)


def _normalize(node: Node, xs: Sequence[Interval], arrays: Arrays) -> Interval:
    return normalize(node, xs[0], arrays)


def _attend(node: Node, xs: Sequence[Interval], arrays: Arrays) -> Interval:
    """Each score and each value anywhere in its interval, independently."""
    heads, shared = node.integer("heads"), node.integer("kv_heads")
    count = (len(xs) - 1) // 2
    query = [x[..., 0] for x in _split(xs[:1], shared, heads // shared, arrays)]
    keys = [arrays.xp.matrix_transpose(x) for x in _split(xs[1 : count + 1], shared, 1, arrays)]
    values = _split(xs[count + 1 :], shared, 1, arrays)
    rows = query[0][..., None, :], query[1][..., None, :]
    scores = [node.number("scale") * end for end in _dot(rows, (keys[0], keys[1]), arrays)]
    low, high = scores if node.number("scale") >= 0 else scores[::-1]
    lower, upper = weighted_mean((low, high), (values[0], values[1]), arrays)
    return lower.reshape((-1, *node.shape)), upper.reshape((-1, *node.shape))


def _split(xs: Sequence[Interval], shared: int, each: int, arrays: Arrays) -> list[Array]:
    """Lower and upper ends: (batch, kv_heads, heads of each, size of a head, operands)."""
    ends = [arrays.xp.stack([x[side] for x in xs], axis=-1) for side in (0, 1)]
    return [end.reshape((end.shape[0], shared, each, -1, len(xs))) for end in ends]


def weighted_mean(scores: Interval, values: Interval, arrays: Arrays) -> Interval:
    """Bounds of ``sum_i w_i v_i`` with w the softmax of the scores, each score and value anywhere.

    ``scores`` are (*lead, m) and ``values`` (*lead, d, m), which broadcast; the result (*lead, d).
    """
    xp = arrays.xp
    top = xp.max(scores[1], axis=-1, keepdims=True)
    low, high = (xp.exp(end - top)[..., None, :] for end in scores)
    upper = _largest_mean(low, high, values[1], arrays)
    return -_largest_mean(low, high, -values[0], arrays), upper


def _largest_mean(low: Array, high: Array, v: Array, arrays: Arrays) -> Array:
    """``max sum e v / sum e`` over ``low <= e <= high``, by Dinkelbach's iteration (1967).

    Each step picks the weights that are best for the last ratio; it ends at the maximum after at
    most as many steps as there are values.
    """
    xp = arrays.xp
    weights = low + high
    guess = xp.sum(weights * v, axis=-1) / xp.sum(weights, axis=-1)
    for _ in range(v.shape[-1] + 1):
        weights = xp.where(v > guess[..., None], high, low)
        better = xp.sum(weights * v, axis=-1) / xp.sum(weights, axis=-1)
        if not bool(xp.any(better > guess)):
            break
        guess = xp.where(better > guess, better, guess)
    return guess


def _argmax(node: Node, xs: Sequence[Interval], arrays: Arrays) -> Interval:
    """The first and the last entry that no other is sure to beat; the lowest of equals wins."""
    xp, (lower, upper) = arrays.xp, xs[0]
    count = lower.shape[-1]
    best, place = xp.max(lower, axis=-1, keepdims=True), xp.argmax(lower, axis=-1)[..., None]
    wins = (upper > best) | ((upper == best) & (xp.arange(count, device=lower.device) <= place))
    wins = xp.astype(wins, xp.int64)
    last = count - 1 - xp.argmax(xp.flip(wins, axis=-1), axis=-1)
    return xp.astype(xp.argmax(wins, axis=-1), lower.dtype), xp.astype(last, lower.dtype)


_RULES: dict[str, Callable[[Node, Sequence[Interval], Arrays], Interval]] = {
    "embedding": _embedding,
    "mul": _mul,
    "matmul": _matmul,
    "softmax": _softmax,
    "normalize": _normalize,
    "attend": _attend,
    "argmax": _argmax,
}
