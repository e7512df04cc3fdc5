"""The choice of a dimension: never one that cannot be split, whatever the numbers."""

from __future__ import annotations

import numpy as np
import pytest

from absint.search.branching import choose_dimensions

BAD = [np.nan, np.inf, 0.0, 1e308, 5e-324, -1e-12]


def test_the_dimension_of_most_influence_is_split() -> None:
    lower, upper = np.zeros((2, 3)), np.ones((2, 3))
    influence = np.array([[1.0, 3.0, 2.0], [5.0, 0.0, 0.0]])
    assert choose_dimensions(influence, lower, upper).tolist() == [1, 0]


def test_without_influence_the_widest_is_no_worse_than_another() -> None:
    chosen = choose_dimensions(np.zeros((1, 3)), np.zeros((1, 3)), np.array([[0.0, 2.0, 1.0]]))
    assert chosen[0] in (1, 2)


@pytest.mark.parametrize("seed", range(20))
def test_a_dimension_without_a_middle_is_never_chosen(seed: int) -> None:
    rng = np.random.default_rng(seed)
    lower = rng.normal(size=(200, 4))
    step = rng.choice([0.0, 1.0, 1e-17, 1e-9], size=lower.shape)
    upper = np.where(rng.random(lower.shape) < 0.3, np.nextafter(lower, np.inf), lower + step)
    influence = np.where(
        rng.random(lower.shape) < 0.3, rng.choice(BAD, lower.shape), rng.random(lower.shape)
    )
    with np.errstate(all="ignore"):
        chosen = choose_dimensions(influence, lower, upper)
    middle = 0.5 * lower + 0.5 * upper
    can = (lower < middle) & (middle < upper)
    assert ((chosen >= 0) == can.any(axis=1)).all()
    rows = np.flatnonzero(chosen >= 0)
    assert can[rows, chosen[rows]].all()


@pytest.mark.parametrize(
    ("lower", "upper"),
    [(0.0, 0.0), (-0.0, 0.0), (1.0, np.nextafter(1, 2)), (0.0, 5e-324), (1e308, 1e308)],
)
def test_what_cannot_be_split_is_minus_one(lower: float, upper: float) -> None:
    assert choose_dimensions(np.ones((1, 1)), np.array([[lower]]), np.array([[upper]])) == [-1]


def test_huge_boxes_are_split_although_their_width_is_infinite() -> None:
    lower, upper = np.array([[-1.7e308, 1.0]]), np.array([[1.7e308, 1.0]])
    with np.errstate(all="ignore"):
        assert choose_dimensions(np.array([[np.inf, 5.0]]), lower, upper) == [0]
