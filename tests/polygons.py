"""Piecewise linear networks of two inputs, exactly: their linear pieces, as convex polygons.

Independent of the checker: a box is cut along every neuron's knot in rational arithmetic, so each
part is a polygon on which the network is linear, and what is least on it is least at a corner.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

import exact
import numpy as np

from absint.ir import Graph
from absint.problem import LinearConstraint

Point = tuple[Fraction, Fraction]
Form = tuple[Fraction, Fraction, Fraction]
"""``a x + b y + c``."""
Sides = Mapping[tuple[int, int], bool]
"""(node, entry) to whether the operand is at least zero."""
PIECES = {"relu": (0, 1), "abs": (-1, 1), "leaky_relu": (None, 1)}
"""The slopes before and after the knot at zero; None stands for alpha."""


@dataclass(frozen=True)
class Piece:
    """A closed part of a box: its corners (of a part without area twice the same, perhaps), and
    every node's entries as linear forms there."""

    corners: tuple[Point, ...]
    values: tuple[tuple[Form, ...], ...]


def pieces(
    graph: Graph, lower: Sequence[float], upper: Sequence[float], sides: Sides
) -> list[Piece]:
    """All parts of a box on which the network is linear, with the given sides of knots."""
    ends = [(Fraction(a), Fraction(b)) for a, b in zip(lower, upper, strict=True)]
    (left, right), (bottom, top) = ends
    square = ((left, bottom), (right, bottom), (right, top), (left, top))
    found = [Piece(square, ())]
    for position, node in enumerate(graph.nodes):
        parts = []
        for piece in found:
            if node.op in PIECES:
                parts += list(_bent(piece, graph, position, sides))
            else:
                parts.append(Piece(piece.corners, (*piece.values, _linear(piece, graph, position))))
        found = parts
    return found


def _linear(piece: Piece, graph: Graph, position: int) -> tuple[Form, ...]:
    node = graph.nodes[position]
    if node.op == "input":
        return tuple(_unit(i) for i in range(2))
    operands = [piece.values[i] for i in node.inputs]
    if node.op == "sum":
        weights = node.attrs["coefficients"]
        return tuple(
            total(zip(weights, entries, strict=True)) for entries in zip(*operands, strict=True)
        )
    weight = exact.exactly(node.consts["weight"].value)
    bias = exact.exactly(node.consts["bias"].value) if "bias" in node.consts else None
    found = []
    for column in range(weight.shape[1]):
        form = total(zip(weight[:, column], operands[0], strict=True))
        found.append(form if bias is None else (form[0], form[1], form[2] + bias[column]))
    return tuple(found)


def _bent(
    piece: Piece, graph: Graph, position: int, sides: Mapping[tuple[int, int], bool]
) -> Iterator[Piece]:
    node = graph.nodes[position]
    before, after = PIECES[node.op]
    slopes = [
        Fraction(node.number("alpha")) if before is None else Fraction(before),
        Fraction(after),
    ]
    parts: list[tuple[tuple[Point, ...], tuple[Form, ...]]] = [(piece.corners, ())]
    for entry, form in enumerate(piece.values[node.inputs[0]]):
        known = sides.get((position, entry))
        divided = []
        for (corners, forms), side in itertools.product(parts, (False, True)):
            if known is None or known == side:
                kept = clipped(corners, form if side else _scaled(form, Fraction(-1)))
                if kept:
                    divided.append((kept, (*forms, _scaled(form, slopes[side]))))
        parts = divided
    yield from (Piece(corners, (*piece.values, forms)) for corners, forms in parts)


def clipped(corners: tuple[Point, ...], form: Form) -> tuple[Point, ...]:
    """The closed part of a convex polygon where a form is not negative."""
    kept: list[Point] = []
    for first, second in zip(corners, (*corners[1:], *corners[:1]), strict=True):
        a, b = at(form, first), at(form, second)
        if a >= 0:
            kept.append(first)
        if a * b < 0:
            share = a / (a - b)
            kept.append(
                (
                    first[0] + share * (second[0] - first[0]),
                    first[1] + share * (second[1] - first[1]),
                )
            )
    return tuple(kept)


def at(form: Form, point: Point) -> Fraction:
    return form[0] * point[0] + form[1] * point[1] + form[2]


def _unit(index: int) -> Form:
    one, zero = Fraction(1), Fraction(0)
    return (zero, one, zero) if index else (one, zero, zero)


def _scaled(form: Form, factor: Fraction) -> Form:
    return (form[0] * factor, form[1] * factor, form[2] * factor)


def total(terms: Iterable[tuple[Fraction | int, Form]]) -> Form:
    """A weighted sum of forms."""
    sums = np.array([Fraction(0)] * 3, dtype=object)
    for weight, form in terms:
        sums = sums + np.array(_scaled(form, Fraction(weight)), dtype=object)
    return (sums[0], sums[1], sums[2])


def row_form(piece: Piece, graph: Graph, row: LinearConstraint) -> Form:
    """What is at most zero where the constraint holds."""
    y = [form for port in graph.outputs for form in piece.values[port.node]]
    terms = [(c, _unit(i)) for i, c in row.inputs] + [(c, y[i]) for i, c in row.outputs]
    form = total(terms)
    return (form[0], form[1], form[2] - row.bound)


def meets(piece: Piece, graph: Graph, rows: Sequence[LinearConstraint]) -> bool:
    """Whether all constraints hold at some point of the piece."""
    forms = [row_form(piece, graph, row) for row in rows]
    corners = piece.corners
    for form in forms:
        corners = clipped(corners, _scaled(form, Fraction(-1)))
    if not corners:
        return False
    middle = tuple(sum(c[i] for c in corners) / len(corners) for i in range(2))
    return all(
        not row.strict or at(form, (middle[0], middle[1])) < 0
        for row, form in zip(rows, forms, strict=True)
    )
