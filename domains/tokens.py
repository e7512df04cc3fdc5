"""A head of attention over products of token sets, as a linear-fractional programme.

A head is a mean ``sum_p w_p v_p / sum_p w_p`` whose weights are ``exp(score)``. Its largest value
over independent choices at the positions is found by Dinkelbach's iteration (Dinkelbach 1967, "On
nonlinear fractional programming"): with ``F(r) = sum_p max over p's choices of w_p (v_p - r)`` the
maximum is the root of F, and the ratio that F's choice at r attains is a better r, until r no
longer grows.

``xp`` is an array namespace, numpy or torch. The iteration only *chooses*; the value is recomputed
from the choice, so that it can be differentiated: it is a maximum over finitely many ratios, whose
gradient is that of the ratio attained. Nothing here is sound in rounding.
"""

from __future__ import annotations

from typing import Any

from absint.domains.arrays import Array, still

ROUNDS = 60
"""Dinkelbach converges superlinearly, in about five rounds; roundings can make it linger."""


def mean(weights: Array, values: Array, xp: Any) -> Array:
    """``sum w v / sum w`` over the last axis: (..., positions) to (...)."""
    return xp.sum(weights * values, axis=-1) / xp.sum(weights, axis=-1)


def largest_mean(low: Array, high: Array, values: Array, xp: Any) -> Array:
    """The largest mean of ``values`` for weights in [low, high]: (..., positions) to (...).

    ``low`` is at least 0 and its sum is positive. The best weights are ``high`` where the value is
    above the mean that results, and ``low`` elsewhere.
    """
    least, most, fixed = still(low), still(high), still(values)
    above = fixed > mean(least + xp.zeros_like(fixed), fixed, xp)[..., None]
    best = -xp.inf
    for _ in range(ROUNDS):
        ratio = mean(xp.where(above, most, least), fixed, xp)
        if not bool(xp.any(ratio > best)):
            break
        best = ratio
        above = fixed > best[..., None]
    return mean(xp.where(above, high, low), values, xp)


def largest_mean_of_tokens(weights: Array, values: Array, allowed: Array, xp: Any) -> Array:
    """The largest mean over a choice of token at each position: (..., positions, tokens) to (...).

    ``weights`` (positive) and ``values`` of each token; ``allowed`` broadcasts to them and is True
    for the tokens in a position's set, of which there is at least one.
    """
    share, fixed = still(weights), still(values)
    chosen = xp.argmax(xp.where(allowed, fixed, -xp.inf), axis=-1)
    best = -xp.inf
    for _ in range(ROUNDS):
        ratio = mean(pick(share, chosen, xp), pick(fixed, chosen, xp), xp)
        if not bool(xp.any(ratio > best)):
            break
        best = ratio
        gain = xp.where(allowed, share * (fixed - best[..., None, None]), -xp.inf)
        chosen = xp.argmax(gain, axis=-1)
    return mean(pick(weights, chosen, xp), pick(values, chosen, xp), xp)


def pick(table: Array, chosen: Array, xp: Any) -> Array:
    """Each position's entry at its chosen token: (..., positions, tokens) to (..., positions)."""
    table = xp.broadcast_to(table, (*chosen.shape, table.shape[-1]))
    return xp.take_along_axis(table, chosen[..., None], axis=-1)[..., 0]
