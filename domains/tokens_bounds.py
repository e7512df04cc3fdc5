"""Linear functions of a graph's nodes, bounded over products of token sets.

A function of one position's token is a table and is maximised exactly. A function of a node that
several tokens decide is pushed back (CROWN) through affine maps and through the relaxations of
elementwise functions, to tables and to attention, where each head is bounded in the direction that
arrives there (``absint.domains.tokens_attend``). Any other node is cut: its own interval is used.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from absint.domains import interval
from absint.domains.arrays import Array, Arrays
from absint.domains.interval import Interval
from absint.domains.relaxation import Relaxation, relax
from absint.domains.tokens_attend import Attention
from absint.domains.tokens_sets import SEVERAL, TokenSets, ports_read
from absint.ir import OPS, Graph, Node
from absint.ir.evaluate import step


class TokenBounds:
    """Upper bounds over a batch of products of token sets (unsound in rounding).

    Every input of ``graph`` is one token; ``sets`` has a set for each. Tables and intermediate
    bounds are kept for the life of this object. With torch arrays all bounds are differentiable
    in the constants that ``arrays`` loads. ``coupled`` attention keeps a token's score and value
    together, which is tighter and costs as much more as sets have tokens; it applies where the
    query's token is known.
    """

    def __init__(
        self, graph: Graph, sets: TokenSets, arrays: Arrays, coupled: bool = False
    ) -> None:
        if len(graph.inputs) != sets.allowed.shape[1]:
            raise ValueError(f"{sets.allowed.shape[1]} token sets for {len(graph.inputs)} inputs")
        self.graph, self.sets, self.arrays, self.coupled = graph, sets, arrays, coupled
        self.read = ports_read(graph)
        self._tables: dict[int, Array] = {}
        self._boxes: dict[int, Interval] = {}
        self._attention: dict[int, Attention] = {}

    def table(self, position: int) -> Array:
        """A node's value for each candidate of the one port it reads: (candidates, *shape)."""
        if position not in self._tables:
            node = self.graph.nodes[position]
            if node.op == "input":
                tokens = self.sets.candidates[self.read[position]].astype(np.float64)
                value = self.arrays.asarray(tokens)
            else:
                self._exact(node)
                operands = [self.table(i) for i in node.inputs]
                value = step(node, operands, self.arrays.xp, self.arrays.load)
            self._tables[position] = value
        return self._tables[position]

    def upper(self, position: int, rows: Array) -> Array:
        """The largest value of ``rows . node``: rows (batch or 1, count, *shape) to (batch, count).

        Raises:
            ValueError: a constant on the way has no exact value.
        """
        pending = {position: rows}
        total: Array = self.arrays.xp.zeros((self.sets.batch, rows.shape[1]), **self._kind)
        tables: dict[int, Array] = {}
        for place in reversed(range(position + 1)):
            if place not in pending:
                continue
            c, node = pending.pop(place), self.graph.nodes[place]
            if self.read[place] != SEVERAL:
                port, part = self.read[place], _product(c, self.table(place))
                tables[port] = tables[port] + part if port in tables else part
                continue
            gained, parts = self._pushed(place, node, c)
            total = total + gained
            for operand, more in zip(node.inputs, parts, strict=bool(parts)):
                pending[operand] = pending[operand] + more if operand in pending else more
        for port, values in tables.items():
            total = total + self._over_set(port, values)
        return total

    def box(self, position: int) -> Interval:
        """A node's lower and upper bounds, each (batch, *shape)."""
        if position not in self._boxes:
            self._boxes[position] = self._box(position)
        return self._boxes[position]

    def lookup(self, array: np.ndarray) -> Array:
        """An array of indices or Booleans, on the device of the computation."""
        return self.arrays.xp.asarray(np.ascontiguousarray(array), device=self.arrays.device)

    @property
    def _kind(self) -> dict[str, object]:
        return {"dtype": self.arrays.dtype, "device": self.arrays.device}

    def _exact(self, node: Node) -> None:
        if any(const.radius is not None for const in node.consts.values()):
            raise ValueError(f"node {node.name!r}: a constant that has no exact value")

    def _over_set(self, port: int, values: Array) -> Array:
        """(batch or 1, count, candidates) to its maxima over the port's sets, (batch, count)."""
        members = self.lookup(self.sets.members(port))[:, None]
        return self.arrays.xp.max(self.arrays.xp.where(members, values, -np.inf), axis=-1)

    def _pushed(self, place: int, node: Node, c: Array) -> tuple[Array, Sequence[Array]]:
        """What a node adds to the bound, and coefficients on its operands (none: it was cut)."""
        op = OPS[node.op]
        if op.affine is not None:
            self._exact(node)
            load = self.arrays.load
            weight = load(node.consts["weight"].value) if "weight" in node.consts else None
            bias = load(node.consts["bias"].value) if "bias" in node.consts else None
            parts = op.affine.backward(node, c, weight, self.arrays.xp)
            return (0.0 if bias is None else _along(c, bias, self.arrays.xp)), parts
        if op.univariate is not None:
            return self._relaxed(c, relax(node, self.box(node.inputs[0]), self.arrays))
        if node.op == "attend":
            return self.attention(place).upper(c), ()
        return _largest(c, self.box(place), self.arrays.xp), ()

    def _relaxed(self, c: Array, lines: Relaxation) -> tuple[Array, Sequence[Array]]:
        size = self.arrays.xp.abs(c)
        part = c * lines.slope[:, None] + size * lines.half_slope[:, None]
        return _rows(c, lines.offset) + _rows(size, lines.half_offset), [part]

    def attention(self, position: int) -> Attention:
        """The bounds of an ``attend`` node's scores."""
        if position not in self._attention:
            self._attention[position] = Attention(self, self.graph.nodes[position])
        return self._attention[position]

    def _box(self, position: int) -> Interval:
        node, xp = self.graph.nodes[position], self.arrays.xp
        if self.read[position] != SEVERAL:
            table = self.table(position)
            members = self.lookup(self.sets.members(self.read[position]))
            members = members.reshape((*members.shape, *(1,) * len(node.shape)))
            low, high = (xp.where(members, table[None], end) for end in (np.inf, -np.inf))
            return xp.min(low, axis=1), xp.max(high, axis=1)
        op = OPS[node.op]
        if op.affine is None and node.op != "attend":
            return interval.transform(node, [self.box(i) for i in node.inputs], self.arrays)
        units = xp.eye(node.size, **self._kind)
        both = xp.concat([units, -units]).reshape((1, 2 * node.size, *node.shape))
        ends = self.upper(position, both).reshape((self.sets.batch, 2, *node.shape))
        return -ends[:, 1], ends[:, 0]


def _product(c: Array, table: Array) -> Array:
    """(batch, count, *shape) against (candidates, *shape): (batch, count, candidates)."""
    return c.reshape((*c.shape[:2], -1)) @ table.reshape((table.shape[0], -1)).T


def _rows(c: Array, values: Array) -> Array:
    """Each row's inner product with a (batch, *shape) array: (batch, count)."""
    flat = c.reshape((*c.shape[:2], -1))
    return (flat @ values.reshape((values.shape[0], -1, 1)))[..., 0]


def _along(c: Array, bias: Array, xp: object) -> Array:
    """Each row's inner product with an array that broadcasts to its shape."""
    full = xp.broadcast_to(bias, c.shape[2:])  # type: ignore[attr-defined]
    return c.reshape((*c.shape[:2], -1)) @ full.reshape((-1,))


def _largest(c: Array, box: Interval, xp: object) -> Array:
    middle, radius = (box[0] + box[1]) / 2, (box[1] - box[0]) / 2
    return _rows(c, middle) + _rows(abs(c), radius)
