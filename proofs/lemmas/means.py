"""Softmax and softmax-weighted means, for three entries. ``e`` are exponentials of scores."""

from __future__ import annotations

import z3

from absint.proofs.lemmas.lemma import Claim, Lemma, maximum, minimum, ops, real, reals, within

SOFTMAX, ATTEND = ops("softmax"), ops("attend")
Entry = tuple[z3.ArithRef, z3.ArithRef, z3.ArithRef, z3.ArithRef]


def _shift() -> Claim:
    factor, *e = reals("c e0 e1 e2")
    premises = [factor > 0, *(x > 0 for x in e)]
    share = e[0] / z3.Sum(e)
    return premises, factor * e[0] / z3.Sum([factor * x for x in e]) == share


def _monotone() -> Claim:
    e, others = reals("e0 e1 e2"), reals("f0 f1 f2")
    premises = [e[0] > 0, e[0] <= others[0]]
    for own, other in zip(e[1:], others[1:], strict=True):
        premises += [other > 0, other <= own]
    return premises, e[0] / z3.Sum(e) <= others[0] / z3.Sum(others)


def _damped() -> Claim:
    """With g = exp(R - own) and T the others' sum as shares of exp(R)."""
    own, top, rest = reals("own top T")
    premises = [own > 0, top > 0, rest >= 1]
    total, ratio = own + rest * top, own / top
    return premises, z3.And(
        own / total == 1 / (1 + rest * (top / own)), own / total == ratio / (ratio + rest)
    )


def _weights() -> tuple[list[z3.BoolRef], list[Entry]]:
    """Three weights e in [a, b] with values v."""
    entries, premises = [], []
    for i in range(3):
        e, a, b, v = reals(f"e{i} a{i} b{i} v{i}")
        premises.append(within(e, a, b))
        entries.append((e, v, a, b))
    return premises, entries


def _largest_mean() -> Claim:
    premises, entries = _weights()
    bound = real("L")
    terms = [maximum(a * (v - bound), b * (v - bound)) for _, v, a, b in entries]
    above = z3.Sum([e * v for e, v, _, _ in entries])
    premises.append(z3.Sum(terms) <= 0)
    return premises, above <= bound * z3.Sum([e for e, _, _, _ in entries])


def _least_ratio() -> Claim:
    premises, entries = _weights()
    at, value, most, least = reals("l g W w")
    terms = [minimum(a * (v - at), b * (v - at)) for _, v, a, b in entries]
    above, total = z3.Sum([e * v for e, v, _, _ in entries]), z3.Sum([e for e, _, _, _ in entries])
    premises += [value <= z3.Sum(terms), least > 0, within(total, least, most)]
    return premises, z3.If(
        value >= 0,
        above * most >= (at * most + value) * total,
        above * least >= (at * least + value) * total,
    )


def _choices() -> Claim:
    """One position with three entries, of which one is chosen: any."""
    gaps, term = reals("t0 t1 t2"), real("t")
    return [z3.Or(*(term == gap for gap in gaps))], term >= minimum(*gaps)


def _hull() -> Claim:
    _, entries = _weights()
    premises = [e >= 0 for e, _, _, _ in entries]
    total = z3.Sum([e for e, _, _, _ in entries])
    above = z3.Sum([e * v for e, v, _, _ in entries])
    least = minimum(*(v for _, v, _, _ in entries))
    return premises, above >= least * total


LEMMAS = (
    Lemma(
        "softmax shift",
        "A share does not change when all exponentials are multiplied by one factor.",
        SOFTMAX | ATTEND,
        _shift,
    ),
    Lemma(
        "softmax monotone",
        "A share grows with its own exponential and falls with the others.",
        SOFTMAX,
        _monotone,
    ),
    Lemma(
        "share by its rivals",
        "A share is 1 / (1 + T g) and 1/g / (1/g + T), with g what the largest other is of it.",
        SOFTMAX,
        _damped,
    ),
    Lemma(
        "largest mean",
        "No weighted mean is above L where sum max(a (v - L), b (v - L)) <= 0.",
        SOFTMAX | ATTEND,
        _largest_mean,
    ),
    Lemma(
        "least ratio",
        "With g at most sum min(a (v - l), b (v - l)), no mean is below l + g / W: W the most "
        "that weights add up to where g >= 0, and the least elsewhere (Dinkelbach 1967).",
        ATTEND,
        _least_ratio,
    ),
    Lemma(
        "free choice",
        "Whatever entry a position chooses, its term is at least the least of all entries'.",
        ATTEND,
        _choices,
    ),
    Lemma("hull", "No weighted mean is below its least value.", ATTEND, _hull),
)
