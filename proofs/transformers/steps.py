"""One node backward: a linear function of its value from below, as one of its operands.

Every step answers for its own roundings. Derivation: docs/rigor.md, section 4.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, Protocol, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from absint.ir import OPS, Node
from absint.proofs.arithmetic import TINY, FloatArray, U, gamma, midpoint_radius
from absint.proofs.transformers import affine
from absint.proofs.transformers.affine import Interval
from absint.proofs.transformers.univariate import Relaxation

Which = slice | NDArray[np.int64]
"""Batch entries."""
_T = TypeVar("_T")


@dataclass(frozen=True)
class Back:
    """``c . y >= sum_i parts[i] . x_i + shift - lost`` for the coefficients c of a node's value y.

    ``parts``, exact numbers, are (batch or 1, rows, *in_shape), one for each operand, or none;
    ``shift`` and ``lost``, as exact numbers of which the float sum is taken, (batch or 1, rows).
    """

    parts: Sequence[FloatArray]
    shift: FloatArray | float
    lost: FloatArray | float


class Step(Protocol):
    """What replaces one node in a backward pass."""

    def back(self, c: FloatArray) -> Back:
        """For exact coefficients (batch or 1, rows, *shape)."""


@dataclass(frozen=True)
class Loss:
    """What a step may lose: ``unit`` (batch, *shape) a unit of |coefficient|, ``under`` (batch,) a
    row, whatever its coefficients."""

    unit: FloatArray
    under: FloatArray

    @staticmethod
    def of(unit: FloatArray, under: FloatArray) -> Loss:
        """A coefficient so small that it reads as zero still weighs ``unit``: that is added."""
        return Loss(unit, under + TINY * total(unit))

    def at(self, size: FloatArray) -> FloatArray:
        """(batch, rows), for coefficients of this size."""
        return rows(size, self.unit) + self.under[:, None]


@dataclass(frozen=True)
class Affine:
    """``W x + b``, whose adjoint is the IR's."""

    node: Node
    loss: Loss

    @staticmethod
    def of(node: Node, xs: Sequence[Interval]) -> Affine:
        return Affine(node, Loss.of(*affine.backward_loss(node, xs)))

    def back(self, c: FloatArray) -> Back:
        rule, consts = OPS[self.node.op].affine, self.node.consts
        assert rule is not None
        shift: FloatArray | float = 0.0
        if "bias" in consts:
            shift = rows(c, np.broadcast_to(consts["bias"].value, (1, *self.node.shape)))
        weight = consts["weight"].value if "weight" in consts else None
        return Back(rule.backward(self.node, c, weight, np), shift, self.loss.at(np.abs(c)))


@dataclass(frozen=True)
class Relaxed:
    """An elementwise function's two lines, as their middle and half their difference.

    ``c+ lower + c- upper`` is ``c middle - |c| half``: fewer passes over the coefficients. The
    rounding of middle and half is part of ``loss``.
    """

    lines: Relaxation
    slope: FloatArray
    half_slope: FloatArray
    offset: FloatArray
    half_offset: FloatArray
    loss: Loss

    @staticmethod
    def of(node: Node, lines: Relaxation, reach: FloatArray) -> Relaxed:
        """Over operands within +-reach."""
        return Relaxed(
            lines,
            *middle_half(lines.lower_slope, lines.upper_slope),
            *middle_half(lines.lower_offset, lines.upper_offset),
            line_loss(node, *lines.sizes(), reach),
        )

    def back(self, c: FloatArray) -> Back:
        size = np.abs(c)
        shift = rows(c, self.offset) - rows(size, self.half_offset)
        lost = self.loss.at(size)
        return Back(
            [line_through(c, size, self.slope[:, None], self.half_slope[:, None])], shift, lost
        )


@dataclass(frozen=True)
class Cut:
    """A node of which only its bounds (batch, *shape) are known."""

    value: Interval

    def back(self, c: FloatArray) -> Back:
        return Back([], box_minimum(c, self.value), 0.0)


def line_through(
    c: FloatArray, size: FloatArray, slope: FloatArray, half_slope: FloatArray
) -> FloatArray:
    """``c slope - |c| half_slope`` where ``size``, which is written over if it can be, is |c|."""
    part: FloatArray = c * slope
    part -= np.multiply(size, half_slope, out=size if size.shape == part.shape else None)
    return part


def line_loss(node: Node, steep: FloatArray, size: FloatArray, reach: FloatArray) -> Loss:
    """What a step by lines may lose, (batch, *shape): slopes within +-``steep``, offsets within
    +-``size``, operands within +-``reach``."""
    unit = 2 * gamma(node.size + 2) * size + 16 * U * steep * reach + 8 * TINY * (1 + reach)
    return Loss.of(unit, 16 * TINY * total((1 + steep) * reach + size))


def among(item: _T, which: Which) -> _T:
    """A step, or an array, of some batch entries; what is the same for all of them stays."""
    found: Any = item
    if isinstance(found, np.ndarray):
        found = found if len(found) == 1 else found[which]
    elif isinstance(found, tuple):
        found = tuple(among(part, which) for part in found)
    elif is_dataclass(found) and not isinstance(found, Node | type):
        parts = {f.name: among(getattr(found, f.name), which) for f in fields(found)}
        found = replace(found, **parts)
    return cast(_T, found)


def middle_half(lower: FloatArray, upper: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Half the sum and half the difference."""
    return 0.5 * lower + 0.5 * upper, 0.5 * upper - 0.5 * lower


def box_minimum(c: FloatArray, values: Interval) -> FloatArray:
    """At most the least value, (batch, rows), of ``c . x`` for x in a box (batch, *shape)."""
    middle, radius = midpoint_radius(*values)
    size, far = np.abs(c), reach(values)
    loss = Loss.of(2 * gamma(c[0, 0].size + 2) * far + TINY, 8 * TINY * total(far))
    found = rows(c, middle) - rows(size, radius)
    lost = loss.at(size) * (1 + 2.0**-20)
    return np.nextafter(found - (lost + 2 * U * np.abs(found)), -np.inf)


def reach(x: Interval) -> FloatArray:
    """The largest |value| of each entry, (batch, *shape); not zero, to cover underflow."""
    return np.maximum(np.abs(x[0]), np.abs(x[1])) + TINY


def rows(c: FloatArray, x: FloatArray) -> FloatArray:
    """(batch, rows): inner products of (batch or 1, rows, *shape) with (batch or 1, *shape)."""
    flat = c.reshape((*c.shape[:2], -1))
    product: FloatArray = (flat @ x.reshape((x.shape[0], -1, 1)))[..., 0]
    return product


def total(x: FloatArray) -> FloatArray:
    """(batch,): the sums of all entries of a non-negative (batch, *shape) array."""
    found: FloatArray = x.reshape((x.shape[0], -1)).sum(axis=1)
    return found
