"""Linear bounds with multipliers and free slopes, and how they change with both.

Salman et al. 2019 (a backward bound is a value of the dual), Xu et al. 2021 (slopes), Wang et al.
2021 (multipliers of split neurons). A bound is the value of its own linear programme at one point:
the corner where the linear bound is least, pushed forward through the lines that the backward pass
chose. What a constraint misses by at that point is the bound's derivative by its multiplier.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from absint.domains.arrays import Array, Arrays
from absint.domains.hinges import Frame
from absint.domains.interval import Interval
from absint.domains.linear import LinearBound, Rule, backward
from absint.domains.product import row_start
from absint.domains.relaxation import Relaxation
from absint.ir import OPS, Graph

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Rows:
    """Rows ``inputs . x + outputs . y - bound`` of each set: (batch, rows, input_size), (batch,
    rows, output_size), (batch, rows)."""

    inputs: FloatArray
    outputs: FloatArray
    bound: FloatArray


@dataclass(frozen=True)
class Dual:
    """A lower bound of each set's row, (batch,), and the point of its linear programme.

    ``x`` (batch, input_size) is the corner, ``y`` (batch, output_size) and ``operands`` (batch,
    entries) what the chosen lines make of it, and ``coefficients`` (batch, entries) those of the
    hinges' values in the backward pass.
    """

    value: FloatArray
    x: FloatArray
    y: FloatArray
    operands: FloatArray
    coefficients: FloatArray


@dataclass(frozen=True)
class Lines:
    """The relaxations of a batch of sets with phases, for all passes with the same slopes."""

    frame: Frame
    rules: Mapping[int, Rule]
    batch: int

    @staticmethod
    def of(frame: Frame, slope: FloatArray, side: NDArray[np.int8]) -> Lines:
        """``slope`` (batch, entries) of the free lines, between the pieces'; it counts where the
        knot is inside the bounds and ``side`` is 0. ``side`` -1: operands at most the knot; 1: at
        least."""
        piece = np.where(side < 0, frame.left, frame.right)
        free = np.where(frame.unstable, slope, frame.slope)
        lines = np.where(side == 0, free, piece), np.where(side == 0, frame.chord, piece)
        rules: dict[int, Rule] = dict(frame.rules)
        for hinge in frame.hinges:
            shape = (len(side), *frame.graph.nodes[hinge.position].shape)
            first, second = (line[:, hinge.place] for line in lines)
            inside = frame.unstable[hinge.place] | (side[:, hinge.place] != 0)
            chord = frame.chord_offset[hinge.place]
            through = hinge.offset(second)
            offsets = (
                np.where(inside, hinge.offset(first), chord),
                np.where(side[:, hinge.place] == 0, chord, through),
            )
            rules[hinge.position] = _relaxation(
                (first, offsets[0]), (second, offsets[1]), hinge.convex, shape, frame.arrays
            )
        return Lines(frame, rules, len(side))

    def bound(self, rows: Rows, pull: FloatArray) -> Dual:
        """Bounds each set's one row plus ``pull`` (batch, entries) times (operand - knot).

        A multiplier is a pull away from the knot's other side: not above zero where the operands
        are at least the knot, not below where they are at most; and zero where nothing is split.
        """
        frame, arrays = self.frame, self.frame.arrays
        start = row_start(frame.graph, rows.inputs, rows.outputs, arrays)
        for hinge in frame.hinges:
            part = pull[:, hinge.place]
            if part.any():
                shape = (self.batch, 1, *frame.graph.nodes[hinge.operand].shape)
                own = arrays.asarray(part.reshape(shape))
                start[hinge.operand] = start.get(hinge.operand, 0) + own
        linear = backward(frame.graph, start, self.rules, frame.deviations, arrays)
        value = arrays.numpy(linear.minimum(frame.box, arrays))[:, 0]
        corner = least_corners(linear, frame.box, arrays)
        values = trace(frame.graph, corner, linear.through, self.rules, arrays)
        operands, coefficients = _at_hinges(frame, values, linear.through, self.batch)
        y = [arrays.numpy(values[p.node]).reshape((self.batch, -1)) for p in frame.graph.outputs]
        return Dual(
            value - rows.bound[:, 0] - pull @ frame.knot,
            arrays.numpy(corner[:, 0]),
            np.concatenate(y, axis=1),
            operands,
            coefficients,
        )


def _relaxation(
    free: tuple[FloatArray, FloatArray],
    other: tuple[FloatArray, FloatArray],
    convex: bool,
    shape: tuple[int, ...],
    arrays: Arrays,
) -> Relaxation:
    """From two lines (slope, offset): the free one lies below a convex function."""
    below, above = (free, other) if convex else (other, free)
    parts = [
        (above[0] + below[0]) / 2,
        (above[0] - below[0]) / 2,
        (above[1] + below[1]) / 2,
        (above[1] - below[1]) / 2,
    ]
    return Relaxation(*(arrays.asarray(part.reshape(shape)) for part in parts))


def least_corners(linear: LinearBound, box: Interval, arrays: Arrays) -> Array:
    """Where each set's rows are least: (batch, rows, input_size)."""
    middle, radius = (box[0] + box[1]) / 2, (box[1] - box[0]) / 2
    return middle[:, None] - arrays.xp.sign(linear.coefficients) * radius[:, None]


def trace(
    graph: Graph,
    x: Array,
    through: Mapping[int, Array],
    rules: Mapping[int, Rule],
    arrays: Arrays,
    end: int | None = None,
) -> list[Array]:
    """All nodes' values, (batch, rows, *shape), at flat inputs x (batch, rows, input_size), by the
    lines that bound each row; with an ``end``, of the nodes before it.

    ``through`` holds the rows' coefficients (batch or 1, rows, *shape) on the nonlinear nodes;
    where it has none, the middle line is taken. The nonlinear nodes have two lines each.
    """
    xp, places, values = arrays.xp, graph.input_slices(), list[Array]()
    for position, node in enumerate(graph.nodes[:end]):
        op = OPS[node.op]
        if node.op == "input":
            values.append(x[..., places[position]].reshape((*x.shape[:2], *node.shape)))
        elif op.affine is not None:
            weight = arrays.load(node.consts["weight"].value) if "weight" in node.consts else None
            flat = [values[i].reshape((-1, *graph.nodes[i].shape)) for i in node.inputs]
            value = op.affine.forward(node, flat, weight, xp)
            bias = node.consts.get("bias")
            value = value if bias is None else value + arrays.load(bias.value)
            values.append(value.reshape((*x.shape[:2], *node.shape)))
        else:
            rule, v = rules[position], values[node.inputs[0]]
            assert isinstance(rule, Relaxation)
            side = xp.sign(through[position]) if position in through else 0.0
            slope = rule.slope[:, None] - side * rule.half_slope[:, None]
            values.append(slope * v + (rule.offset[:, None] - side * rule.half_offset[:, None]))
    return values


def _at_hinges(
    frame: Frame, values: list[Array], through: Mapping[int, Array], batch: int
) -> tuple[FloatArray, FloatArray]:
    operands = np.empty((batch, frame.size))
    coefficients = np.zeros((batch, frame.size))
    for hinge in frame.hinges:
        operands[:, hinge.place] = frame.arrays.numpy(values[hinge.operand]).reshape((batch, -1))
        if hinge.position in through:
            found = frame.arrays.numpy(through[hinge.position]).reshape((-1, hinge.size))
            coefficients[:, hinge.place] = found
    return operands, coefficients
