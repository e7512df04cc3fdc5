"""Regions of token sequences: a token set for each slot, and exact tables of what one slot gives.

A node that depends on one slot alone has finitely many values, one a token: they are tabulated
once, and a linear function of several such nodes of one slot has its minimum over the slot's set
at one token. Attention over such nodes is bounded by ``transformers.attend``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from absint.ir import Graph, Node
from absint.ir.blocks import slots_of
from absint.problem.contract import Contract
from absint.proofs.arithmetic import (
    TINY,
    FloatArray,
    gamma,
    inflate,
    midpoint_radius,
    without_subnormals,
)
from absint.proofs.bounds import Bounds
from absint.proofs.conditional import Prefixes
from absint.proofs.reads import contributions, first_attention, most_read
from absint.proofs.transformers import coupled, forward, rounding
from absint.proofs.transformers.affine import Interval
from absint.proofs.transformers.attend import Attention, Entries

BoolArray = NDArray[np.bool_]

MOSTLY = 0.75
"""The share of what a position's first layer reads."""


class Tables:
    """Bounds of the nodes that depend on one slot alone, for each token: (tokens, *shape).

    Of their real values, or under a ``contract`` of all values that it allows to be computed.
    """

    def __init__(self, graph: Graph, tokens: int, contract: Contract | None = None) -> None:
        self.graph, self.tokens, self.contract = graph, tokens, contract
        self.slots = slots_of(graph)
        self.prefixes = Prefixes(graph, self.slots)
        self.deep = any(self.several(node) for node in graph.nodes)
        """Whether some attention reads what depends on several slots."""
        self._known: dict[int, Interval] = {}
        self._read: dict[tuple[int, int], tuple[list[int], FloatArray]] = {}

    def slot(self, position: int) -> int | None:
        """The one slot that a node depends on; None where there are several, or none."""
        own = self.slots[position]
        return next(iter(own)) if len(own) == 1 else None

    def read(self, pair: tuple[int, int]) -> tuple[list[int], FloatArray]:
        """The slots that a position's first layer reads, but its own, and what their tokens add."""
        if pair not in self._read:
            self._read[pair] = self._contributions(pair)
        return self._read[pair]

    def _contributions(self, pair: tuple[int, int]) -> tuple[list[int], FloatArray]:
        node = first_attention(self.graph, self.slots, pair[0])
        if node is None:
            return [], np.zeros((0, self.tokens, 1))
        slots = [next(iter(self.slots[key])) for key, _ in _pairs(node)]
        tables = [0.5 * self.of(i)[0] + 0.5 * self.of(i)[1] for i in node.inputs]
        added = contributions(node, [table.reshape((self.tokens, -1)) for table in tables])
        kept = [i for i, slot in enumerate(slots) if slot != self.prefixes.anchor(pair)]
        return [slots[i] for i in kept], added[kept]

    def several(self, node: Node) -> bool:
        """Whether it is an attention that reads what depends on several slots."""
        return node.op == "attend" and any(self.slot(i) is None for i in node.inputs[1:])

    def of(self, position: int) -> Interval:
        """The table of a node that depends on one slot."""
        if position not in self._known:
            self._known[position] = self._build(self.graph.nodes[position])
        return self._known[position]

    def _build(self, node: Node) -> Interval:
        if node.op == "input":
            ids = np.arange(self.tokens, dtype=np.float64)
            return ids, ids
        xs = [self.of(i) for i in node.inputs]
        if self.contract is not None:
            return rounding.computed(node, xs, self.contract)
        return without_subnormals(*forward.interval(node, xs))


class TokenSets:
    """Products of token sets, as a region for ``absint.proofs.bounds.Bounds``.

    ``sets`` is (batch, slots, tokens): whether a state's slot may hold a token. ``target`` is the
    node whose bounds are wanted.
    """

    def __init__(self, tables: Tables, sets: BoolArray, *targets: int) -> None:
        if not sets.any(axis=2).all():
            raise ValueError("a slot without a token")
        self.tables, self.sets = tables, sets
        self.batch: int = sets.shape[0]
        self.order: Sequence[int] = self._order(targets)
        self._attentions: dict[int, Attention] = {}

    def _order(self, targets: Sequence[int]) -> list[int]:
        """What the targets need, down to nodes of one slot and to keys and values."""
        nodes, needed, waiting = self.tables.graph.nodes, set[int](), list(targets)
        while waiting:
            position = waiting.pop()
            if position in needed:
                continue
            needed.add(position)
            if self.tables.slot(position) is not None:
                continue
            if nodes[position].op == "attend":
                waiting += self._joined(nodes[position])
            else:
                waiting += nodes[position].inputs
        return sorted(needed)

    def _joined(self, node: Node) -> list[int]:
        """The operands of an attend node that are not bounded one token at a time."""
        rest = [
            p for pair in _pairs(node) if self.tables.prefixes.anchor(pair) is None for p in pair
        ]
        return [p for p in (node.inputs[0], *rest) if self.tables.slot(p) is None]

    def given(self, position: int, values: Mapping[int, Interval]) -> Interval | None:
        slot, node = self.tables.slot(position), self.tables.graph.nodes[position]
        if slot is not None:
            return self._hull(self.tables.of(position), slot)
        if node.op == "attend":
            self._attentions[position] = self._attend(node, values)
            known = (self._known(node, values) & self._attentions[position].covered)[:, None]
            lower, upper = self._attentions[position].hull()
            return np.where(known, lower, np.nan), np.where(known, upper, np.nan)
        return None

    def _known(self, node: Node, values: Mapping[int, Interval]) -> BoolArray:
        """(batch,): whether all operands of a node have a value, whatever the tokens."""
        known = np.ones(self.batch, dtype=np.bool_)
        for position in set(node.inputs):
            slot = self.tables.slot(position)
            if slot is None and position in values:
                known &= ~forward.undefined(values[position])
            elif slot is not None:
                unknown = forward.undefined(self.tables.of(position))
                known &= ~(self.sets[:, slot] & unknown).any(axis=1)
        return known

    def _hull(self, table: Interval, slot: int) -> Interval:
        """The least and the largest entry over each state's set."""
        own = self.sets[:, slot]
        shape = (*own.shape, *(1 for _ in table[0].shape[1:]))
        mask = own.reshape(shape)
        return (
            np.where(mask, table[0][None], np.inf).min(axis=1),
            np.where(mask, table[1][None], -np.inf).max(axis=1),
        )

    def _attend(self, node: Node, values: Mapping[int, Interval]) -> Attention:
        groups, query = node.integer("kv_heads"), node.inputs[0]
        parts: dict[tuple[int, bool], list[tuple[int, int]]] = {}
        bounded: list[tuple[int, tuple[int, int]]] = []
        loose: list[tuple[int, int]] = []
        for pair in _pairs(node):
            slots = {self.tables.slot(p) for p in pair}
            slot = next(iter(slots))
            if len(slots) == 1 and slot is not None:
                own = self.sets[:, slot]
                varied = bool((own != own[0]).any())
                size = int(own.any(axis=0).sum())
                parts.setdefault((-(-size.bit_length() // 2), varied), []).append(pair)
            elif (anchor := self.tables.prefixes.anchor(pair)) is not None:
                bounded.append((anchor, pair))
            else:
                loose.append(pair)
        entries = [self._tabled(pairs, groups, varied) for (_, varied), pairs in parts.items()]
        entries += [self._bounded(slot, pair, groups) for slot, pair in bounded]
        if loose:
            entries.append(self._loose(loose, groups, values))
        q = self._operand(query, values)
        attrs = node.integer("heads"), groups, node.number("scale")
        return Attention(q, entries, *attrs, self.tables.contract)

    def _operand(self, position: int, values: Mapping[int, Interval]) -> Interval:
        slot = self.tables.slot(position)
        return values[position] if slot is None else self._hull(self.tables.of(position), slot)

    def _tabled(self, pairs: Sequence[tuple[int, int]], groups: int, varied: bool) -> Entries:
        """Positions whose keys and values are tables; each has an entry a token of its set."""
        slots = [self.tables.slot(key) for key, _ in pairs]
        open_ = [self.sets[:, slot] for slot in slots]
        tokens = [np.flatnonzero(own.any(axis=0)) for own in open_]
        most = max(map(len, tokens))
        padded = [np.pad(t, (0, most - len(t)), mode="edge") for t in tokens]
        sides = []
        for side in (0, 1):
            tables = [[self.tables.of(pair[side])[end] for pair in pairs] for end in (0, 1)]
            sides.append(tuple(_stacked(ends, padded, groups) for ends in tables))
        closed = None
        if varied:
            closed = ~np.stack([own[:, t] for own, t in zip(open_, padded, strict=True)], axis=2)
        cells = np.array(slots), np.stack(padded, axis=1)
        return Entries((sides[0][0], sides[0][1]), (sides[1][0], sides[1][1]), closed, cells)

    def _bounded(self, anchor: int, pair: tuple[int, int], groups: int) -> Entries:
        """A position whose key and value are bounded for each token of its own slot, and of the
        one that it reads most."""
        table, closed = self.tables.prefixes.of(pair, self._reads(pair), self.sets, self._ends)
        tokens = np.flatnonzero(self.sets[:, anchor].any(axis=0))
        cut = np.cumsum([self.tables.graph.nodes[p].size for p in (pair[0], *pair)])
        ends = []
        for part in np.split(table.reshape((self.batch, -1, 1, table.shape[3])), cut, axis=3):
            split = part.reshape((*part.shape[:3], groups, -1))
            ends.append(np.ascontiguousarray(np.moveaxis(split, 3, 1)))
        mask = closed.reshape((self.batch, -1, 1)) if closed.any() else None
        cells = np.array([anchor]), tokens[:, None]
        return Entries((ends[0], ends[1]), (ends[2], ends[3]), mask, cells)

    def _reads(self, pair: tuple[int, int]) -> list[int | None]:
        """For each state the slot besides its own that a position reads most; where its own holds
        several tokens, only one that it reads mostly."""
        slots, added = self.tables.read(pair)
        if not slots:
            return [None] * self.batch
        several = self.sets[:, self.tables.prefixes.anchor(pair)].sum(axis=1) > 1
        above = np.where(several, MOSTLY, 0.0).tolist()
        chosen = [
            most_read(added, own[slots], least) for own, least in zip(self.sets, above, strict=True)
        ]
        return [None if i is None else slots[i] for i in chosen]

    def _ends(self, pair: tuple[int, int], sets: BoolArray) -> FloatArray:
        """For ``prefixes``: the lower and the upper ends of a key, then those of a value."""
        region = TokenSets(self.tables, sets, *pair)
        bounds = Bounds(self.tables.graph, region, self.tables.contract)
        return np.concatenate([end for p in pair for end in bounds.enclosure(p)], axis=1)

    def _loose(
        self, pairs: Sequence[tuple[int, int]], groups: int, values: Mapping[int, Interval]
    ) -> Entries:
        """Positions that depend on several slots: one entry each, an interval."""
        sides = []
        for side in (0, 1):
            bounds = [self._operand(pair[side], values) for pair in pairs]
            ends = []
            for end in (0, 1):
                stack = np.stack([b[end] for b in bounds], axis=1)  # batch, positions, size
                split = stack.reshape((self.batch, len(pairs), groups, -1))
                ends.append(np.moveaxis(split, 2, 1)[:, :, None])
            sides.append((ends[0], ends[1]))
        return Entries(sides[0], sides[1], None)

    def minimum(
        self, parts: Mapping[int, FloatArray], enough: FloatArray | None = None
    ) -> FloatArray:
        by_slot: dict[int, list[tuple[int, FloatArray]]] = {}
        total: FloatArray = np.zeros((1, 1))
        attentions = [position for position in parts if self.tables.slot(position) is None]
        for position, c in parts.items():
            slot = self.tables.slot(position)
            if slot is not None:
                by_slot.setdefault(slot, []).append((position, c))
        functions = {slot: self._function(slot, own) for slot, own in by_slot.items()}
        for least in functions.values():
            total = np.nextafter(total + least.min(axis=2), -np.inf)
        given = {position: parts[position] for position in attentions}
        if attentions and self.tables.deep and not any(map(self._several, attentions)):
            together = self._coupled(functions, given)
            if np.isfinite(together).all():
                return together
        for position in attentions:
            last = enough is not None and position == attentions[-1]
            goal = enough - total if enough is not None and last else None
            found = self._attentions[position].minimum(parts[position], goal)
            total = np.nextafter(total + found, -np.inf)
        if self.tables.deep and (enough is None or not (total >= enough).all()):
            together = self._coupled(functions, given)
            total = np.where(together > total, together, total)  # NaN stays
        return total

    def _several(self, position: int) -> bool:
        return self.tables.several(self.tables.graph.nodes[position])

    def _coupled(
        self, functions: Mapping[int, FloatArray], parts: Mapping[int, FloatArray]
    ) -> FloatArray:
        """The same bound with the same tokens in the tables and in all heads; -inf where these are
        not coupled."""
        nothing = np.full((1, 1), -np.inf)
        read = [
            one
            for position, c in parts.items()
            for one in coupled.heads(self._attentions[position], c)
        ]
        if not all(coupled.couples(attention) for attention, _, _ in read):
            return nothing
        if not 0 < len(read) <= coupled.HEADS:
            return nothing
        slots = sorted(
            {*functions, *(s for attention, *_ in read for s in coupled.slots(attention))}
        )
        own = self.sets[:, slots]
        tokens = np.flatnonzero(own.any(axis=(0, 1)))
        open_ = np.where(own[..., tokens], 0.0, np.inf)[:, None]
        fixed = np.repeat(open_, read[0][2].shape[1], axis=1)
        for slot, least in functions.items():
            fixed[:, :, slots.index(slot)] = least[..., tokens]
        return coupled.minimum(fixed, np.array(slots), tokens, read)

    def _function(self, slot: int, own: Sequence[tuple[int, FloatArray]]) -> FloatArray:
        """At most a linear function of a slot's nodes, (batch, rows, tokens), token by token;
        infinite for tokens that it does not hold."""
        found: FloatArray = np.zeros((1, 1, 1))
        lost: FloatArray = np.zeros((1, 1, 1))
        for position, c in own:
            middle, radius = (
                x.reshape((self.tables.tokens, -1))
                for x in midpoint_radius(*self.tables.of(position))
            )
            flat = c.reshape((*c.shape[:2], -1))
            size, steps = np.abs(flat), 2 * flat.shape[2] + 4
            part = flat @ middle.T
            far = size @ (radius + gamma(steps) * np.abs(middle)).T
            total = size.sum(axis=2)[..., None] + (np.abs(middle) + radius).sum(axis=1)
            lost = lost + inflate(far, steps) + steps * TINY * (1 + total)
            found = found + part
            lost = lost + gamma(2) * np.abs(found) + gamma(2) * np.abs(part)
        sure = np.nextafter(found - inflate(lost, 4 * len(own)), -np.inf)
        found = np.where(self.sets[:, None, slot], sure, np.inf)
        return found


def _pairs(node: Node) -> list[tuple[int, int]]:
    """The keys of an attend node with their values."""
    count = (len(node.inputs) - 1) // 2
    return list(zip(node.inputs[1 : count + 1], node.inputs[count + 1 :], strict=True))


def _stacked(
    tables: Sequence[FloatArray], tokens: Sequence[NDArray[np.int64]], groups: int
) -> FloatArray:
    """(1, groups, entries, positions, width) of tables (tokens, groups * width)."""
    rows = np.stack([t[own] for t, own in zip(tables, tokens, strict=True)], axis=1)
    split = rows.reshape((*rows.shape[:2], groups, -1))
    return np.ascontiguousarray(np.moveaxis(split, 2, 0)[None])
