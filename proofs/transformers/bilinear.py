"""Products of two variables backward: planes below and above each. See docs/rigor.md, section 7."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from absint.ir import Node
from absint.ir.joint import aligned, folded
from absint.ir.planes import EXACT_TERMS, default_tilts
from absint.proofs.arithmetic import TINY, FloatArray, U, down, gamma, inflate, midpoint_radius
from absint.proofs.transformers.affine import Interval
from absint.proofs.transformers.steps import Back, Loss, middle_half, reach, rows


@dataclass(frozen=True)
class Planes:
    """``first x + second y + lower <= x y`` and the like above, one entry a product.

    The slopes are any numbers; only the offsets are bounds.
    """

    first: tuple[FloatArray, FloatArray]
    second: tuple[FloatArray, FloatArray]
    offset: tuple[FloatArray, FloatArray]

    @staticmethod
    def of(x: Interval, y: Interval) -> Planes:
        """The default planes over two boxes that broadcast."""
        below, above = default_tilts(x, y, np)
        (m, r), (n, s) = midpoint_radius(*x), midpoint_radius(*y)
        first, second = (n - below * s, n + above * s), (m - below * r, m - above * r)
        lower = -_largest_gap(x, y, first[0], second[0], -1)
        return Planes(first, second, (lower, _largest_gap(x, y, first[1], second[1], 1)))


def _largest_gap(x: Interval, y: Interval, a: FloatArray, b: FloatArray, sign: int) -> FloatArray:
    """An upper bound of ``sign (x y - a x - b y)``, which has its maximum at a corner."""
    gaps = []
    for p in x:
        for q in y:
            terms = (p * q, a * p, b * q)
            size = np.abs(terms[0]) + np.abs(terms[1]) + np.abs(terms[2])
            factors = np.abs(p) + np.abs(q) + np.abs(a) + np.abs(b)
            lost = 16 * U * size + 4 * TINY * (1 + factors)
            gaps.append(sign * (terms[0] - terms[1] - terms[2]) + lost)
    largest: FloatArray = np.maximum.reduce(gaps)
    return largest


@dataclass(frozen=True)
class Bilinear:
    """One ``mul`` or ``matmul``.

    Slopes as middles and half differences: of (batch, *shape) for mul; for matmul (batch, ...,
    rows, inner, columns), or where it is not ``whole`` (too large for planes of each product) the
    operands' midpoints, and no half differences.
    """

    node: Node
    first: tuple[FloatArray, FloatArray]
    second: tuple[FloatArray, FloatArray]
    offset: tuple[FloatArray, FloatArray]
    loss: Loss
    whole: bool = True

    @staticmethod
    def of(node: Node, xs: Sequence[Interval]) -> Bilinear:
        """Over the operands' intervals, each (batch, *shape), their ends not subnormal."""
        rank = len(node.shape)
        x, y = ((aligned(e[0], rank), aligned(e[1], rank)) for e in xs)
        if node.op == "mul":
            return _mul(node, x, y)
        if math.prod(node.shape) * x[0].shape[-1] > EXACT_TERMS:
            return _untilted(node, x, y)
        wide = (x[0][..., :, :, None], x[1][..., :, :, None])
        return _matmul(node, wide, (y[0][..., None, :, :], y[1][..., None, :, :]))

    def back(self, c: FloatArray) -> Back:
        size = np.abs(c)
        shift = rows(c, self.offset[0]) - rows(size, self.offset[1])
        if self.node.op == "mul":
            sides = (self.first, self.second)
            parts = [c * mid[:, None] - size * half[:, None] for mid, half in sides]
        elif self.whole:
            mids = _products(c, self.first[0], self.second[0])
            halves = _products(size, self.first[1], self.second[1])
            parts = [mid - half for mid, half in zip(mids, halves, strict=True)]
        else:
            parts = [c @ self.first[0].swapaxes(-1, -2)[:, None]]
            parts.append(self.second[0].swapaxes(-1, -2)[:, None] @ c)
        shapes = self.node.in_shapes
        parts = [folded(p, s, np, 2) for p, s in zip(parts, shapes, strict=True)]
        return Back(parts, shift, self.loss.at(size))


def _products(c: FloatArray, first: FloatArray, second: FloatArray) -> list[FloatArray]:
    """``sum_j c_ij first_ikj`` (batch, rows, ..., i, k), ``sum_i c_ij second_ikj`` (..., k, j)."""
    by_row = np.moveaxis(c, 1, -2) @ first.swapaxes(-1, -2)
    by_column = np.moveaxis(c, (-1, 1), (-3, -2)) @ np.moveaxis(second, -1, -3)
    return [np.moveaxis(by_row, -2, 1), np.moveaxis(by_column, (-3, -2), (-1, 1))]


def _mul(node: Node, x: Interval, y: Interval) -> Bilinear:
    planes = Planes.of(x, y)
    shape = (planes.offset[0].shape[0], *node.shape)
    first, second, offset = (
        (np.broadcast_to(ends[0], shape), np.broadcast_to(ends[1], shape))
        for ends in (planes.first, planes.second, planes.offset)
    )
    loss = _loss(node, first, second, offset, _reaches(x, y, shape), None)
    return Bilinear(node, middle_half(*first), middle_half(*second), middle_half(*offset), loss)


def _matmul(node: Node, x: Interval, y: Interval) -> Bilinear:
    planes = Planes.of(x, y)
    shape, terms = planes.offset[0].shape, planes.offset[0].shape[-2]
    first, second = (
        (np.broadcast_to(ends[0], shape), np.broadcast_to(ends[1], shape))
        for ends in (planes.first, planes.second)
    )
    sums = [end.sum(axis=-2) for end in planes.offset]
    lost = [inflate(gamma(terms) * np.abs(end).sum(axis=-2), terms) for end in planes.offset]
    offset = (down(sums[0] - lost[0]), -down(-(sums[1] + lost[1])))
    loss = _loss(node, first, second, offset, _reaches(x, y, shape), -2)
    return Bilinear(node, middle_half(*first), middle_half(*second), middle_half(*offset), loss)


def _untilted(node: Node, x: Interval, y: Interval) -> Bilinear:
    """``|x y - n x - m y + m n| <= r s`` for midpoints m, n and radii r, s."""
    (m, r), (n, s), terms = midpoint_radius(*x), midpoint_radius(*y), x[0].shape[-1]
    far = inflate(np.abs(m) + r), inflate(np.abs(n) + s)
    spread = inflate(r @ s + gamma(terms + 2) * (far[0] @ far[1]), 4 * terms + 8)
    centre = m @ n
    offset = (down(-centre - spread), -down(centre - spread))
    reaches = reach(x), reach(y)
    weighed = reaches[0] @ np.abs(n) + np.abs(m) @ reaches[1]
    lone = (reaches[0] + TINY).sum(axis=-1)[..., :, None] + reaches[1].sum(axis=-2)[..., None, :]
    loss = _booked(node, offset, weighed, np.broadcast_to(lone, weighed.shape), terms)
    return Bilinear(node, (n, n), (m, m), middle_half(*offset), loss, False)


def _reaches(x: Interval, y: Interval, shape: tuple[int, ...]) -> tuple[FloatArray, FloatArray]:
    return np.broadcast_to(reach(x), shape), np.broadcast_to(reach(y), shape)


def _loss(
    node: Node,
    first: Interval,
    second: Interval,
    offset: Interval,
    reaches: tuple[FloatArray, FloatArray],
    inner: int | None,
) -> Loss:
    """Of slopes one a product, summed over the ``inner`` axis of a matrix product."""
    weighed = np.maximum(*np.abs(first)) * reaches[0] + np.maximum(*np.abs(second)) * reaches[1]
    lone = reaches[0] + reaches[1]
    terms = 1
    if inner is not None:
        terms = weighed.shape[inner]
        weighed, lone = weighed.sum(axis=inner), lone.sum(axis=inner)
    return _booked(node, offset, weighed, lone, terms)


def _booked(
    node: Node, offset: Interval, weighed: FloatArray, lone: FloatArray, terms: int
) -> Loss:
    """``weighed`` is |slopes| times reaches, ``lone`` the reaches, of one entry's products."""
    size = np.maximum(np.abs(offset[0]), np.abs(offset[1]))
    unit = 2 * gamma(node.size + 4) * (size + weighed) + 16 * TINY * (terms + lone)
    under = 16 * TINY * (node.size + 1) * (lone + weighed + size + terms)
    return Loss.of(inflate(unit, terms + 4), under.reshape((under.shape[0], -1)).sum(axis=1))
