"""Softmax and softmax-weighted means: rigorous interval images. Derivation: docs/rigor.md."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from absint.proofs.arithmetic import TINY, FloatArray, down, gamma, inflate, up
from absint.proofs.transcendental import exp_of_negative

Interval = tuple[FloatArray, FloatArray]
Mask = NDArray[np.bool_]

_SLACK = 2.0**-48
"""More than the roundings of one product, one sum and one quotient."""
_ELEMENTS = 1 << 22
"""Entries of a mean's weights and values held at once."""


def softmax(x: Interval, takes: Mask) -> Interval:
    """Bounds of ``exp(x_i) / sum_j exp(x_j)`` on the last axis, j among the entries in ``takes``.

    The exact hull over the box: each share is increasing in its own score, decreasing in the
    others'. Infinite ends mean that nothing is known of a score, and then it is a share.
    """
    takes = np.broadcast_to(takes, x[0].shape)
    below, above = _share(x[0], x[1], takes, 0), _share(x[1], x[0], takes, 1)
    alone = takes.sum(axis=-1, keepdims=True) == 1
    lower = np.where(below >= 0, np.maximum(below * (1 - _SLACK) - TINY, 0.0), 0.0)
    upper = np.where(above <= 1, np.minimum(above * (1 + _SLACK) + 2.0**-1020, 1.0), 1.0)
    return np.where(takes, np.where(alone, 1.0, lower), 0.0), np.where(takes, upper, 0.0)


def _share(own: FloatArray, others: FloatArray, takes: Mask, side: int) -> FloatArray:
    """``1 / (1 + sum_(j != i) exp(others_j - own_i))``, from below (side 0) or above (1).

    With R the largest other score and T the sum of ``exp(others_j - R)``, which is at least 1, this
    is ``1 / (1 + T exp(R - own))``: no exponent is positive. R is the same for all i but one.
    """
    others = np.where(takes, others, -np.inf)
    first = np.arange(others.shape[-1]) == others.argmax(axis=-1)[..., None]
    top = others.max(axis=-1, keepdims=True)
    next_top = np.where(first, -np.inf, others).max(axis=-1, keepdims=True)
    tail = np.where(
        first,
        _tail(others, next_top, takes & ~first, side, False),
        _tail(others, top, takes, side, True),
    )
    ahead = own - np.where(first, next_top, top)
    ahead = down(ahead) if side == 0 else up(ahead)
    low, high = exp_of_negative(-np.abs(ahead))
    damped, grown = (high, low) if side == 0 else (low, high)
    return np.where(ahead >= 0, 1 / (1 + tail * damped), grown / (grown + tail))


def _tail(others: FloatArray, top: FloatArray, takes: Mask, side: int, but_own: bool) -> FloatArray:
    """``sum_j exp(others_j - top)`` from above (side 0) or below (1); ``but_own``: over j != i."""
    gap = others - top
    gap = up(gap) if side == 0 else down(gap)
    terms = np.where(takes, exp_of_negative(np.minimum(gap, 0.0))[1 - side], 0.0)
    total, count = terms.sum(axis=-1, keepdims=True), terms.shape[-1]
    rest = total - terms if but_own else total
    lost = inflate(gamma(count + 4) * total, count + 4)
    tail: FloatArray = rest + lost if side == 0 else np.maximum(rest - lost, 0.0)
    return tail


def mean(scores: Interval, values: Interval) -> Interval:
    """Bounds of ``sum_i w_i v_i`` with w the softmax of the scores, each score and value anywhere.

    ``scores`` are (*lead, m) and ``values`` (*lead, d, m), which broadcast; the result (*lead, d).
    Exact but for roundings: a linear-fractional programme, see ``_largest_mean``.
    """
    top = scores[1].max(axis=-1, keepdims=True)
    low = exp_of_negative(np.minimum(down(scores[0] - top), 0.0))[0][..., None, :]
    high = exp_of_negative(np.minimum(up(scores[1] - top), 0.0))[1][..., None, :]
    step, count = max(1, _ELEMENTS // low.size), values[0].shape[-2]
    places = [slice(begin, begin + step) for begin in range(0, count, step)]
    upper = [_largest_mean(low, high, values[1][..., some, :]) for some in places]
    lower = [-_largest_mean(low, high, -values[0][..., some, :]) for some in places]
    return np.concatenate(lower, axis=-1), np.concatenate(upper, axis=-1)


def _largest_mean(low: FloatArray, high: FloatArray, v: FloatArray) -> FloatArray:
    """At least ``max sum e v / sum e`` over ``low <= e <= high``, on the last axis.

    A number L is not below it if ``sum max(low (v - L), high (v - L)) <= 0``. L is found by
    Dinkelbach's iteration and moved up by more than what the check itself may lose; where the check
    fails all the same, the largest v has to do.
    """
    worst = np.where(np.isnan(v), np.inf, v).max(axis=-1)
    worst = np.broadcast_to(worst, np.broadcast_shapes(worst.shape, low.shape[:-1]))
    count = v.shape[-1]
    guess = _dinkelbach(low, high, v)
    reach = worst - v.min(axis=-1)
    guess = guess + (reach * (2.0**-43 + count * 2.0**-48) + np.abs(guess) * 2.0**-50)
    gap = up(v - guess[..., None])
    terms = np.where(gap > 0, high, low) * gap
    lost = inflate(gamma(count + 4) * np.abs(terms).sum(axis=-1), 8 * count + 8)
    return np.where(terms.sum(axis=-1) + lost < 0, np.minimum(guess, worst), worst)


def _dinkelbach(low: FloatArray, high: FloatArray, v: FloatArray) -> FloatArray:
    """About the largest weighted mean; each step picks the weights that are best for the last."""
    weights = low + high
    guess: FloatArray = (weights * v).sum(axis=-1) / weights.sum(axis=-1)
    for _ in range(v.shape[-1] + 1):
        weights = np.where(v > guess[..., None], high, low)
        better = (weights * v).sum(axis=-1) / weights.sum(axis=-1)
        if not (better > guess).any():
            break
        guess = np.where(better > guess, better, guess)
    return guess
