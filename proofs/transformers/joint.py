"""Ops that mix several variable values: rigorous interval images. Derivation: docs/rigor.md."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from absint.ir import Node
from absint.problem.contract import Contract
from absint.proofs.arithmetic import FloatArray, down, inflate, up, without_subnormals
from absint.proofs.transformers import attended, normalize, products, softmax

Interval = tuple[FloatArray, FloatArray]


def interval(node: Node, xs: Sequence[Interval], contract: Contract | None = None) -> Interval:
    """Bounds of the node's value over the operands' intervals, each (batch, *shape).

    Under a ``contract`` an attention's are those of means with any exponentials that it allows.
    NaN in a batch entry where an operand's ends are NaN, or the value is not ``defined``.
    """
    with np.errstate(all="ignore"):
        ends, known = [without_subnormals(*x) for x in xs], defined(node, xs)
        if contract is not None and node.op == "attend":
            lower, upper = _attend(node, ends, contract)
            known &= _covered(node, xs, contract)
        else:
            lower, upper = _RULES[node.op](node, ends)
        for end in (end for x in xs for end in x):
            known = known & ~np.isnan(end.reshape((end.shape[0], -1))).any(axis=1)
        known = known.reshape((-1, *(1 for _ in node.shape)))
        return np.where(known, lower, np.nan), np.where(known, upper, np.nan)


def defined(node: Node, xs: Sequence[Interval]) -> NDArray[np.bool_]:
    """(batch,): whether the node has a value wherever its operands lie in their intervals.

    An embedding has none outside its table, a normalisation none where it divides by zero. Nothing
    may be concluded of a batch entry for which this is false, whatever later bounds say.
    """
    with np.errstate(all="ignore"):
        if node.op == "embedding":
            _, _, known = _rows(node, xs[0])
            inside: NDArray[np.bool_] = np.all(known.reshape((known.shape[0], -1)), axis=1)
            return inside
        if node.op == "normalize":
            return normalize.defined(node, without_subnormals(*xs[0]))
    return np.ones(xs[0][0].shape[0], dtype=bool)


def _rows(
    node: Node, ids: Interval
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
    """First and last row of the table that the ids select, and whether both exist: (batch, *S)."""
    first, last = np.ceil(ids[0]), np.floor(ids[1])
    count = node.consts["weight"].value.shape[0]
    inside = (first >= 0) & (first <= last) & (last < count)
    return (
        np.where(inside, first, 0).astype(np.int64),
        np.where(inside, last, 0).astype(np.int64),
        inside,
    )


def _embedding(node: Node, xs: Sequence[Interval]) -> Interval:
    """The hull of the rows; of the first where an id may be outside the table."""
    first, last, _ = _rows(node, xs[0])
    table = node.consts["weight"]
    low = high = table.value
    if table.radius is not None:
        low, high = down(low - table.radius), up(high + table.radius)
    count = low.shape[0]
    codes, places = np.unique(first * count + last, return_inverse=True)
    spans = [slice(code // count, code % count + 1) for code in codes.tolist()]
    lower = np.stack([low[span].min(axis=0) for span in spans])[places.reshape(first.shape)]
    upper = np.stack([high[span].max(axis=0) for span in spans])[places.reshape(first.shape)]
    return lower, upper


def _aligned(x: Interval, rank: int) -> Interval:
    """(batch, *shape) with ones after the batch axis, so that it broadcasts to ``rank`` axes."""
    shape = (x[0].shape[0], *(1,) * (rank + 1 - x[0].ndim), *x[0].shape[1:])
    return x[0].reshape(shape), x[1].reshape(shape)


def _mul(node: Node, xs: Sequence[Interval]) -> Interval:
    rank = len(node.shape)
    return products.product(_aligned(xs[0], rank), _aligned(xs[1], rank))


def _matmul(node: Node, xs: Sequence[Interval]) -> Interval:
    rank = len(node.shape)
    return products.matmul(_aligned(xs[0], rank), _aligned(xs[1], rank))


def _softmax(node: Node, xs: Sequence[Interval]) -> Interval:
    takes = np.ones(node.shape, dtype=bool)
    if "mask" in node.consts:
        takes = node.consts["mask"].value == 1
    return softmax.softmax(xs[0], takes)


def _normalize(node: Node, xs: Sequence[Interval]) -> Interval:
    return normalize.interval(node, xs[0])


def _attend(node: Node, xs: Sequence[Interval], contract: Contract | None = None) -> Interval:
    """Each score and each value anywhere in its interval, independently."""
    heads, shared = node.integer("heads"), node.integer("kv_heads")
    count = (len(xs) - 1) // 2
    query = _split(xs[:1], shared, heads // shared)[..., 0][..., None, :]
    keys = _split(xs[1 : count + 1], shared, 1).swapaxes(-1, -2)
    values = _split(xs[count + 1 :], shared, 1)
    scores = products.dot((query[0], query[1]), (keys[0], keys[1]))
    scale = without_subnormals(*(np.array(node.number("scale")) for _ in range(2)))
    scores = products.product(scores, scale)
    if contract is not None:
        sizes = (np.abs(query).max(axis=0), np.abs(keys).max(axis=0))
        scores = _executed(node, scores, inflate((sizes[0] * sizes[1]).sum(axis=-1)), contract)
    lower, upper = softmax.mean(scores, (values[0], values[1]))
    batch = lower.shape[0]
    return lower.reshape((batch, *node.shape)), upper.reshape((batch, *node.shape))


def _executed(node: Node, scores: Interval, reached: FloatArray, contract: Contract) -> Interval:
    """Scores (..., positions) of which computed exponentials are the exact ones."""
    width = node.in_shapes[0][0] // node.integer("heads")
    off = attended.scores_off(reached, width, node.number("scale"), contract)
    lower, upper = down(scores[0] - off), up(scores[1] + off)
    span = up(upper.max(axis=-1, keepdims=True) - lower.min(axis=-1, keepdims=True))
    off = attended.exponents_off(span, contract)
    return down(lower - off), up(upper + off)


def _covered(node: Node, xs: Sequence[Interval], contract: Contract) -> NDArray[np.bool_]:
    width = node.in_shapes[0][0] // node.integer("heads")
    inside = attended.covered(len(xs) // 2, width, node.number("scale"))
    sizes = [np.maximum(np.abs(x[0]), np.abs(x[1])) for x in xs]
    known: NDArray[np.bool_] = np.full(len(sizes[0]), inside)
    for size in sizes:
        known &= attended.within(size, contract)
    return known


def _split(xs: Sequence[Interval], shared: int, each: int) -> FloatArray:
    """(2, batch, kv_heads, heads of each, size of a head, operands): lower and upper ends."""
    stacked = np.stack([np.stack(x) for x in xs], axis=-1)
    parts: FloatArray = stacked.reshape((*stacked.shape[:2], shared, each, -1, len(xs)))
    return parts


def _argmax(node: Node, xs: Sequence[Interval]) -> Interval:
    """The first and the last entry that no other is sure to beat; the lowest of equals wins."""
    lower, upper = xs[0]
    best, place = lower.max(axis=-1, keepdims=True), lower.argmax(axis=-1)[..., None]
    wins = (upper > best) | ((upper == best) & (np.arange(lower.shape[-1]) <= place))
    last = lower.shape[-1] - 1 - np.flip(wins, -1).argmax(axis=-1)
    return wins.argmax(axis=-1).astype(np.float64), last.astype(np.float64)


_RULES: dict[str, Callable[[Node, Sequence[Interval]], Interval]] = {
    "embedding": _embedding,
    "mul": _mul,
    "matmul": _matmul,
    "softmax": _softmax,
    "normalize": _normalize,
    "attend": _attend,
    "argmax": _argmax,
}
JOINT_OPS: frozenset[str] = frozenset(_RULES)
