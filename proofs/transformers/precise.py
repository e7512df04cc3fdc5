"""One node forward in ball arithmetic of many digits, for what float64 leaves undecided.

Values are object arrays (batch, *shape) of flint's ``arb``: rigorous at any precision, slow.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from absint.ir import OPS, Constant, Node
from absint.proofs.transformers.affine import AFFINE_OPS

Values = NDArray[np.object_]
BITS = 128


class Precise:
    """Nodes at ``BITS`` bits; the constants of a graph are converted once."""

    def __init__(self) -> None:
        self._matrices: dict[Constant, Any] = {}
        self._arrays: dict[Constant, Values] = {}

    @staticmethod
    def knows(node: Node) -> bool:
        return node.op in AFFINE_OPS or node.op in _RULES or node.op in ("input", "embedding")

    def value(self, node: Node, xs: Sequence[Values]) -> Values:
        """The node's value for operands (batch, *shape).

        Raises KeyError: an op that is not known.
        """
        if node.op == "embedding":
            ids = xs[0].astype(np.int64)
            return _balls(node.consts["weight"], ids)
        if node.op in _RULES:
            return _RULES[node.op](*xs)
        if node.op == "dense" and xs[0].ndim == 2:
            return self._dense(node, xs[0])
        rule = OPS[node.op].affine
        if rule is None or node.op not in AFFINE_OPS:
            raise KeyError(node.op)
        weight = self._array(node.consts["weight"]) if "weight" in node.consts else None
        return self._shifted(node, np.asarray(rule.forward(node, xs, weight, np), dtype=object))

    def _dense(self, node: Node, x: Values) -> Values:
        from flint import arb_mat

        weight = node.consts["weight"]
        if weight not in self._matrices:
            self._matrices[weight] = arb_mat(self._array(weight).tolist())
        product = arb_mat(x.tolist()) * self._matrices[weight]
        flat = np.empty(len(x) * node.size, dtype=object)
        flat[:] = product.entries()
        return self._shifted(node, flat.reshape((len(x), node.size)))

    def _shifted(self, node: Node, x: Values) -> Values:
        if "bias" not in node.consts:
            return x
        shifted: Values = x + self._array(node.consts["bias"])
        return shifted

    def _array(self, constant: Constant) -> Values:
        if constant not in self._arrays:
            self._arrays[constant] = _balls(constant)
        return self._arrays[constant]


def _balls(constant: Constant, rows: Any = ...) -> Values:
    """The entries, or those of some rows: exact, or of the constant's radius."""
    from flint import arb

    value = constant.value[rows]
    off = np.zeros(value.shape) if constant.radius is None else constant.radius[rows]
    flat = np.empty(value.size, dtype=object)
    flat[:] = [arb(m, r) for m, r in zip(value.flat, off.flat, strict=True)]
    return flat.reshape(value.shape)


def _each(function: Callable[[Any], Any]) -> Callable[[Values], Values]:
    found: Callable[[Values], Values] = np.frompyfunc(function, 1, 1)
    return found


_RULES: dict[str, Callable[..., Values]] = {
    "mul": lambda a, b: a * b,
    "relu": _each(lambda x: x.max(0)),
    "sigmoid": _each(lambda x: 1 / (1 + (-x).exp())),
    "tanh": _each(lambda x: x.tanh()),
}
