"""What attention computed in float32 may be off by. Derivation: docs/rigor.md, section 14.

Computed attention is a mean of ``v_i (1 + t_i)`` with weights ``exp(s_i + d_i)``: all that goes
wrong before the exponentials' sum is in d_i, the rest in t_i.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from absint.problem.contract import Contract
from absint.proofs.arithmetic import FloatArray

OWN = 1 + 2.0**-20
"""More than the roundings made in evaluating a bound, relatively."""
_WIDEST = 2.0**-6
"""Of the relative error of a sum: beyond, terms of second order would matter."""
LONGEST = 1 << 14
"""Keys, and entries of a key."""
STEEPEST = 2.0**10
"""The largest scale: with the contract's largest queries and keys, scores stay below 2^96, which no
mask of -10^30 lets through."""


def sum_error(terms: int, rules: Contract) -> float:
    """Higham's gamma, relative to the sum of sizes; NaN where it is too large to be used."""
    share = terms * rules.unit
    return share / (1 - share) if share < _WIDEST else math.nan


def covered(count: int, width: int, scale: float) -> bool:
    """Whether the contract speaks of attention to so many keys of so many entries."""
    return max(count, width) <= LONGEST and abs(scale) <= STEEPEST


def within(size: FloatArray, rules: Contract) -> NDArray[np.bool_]:
    """(batch,): whether queries, keys or values of sizes (batch, ...) are covered."""
    inside: NDArray[np.bool_] = np.all(size.reshape((len(size), -1)) <= rules.attended, axis=1)
    return inside


def scores_off(reached: FloatArray, width: int, scale: float, rules: Contract) -> FloatArray:
    """What ``scale q . k`` is off by where ``sum |q| |k|`` is ``reached``.

    Either factor may have been scaled before, and the scale been rounded.
    """
    terms = width + rules.roundings["matmul"] + 4
    lost = 4 * terms * rules.flush * STEEPEST * (1 + rules.attended)
    found: FloatArray = OWN * abs(scale) * sum_error(terms, rules) * reached + lost
    return found


def exponents_off(span: FloatArray, rules: Contract) -> FloatArray:
    """What else d_i may be, for scores that lie within ``span``: differences from the largest so
    far and their exponentials, rescaled twice."""
    each = rules.elementwise["exp"].relative + 1
    found: FloatArray = OWN * 3.1 * rules.unit * (span + each)
    return found


def values_off(size: FloatArray, count: int, rules: Contract) -> FloatArray:
    """The most of ``|v_i t_i|`` for values up to ``size`` at ``count`` positions."""
    lost = 4 * (count + 3) ** 2 * rules.flush * (1 + size)
    found: FloatArray = OWN * sum_error(2 * count + 16, rules) * size + lost
    return found
