"""The default planes of a product of two variables (McCormick 1976).

With midpoints m, n and radii r, s of the factors x and y, for any t and u in [-1, 1]

    (n - t s) x + (m - t r) y - m n - r s + t (m s + n r)  <=  x y
    x y  <=  (n + u s) x + (m - u r) y - m n + r s - u (m s - n r),

with equality at two corners for 1 and at the two opposite ones for -1. All choices leave the same
gaps, 2 r s at the most. A relaxation is sound for any of them, so nothing here has to be trusted:
search and checker both start from these tilts and each computes its own offsets.
"""

from __future__ import annotations

from typing import Any

from absint.ir.affine import Array

Interval = tuple[Array, Array]

EXACT_TERMS = 1 << 15
"""Products in a matrix product, up to which each has planes of its own; beyond, no tilt."""


def default_tilts(x: Interval, y: Interval, xp: Any) -> tuple[Array, Array]:
    """(t of the lower plane, u of the upper one), elementwise with broadcasting.

    The plane's least value over the box is largest for t between m / r and n / s; of these the one
    nearest to zero is taken, where both corners count alike. Likewise the upper one's.
    """
    first, second = _off_centre(x, xp), _off_centre(y, xp)
    return _between(first, second, xp), _between(first, -second, xp)


def _off_centre(x: Interval, xp: Any) -> Array:
    """m / r, within [-1, 1]; 0 for a point."""
    middle, radius = (x[0] + x[1]) / 2, (x[1] - x[0]) / 2
    wide = radius > 0
    return xp.where(wide, xp.clip(middle / xp.where(wide, radius, 1.0), -1.0, 1.0), 0.0)


def _between(first: Array, second: Array, xp: Any) -> Array:
    """The number nearest to zero between the two."""
    low, high = xp.minimum(first, second), xp.maximum(first, second)
    return xp.where(low > 0, low, xp.where(high < 0, high, xp.zeros_like(low)))
