"""A cell's constraints as float rows with rigorous error, and weighted sums of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from absint.ir import Graph
from absint.problem import Cell, LinearConstraint
from absint.proofs.arithmetic import FloatArray, above, gamma, inflate, nearest, up
from absint.proofs.format import CertificateError
from absint.proofs.regions import Rows

MAX_COEFFICIENTS = 1 << 26


def float_rows(cell: Cell, graph: Graph) -> tuple[Rows, NDArray[np.bool_]]:
    """A cell's rows, the conjunctions' one after another and then the region's; which are strict.

    A constraint fails everywhere on a box where its row's minimum is positive (strict: or zero).
    Raises CertificateError where the rows would take more than MAX_COEFFICIENTS numbers.
    """
    groups = [*cell.catastrophe, cell.constraints]
    flat = [row for group in groups for row in group]
    width = graph.output_size + graph.input_size * any(row.inputs for row in flat)
    if len(flat) * width > MAX_COEFFICIENTS:
        raise CertificateError(f"{len(flat)} constraints on {width} values are too many to check")
    inputs = _matrix(flat, "inputs", width - graph.output_size)
    outputs = _matrix(flat, "outputs", graph.output_size)
    bound = np.array([[above(item.bound) for item in flat]])
    return Rows(*inputs, *outputs, bound), np.array([item.strict for item in flat])


def output_row(item: LinearConstraint, size: int) -> Rows:
    """A constraint on ``size`` outputs alone."""
    none, bound = np.zeros((1, 1, 0)), np.array([[above(item.bound)]])
    return Rows(none, none, *_matrix([item], "outputs", size), bound)


def fails(least: FloatArray, item: LinearConstraint) -> NDArray[np.bool_]:
    """Whether a constraint fails everywhere, by lower bounds of its row."""
    refuted: NDArray[np.bool_] = least >= 0 if item.strict else least > 0
    return refuted


def _matrix(rows: list[LinearConstraint], side: str, size: int) -> tuple[FloatArray, FloatArray]:
    centre, off = np.zeros((1, len(rows), size)), np.zeros((1, len(rows), size))
    for row, item in enumerate(rows):
        terms = getattr(item, side)
        if terms:
            index = [i for i, _ in terms]
            centre[0, row, index], off[0, row, index] = nearest([c for _, c in terms])
    return centre, off


def join(parts: list[Rows]) -> Rows:
    """Rows one after another."""

    def side(name: str) -> FloatArray:
        return np.concatenate([getattr(part, name) for part in parts], axis=1)

    off = side("inputs_off"), side("outputs_off")
    return Rows(side("inputs"), off[0], side("outputs"), off[1], side("bound"))


def choose(rows: Rows, index: NDArray[np.int64]) -> Rows:
    """For each set some of the rows, ``index`` (batch, chosen)."""
    if (index == index[0]).all():
        return rows.take(index[0].tolist())
    return rows.each(lambda part: part[0][index])


def mix(rows: Rows, weights: FloatArray) -> Rows:
    """Weighted sums of rows; ``weights`` (batch, sums, rows) are not negative."""
    terms = weights.shape[2] + 1
    inputs, inputs_off = _mixed(rows.inputs, rows.inputs_off, weights, terms)
    outputs, outputs_off = _mixed(rows.outputs, rows.outputs_off, weights, terms)
    bound, bound_off = _mixed(rows.bound[..., None], 0 * rows.bound[..., None], weights, terms)
    return Rows(inputs, inputs_off, outputs, outputs_off, up(bound + bound_off)[..., 0])


def _mixed(
    part: FloatArray, off: FloatArray, weights: FloatArray, terms: int
) -> tuple[FloatArray, FloatArray]:
    error = weights @ (off + gamma(terms) * np.abs(part))
    return weights @ part, inflate(error, 2 * terms)
