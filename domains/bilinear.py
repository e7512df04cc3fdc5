"""Planes about products of two variables (McCormick 1976), elementwise and in matrix products."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from absint.domains.arrays import Array, Arrays
from absint.ir import OPS, Node
from absint.ir.joint import MatMul, Mul, aligned, folded
from absint.ir.planes import EXACT_TERMS, default_tilts

Interval = tuple[Array, Array]


@dataclass(frozen=True)
class Planes:
    """Two planes about each product of the factors x and y, as their middle and half difference.

    ``(first -+ half_first) x + (second -+ half_second) y + offset -+ half_offset`` bounds ``x y``
    from below (-) and above (+).
    """

    first: Array
    half_first: Array
    second: Array
    half_second: Array
    offset: Array
    half_offset: Array

    @staticmethod
    def of(x: Interval, y: Interval, arrays: Arrays) -> Planes:
        """The default planes (``absint.ir.planes``) over two boxes that broadcast."""
        below, above = default_tilts(x, y, arrays.xp)
        (m, r), (n, s) = (((e[0] + e[1]) / 2, (e[1] - e[0]) / 2) for e in (x, y))
        mean, half = (above - below) / 2, (above + below) / 2
        return Planes(
            n + mean * s,
            half * s,
            m - half * r,
            -mean * r,
            -m * n - mean * m * s + half * n * r,
            r * s - half * m * s + mean * n * r,
        )


@dataclass(frozen=True)
class Bilinear:
    """The relaxation of one node: ``mul``, or ``matmul`` with planes for each of its products.

    ``planes`` has arrays of (batch, *shape) for mul, and for matmul (batch, ..., rows, inner,
    columns), or (batch, ..., rows or inner, ...) as the operands have them where it is too large
    for planes of its own (``whole`` is false).
    """

    node: Node
    planes: Planes
    whole: bool
    gap: Array
    """The distance of the two bounds at the box's middle, (batch, *shape)."""

    def backward(self, c: Array, arrays: Arrays) -> tuple[list[Array], Array]:
        """Coefficients (batch, rows, *in_shape) before the node; what they add to the offset.

        ``c`` is (batch or 1, rows, *shape); the sum bounds ``c . y`` from below.
        """
        planes, size = self.planes, arrays.xp.abs(c)
        if isinstance(OPS[self.node.op].joint, Mul):
            parts = [
                c * planes.first[:, None] - size * planes.half_first[:, None],
                c * planes.second[:, None] - size * planes.half_second[:, None],
            ]
        elif self.whole:
            parts = _products(c, planes.first, planes.second, arrays)
            halves = _products(size, planes.half_first, planes.half_second, arrays)
            parts = [part - half for part, half in zip(parts, halves, strict=True)]
        else:
            turn = arrays.xp.matrix_transpose
            parts = [c @ turn(planes.first)[:, None], turn(planes.second)[:, None] @ c]
        offset = _rows(c, planes.offset) - _rows(size, planes.half_offset)
        shapes = self.node.in_shapes
        return [folded(p, s, arrays.xp, 2) for p, s in zip(parts, shapes, strict=True)], offset


def bilinear(node: Node, xs: Sequence[Interval], arrays: Arrays) -> Bilinear | None:
    """The relaxation of a product of two variables over its operands' boxes (batch, *shape).

    None for other nodes.
    """
    rule, rank = OPS[node.op].joint, len(node.shape)
    if not isinstance(rule, Mul | MatMul):
        return None
    x, y = ((aligned(e[0], rank), aligned(e[1], rank)) for e in xs)
    if isinstance(rule, Mul):
        planes, gap = Planes.of(x, y, arrays), (x[1] - x[0]) * (y[1] - y[0]) / 2
        return Bilinear(node, _full(planes, node, arrays), True, gap)
    gap = (x[1] - x[0]) @ (y[1] - y[0]) / 2
    if math.prod(node.shape) * x[0].shape[-1] > EXACT_TERMS:
        return Bilinear(node, _untilted(x, y, arrays), False, gap)
    planes = Planes.of(
        (x[0][..., :, :, None], x[1][..., :, :, None]),
        (y[0][..., None, :, :], y[1][..., None, :, :]),
        arrays,
    )
    return Bilinear(node, _summed(planes, arrays), True, gap)


def _full(planes: Planes, node: Node, arrays: Arrays) -> Planes:
    """With the arrays broadcast to (batch, *shape)."""
    shape = (planes.offset.shape[0], *node.shape)
    fields = (planes.first, planes.half_first, planes.second, planes.half_second)
    ends = (planes.offset, planes.half_offset)
    return Planes(*[arrays.xp.broadcast_to(f, shape) for f in (*fields, *ends)])


def _summed(planes: Planes, arrays: Arrays) -> Planes:
    """With the offsets of the products in one entry added up."""
    xp, fields = arrays.xp, (planes.first, planes.half_first, planes.second, planes.half_second)
    full = [xp.broadcast_to(f, planes.offset.shape) for f in fields]
    ends = [xp.sum(f, axis=-2) for f in (planes.offset, planes.half_offset)]
    return Planes(*full, *ends)


def _untilted(x: Interval, y: Interval, arrays: Arrays) -> Planes:
    """The planes of tilt 0, which are one matrix for all products of an entry."""
    (m, r), (n, s) = (((e[0] + e[1]) / 2, (e[1] - e[0]) / 2) for e in (x, y))
    return Planes(n, n, m, m, -(m @ n), r @ s)


def _products(c: Array, first: Array, second: Array, arrays: Arrays) -> list[Array]:
    """``sum_j c_ij first_ikj`` (batch, rows, ..., i, k), ``sum_i c_ij second_ikj`` (..., k, j)."""
    xp = arrays.xp
    by_row = xp.moveaxis(c, 1, -2) @ xp.matrix_transpose(first)
    by_column = xp.moveaxis(c, (-1, 1), (-3, -2)) @ xp.moveaxis(second, -1, -3)
    return [xp.moveaxis(by_row, -2, 1), xp.moveaxis(by_column, (-3, -2), (-1, 1))]


def _rows(c: Array, offset: Array) -> Array:
    """(batch, rows): each row's inner product with a (batch, *shape) array."""
    flat = c.reshape((*c.shape[:2], -1))
    return (flat @ offset.reshape((offset.shape[0], -1, 1)))[..., 0]
