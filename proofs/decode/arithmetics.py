"""What single texts are run in: balls of float64, and balls of many digits for what is left."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from fractions import Fraction
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from absint.ir import Graph, Node
from absint.problem import LinearConstraint
from absint.proofs.arithmetic import down, inflate, midpoint_radius
from absint.proofs.rows import fails, output_row
from absint.proofs.tokens import Tables
from absint.proofs.transformers import balls
from absint.proofs.transformers.balls import Ball
from absint.proofs.transformers.precise import BITS, Precise, Values
from absint.proofs.transformers.steps import box_minimum, reach

IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

_DIGITS = threading.RLock()
"""The precision of flint is one for all threads."""


class Arithmetic(Protocol):
    """Values of nodes for many texts, as this arithmetic holds them."""

    def looked_up(self, position: int) -> bool:
        """Whether a node's values come from a table by one token, or are that token."""

    def table(self, position: int, tokens: IntArray) -> Any:
        """The values of a node that is looked up."""

    def value(self, node: Node, xs: Sequence[Any]) -> Any:
        """The node's values for its operands'."""

    def rows(self, x: Any, index: IntArray) -> Any:
        """Those of the texts with these indices."""

    def known(self, x: Any) -> BoolArray:
        """(texts,): for which the node certainly has a value."""

    def winner(self, logits: Any, allowed: Sequence[int]) -> tuple[IntArray, BoolArray]:
        """The token that wins in each text, and whether it does for certain."""

    def fails(self, y: Any, item: LinearConstraint) -> BoolArray:
        """(texts,): where a constraint on the numbers ``y`` (texts, size) certainly fails."""


class Floats:
    """Float64 with error bounds. Nodes of one slot are tabulated."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._balls: dict[int, Ball] = {}

    def looked_up(self, position: int) -> bool:
        return self._tables.slot(position) is not None

    def table(self, position: int, tokens: IntArray) -> Ball:
        if position not in self._balls:
            self._balls[position] = midpoint_radius(*self._tables.of(position))
        return self.rows(self._balls[position], tokens)

    def value(self, node: Node, xs: Sequence[Ball]) -> Ball:
        if self._tables.contract is None:
            return balls.ball(node, xs)
        return balls.computed(node, xs, self._tables.contract)

    def rows(self, x: Ball, index: IntArray) -> Ball:
        return x[0][index], x[1][index]

    def known(self, x: Ball) -> BoolArray:
        flat = x[0].reshape((x[0].shape[0], -1))
        if np.isfinite(flat.sum()):
            return np.ones(len(flat), dtype=np.bool_)
        known: BoolArray = np.logical_not(np.isnan(flat).any(axis=1))
        return known

    def winner(self, logits: Ball, allowed: Sequence[int]) -> tuple[IntArray, BoolArray]:
        low, high = (end[:, allowed] for end in balls.interval(logits))
        best = low.argmax(axis=1)
        rows, places = np.arange(len(low)), np.arange(low.shape[1])
        own = low[rows, best][:, None]
        beaten = (own > high) | ((own >= high) & (places > best[:, None]))
        beaten[rows, best] = np.isfinite(low[rows, best])
        return np.asarray(allowed)[best], beaten.all(axis=1)

    def fails(self, y: Ball, item: LinearConstraint) -> BoolArray:
        row, ends = output_row(item, y[0].shape[1]), balls.interval(y)
        with np.errstate(all="ignore"):
            off = row.outputs_off[:, 0] * reach(ends)
            least = down(box_minimum(row.outputs, ends)[:, 0] - inflate(off.sum(axis=1), off.size))
            return fails(down(least - row.bound[:, 0]), item)


class Digits:
    """Balls of ``BITS`` bits."""

    def __init__(self, graph: Graph) -> None:
        self._precise = Precise()
        self._inputs = {port.node for port in graph.inputs}

    @staticmethod
    def fits(graph: Graph, vocabulary: int) -> bool:
        """Whether it knows all ops of the graph, and all of them have values."""
        return all(
            Precise.knows(node) and (node.op != "embedding" or _whole(graph, node, vocabulary))
            for node in graph.nodes
        )

    def looked_up(self, position: int) -> bool:
        return position in self._inputs

    def table(self, position: int, tokens: IntArray) -> Values:
        return tokens.astype(object)

    def value(self, node: Node, xs: Sequence[Values]) -> Values:
        from flint import ctx

        with _DIGITS, ctx.workprec(BITS):
            return self._precise.value(node, xs)

    def rows(self, x: Values, index: IntArray) -> Values:
        return x[index]

    def known(self, x: Values) -> BoolArray:
        """All: the ops that this arithmetic knows have a value everywhere."""
        return np.ones(len(x), dtype=np.bool_)

    def winner(self, logits: Values, allowed: Sequence[int]) -> tuple[IntArray, BoolArray]:
        found = [_best([row[token] for token in allowed]) for row in logits]
        tokens = np.asarray(allowed)[[place for place, _ in found]]
        return tokens, np.array([clear for _, clear in found], dtype=np.bool_)

    def fails(self, y: Values, item: LinearConstraint) -> BoolArray:
        from flint import arb, ctx, fmpq

        def ball(value: Fraction) -> Any:
            return arb(fmpq(value.numerator, value.denominator))

        with _DIGITS, ctx.workprec(BITS):
            totals = [
                sum((ball(c) * row[i] for i, c in item.outputs), -ball(item.bound)) for row in y
            ]
        return np.array([bool(t >= 0 if item.strict else t > 0) for t in totals], dtype=np.bool_)


def _whole(graph: Graph, node: Node, vocabulary: int) -> bool:
    """Whether an embedding reads a token, and has a row for each."""
    rows = len(node.consts["weight"].value)
    return graph.nodes[node.inputs[0]].op == "input" and rows >= vocabulary


def _best(logits: Sequence[Any]) -> tuple[int, bool]:
    """The place of the largest, and whether it is for certain. Comparisons of balls are."""
    place = 0
    for i, other in enumerate(logits):
        if other.mid() > logits[place].mid():
            place = i
    own = logits[place]
    clear = all(
        bool(own > other or (own >= other and i > place))
        for i, other in enumerate(logits)
        if i != place
    )
    return place, clear and bool(own.is_finite())
