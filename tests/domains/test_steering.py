"""How bounds change with the slopes of all passes on a box: against finite differences."""

from __future__ import annotations

import numpy as np
import pytest
from searchcases import integer_network

from absint.domains.arrays import numpy_arrays, torch_arrays
from absint.domains.dual import Rows
from absint.domains.hinges import hinges, slopes_of
from absint.domains.product import propagate
from absint.domains.refine import Pass
from absint.domains.steering import steered

FLOAT64 = numpy_arrays()
STEP = 1e-6
INNER = 0.7
"""Slopes of the hinges are drawn near their middle, where few bounds are those of intervals."""


@pytest.mark.parametrize(
    ("activation", "alpha"), [("relu", 0.0), ("leaky_relu", 2.0), ("abs", 0.0)]
)
def test_derivatives_are_those_of_the_bounds(activation: str, alpha: float) -> None:
    """On boxes on which every bound comes from a pass: what intervals give is not followed."""
    kept = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        graph = integer_network(rng, (3, 4, 4, 2), activation, alpha)
        centre, own = rng.normal(size=(1, 3)), hinges(graph)
        box = centre - 0.4, centre + 0.4
        shares = rng.uniform(1 - INNER, INNER, (1, sum(hinge.size for hinge in own)))
        rows = Rows(np.zeros((1, 2, 3)), rng.normal(size=(1, 2, 2)), np.zeros((1, 2)))
        passes = list[Pass]()
        propagate(graph, box, FLOAT64, None, slopes_of(graph, own, shares), passes)
        if not all(done.better.all() for done in passes if done.linear.through):
            continue
        found = steered(graph, box, own, shares, rows, np.inf, FLOAT64)
        moved = np.zeros_like(shares)
        for entry in range(shares.shape[1]):
            for sign in (1, -1):
                other = shares.copy()
                other[:, entry] += sign * STEP
                value = steered(graph, box, own, other, rows, np.inf, FLOAT64).value
                moved[:, entry] += sign * value.sum(axis=1) / (2 * STEP)
        size = 1 + np.abs(moved)
        assert (np.abs(found.gradient - moved) < 1e-4 * size).mean() > 0.98
        kept += bool((np.abs(moved) > 0.01).any())
    assert kept > 3


def test_what_is_enough_has_no_derivative() -> None:
    rng = np.random.default_rng(0)
    graph = integer_network(rng, (3, 6, 6, 2), "relu")
    box, own = (-np.ones((1, 3)), np.ones((1, 3))), hinges(graph)
    shares = np.full((1, sum(hinge.size for hinge in own)), 0.5)
    rows = Rows(np.zeros((1, 1, 3)), rng.normal(size=(1, 1, 2)), np.zeros((1, 1)))
    assert steered(graph, box, own, shares, rows, np.inf, FLOAT64).gradient.any()
    assert not steered(graph, box, own, shares, rows, -np.inf, FLOAT64).gradient.any()


def test_torch_finds_the_same() -> None:
    rng = np.random.default_rng(1)
    graph = integer_network(rng, (3, 6, 6, 2), "relu")
    box, own, torch = (-np.ones((1, 3)), np.ones((1, 3))), hinges(graph), torch_arrays()
    shares = rng.random((1, sum(hinge.size for hinge in own)))
    rows = Rows(np.zeros((1, 1, 3)), rng.normal(size=(1, 1, 2)), np.zeros((1, 1)))
    ours = steered(graph, box, own, shares, rows, np.inf, FLOAT64)
    ends = torch.asarray(box[0]), torch.asarray(box[1])
    theirs = steered(graph, ends, own, torch.asarray(shares), rows, np.inf, torch)
    np.testing.assert_allclose(torch.numpy(theirs.value), ours.value, rtol=1e-9)
    np.testing.assert_allclose(torch.numpy(theirs.gradient), ours.gradient, rtol=1e-9, atol=1e-12)
