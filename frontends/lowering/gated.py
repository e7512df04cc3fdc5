"""Recognises SiLU and GELU written out as a product of x with a function of x."""

from __future__ import annotations

import numpy as np

from absint.frontends.lowering import enclosure
from absint.frontends.lowering.emit import Emitter
from absint.frontends.lowering.values import Const, Var, number


def gated(emit: Emitter, x: Var, y: Var) -> Var | None:
    """``x * y`` as one node, where ``y`` is ``sigmoid(x)`` or ``1 + erf(a x)``; else None."""
    node = emit.builder.nodes[y.node]
    if node.op == "sigmoid":
        return _sigmoid(emit, x, emit.operand(y))
    return _error_function(emit, x, y)


def _sigmoid(emit: Emitter, x: Var, operand: Var) -> Var | None:
    """``x sigmoid(operand)``, where the operand is x or a multiple of it."""
    if operand == x:
        return silu(emit, x, None)
    base, slope, bias = emit.scaled(operand)
    if base != x or bias is not None or slope is None or not _nonzero(slope):
        return None
    return silu(emit, x, slope)


def _nonzero(c: Const) -> bool:
    return bool(np.abs(c.value) > (0.0 if c.radius is None else c.radius))


def silu(emit: Emitter, x: Var, slope: Const | None) -> Var:
    """``x sigmoid(slope x) = silu(slope x) / slope``."""
    if slope is None:
        return emit.add("silu", [x])
    inner = emit.add("silu", [emit.scale(x, slope)])
    return emit.scale(inner, enclosure.divide(number(1.0, x.dtype), slope))


def _error_function(emit: Emitter, x: Var, y: Var) -> Var | None:
    """``w x * v (1 + erf(a x))``, with scalar constants w and v (or none)."""
    base, w, bias = emit.scaled(x)
    if bias is not None:
        base, w = x, None
    inner, v, shift = emit.scaled(y)
    if shift is None:
        inner, one, shift = emit.scaled(inner)
        if one is not None:
            return None
    elif v is not None:
        return None
    if shift is None or shift.common() != 1.0 or emit.builder.nodes[inner.node].op != "erf":
        return None
    source, a, offset = emit.scaled(emit.operand(inner))
    if offset is not None or source.node != base.node or source.shape != x.shape:
        return None
    if y.shape != x.shape or not (a is None or _nonzero(a)):
        return None
    return gelu(emit, base, a, [c for c in (w, v) if c is not None])


def gelu(emit: Emitter, x: Var, a: Const | None, factors: list[Const]) -> Var:
    """``x (1 + erf(a x))`` times the factors: with ``s = a sqrt(2)`` it is ``2/s gelu(s x)``.

    So it is exact for the rounded ``1/sqrt(2)`` that a model stores.
    """
    root = enclosure.square_root(number(2.0, x.dtype))
    s = root if a is None else enclosure.multiply(root, a)
    inner = emit.add("gelu", [emit.scale(x, s)])
    factor = enclosure.divide(number(2.0, x.dtype), s)
    for other in factors:
        factor = enclosure.multiply(factor, other)
    return emit.scale(inner, factor)
