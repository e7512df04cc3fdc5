"""The linear domain: backward linear bounds (CROWN / DeepPoly), batched.

Zhang et al. 2018 (CROWN), Singh et al. 2019 (DeepPoly). A linear function of some nodes is pushed
back to the flat input, each nonlinear node replaced by the side of its relaxation that the sign of
its coefficient asks for. A node without a linear rule is a cut: it is replaced by its interval.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from absint.domains.arrays import Array, Arrays
from absint.domains.bilinear import Bilinear
from absint.domains.interval import Interval
from absint.domains.normalize import Chord
from absint.domains.relaxation import Relaxation
from absint.ir import OPS, Graph


@dataclass(frozen=True)
class Cut:
    """A node of which only the interval is known: the end that a coefficient's sign asks for."""

    middle: Array
    radius: Array

    @staticmethod
    def of(x: Interval) -> Cut:
        """From bounds (batch, *shape)."""
        return Cut((x[0] + x[1]) / 2, (x[1] - x[0]) / 2)


Rule = Relaxation | Bilinear | Chord | Cut
"""What replaces a nonlinear node in a backward pass."""


@dataclass(frozen=True)
class LinearBound:
    """``coefficients . x + offset`` bounds each row from below on the whole box.

    ``coefficients`` is (batch or 1, rows, input_size), ``offset`` (batch or 1, rows); ``through``
    holds the coefficients on each nonlinear node that was relaxed on the way.
    """

    coefficients: Array
    offset: Array
    through: Mapping[int, Array]

    def minimum(self, box: Interval, arrays: Arrays) -> Array:
        """The least value over each box, (batch, rows)."""
        middle, radius = (box[0] + box[1]) / 2, (box[1] - box[0]) / 2
        c = self.coefficients
        value = (c @ middle[..., None])[..., 0] - (arrays.xp.abs(c) @ radius[..., None])[..., 0]
        return value + self.offset


def backward(
    graph: Graph,
    start: Mapping[int, Array],
    relaxations: Mapping[int, Rule],
    deviations: Mapping[int, Array],
    arrays: Arrays,
) -> LinearBound:
    """A lower bound of ``sum_v start[v] . v`` as a linear function of the flat input.

    ``start`` maps nodes to coefficients of (batch or 1, rows, *shape); ``relaxations`` must hold
    every nonlinear node that they depend on, with bounds of (batch, *shape), and ``deviations``
    what each node may differ by from its exact function of its operands, (batch, *shape), where
    it may: constants have a radius (``absint.domains.interval.deviation``), runtimes round
    (``absint.domains.rounding``).
    """
    xp = arrays.xp
    pending = dict(start)
    first = next(iter(start.values()))
    offset = xp.zeros(first.shape[:2], dtype=arrays.dtype, device=arrays.device)
    inputs: dict[int, Array] = {}
    through: dict[int, Array] = {}
    for position in reversed(range(max(pending) + 1)):
        if position not in pending:
            continue
        c, node = pending.pop(position), graph.nodes[position]
        if node.op == "input":
            inputs[position] = c.reshape((*c.shape[:2], -1))
            continue
        op = OPS[node.op]
        if position in deviations:
            offset = offset - _rows(xp.abs(c), deviations[position])
        if op.affine is not None:
            weight = arrays.load(node.consts["weight"].value) if "weight" in node.consts else None
            if "bias" in node.consts:
                offset = offset + _dot(c, arrays.load(node.consts["bias"].value), arrays)
            parts = op.affine.backward(node, c, weight, xp)
        else:
            through[position] = c
            parts, gap = _through(c, relaxations[position], arrays)
            offset = offset + gap
        for operand, part in zip(node.inputs if parts else (), parts, strict=True):
            pending[operand] = pending[operand] + part if operand in pending else part
    return LinearBound(_join(graph, inputs, offset, arrays), offset, through)


def _through(c: Array, rule: Rule, arrays: Arrays) -> tuple[list[Array], Array]:
    """Coefficients before a nonlinear node (none before a cut); what it adds to the offset."""
    if isinstance(rule, Bilinear | Chord):
        return rule.backward(c, arrays)
    if isinstance(rule, Cut):
        return [], _rows(c, rule.middle) - _rows(arrays.xp.abs(c), rule.radius)
    part, gap = _relaxed(c, rule, arrays)
    return [part], gap


def _relaxed(c: Array, relaxation: Relaxation, arrays: Arrays) -> tuple[Array, Array]:
    """Coefficients before a nonlinear node, and what its relaxation adds to the offset.

    ``c+ lower + c- upper`` is ``c middle - |c| half``: two products instead of four passes.
    """
    size = arrays.xp.abs(c)
    part = c * relaxation.slope[:, None] - size * relaxation.half_slope[:, None]
    return part, _rows(c, relaxation.offset) - _rows(size, relaxation.half_offset)


def _rows(c: Array, offset: Array) -> Array:
    """(batch, rows): each row's inner product with a (batch, *shape) array."""
    flat = c.reshape((*c.shape[:2], -1))
    return (flat @ offset.reshape((offset.shape[0], -1, 1)))[..., 0]


def _dot(c: Array, bias: Array, arrays: Arrays) -> Array:
    """Inner products of (batch, rows, *shape) with one array that broadcasts to ``shape``."""
    full = arrays.xp.broadcast_to(bias, c.shape[2:]).reshape((-1,))
    return c.reshape((*c.shape[:2], -1)) @ full


def _join(graph: Graph, inputs: Mapping[int, Array], offset: Array, arrays: Arrays) -> Array:
    """Coefficients on the flat input vector; zero for inputs that nothing reached."""
    xp, shape = arrays.xp, offset.shape
    parts = []
    for port in graph.inputs:
        part = inputs.get(port.node)
        if part is None:
            part = xp.zeros((*shape, port.size), dtype=arrays.dtype, device=arrays.device)
        parts.append(xp.broadcast_to(part, (*shape, port.size)))
    return xp.concat(parts, axis=2) if len(parts) > 1 else parts[0]
