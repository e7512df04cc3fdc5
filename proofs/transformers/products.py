"""Products of two variables: rigorous interval images. Derivation: docs/rigor.md, section 7."""

from __future__ import annotations

import numpy as np

from absint.proofs.arithmetic import FloatArray, down, gamma, inflate, midpoint_radius, up

Interval = tuple[FloatArray, FloatArray]
"""(lower, upper); the factors' ends here must not be subnormal."""

SHORT = 128
"""Up to so many products a sum, the exact hull of each is taken; beyond, midpoint and radius."""


def product(a: Interval, b: Interval) -> Interval:
    """Bounds of ``x y``, elementwise with broadcasting."""
    first, second, third, fourth = (x * y for x in a for y in b)
    lower = np.minimum(np.minimum(first, second), np.minimum(third, fourth))
    upper = np.maximum(np.maximum(first, second), np.maximum(third, fourth))
    return down(lower), up(upper)


def dot(a: Interval, b: Interval) -> Interval:
    """Bounds of ``sum_i x_i y_i`` on the last axis, the axes before it broadcast."""
    terms = a[0].shape[-1]
    shape = np.broadcast_shapes(a[0].shape[:-1], b[0].shape[:-1])
    totals, sizes = np.zeros((2, *shape)), np.zeros((2, *shape))
    for i in range(terms):
        ends = product((a[0][..., i], a[1][..., i]), (b[0][..., i], b[1][..., i]))
        for side, end in enumerate(ends):
            totals[side] += end
            sizes[side] += np.abs(end)
    lost = inflate(gamma(terms) * sizes, terms + 2)
    return down(totals[0] - lost[0]), up(totals[1] + lost[1])


def matmul(a: Interval, b: Interval) -> Interval:
    """Bounds of ``a @ b``, the leading axes broadcast."""
    if a[0].shape[-1] > SHORT:
        return _long_matmul(a, b)
    turned = (b[0].swapaxes(-1, -2)[..., None, :, :], b[1].swapaxes(-1, -2)[..., None, :, :])
    return dot((a[0][..., :, None, :], a[1][..., :, None, :]), turned)


def _long_matmul(a: Interval, b: Interval) -> Interval:
    """By midpoints and radii: at most 1.5 times as wide (Rump 1999), and three plain products."""
    (m, r), (n, s), terms = midpoint_radius(*a), midpoint_radius(*b), a[0].shape[-1]
    far = inflate(np.abs(n) + s)
    spread = np.abs(m) @ s + r @ far
    lost = gamma(terms + 1) * (inflate(np.abs(m) + r) @ far)
    spread = inflate(spread + lost, 4 * terms + 8)
    centre = m @ n
    return down(centre - spread), up(centre + spread)
