"""The bound of an ``attend`` node's heads in given directions, over products of token sets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from absint.domains.arrays import Array, still
from absint.domains.interval import Interval
from absint.domains.tokens import largest_mean, largest_mean_of_tokens
from absint.domains.tokens_sets import SEVERAL, padded
from absint.ir import Node

if TYPE_CHECKING:
    from absint.domains.tokens_bounds import TokenBounds

FLOOR = 1e-30
"""Added to weights, so that none of a head's weights can all underflow to zero."""


class Attention:
    """One ``attend`` node: the ranges of its scores, computed once, and bounds of its heads.

    Scores and values of keys that depend on one token are tables; what several tokens decide, in a
    second layer, is an interval.
    """

    def __init__(self, bounds: TokenBounds, node: Node) -> None:
        self.bounds, self.node = bounds, node
        self.heads, self.shared = node.integer("heads"), node.integer("kv_heads")
        count = (len(node.inputs) - 1) // 2
        self.query, rest = node.inputs[0], node.inputs[1:]
        self.keys, self.values = rest[:count], rest[count:]
        self.low, self.high = self._weights()

    def upper(self, c: Array) -> Array:
        """The largest ``c . node``: (batch or 1, count, size) to (batch, count)."""
        xp = self.bounds.arrays.xp
        c = c.reshape((*c.shape[:2], self.heads, -1))
        if self._coupled:
            return self._coupled_upper(c)
        low, high = self.low[:, None], self.high[:, None]
        return xp.sum(largest_mean(low, high, self._reach(c), xp), axis=-1)

    @property
    def _coupled(self) -> bool:
        known = self._tabular((self.query, *self.keys, *self.values))
        return self.bounds.coupled and known and self._known_query() is not None

    def _known_query(self) -> np.ndarray | None:
        return self.bounds.sets.single(self.bounds.read[self.query])

    def _tabular(self, positions: Sequence[int]) -> bool:
        return all(self.bounds.read[i] != SEVERAL for i in positions)

    def _ports(self, positions: Sequence[int]) -> list[int]:
        return [self.bounds.read[i] for i in positions]

    def _stacked(self, positions: Sequence[int]) -> Array:
        """Tables of all positions, (positions, tokens, heads, size); padded by their first row."""
        xp = self.bounds.arrays.xp
        tables = [self.bounds.table(i) for i in positions]
        width = max(table.shape[0] for table in tables)
        rows = [np.arange(width) * (np.arange(width) < table.shape[0]) for table in tables]
        padded = [table[self.bounds.lookup(row)] for table, row in zip(tables, rows, strict=True)]
        stack = xp.stack(padded).reshape((len(tables), width, self.shared, -1))
        return xp.take(stack, self._groups(), axis=2)

    def _groups(self) -> Array:
        """The head of keys and values that each head reads."""
        return self.bounds.lookup(np.arange(self.heads) // (self.heads // self.shared))

    def _members(self, positions: Sequence[int], width: int) -> Array:
        """(batch, positions, width): the candidates in each case's sets, padded with False."""
        parts = [self.bounds.sets.members(port) for port in self._ports(positions)]
        return self.bounds.lookup(np.stack([padded(part, width) for part in parts], axis=1))

    def _scores(self) -> Array:
        """A score for each candidate of the query and of each key: (query's, heads, keys, tokens).

        Each query's are shifted by a constant, which a softmax does not see.
        """
        xp = self.bounds.arrays.xp
        query = self.bounds.table(self.query)
        query = query.reshape((query.shape[0], self.heads, -1)) * self.node.number("scale")
        scores = xp.einsum("qhd,mthd->qhmt", query, self._stacked(self.keys))
        return scores - still(xp.max(scores, axis=(2, 3), keepdims=True))

    def _weights(self) -> Interval:
        """The least and the largest weight of each position: (batch, heads, positions)."""
        xp = self.bounds.arrays.xp
        if not self._tabular((self.query, *self.keys)):
            low, high = self._score_intervals()
        else:
            low, high = self._score_ranges(self._scores())
        top = still(xp.max(high, axis=-1, keepdims=True))
        return xp.exp(low - top) + FLOOR, xp.exp(high - top) + FLOOR

    def _score_ranges(self, scores: Array) -> Interval:
        xp, single = self.bounds.arrays.xp, self._known_query()
        members = self._members(self.keys, scores.shape[-1])[:, None, None]
        if single is not None:
            own = scores[self.bounds.lookup(single)][:, None]
            asked = None
        else:
            own = scores[None]
            asked = self.bounds.lookup(self.bounds.sets.members(self.bounds.read[self.query]))
            asked = asked[:, :, None, None]
        low = xp.min(xp.where(members, own, np.inf), axis=-1)
        high = xp.max(xp.where(members, own, -np.inf), axis=-1)
        if asked is not None:
            low, high = xp.where(asked, low, np.inf), xp.where(asked, high, -np.inf)
        return xp.min(low, axis=1), xp.max(high, axis=1)

    def _score_intervals(self) -> Interval:
        """Scores from boxes of the query and the keys: (batch, heads, positions) each."""
        xp, scale = self.bounds.arrays.xp, self.node.number("scale")
        query = [end.reshape((end.shape[0], self.heads, 1, -1)) for end in self._box(self.query)]
        keys = self._boxes(self.keys)
        ends = xp.stack([q * k for q in query for k in keys])
        low, high = xp.sum(xp.min(ends, axis=0), axis=-1), xp.sum(xp.max(ends, axis=0), axis=-1)
        return (scale * low, scale * high) if scale >= 0 else (scale * high, scale * low)

    def _box(self, position: int) -> Interval:
        return self.bounds.box(position)

    def _boxes(self, positions: Sequence[int]) -> list[Array]:
        """Lower and upper bounds of keys or values: (batch, heads, positions, size) each."""
        xp = self.bounds.arrays.xp
        ends = []
        for side in (0, 1):
            stack = xp.stack([self._box(i)[side] for i in positions], axis=1)
            stack = stack.reshape((*stack.shape[:2], self.shared, -1))
            ends.append(xp.moveaxis(xp.take(stack, self._groups(), axis=2), 1, 2))
        return ends

    def _reach(self, c: Array) -> Array:
        """The largest ``c . value`` at each position: (batch, count, heads, positions)."""
        xp = self.bounds.arrays.xp
        if not self._tabular(self.values):
            low, high = self._boxes(self.values)
            middle, radius = (low + high) / 2, (high - low) / 2
            flat = xp.moveaxis(c, 1, 2)
            reach = flat @ xp.moveaxis(middle, -1, -2) + abs(flat) @ xp.moveaxis(radius, -1, -2)
            return xp.moveaxis(reach, 1, 2)
        values = xp.einsum("bchd,mthd->bchmt", c, self._stacked(self.values))
        if c.shape[0] > 1 or self.bounds.sets.batch == 1:
            members = self._members(self.values, values.shape[-1])[:, None, None]
            return xp.max(xp.where(members, values, -np.inf), axis=-1)
        return self._shared_reach(values[0])

    def _shared_reach(self, values: Array) -> Array:
        """As ``_reach``, of directions that all cases share: one maximum for each different set."""
        xp, bounds = self.bounds.arrays.xp, self.bounds
        ports = self._ports(self.values)
        owners, members, places = bounds.sets.distinct(ports, values.shape[-1])
        owned = xp.take(values, bounds.lookup(owners), axis=2)
        best = xp.max(xp.where(bounds.lookup(members), owned, -np.inf), axis=-1)
        spread = best[:, :, bounds.lookup(places)]
        return xp.moveaxis(spread, 2, 0)

    def _coupled_upper(self, c: Array) -> Array:
        xp, single = self.bounds.arrays.xp, self._known_query()
        assert single is not None
        scores = self._scores()[self.bounds.lookup(single)]
        values = xp.einsum("bchd,mthd->bchmt", c, self._stacked(self.values))
        members = self._members(self.values, values.shape[-1])[:, None, None]
        top = still(xp.max(xp.where(members[:, :, 0], scores, -np.inf), axis=(2, 3), keepdims=True))
        weights = xp.exp(xp.where(members[:, :, 0], scores - top, 0.0)) + FLOOR
        values = values + xp.zeros((self.sets_batch, 1, 1, 1, 1), **self.bounds._kind)
        best = largest_mean_of_tokens(weights[:, None], values, members, xp)
        return xp.sum(best, axis=-1)

    @property
    def sets_batch(self) -> int:
        return self.bounds.sets.batch
