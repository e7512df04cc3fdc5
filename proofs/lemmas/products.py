"""Sums, and products of two variables."""

from __future__ import annotations

import z3

from absint.proofs.lemmas.lemma import Claim, Lemma, maximum, minimum, ops, reals, within

PRODUCTS, AFFINE = ops("mul matmul"), ops("dense conv scale sum")


def _corners() -> Claim:
    x, lower, upper, y, least, most = reals("x l u y p q")
    products = [a * b for a in (lower, upper) for b in (least, most)]
    premises = [within(x, lower, upper), within(y, least, most)]
    return premises, within(x * y, minimum(*products), maximum(*products))


def _planes() -> Claim:
    x, lower, upper, y, least, most, a, b = reals("x l u y p q a b")
    gaps = [s * t - a * s - b * t for s in (lower, upper) for t in (least, most)]
    premises = [within(x, lower, upper), within(y, least, most)]
    return premises, within(x * y - a * x - b * y, minimum(*gaps), maximum(*gaps))


def _size(x: z3.ArithRef) -> z3.ArithRef:
    return z3.If(x >= 0, x, -x)


def _midpoints() -> Claim:
    x, y, m, n, r, s = reals("x y m n r s")
    premises = [_size(x - m) <= r, _size(y - n) <= s]
    return premises, _size(x * y - m * n) <= _size(m) * s + r * (_size(n) + s)


def _untilted() -> Claim:
    x, y, m, n, r, s = reals("x y m n r s")
    premises = [_size(x - m) <= r, _size(y - n) <= s]
    return premises, _size(x * y - n * x - m * y + m * n) <= r * s


def _weight_radius() -> Claim:
    x, w, m, r, centre, radius = reals("x w m r v rho")
    premises = [_size(x - m) <= r, _size(w - centre) <= radius]
    return premises, _size(w * x - centre * m) <= _size(centre) * r + radius * (_size(m) + r)


def _box_minimum() -> Claim:
    names = [reals(f"c{i} x{i} m{i} r{i}") for i in range(3)]
    premises = [_size(x - m) <= r for _, x, m, r in names]
    least = z3.Sum([c * m - _size(c) * r for c, _, m, r in names])
    return premises, z3.Sum([c * x for c, x, _, _ in names]) >= least


LEMMAS = (
    Lemma(
        "corners",
        "A product of two intervals lies between the least and the largest product of ends.",
        PRODUCTS,
        _corners,
    ),
    Lemma(
        "planes",
        "x y - a x - b y takes its extremes over a box at corners, whatever a and b are.",
        PRODUCTS,
        _planes,
    ),
    Lemma(
        "midpoints",
        "|x y - m n| <= |m| s + r (|n| + s) for |x - m| <= r and |y - n| <= s.",
        PRODUCTS | ops("attend") | {"rule:decode.run"},
        _midpoints,
    ),
    Lemma("untilted", "|x y - n x - m y + m n| <= r s.", ops("matmul"), _untilted),
    Lemma(
        "weight radius",
        "A weight known up to a radius, times a value known up to another.",
        AFFINE,
        _weight_radius,
    ),
    Lemma(
        "box minimum",
        "c . x >= c . m - |c| . r for |x - m| <= r, here for three entries.",
        AFFINE | ops("input"),
        _box_minimum,
    ),
)
