"""Elementwise functions: images, and lines of any slope below and above."""

from __future__ import annotations

import z3

from absint.proofs.lemmas.lemma import Claim, Lemma, maximum, minimum, ops, reals, within

ONE_KNOT, TWO_KNOTS = ops("relu leaky_relu abs clip"), ops("clip")
SMOOTH = ops(
    "sigmoid tanh erf exp log sqrt reciprocal power sin cos gelu gelu_tanh silu mish softplus elu "
    "hard_swish"
)
STEPS = ops("sign floor round")


def _bent(t: z3.ArithRef) -> z3.ArithRef:
    """Any function of one knot k, with value v there."""
    k, v, before, after = reals("k v before after")
    return v + z3.If(t > k, after, before) * (t - k)


def _twice_bent(t: z3.ArithRef) -> z3.ArithRef:
    """Any function that is constant before k and after m, and has a slope between."""
    k, m, v, slope = reals("k m v slope")
    return v + slope * (z3.If(t > m, m, z3.If(t > k, t, k)) - k)


def _gap_of_one_knot() -> Claim:
    t, lower, upper, slope, k = reals("t l u s k")

    def gap(x: z3.ArithRef) -> z3.ArithRef:
        return _bent(x) - slope * x

    ends = maximum(gap(lower), gap(upper))
    largest = z3.If(z3.And(lower < k, k < upper), maximum(ends, gap(k)), ends)
    return [within(t, lower, upper)], gap(t) <= largest


def _gap_of_two_knots() -> Claim:
    t, lower, upper, slope, k, m = reals("t l u s k m")

    def gap(x: z3.ArithRef) -> z3.ArithRef:
        return _twice_bent(x) - slope * x

    largest = maximum(gap(lower), gap(upper))
    for knot in (k, m):
        largest = z3.If(z3.And(lower < knot, knot < upper), maximum(largest, gap(knot)), largest)
    return [within(t, lower, upper), k <= m], gap(t) <= largest


def _image_of_one_knot() -> Claim:
    t, lower, upper, k = reals("t l u k")
    ends = _bent(lower), _bent(upper)
    inside = z3.And(lower < k, k < upper)
    low, high = minimum(*ends), maximum(*ends)
    low = z3.If(inside, minimum(low, _bent(k)), low)
    high = z3.If(inside, maximum(high, _bent(k)), high)
    return [within(t, lower, upper)], within(_bent(t), low, high)


def _triangle() -> Claim:
    t, lower, upper, slope = reals("t l u s")
    relu = z3.If(t > 0, t, 0)
    chord = upper * (t - lower) / (upper - lower)
    premises = [within(t, lower, upper), lower < 0, upper > 0, slope >= 0, slope <= 1]
    return premises, z3.And(slope * t <= relu, relu <= chord)


def _two_lines() -> Claim:
    c, t, value, low, low_offset, high, high_offset = reals("c t f a p b q")
    lines = [low * t + low_offset <= value, value <= high * t + high_offset]
    middle, half = (low + high) / 2, (high - low) / 2
    offset, half_offset = (low_offset + high_offset) / 2, (high_offset - low_offset) / 2
    size = z3.If(c >= 0, c, -c)
    pushed = (c * middle - size * half) * t + c * offset - size * half_offset
    return lines, c * value >= pushed


def _convex_part() -> Claim:
    t, lower, upper, at, at_lower, at_upper = reals("t l u g g_l g_u")
    below_chord = at * (upper - lower) <= at_lower * (upper - t) + at_upper * (t - lower)
    return [within(t, lower, upper), lower < upper, below_chord], at <= maximum(at_lower, at_upper)


def _concave_part() -> Claim:
    t, lower, upper, q, at, at_q, rise = reals("t l u q g g_q d")
    below_tangent = at <= at_q + rise * (t - q)
    ends = maximum(at_q + rise * (lower - q), at_q + rise * (upper - q))
    return [within(t, lower, upper), below_tangent], at <= ends


def _tangent_known_roughly() -> Claim:
    t, q, base, rise, low, high, most = reals("t q g_q d d_0 d_1 b")
    climb = maximum(low * (t - q), high * (t - q))
    return [within(rise, low, high), base <= most], base + rise * (t - q) <= most + climb


def _no_slope_needed() -> Claim:
    t, lower, upper, slope, value, least, most = reals("t l u s f f_0 f_1")
    premises = [within(t, lower, upper), within(value, least, most)]
    largest = most - minimum(slope * lower, slope * upper)
    return premises, value - slope * t <= largest


LEMMAS = (
    Lemma(
        "one-knot gap",
        "f(t) - s t, f piecewise linear with one knot, is largest at an end or at the knot.",
        ONE_KNOT,
        _gap_of_one_knot,
    ),
    Lemma(
        "two-knot gap",
        "The same for a function that is constant outside of two knots.",
        TWO_KNOTS,
        _gap_of_two_knots,
    ),
    Lemma(
        "one-knot image",
        "A piecewise linear function with one knot takes its extremes at an end or at the knot.",
        ONE_KNOT,
        _image_of_one_knot,
    ),
    Lemma(
        "triangle",
        "s t <= relu(t) <= u (t - l) / (u - l) on [l, u] around 0, for every s in [0, 1].",
        ops("relu"),
        _triangle,
    ),
    Lemma(
        "two lines",
        "A coefficient meets the lower line where it is positive and the upper one elsewhere: "
        "c f(t) >= (c m - |c| h) t + c o - |c| p, with the lines' middles and half differences.",
        ONE_KNOT | TWO_KNOTS | SMOOTH | STEPS,
        _two_lines,
    ),
    Lemma(
        "convex part",
        "What lies below its chord is largest at an end.",
        SMOOTH,
        _convex_part,
    ),
    Lemma(
        "concave part",
        "What lies below one of its tangents is at most that tangent's larger end.",
        SMOOTH,
        _concave_part,
    ),
    Lemma(
        "rough tangent",
        "A tangent of which value and slope are enclosed lies below the larger of two lines.",
        SMOOTH,
        _tangent_known_roughly,
    ),
    Lemma(
        "no slope",
        "f(t) - s t is at most the largest f less the least s t.",
        STEPS | ops("sin cos"),
        _no_slope_needed,
    ),
)
