"""Boxes of every awkward sort for networks under test, points in them, and rounding allowances."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from irmodels import exact_outputs
from numpy.typing import NDArray

from absint.ir import OPS, Graph
from absint.ir.graph import Node

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Boxes:
    """A batch of boxes: lower and upper are (batch, input_size)."""

    lower: FloatArray
    upper: FloatArray

    def __len__(self) -> int:
        return len(self.lower)

    def take(self, chosen: Any) -> Boxes:
        return Boxes(self.lower[chosen], self.upper[chosen])


def awkward_boxes(size: int, rng: np.random.Generator, huge: float = 1e30) -> Boxes:
    """Degenerate, nearly degenerate, tiny, huge, one-sided and knot-ended boxes, in one batch."""
    middle = np.round(rng.normal(size=size) * 4) / 4
    other = middle + np.round(rng.random(size) * 8) / 4
    mixed = np.where(rng.random(size) < 0.5, middle, other)
    zero = np.zeros(size)
    pairs = [
        (middle, other),
        (middle, middle),
        (mixed, np.maximum(mixed, other)),
        (middle, np.nextafter(middle, np.inf)),
        (zero, zero),
        (-zero, zero),
        (-zero, other - middle),
        (middle - other, -zero),
        (zero - 5e-324, zero + 5e-324),
        (zero - 1e-300, zero + 2e-300),
        (zero - 1e-9, zero + 3e-9),
        (-np.ones(size), np.ones(size)),
        (zero - huge, zero + huge),
        (zero, zero + huge),
        (zero - huge, zero + 1.0),
        (middle - rng.random(size), middle + rng.random(size)),
    ]
    lower, upper = (np.array([pair[side] for pair in pairs]) for side in (0, 1))
    assert (lower <= upper).all()
    return Boxes(lower, upper)


def points(boxes: Boxes, rng: np.random.Generator, count: int = 16) -> FloatArray:
    """(batch, count, input_size): both extreme corners, the centre, random corners and points,
    and points with some inputs at the knot 0 where the box holds it. All clipped to the box."""
    lower, upper = boxes.lower[:, None], boxes.upper[:, None]
    t = rng.random((len(boxes), count, boxes.lower.shape[1]))
    corner = rng.random((len(boxes), count, 1)) < 0.4
    t = np.where(corner, np.round(t), t)
    t[:, 0], t[:, 1], t[:, 2] = 0.0, 1.0, 0.5
    x = lower * (1 - t) + upper * t
    x = np.where(rng.random(t.shape) < 0.15, 0.0, x)
    return np.clip(x, lower, upper)


def magnitudes(graph: Graph, boxes: Boxes) -> list[FloatArray]:
    """Per node (batch, *shape): the network run on |x|, |W| and |b|.

    No intermediate of a run, an interval bound or a backward bound with slopes of at most the
    steepest piece is larger; so what rounding costs is a small multiple of the unit roundoff times
    this (absint's search domains are unsound by rounding alone).
    """
    reach = np.maximum(np.abs(boxes.lower), np.abs(boxes.upper))
    places, values = graph.input_slices(), []
    for position, node in enumerate(graph.nodes):
        if node.op == "input":
            values.append(reach[:, places[position]].reshape((-1, *node.shape)))
        else:
            values.append(_magnitude(node, [values[i] for i in node.inputs]))
    return values


def _magnitude(node: Node, xs: list[FloatArray]) -> FloatArray:
    rule = OPS[node.op].affine
    if rule is None:
        steepest = abs(node.number("alpha")) if node.op == "leaky_relu" else 0.0
        ends = [abs(node.extended(end)) for end in ("lower", "upper")] if node.op == "clip" else []
        largest = max([float(node.op in ("sigmoid", "tanh")), *filter(math.isfinite, ends)])
        return max(1.0, steepest) * xs[0] + largest
    weight = node.consts.get("weight")
    size = None
    if weight is not None:
        size = np.abs(weight.value) + (0.0 if weight.radius is None else weight.radius)
    y: FloatArray = rule.magnitude(node, xs, size, np)
    if "bias" in node.consts:
        y = y + np.abs(node.consts["bias"].value)
        if node.consts["bias"].radius is not None:
            y = y + node.consts["bias"].radius
    return y


def allowance(graph: Graph, boxes: Boxes, dtype: str = "float64") -> list[FloatArray]:
    """Per node (batch, *shape): what rounding may cost a bound of it.

    One unit roundoff for each operation on the way, of which these small networks have at most
    some hundreds in a row: 512 units of the magnitude, and underflow.
    """
    unit = float(np.finfo(dtype).eps) / 2
    tiny = float(np.finfo(dtype).tiny)
    return [512 * unit * size + 512 * tiny for size in magnitudes(graph, boxes)]


def check_exact_outputs(
    graph: Graph,
    boxes: Boxes,
    bounds: list[tuple[FloatArray, FloatArray]],
    rng: np.random.Generator,
) -> None:
    """Exact rational outputs at points of the boxes lie within ``bounds``, one pair a node, but for
    what rounding may cost."""
    x = points(boxes, rng, 4)
    parts = [low for low, _ in bounds], [high for _, high in bounds], allowance(graph, boxes)
    low, high, room = (
        np.concatenate([part[p.node].reshape((len(boxes), -1)) for p in graph.outputs], axis=1)
        for part in parts
    )
    for box in range(len(boxes)):
        for point in x[box]:
            y = exact_outputs(graph, [Fraction(float(v)) for v in point])
            for value, a, b, r in zip(y, low[box], high[box], room[box], strict=True):
                assert Fraction(a) - Fraction(r) <= value <= Fraction(b) + Fraction(r)
