"""Additive masks: constants of -inf, or so low that it makes no difference, before a softmax.

An entry that such a constant takes out has weight exp(-inf) = 0. Exporters write the lowest finite
float instead; what is left of its weight, exp(-1e30) at most against scores that are not as large,
is below every positive float64.
"""

from __future__ import annotations

import numpy as np

from absint.frontends.lowering.emit import Emitter
from absint.frontends.lowering.values import (
    MASKING,
    Array,
    Const,
    Masked,
    NotLoweredError,
    Value,
    Var,
)
from absint.ir import Constant


def add(emit: Emitter, x: Var, bias: Const, fuse: bool = False) -> Var:
    """``x + bias`` of the shape of ``x``, with some entries of either at MASKING or below."""
    keep = np.broadcast_to(bias.value > MASKING, x.shape)
    rest = Const(np.where(bias.value > MASKING, bias.value, 0.0), bias.dtype, bias.radius)
    base = x if not rest.value.any() and rest.radius is None else emit.add_bias(x, rest, fuse)
    before = x
    if isinstance(x, Masked):
        keep = keep & x.keep
        if x.plain is None:
            return Masked(base.node, base.shape, base.dtype, keep, None)
        before = x.plain
    finite = bool(np.isfinite(bias.value).all())
    plain = emit.scale(before, bias=bias) if finite else None
    return Masked(base.node, base.shape, base.dtype, keep, plain)


def fill(emit: Emitter, x: Var, keep: Array, value: float) -> Var:
    """``x`` where ``keep`` (of its shape) holds, and ``value`` at MASKING or below elsewhere."""
    earlier = keep & x.keep if isinstance(x, Masked) else keep
    source = x.plain if isinstance(x, Masked) else x
    plain = None
    if source is not None and np.isfinite(value):
        index = np.arange(keep.size).reshape(x.shape)
        plain = emit.gather(source, np.where(keep, index, -1), value)
    return Masked(x.node, x.shape, x.dtype, earlier, plain)


def unmasked(value: Value | None) -> Value | None:
    """A tensor as a reader sees it that is no softmax. Raises NotLoweredError for infinite ones."""
    if not isinstance(value, Masked):
        return value
    if value.plain is None:
        raise NotLoweredError("an operand with entries of -inf", "only a softmax may read them")
    return value.plain


def plain(value: Value) -> Value:
    """``unmasked`` of a tensor that there is."""
    found = unmasked(value)
    assert found is not None
    return found


def softmax(emit: Emitter, x: Var) -> Var:
    """Softmax on the last axis, over the entries that the mask of ``x`` lets take part."""
    if not isinstance(x, Masked) or bool(x.keep.all()):
        return emit.add("softmax", [Var(x.node, x.shape, x.dtype)])
    if not x.keep.any(axis=-1).all():
        raise NotLoweredError("a softmax over a row in which everything is masked")
    mask = Constant(x.keep.astype(np.int64))
    return emit.add("softmax", [Var(x.node, x.shape, x.dtype)], consts={"mask": mask})
