"""One case of each elementwise function, and where it is defined: what tests loop over."""

from __future__ import annotations

import numpy as np
from irmodels import CLIPS, Case
from numpy.typing import NDArray

from absint.ir import OPS, Curved, Facts, Node, PiecewiseLinear, Univariate
from absint.ir.graph import Attribute

FloatArray = NDArray[np.float64]
_ATTRS: dict[str, list[dict[str, Attribute]]] = {
    "leaky_relu": [{"alpha": a} for a in (0.0, 0.01, 0.25, 1.0, 1.5, -0.5)],
    "clip": [{"lower": a, "upper": b} for a, b in CLIPS],
    "elu": [{"alpha": a} for a in (1.0, 0.25, 1.7, -0.5, 0.0)],
    "power": [{"exponent": n} for n in (2, 3, 6, 7)],
}
CASES = {
    " ".join([op, *(str(value) for value in attrs.values())]): Case("", op, ((1,),), attrs)
    for op, row in OPS.items()
    if row.univariate is not None
    for attrs in _ATTRS.get(op, [{}])
}
"""Name to case; every univariate op of the table is here."""


def row(name: str) -> tuple[Node, Univariate, Facts]:
    node = CASES[name].node()
    univariate = OPS[node.op].univariate
    assert univariate is not None
    return node, univariate, univariate.facts(node)


PIECEWISE = [name for name in CASES if isinstance(row(name)[2], PiecewiseLinear)]
CURVED = [name for name in CASES if isinstance(row(name)[2], Curved)]
STEPS = ["sign", "floor", "round"]
WAVES = ["sin", "cos"]
S_SHAPED = ["sigmoid", "tanh", "erf"]


def inside(name: str, lower: FloatArray, upper: FloatArray) -> NDArray[np.bool_]:
    """Which intervals lie in the function's domain, by comparisons of exact ends."""
    smallest = 2.0**-1022
    found = {
        "log": lower >= smallest,
        "sqrt": lower >= 0,
        "reciprocal": (lower >= smallest) | (upper <= -smallest),
    }
    return found.get(name, np.ones(lower.shape, dtype=bool))
