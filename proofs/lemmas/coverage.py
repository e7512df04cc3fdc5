"""The rules of proofs about numbers in, numbers out."""

from __future__ import annotations

import z3

from absint.proofs.lemmas.lemma import Claim, Lemma, real, reals, within


def _split() -> Claim:
    x, lower, upper, cut = reals("x l u c")
    parts = z3.Or(within(x, lower, cut), within(x, cut, upper))
    return [within(x, lower, upper)], parts


def _halve() -> Claim:
    x, lower, upper = reals("x l u")
    middle = (lower + upper) / 2
    return [within(x, lower, upper)], z3.Or(within(x, lower, middle), within(x, middle, upper))


def _broken() -> Claim:
    """A constraint ``row <= 0`` (strict: ``row < 0``) whose row is bounded from below."""
    row, bound = reals("row bound")
    strict = z3.Bool("strict")
    holds = z3.If(strict, row < 0, row <= 0)
    proved = z3.If(strict, bound >= 0, bound > 0)
    return [bound <= row, proved], z3.Not(holds)


def _mixed() -> Claim:
    """Three constraints, non-negative weights, and a lower bound of the weighted sum."""
    rows, weights, bound = reals("r0 r1 r2"), reals("w0 w1 w2"), real("bound")
    strict = [z3.Bool(f"strict{i}") for i in range(3)]
    holds = z3.And(*(z3.If(s, r < 0, r <= 0) for s, r in zip(strict, rows, strict=True)))
    some = z3.Or(*(z3.And(s, w > 0) for s, w in zip(strict, weights, strict=True)))
    total = z3.Sum([w * r for w, r in zip(weights, rows, strict=True)])
    premises = [w >= 0 for w in weights]
    premises += [bound <= total, z3.If(some, bound >= 0, bound > 0)]
    return premises, z3.Not(holds)


LEMMAS = (
    Lemma(
        "split",
        "An interval is covered by its two closed parts, wherever it is cut.",
        frozenset({"rule:split"}),
        _split,
    ),
    Lemma("halve", "The same at the middle.", frozenset({"rule:halve"}), _halve),
    Lemma(
        "broken constraint",
        "A row with a positive lower bound (strict: not negative) breaks its constraint, and with "
        "it a conjunction, or the region's own constraints.",
        frozenset({"rule:safe", "rule:empty"}),
        _broken,
    ),
    Lemma(
        "mixed constraints",
        "A weighted sum of rows with a positive lower bound (not negative, where a strict row "
        "has weight) shows that they cannot all hold.",
        frozenset({"rule:mix", "rule:farkas"}),
        _mixed,
    ),
)
