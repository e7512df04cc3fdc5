"""Ops that mix values, in exact arithmetic: by definition, with plain loops over numbers.

Products, look-ups and argmax take and give ``Fraction``; the others give 300-bit balls.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import exact
import flint
import numpy as np
from exact import Number, Numbers

from absint.ir import Node


def value(node: Node, xs: Sequence[Numbers]) -> Numbers:
    """The node's exact value (or balls about it), of its shape."""
    return _RULES[node.op](node, xs)


def _filled(shape: tuple[int, ...], entry: Callable[[tuple[int, ...]], Number]) -> Numbers:
    result = np.empty(shape, dtype=object)
    for index in np.ndindex(shape):
        result[index] = entry(index)
    return result


def _embedding(node: Node, xs: Sequence[Numbers]) -> Numbers:
    table = exact.exactly(node.consts["weight"].value)
    return _filled(node.shape, lambda i: table[int(xs[0][i[:-1]]), i[-1]])


def _mul(node: Node, xs: Sequence[Numbers]) -> Numbers:
    a, b = (np.broadcast_to(x, node.shape) for x in xs)
    return _filled(node.shape, lambda i: a[i] * b[i])


def _matmul(node: Node, xs: Sequence[Numbers]) -> Numbers:
    lead, (a, b) = node.shape[:-2], xs
    a, b = np.broadcast_to(a, (*lead, *a.shape[-2:])), np.broadcast_to(b, (*lead, *b.shape[-2:]))
    return _filled(
        node.shape, lambda i: _dot(a[(*i[:-2], i[-2])], b[(*i[:-2], slice(None), i[-1])])
    )


def _dot(a: Numbers, b: Numbers) -> Fraction:
    return sum((x * y for x, y in zip(a, b, strict=True)), Fraction(0))


def shares(scores: Sequence[Fraction]) -> list[Any]:
    """``exp(s_i) / sum exp(s_j)``, as balls."""
    top = max(scores)
    e = [exact.ball(s - top).exp() for s in scores]
    return [part / sum(e, flint.arb(0)) for part in e]


def _softmax(node: Node, xs: Sequence[Numbers]) -> Numbers:
    takes = np.ones(node.shape, dtype=bool)
    if "mask" in node.consts:
        takes = node.consts["mask"].value == 1
    y = _filled(node.shape, lambda i: Fraction(0))
    for row in np.ndindex(node.shape[:-1]):
        places = [j for j in range(node.shape[-1]) if takes[(*row, j)]]
        for j, share in zip(places, shares([xs[0][(*row, j)] for j in places]), strict=True):
            y[(*row, j)] = share
    return y


def _normalize(node: Node, xs: Sequence[Numbers]) -> Numbers:
    lead = len(node.shape) - node.integer("axes")
    y = np.empty(node.shape, dtype=object)
    for row in np.ndindex(node.shape[:lead]):
        entries = list(np.asarray(xs[0][row]).reshape(-1))
        mean = sum(entries) / len(entries) if node.integer("centered") else Fraction(0)
        centred = [x - mean for x in entries]
        square = sum(x * x for x in centred) / len(centred) + Fraction(node.number("epsilon"))
        root = exact.ball(square).sqrt()
        flat = _filled((len(centred),), lambda i: exact.ball(centred[i[0]]) / root)  # noqa: B023
        y[row] = flat.reshape(node.shape[lead:])
    return y


def _attend(node: Node, xs: Sequence[Numbers]) -> Numbers:
    heads, shared = node.integer("heads"), node.integer("kv_heads")
    count, scale = (len(xs) - 1) // 2, Fraction(node.number("scale"))
    width, deep = len(xs[0]) // heads, len(xs[-1]) // shared
    y = np.empty(node.shape, dtype=object)
    for head in range(heads):
        group = head // (heads // shared)
        q = xs[0][head * width : (head + 1) * width]
        keys = [k[group * width : (group + 1) * width] for k in xs[1 : 1 + count]]
        weights = shares([scale * _dot(q, k) for k in keys])
        for j in range(deep):
            column = [v[group * deep + j] for v in xs[1 + count :]]
            parts = [w * exact.ball(v) for w, v in zip(weights, column, strict=True)]
            y[head * deep + j] = sum(parts, flint.arb(0))
    return y


def _argmax(node: Node, xs: Sequence[Numbers]) -> Numbers:
    return _filled(
        node.shape, lambda i: Fraction(max(range(len(xs[0][i])), key=lambda j: (xs[0][i][j], -j)))
    )


_RULES: dict[str, Callable[[Node, Sequence[Numbers]], Numbers]] = {
    "embedding": _embedding,
    "mul": _mul,
    "matmul": _matmul,
    "softmax": _softmax,
    "normalize": _normalize,
    "attend": _attend,
    "argmax": _argmax,
}
