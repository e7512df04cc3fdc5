"""Balls against exact values: rationals, or balls of 300 bits."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from flint import arb, ctx, fmpq

from absint.ir import Constant, GraphBuilder, Node
from absint.proofs.transformers.balls import Ball, ball
from absint.proofs.transformers.precise import Precise

SHAPES = {"mul": 2, "sum": 2, "relu": 1, "sigmoid": 1, "tanh": 1, "dense": 1, "gather": 1}
SIZES = (1e-320, 1e-200, 1e-9, 1.0, 30.0, 1e5, 1e200)
WIDTHS = (0.0, 1e-300, 1e-12, 1e-3, 1.0)
COUNT = 4


def node(op: str, rng: np.random.Generator) -> Node:
    builder = GraphBuilder()
    inputs = [builder.input(f"x{i}", (COUNT,)) for i in range(SHAPES[op])]
    consts, attrs = {}, {}
    if op == "sum":
        attrs = {"coefficients": (1, -1)}
    if op == "gather":
        consts = {"index": Constant(np.array([1, 2]))}
    if op == "dense":
        consts = {
            "weight": Constant(rng.normal(size=(COUNT, 3)), rng.random((COUNT, 3)) * 1e-9),
            "bias": Constant(rng.normal(size=3)),
        }
    made = builder.add(op, inputs, attrs=attrs, consts=consts)
    return builder.build({"y": made}).nodes[made]


def operands(count: int, rng: np.random.Generator) -> list[Ball]:
    shape = (60, COUNT)
    return [
        (
            rng.choice(SIZES, shape) * rng.choice([-1.0, 1.0], shape) * rng.random(shape),
            rng.choice(WIDTHS, shape) * rng.random(shape),
        )
        for _ in range(count)
    ]


def inside(x: Ball, rng: np.random.Generator) -> np.ndarray:
    """Exact points of balls, also at their ends."""
    place = rng.choice([-1, 0, 1, Fraction(1, 3)], x[0].shape)
    points = [
        Fraction(m) + Fraction(r) * Fraction(t)
        for m, r, t in zip(x[0].flat, x[1].flat, place.flat, strict=True)
    ]
    exact = np.empty(len(points), dtype=object)
    exact[:] = [arb(fmpq(p.numerator, p.denominator)) for p in points]
    return exact.reshape(x[0].shape)


@pytest.mark.parametrize("op", SHAPES)
@pytest.mark.parametrize("seed", range(3))
def test_the_value_at_each_point_lies_in_the_ball(op: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    made, xs = node(op, rng), operands(SHAPES[op], rng)
    centre, radius = ball(made, xs)
    with ctx.workprec(2400):
        for _ in range(3):
            exact = Precise().value(made, [inside(x, rng) for x in xs])
            for value, m, r in zip(exact.flat, centre.flat, radius.flat, strict=True):
                if not np.isnan(m):
                    assert not abs(value - arb(m)) > arb(r)
    assert np.isfinite(centre).mean() > 0.5


@pytest.mark.parametrize("op", ["mul", "sigmoid", "tanh"])
def test_radii_are_those_of_the_first_order(op: str) -> None:
    rng = np.random.default_rng(7)
    made = node(op, rng)
    xs = [(rng.normal(size=(9, COUNT)), np.full((9, COUNT), 1e-7)) for _ in range(SHAPES[op])]
    if op == "mul":
        first = (abs(xs[0][0]) + abs(xs[1][0])) * 1e-7
    else:
        s = np.tanh(xs[0][0]) if op == "tanh" else 1 / (1 + np.exp(-xs[0][0]))
        first = (1 - s * s if op == "tanh" else s * (1 - s)) * 1e-7
    assert (ball(made, xs)[1] <= 1.001 * first + 1e-12).all()


def test_an_overflow_says_nothing() -> None:
    rng = np.random.default_rng(0)
    big = np.full((1, COUNT), 1e308)
    product = ball(node("mul", rng), [(big, 0 * big), (big, 0 * big)])
    assert np.isnan(product[0]).all()
    assert np.isnan(ball(node("tanh", rng), [product])[0]).all()


@pytest.mark.parametrize("op", SHAPES)
def test_digits_enclose_the_value_too(op: str) -> None:
    rng = np.random.default_rng(5)
    made = node(op, rng)
    xs = [(rng.normal(size=(9, COUNT)), np.zeros((9, COUNT))) for _ in range(SHAPES[op])]
    centre, radius = ball(made, xs)
    with ctx.workprec(128):
        found = Precise().value(made, [inside(x, rng) for x in xs])
    for value, m, r in zip(found.flat, centre.flat, radius.flat, strict=True):
        assert abs(float(value.mid()) - m) <= r + 1e-16
