"""Neurons divided by phase: their lines, and the multipliers of their phases."""

from __future__ import annotations

import z3

from absint.proofs.lemmas.lemma import Claim, Lemma, reals


def _bent(v: z3.ArithRef) -> z3.ArithRef:
    """Any function of one knot k, with value y there."""
    k, y, before, after = reals("k y before after")
    return y + z3.If(v > k, after, before) * (v - k)


def _piece() -> Claim:
    v, k, y, before, after = reals("v k y before after")
    on_left = z3.And(v <= k, _bent(v) == y + before * (v - k))
    on_right = z3.And(v >= k, _bent(v) == y + after * (v - k))
    return [], z3.Or(on_left, on_right)


def _turned() -> Claim:
    v, k, y, before, after, slope = reals("v k y before after s")
    premises = [before <= slope, slope <= after]
    return premises, y + slope * (v - k) <= _bent(v)


def _turned_above() -> Claim:
    v, k, y, before, after, slope = reals("v k y before after s")
    premises = [after <= slope, slope <= before]
    return premises, _bent(v) <= y + slope * (v - k)


def _multiplied() -> Claim:
    """A row, a phase on either side, and a lower bound of their sum with multipliers."""
    row, weight, v, k, beta, bound = reals("row w v k beta bound")
    at_least, strict = z3.Bool("at_least"), z3.Bool("strict")
    phase = z3.If(at_least, k - v, v - k)
    some = z3.And(strict, weight > 0)
    holds = z3.And(phase <= 0, z3.If(strict, row < 0, row <= 0))
    premises = [weight >= 0, beta >= 0, bound <= weight * row + beta * phase]
    return [*premises, z3.If(some, bound >= 0, bound > 0)], z3.Not(holds)


def _impossible() -> Claim:
    v, k, lower, upper = reals("v k lower upper")
    at_least = z3.Bool("at_least")
    outside = z3.If(at_least, upper < k, lower > k)
    return [lower <= v, v <= upper, outside], z3.Not(z3.If(at_least, v >= k, v <= k))


LEMMAS = (
    Lemma(
        "two phases",
        "Every operand is on one side of the knot or on both, and there the function is the line "
        "of that side's piece.",
        frozenset({"rule:phase"}),
        _piece,
    ),
    Lemma(
        "an empty phase",
        "A phase that a box's bounds rule out has no points.",
        frozenset({"rule:phase"}),
        _impossible,
    ),
    Lemma(
        "a line turned about the knot",
        "A convex function of one knot lies above each line through it with a slope between.",
        frozenset({"rule:slopes", "rule:relax"}),
        _turned,
    ),
    Lemma(
        "a line turned about a concave knot",
        "A concave one lies below each.",
        frozenset({"rule:slopes", "rule:relax"}),
        _turned_above,
    ),
    Lemma(
        "mixed with phases",
        "A lower bound above zero of a weighted row and a multiple of what a phase says is not "
        "positive shows that no point has the phase and meets the row's constraint.",
        frozenset({"rule:mix", "rule:farkas"}),
        _multiplied,
    ),
)
