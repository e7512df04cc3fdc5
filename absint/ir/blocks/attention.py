"""Attention found in ``softmax(scale q k^T) v``, one ``attend`` for each query position.

Scores and shares are postponed: they get nodes only where something else than this reads them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from absint.ir.affine import IntArray
from absint.ir.blocks.elementwise import Entries, elementwise
from absint.ir.blocks.store import CONSTANT, Blocks
from absint.ir.graph import FloatArray

_SCALES = 2.0**-20, 2.0**10
"""Constants that may stand at the query instead of at the scores: with others, the largest query
that the float32 contract allows would say too little about the scores before."""


@dataclass(frozen=True)
class Product:
    """``left @ right^T`` for each of several leading positions, its entries row by row."""

    left: IntArray
    """(lead, rows, width)"""
    right: IntArray
    """(lead, columns, width)"""

    def vectors(self, entries: IntArray) -> tuple[IntArray, IntArray]:
        """The rows of left and of right, (count, width) each, whose products ``entries`` are."""
        rows, columns = self.left.shape[1], self.right.shape[1]
        lead, place = np.divmod(entries, rows * columns)
        row, column = np.divmod(place, columns)
        return self.left[lead, row], self.right[lead, column]

    def make(self, blocks: Blocks, entries: IntArray) -> IntArray:
        result = np.full_like(entries, blocks.zero())
        left, right = (blocks.real(part) for part in self.vectors(entries))
        used = left != blocks.zero()
        groups: dict[tuple[bytes, int], list[int]] = {}
        for i in np.flatnonzero(used.any(axis=1)).tolist():
            tag = blocks.mixed(blocks.tags(right[i, used[i]]))
            groups.setdefault((left[i].tobytes(), tag), []).append(i)
        for members in groups.values():
            part = used[members[0]]
            row, columns = left[members[0], part], right[members][:, part]
            result[members] = _products(blocks, row, columns)
        return result


def _products(blocks: Blocks, x: IntArray, ys: IntArray) -> IntArray:
    """The products of one vector with several, (count, width)."""
    count, width = ys.shape
    row = blocks.shaped(blocks.collect(x), (1, width))
    columns = blocks.collect(np.ascontiguousarray(ys.T).reshape(-1))
    matrix = blocks.shaped(columns, (width, count))
    return blocks.entries(blocks.emit("matmul", [row, matrix]))


@dataclass(frozen=True)
class Scaled:
    """Postponed entries times constants."""

    source: IntArray
    weight: Entries

    def make(self, blocks: Blocks, entries: IntArray) -> IntArray:
        consts = {"weight": _at(self.weight, entries)}
        return elementwise(blocks, "scale", [self.source[entries]], consts=consts)


def _at(weight: Entries, entries: IntArray) -> Entries:
    value, radius = weight
    if not value.ndim:
        return weight
    return value[entries], None if radius is None else radius[entries]


@dataclass(frozen=True)
class Shares:
    """Rows of a softmax, joined: ``scores[start[r] : start[r + 1]]`` take part in row r."""

    scores: IntArray
    start: IntArray

    def row(self, entries: IntArray) -> int | None:
        """The row of which ``entries`` are all, in any order; None where there is none."""
        row = int(np.searchsorted(self.start, entries[0], side="right")) - 1
        whole = np.arange(self.start[row], self.start[row + 1])
        same = len(whole) == len(entries) and bool((np.sort(entries) == whole).all())
        return row if same else None

    def make(self, blocks: Blocks, entries: IntArray) -> IntArray:
        result = np.empty_like(entries)
        rows = np.searchsorted(self.start, entries, side="right") - 1
        for row in np.unique(rows):
            first, end = self.start[row : row + 2]
            node = blocks.emit("softmax", [blocks.collect(self.scores[first:end])])
            members = rows == row
            result[members] = blocks.entries(node)[entries[members] - first]
        return result


def softmax(blocks: Blocks, x: IntArray, mask: IntArray | None) -> IntArray:
    """Postponed shares of scores ``x``, on the last axis; zero where the mask is."""
    flat = x.reshape(-1, x.shape[-1])
    part = np.ones_like(flat, dtype=bool) if mask is None else mask.reshape(flat.shape) == 1
    start = np.concatenate([[0], np.cumsum(part.sum(axis=1))])
    scores = flat[part]
    if not part.all():
        blocks.masked += _sources(blocks, flat[~part])
    result = np.full_like(flat, blocks.zero())
    result[part] = blocks.postpone(Shares(scores, start), len(scores))
    return result.reshape(x.shape)


def _sources(blocks: Blocks, scores: IntArray) -> list[IntArray]:
    """What postponed scores are products of; other scores themselves."""
    owners = blocks.owners(scores)
    found = []
    for owner in np.unique(owners):
        own = scores[owners == owner]
        made = _product(blocks, own)
        found += [own] if made is None else [np.unique(side) for side in made[0].vectors(made[1])]
    return found


def matmul(blocks: Blocks, a: IntArray, b: IntArray) -> IntArray:
    """``a @ b``: attention where one of the two is made of a softmax's rows, else postponed."""
    lead = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    shape = (*lead, a.shape[-2], b.shape[-1])
    a = np.broadcast_to(a, (*lead, *a.shape[-2:])).reshape(-1, *a.shape[-2:])
    b = np.broadcast_to(b, (*lead, *b.shape[-2:])).reshape(-1, *b.shape[-2:])
    turned_a, turned_b = a.transpose(0, 2, 1), b.transpose(0, 2, 1)
    blocks.masked += [
        b[(a == blocks.zero()).any(axis=1)],
        turned_a[(b == blocks.zero()).any(axis=2)],
    ]
    found = _attention(blocks, a, b)
    if found is None:
        found = _attention(blocks, turned_b, turned_a)
        found = None if found is None else found.transpose(0, 2, 1)
    if found is None:
        product = Product(a, turned_b)
        found = blocks.postpone(product, len(a) * a.shape[1] * b.shape[2])
    return found.reshape(shape)


@dataclass(frozen=True)
class Head:
    """One query of one head, all as addresses, and the factors of its scores."""

    query: IntArray
    """(width,)"""
    keys: IntArray
    """(count, width)"""
    values: IntArray
    """(count, value width)"""
    factors: tuple[tuple[float, float], ...]
    """(value, radius) of each constant that multiplies the scores."""


def _attention(blocks: Blocks, shares: IntArray, values: IntArray) -> IntArray | None:
    """``shares @ values`` of (lead, rows, count) and (lead, count, width), by attends."""
    lead, rows, _ = shares.shape
    heads: dict[tuple[int, int], Head] = {}
    for i in range(lead):
        for r in range(rows):
            head = _head(blocks, shares[i, r], values[i])
            if head is None:
                return None
            heads[i, r] = head
    groups: dict[tuple[int, bytes, int], list[tuple[int, int]]] = {}
    for place, head in heads.items():
        tag = blocks.mixed(blocks.tags(blocks.real(head.query)))
        keys = blocks.tags(blocks.real(head.keys[:, 0]))
        groups.setdefault((tag, keys.tobytes(), len(head.factors)), []).append(place)
    result = np.empty((lead, rows, values.shape[-1]), dtype=np.int64)
    for (tag, _, _), places in groups.items():
        made = _attend(blocks, [heads[place] for place in places], tag)
        for place, entries in zip(places, made, strict=True):
            result[place] = entries
    return result


def _head(blocks: Blocks, shares: IntArray, values: IntArray) -> Head | None:
    """The attention that one row of shares stands for, where it is one."""
    part = shares != blocks.zero()
    origin = blocks.origin(shares[part]) if part.any() else None
    if origin is None or not isinstance(origin[0], Shares) or origin[0].row(origin[1]) is None:
        return None
    made = _product(blocks, origin[0].scores[origin[1]])
    factors = () if made is None else tuple(_uniform(own) for own in made[2])
    if made is None or None in factors:
        return None
    left, right = made[0].vectors(made[1])
    if (right == right[0]).all() and not (left == left[0]).all():
        left, right = right, left
    if (left != left[0]).any():
        return None
    return Head(left[0], right, values[part], tuple(own for own in factors if own is not None))


def _product(blocks: Blocks, scores: IntArray) -> tuple[Product, IntArray, list[Entries]] | None:
    """The one product of which postponed scores are entries, and constants that multiply them."""
    factors, origin = [], blocks.origin(scores)
    while origin is not None and isinstance(origin[0], Scaled):
        factors.append(_at(origin[0].weight, origin[1]))
        origin = blocks.origin(origin[0].source[origin[1]])
    if origin is None or not isinstance(origin[0], Product):
        return None
    return origin[0], origin[1], factors


def _uniform(weight: Entries) -> tuple[float, float] | None:
    value, radius = weight
    radius = np.zeros(()) if radius is None else radius
    if np.ptp(value) or np.ptp(radius):
        return None
    return float(value.flat[0]), float(radius.flat[0])


def _attend(blocks: Blocks, heads: Sequence[Head], tag: int) -> IntArray:
    """One attend of several heads; their results' addresses, (heads, value width)."""
    own = _shared(heads)
    query = np.concatenate([head.query for head in heads])
    query, scale = _scaled_query(blocks, query, heads)
    keys, values = (
        [blocks.collect(x) for x in np.concatenate(parts, axis=1)]
        for parts in ([head.keys for head in own], [head.values for head in own])
    )
    attrs = {"heads": len(heads), "kv_heads": len(own), "scale": scale}
    inputs = [blocks.collect(query), *keys, *values]
    node = blocks.emit("attend", inputs, attrs, tag=None if tag == CONSTANT else tag)
    return blocks.entries(node).reshape(len(heads), -1)


def _shared(heads: Sequence[Head]) -> Sequence[Head]:
    """One head of each run that shares keys and values, where all runs are equally long."""
    runs: list[list[Head]] = []
    for head in heads:
        same = runs and all(
            np.array_equal(x, y)
            for x, y in ((runs[-1][0].keys, head.keys), (runs[-1][0].values, head.values))
        )
        if same:
            runs[-1].append(head)
        else:
            runs.append([head])
    return [run[0] for run in runs] if len({len(run) for run in runs}) == 1 else heads


def _scaled_query(blocks: Blocks, query: IntArray, heads: Sequence[Head]) -> tuple[IntArray, float]:
    """The heads' queries with all factors but one multiplied in; that one."""
    scale, used = 1.0, False
    if len(heads[0].factors) > 1:
        blocks.builder.real_only.add("attention scores that several constants multiply")
    for level in zip(*(head.factors for head in heads), strict=True):
        value, radius = (np.array(part) for part in zip(*level, strict=True))
        if not used and not radius.any() and not np.ptp(value):
            scale, used = float(value[0]), True
        else:
            least, most = np.abs(value) - radius, np.abs(value) + radius
            if least.min() < _SCALES[0] or most.max() > _SCALES[1]:
                blocks.builder.real_only.add("attention scores that a constant scales by far")
            width = len(heads[0].query)
            weight = (np.repeat(value, width), _radius(np.repeat(radius, width)))
            query = elementwise(blocks, "scale", [query], consts={"weight": weight})
    return query, scale


def _radius(radius: FloatArray) -> FloatArray | None:
    return radius if radius.any() else None
