"""The error function for array namespaces that have none: the quotients of Cephes (Moshier)."""

from __future__ import annotations

from functools import reduce
from typing import Any

from absint.ir.affine import Array

_NEAR = (
    "9.60497373987051638749 90.0260197203842689217 2232.00534594684319226"
    " 7003.32514112805075473 55592.3013010394962768",
    "1 33.5617141647503099647 521.357949780152679795 4594.32382970980127987"
    " 22629.0000613890934246 49267.3942608635921086",
)
"""erf(x) / x as a quotient of polynomials in x^2, for |x| <= 1, the highest power first."""
_FAR = (
    "2.46196981473530512524e-10 0.564189564831068821977 7.46321056442269912687"
    " 48.6371970985681366614 196.520832956077098242 526.445194995477358631"
    " 934.528527171957607540 1027.55188689515710272 557.535335369399327526",
    "1 13.2281951154744992508 86.7072140885989742329 354.937778887819891062"
    " 975.708501743205489753 1823.90916687909736289 2246.33760818710981792"
    " 1656.66309194161350182 557.535340817727675546",
)
"""erfc(x) exp(x^2) as a quotient of polynomials in x, for 1 <= x <= 8."""


def erf(x: Array, xp: Any) -> Array:
    """The error function to about 1e-16."""
    if hasattr(xp, "erf"):
        return xp.erf(x)
    size = xp.abs(x)
    inner = xp.where(size < 1, x, 0.0)
    outer = xp.where(size < 1, 1.0, xp.where(size < 8, size, 8.0))
    near = inner * _quotient(_NEAR, inner * inner)
    far = 1 - xp.exp(-outer * outer) * _quotient(_FAR, outer)
    return xp.where(size < 1, near, xp.sign(x) * far) + 0 * x


def _quotient(coefficients: tuple[str, str], x: Array) -> Array:
    top, bottom = (reduce(lambda p, c: p * x + c, map(float, row.split())) for row in coefficients)
    return top / bottom
