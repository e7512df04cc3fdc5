"""Weighted sums of constraints: margins that their weights give, never below the best row's."""

from __future__ import annotations

from fractions import Fraction
from itertools import product

import numpy as np
import pytest

from absint.search.mix import WEIGHT_LEVELS, Forms, best_mix


def forms(seed: int, batch: int = 20, rows: int = 4, size: int = 3) -> Forms:
    """Small integers: exact in floats."""
    rng = np.random.default_rng(seed)
    return Forms(
        rng.integers(-3, 4, (batch, rows, size)).astype(float),
        rng.integers(-6, 3, (batch, rows)).astype(float),
        rng.integers(0, 3, (batch, size)).astype(float),
    )


def exact_margin(part: Forms, box: int, weights: list[int]) -> Fraction:
    """The least value over the box of the normalised sum, in fractions."""
    total = sum(weights)
    value = sum(
        (Fraction(w) * Fraction(c) for w, c in zip(weights, part.centre[box], strict=True)),
        Fraction(0),
    )
    for column, radius in zip(part.coefficients[box].T, part.radius[box], strict=True):
        slope = sum(
            (Fraction(w) * Fraction(c) for w, c in zip(weights, column, strict=True)), Fraction(0)
        )
        value -= abs(slope) * Fraction(radius)
    return value / total


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("rows", [1, 2, 5])
def test_the_margin_is_what_the_weights_give(seed: int, rows: int) -> None:
    part = forms(seed, rows=rows)
    mix = best_mix(part)
    assert mix.weights.shape == (20, rows)
    assert mix.weights.min() >= 0
    assert (mix.weights.max(axis=1) == WEIGHT_LEVELS).all(), "not all zero, and fit a byte"
    for box in range(20):
        exact = exact_margin(part, box, mix.weights[box].tolist())
        assert abs(Fraction(float(mix.margin[box])) - exact) < Fraction(1, 10**12)


@pytest.mark.parametrize("seed", range(20))
def test_a_mix_is_never_worse_than_the_best_row(seed: int) -> None:
    part = forms(seed)
    assert (best_mix(part).margin >= part.minimum().max(axis=1) - 1e-12).all()


@pytest.mark.parametrize("seed", range(10))
def test_a_mix_proves_nothing_where_a_point_satisfies_all_rows(seed: int) -> None:
    part = forms(seed, batch=60, rows=2)
    margin = best_mix(part).margin
    grid = np.array(list(product([-1.0, -0.5, 0.0, 0.5, 1.0], repeat=3)))
    for box in range(60):
        points = grid * part.radius[box]
        values = points @ part.coefficients[box].T + part.centre[box]
        if (values <= 0).all(axis=1).any():
            assert margin[box] <= 1e-12


def test_a_mix_refutes_what_no_row_refutes() -> None:
    """x >= 1 and -x >= 1 cannot both hold; each can."""
    part = Forms(np.array([[[-1.0], [1.0]]]), np.array([[1.0, 1.0]]), np.array([[5.0]]))
    mix = best_mix(part)
    assert part.minimum().max() == -4.0
    assert mix.margin[0] == pytest.approx(1.0, abs=0.1)


def test_uneven_weights_are_found() -> None:
    """10 x >= 1 and -x >= 0: only weights of about 1 to 10 refute it well."""
    part = Forms(np.array([[[-10.0], [1.0]]]), np.array([[1.0, 0.05]]), np.array([[5.0]]))
    assert best_mix(part).margin[0] > 0


def test_bounds_that_are_not_numbers_prove_nothing() -> None:
    part = forms(0, batch=4)
    part.centre[0] = np.nan
    part.coefficients[1] = np.nan
    part.centre[2] = -np.inf
    part.centre[3, 1] = np.inf
    part.coefficients[3, 1] = np.inf
    with np.errstate(all="ignore"):
        margin = best_mix(part).margin
    assert not (margin > 0).any()


def test_minimum_take_and_rows() -> None:
    part = Forms(
        np.array([[[1.0, -2.0], [0.0, 1.0]], [[0.0, 0.0], [3.0, 0.0]]]),
        np.array([[5.0, 0.0], [1.0, 2.0]]),
        np.array([[1.0, 0.5], [2.0, 2.0]]),
    )
    assert part.minimum().tolist() == [[3.0, -0.5], [1.0, -4.0]]
    assert part.take(np.array([1])).minimum().tolist() == [[1.0, -4.0]]
    assert part.rows(np.array([1])).minimum().tolist() == [[-0.5], [-4.0]]
