"""Tiny integer networks, every grid point enumerated: what has a violation is never accepted."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from fractions import Fraction

import exact
import numpy as np
import pytest
from proofcases import box, certificate, problem

from absint.ir import Constant, Graph, GraphBuilder
from absint.problem import Cell, Problem, constraint
from absint.proofs.check import check
from absint.proofs.stream import Writer

NETWORKS = 25
SIDE = 4


def tiny(rng: np.random.Generator) -> Graph:
    """Two integer inputs, two hidden layers of three with small integer weights, one output."""
    builder = GraphBuilder()
    h = builder.input("x", (2,))
    for sizes in ((2, 3), (3, 3)):
        w = Constant(rng.integers(-2, 3, sizes).astype(np.float64))
        b = Constant(rng.integers(-2, 3, sizes[1]).astype(np.float64))
        h = builder.add("dense", [h], consts={"weight": w, "bias": b})
        alpha = float(rng.choice([0.0, 0.5]))
        h = (
            builder.add("leaky_relu", [h], attrs={"alpha": alpha})
            if alpha
            else builder.add("relu", [h])
        )
    w = Constant(rng.integers(-2, 3, (3, 1)).astype(np.float64))
    return builder.build({"y": builder.add("dense", [h], consts={"weight": w})})


def grid_proof(claims: Iterator[int]) -> bytes:
    """Splits [0, SIDE]^2 down to unit squares, and claims one constraint on each."""
    writer = Writer()

    def part(dimension: int, low: int, high: int) -> None:
        if high - low == 1:
            if dimension == 1:
                writer.safe([next(claims)])
            else:
                part(1, 0, SIDE)
            return
        writer.halve(dimension)
        part(dimension, low, (low + high) // 2)
        part(dimension, (low + high) // 2, high)

    part(0, 0, SIDE)
    return writer.to_bytes()


def by_output() -> Iterator[int]:
    """Every square misses the catastrophe by its first constraint."""
    return iter([0] * SIDE**2)


def by_order() -> Iterator[int]:
    """Squares above the diagonal miss it by the second."""
    return iter([1 if b > a + 1 else 0 for a, b in itertools.product(range(SIDE), repeat=2)])


def claim_about(graph: Graph, bound: Fraction, strict: bool) -> Problem:
    """Catastrophe: y >= bound (or >) and x0 >= x1."""
    rows = (
        constraint((), [(0, Fraction(-1))], -bound, strict),
        constraint([(0, Fraction(-1)), (1, Fraction(1))], (), Fraction(0)),
    )
    return problem(graph, Cell(box((0, SIDE), (0, SIDE)), (rows,)))


@pytest.mark.parametrize("seed", range(NETWORKS))
def test_no_violated_problem_is_accepted(seed: int) -> None:
    rng = np.random.default_rng(seed)
    graph = tiny(rng)
    points = [[Fraction(a), Fraction(b)] for a, b in itertools.product(range(SIDE + 1), repeat=2)]
    values = [exact.outputs(graph, exact.evaluate(graph, x))[0] for x in points]
    accepted = violated = 0
    bounds = sorted(
        {v + d for v in values for d in (Fraction(-1, 2), Fraction(0), Fraction(1, 64))}
    )
    for bound in [*bounds[:: max(1, len(bounds) // 6)], max(values), 2 * max(values) + 9]:
        for strict in (False, True):
            claim = claim_about(graph, bound, strict)
            truth = any(exact.violation(claim, claim.cells[0], graph, x) for x in points)
            for proof in (grid_proof(by_output()), grid_proof(by_order())):
                found = check(certificate(graph, claim, [proof]), graph, claim)
                assert not (found.accepted and truth), (bound, strict)
                accepted += found.accepted
                violated += truth
    assert violated
    assert accepted
