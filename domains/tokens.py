"""Bounds over products of token sets: exact tables, and attention as a linear-fractional programme.

What depends on one position's token alone is a table with a row for each token; over a set of
tokens it has exactly that many values, and a linear bound over a product of sets is concretised
exactly, position by position. A head of attention is a mean ``sum_p w_p v_p / sum_p w_p`` whose
weights ``w_p = exp(score)`` and values ``v_p`` both come from the token at p. Its largest value over
a product of choices is found by Dinkelbach's iteration (Dinkelbach 1967, "On nonlinear fractional
programming"): with ``F(r) = sum_p max over choices of w_p (v_p - r)``, the maximum is the root of F,
and the ratio that F's choice at r attains is a better r, until r no longer grows.

``xp`` is an array namespace, numpy or torch. The iteration only *chooses*; the value is recomputed
from the choice, so that the caller may choose without gradients and differentiate the value: it is
a maximum over finitely many ratios, whose gradient is that of the ratio attained.
"""

from __future__ import annotations

from typing import Any

from absint.domains.arrays import Array

ROUNDS = 60
"""Dinkelbach converges superlinearly, in about five rounds; this many would be a defect."""


def mean(weights: Array, values: Array, xp: Any) -> Array:
    """``sum w v / sum w`` over the last axis: (..., positions) to (...)."""
    return xp.sum(weights * values, axis=-1) / xp.sum(weights, axis=-1)


def choose_weights(low: Array, high: Array, values: Array, xp: Any) -> Array:
    """Weights in [low, high] that make the mean of ``values`` largest: (..., positions).

    ``low`` is at least 0 and its sum positive. The best weights are ``high`` where the value is
    above the mean that results and ``low`` elsewhere.
    """
    weights = low + xp.zeros_like(values)
    best = mean(weights, values, xp)
    for _ in range(ROUNDS):
        weights = xp.where(values > best[..., None], high, low)
        ratio = mean(weights, values, xp)
        if not bool(xp.any(ratio > best)):
            break
        best = xp.maximum(ratio, best)
    return weights


def choose_tokens(weights: Array, values: Array, allowed: Array, xp: Any) -> Array:
    """The token of each position that makes the weighted mean largest: (..., positions) indices.

    ``weights`` (positive) and ``values`` are (..., positions, tokens); ``allowed`` broadcasts to
    them and is True for the tokens in each position's set, of which there is at least one.
    """
    best = xp.min(xp.where(allowed, values, xp.max(values)), axis=-1)
    best = xp.min(best, axis=-1)
    chosen = None
    for _ in range(ROUNDS):
        gain = xp.where(allowed, weights * (values - best[..., None, None]), -xp.inf)
        chosen = xp.argmax(gain, axis=-1)
        ratio = mean(pick(weights, chosen, xp), pick(values, chosen, xp), xp)
        if not bool(xp.any(ratio > best)):
            break
        best = xp.maximum(ratio, best)
    return chosen


def pick(table: Array, chosen: Array, xp: Any) -> Array:
    """Each position's entry at its chosen token: (..., positions, tokens) to (..., positions)."""
    table = xp.broadcast_to(table, (*chosen.shape, table.shape[-1]))
    return xp.take_along_axis(table, chosen[..., None], axis=-1)[..., 0]
