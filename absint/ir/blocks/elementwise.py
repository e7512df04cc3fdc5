"""Elementwise ops on tensors of addresses: one node for each position."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from absint.ir.affine import IntArray
from absint.ir.blocks.store import Blocks
from absint.ir.graph import Attribute, Constant, FloatArray

Entries = tuple[FloatArray, FloatArray | None]
"""The value, and perhaps the radius, of a constant for each entry; shape () for all of them."""


def elementwise(
    blocks: Blocks,
    op: str,
    operands: Sequence[IntArray],
    attrs: Mapping[str, Attribute] | None = None,
    consts: Mapping[str, Entries] | None = None,
) -> IntArray:
    """``op`` of ``operands`` (addresses, (count,) each) with a constant for each entry.

    Entries whose operands lie at the same position are worked on by one node.
    """
    operands, consts = [blocks.real(x) for x in operands], consts or {}
    result = np.empty_like(operands[0])
    for members in _alike([blocks.tags(x) for x in operands]):
        chosen, inverse = _ordered(blocks, operands[0][members])
        kept = members[chosen]
        inputs = [blocks.collect(x[kept]) for x in operands]
        own = {name: _constant(blocks, pair, kept) for name, pair in consts.items()}
        node = blocks.emit(op, inputs, attrs, own)
        result[members] = blocks.entries(node)[inverse]
    return result


def spread(constant: Constant, shape: tuple[int, ...]) -> Entries:
    """The constant for each entry of a tensor of ``shape``, in row-major order."""

    def every(part: FloatArray) -> FloatArray:
        return part.reshape(()) if part.size == 1 else np.broadcast_to(part, shape).reshape(-1)

    return every(constant.value), None if constant.radius is None else every(constant.radius)


def _constant(blocks: Blocks, entries: Entries, kept: IntArray) -> Constant:
    value, radius = (part[kept] if part is not None and part.ndim else part for part in entries)
    assert value is not None
    return blocks.constant(value, radius)


def _alike(columns: Sequence[IntArray]) -> Iterator[IntArray]:
    """The positions at which all columns agree, group by group."""
    labels = _labels(columns)
    order = np.argsort(labels, kind="stable")
    yield from np.split(order, np.flatnonzero(np.diff(labels[order])) + 1)


def _labels(columns: Sequence[NDArray[Any]]) -> IntArray:
    """One number for each row of the columns, ordered as the rows are."""
    labels = np.zeros(len(columns[0]), dtype=np.int64)
    for column in columns:
        found, inverse = np.unique(column, return_inverse=True)
        labels = np.unique(labels * len(found) + inverse, return_inverse=True)[1]
    return labels


def _ordered(blocks: Blocks, addresses: IntArray) -> tuple[IntArray, IntArray]:
    """The order in which entries of one block stand in it, and each entry's place."""
    every = np.arange(len(addresses))
    if not blocks.single(addresses) or (np.diff(addresses) >= 0).all():
        return every, every
    order = np.argsort(addresses, kind="stable")
    return order, np.argsort(order)
