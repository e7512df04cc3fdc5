"""Normalisation by the root of the mean square. A root r of q is written r >= 0, r r = q."""

from __future__ import annotations

import z3

from absint.proofs.lemmas.lemma import Claim, Lemma, maximum, minimum, ops, reals, within

NORMALIZE = ops("normalize")


def _monotone_in_own() -> Claim:
    z, t, others, least, root, bound = reals("z t S s r R")
    premises = [z <= t, t >= 0, others >= least, least >= 0, root > 0, bound > 0]
    premises += [root * root == z * z + others, bound * bound == t * t + least]
    return premises, z * bound <= t * root


def _never_above() -> Claim:
    z, others, root = reals("z S r")
    premises = [others >= 0, root > 0, root * root == z * z + others]
    return premises, within(z, -root, root)


def _centred_share() -> Claim:
    x, y, z = reals("x y z")
    return [x + y + z == 0], 3 * x * x <= 2 * (x * x + y * y + z * z)


def _cauchy_schwarz() -> Claim:
    x, y, z, u, v, w = reals("x y z u v w")
    dot = u * x + v * y + w * z
    return [], dot * dot <= (u * u + v * v + w * w) * (x * x + y * y + z * z)


def _about_any_centre() -> Claim:
    x, y, z, c = reals("x y z c")
    mean = (x + y + z) / 3
    centred = z3.Sum([(t - mean) * (t - mean) for t in (x, y, z)])
    about = z3.Sum([(t - c) * (t - c) for t in (x, y, z)])
    return [], centred <= about


def _chord() -> Claim:
    factor, small, large, d, low, high, k = reals("s s1 s2 d d1 d2 k")

    def least(at: z3.ArithRef) -> z3.ArithRef:
        return minimum(small * at, large * at)

    premises = [within(factor, small, large), within(d, low, high)]
    ends = minimum(least(low) - k * low, least(high) - k * high)
    return premises, factor * d >= k * d + ends


def _sign() -> Claim:
    factor, d, beta, least, most = reals("s d beta r1 r2")
    premises = [factor > 0, within(1 / factor, least, most)]
    scaled = z3.If(beta >= 0, beta * least, beta * most)
    return premises, z3.And(
        z3.Implies(d + scaled > 0, factor * d + beta > 0),
        z3.Implies(d + scaled >= 0, factor * d + beta >= 0),
    )


def _tangent_and_chord() -> Claim:
    t, lower, upper, q = reals("t l u q")
    premises = [within(t, lower, upper)]
    return premises, within(t * t, 2 * q * t - q * q, (lower + upper) * t - lower * upper)


def _corner() -> Claim:
    factor, small, d, least = reals("s s1 d d1")
    return [factor >= small, d >= least], factor * d >= small * d + least * factor - small * least


def _factor_above_tangents() -> Claim:
    factor, touch = reals("s r")
    tripled = 3 * touch * factor * factor
    return [factor > 0, touch >= 0], tripled - touch * touch * touch <= 2 * factor * factor * factor


def _factor_below_chords() -> Claim:
    divisor, least, most, rate = reals("d d1 d2 k")

    def bent(at: z3.ArithRef) -> z3.ArithRef:
        return 1 / at + rate * at * at

    premises = [least > 0, within(divisor, least, most)]
    return premises, bent(divisor) <= maximum(bent(least), bent(most))


LEMMAS = (
    Lemma(
        "norm in its entry",
        "z / sqrt(z^2 + S) is at most t / sqrt(t^2 + s) for z <= t, 0 <= t and S >= s >= 0.",
        NORMALIZE,
        _monotone_in_own,
    ),
    Lemma("norm is a share", "|z| <= sqrt(z^2 + S).", NORMALIZE, _never_above),
    Lemma(
        "centred share",
        "Of entries that add up to 0, none has more than (n - 1)/n of the sum of squares; n = 3.",
        NORMALIZE,
        _centred_share,
    ),
    Lemma(
        "Cauchy and Schwarz",
        "(w . z)^2 <= |w|^2 |z|^2, here for three entries.",
        NORMALIZE,
        _cauchy_schwarz,
    ),
    Lemma(
        "any centre",
        "Squares about the mean add up to no more than those about any number; three entries.",
        NORMALIZE,
        _about_any_centre,
    ),
    Lemma(
        "chord of a product",
        "s d >= k d + min(h(d1) - k d1, h(d2) - k d2), h(d) = min(s1 d, s2 d), for any k.",
        NORMALIZE,
        _chord,
    ),
    Lemma(
        "sign under a factor",
        "s d + beta is positive where d + beta / s is, with the bound of 1/s that beta asks for.",
        NORMALIZE,
        _sign,
    ),
    Lemma(
        "parabola",
        "t^2 lies above its tangents and below its chords.",
        NORMALIZE,
        _tangent_and_chord,
    ),
    Lemma(
        "corner of a product",
        "s d >= s1 d + d1 s - s1 d1 for s >= s1 and d >= d1.",
        NORMALIZE,
        _corner,
    ),
    Lemma(
        "tangent of a factor",
        "s >= (3 r - r^3 q) / 2 where q = 1 / s^2, for any r >= 0; times 2 s^2.",
        NORMALIZE,
        _factor_above_tangents,
    ),
    Lemma(
        "chord of a factor",
        "1/d + k d^2 is largest at an end of the range of d, for any k.",
        NORMALIZE,
        _factor_below_chords,
    ),
)
