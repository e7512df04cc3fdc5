"""Softmax, its logarithm, and attention."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from absint.frontends.lowering import compose, masks
from absint.frontends.lowering.emit import Emitter
from absint.frontends.lowering.values import Array, Masked, NotLoweredError, Value, Var, axis_of
from absint.frontends.onnx.call import Call
from absint.ir import Constant

Rule = Callable[[Emitter, Var], Var]


def softmax(call: Call) -> Value:
    return _on_axis(call, masks.softmax)


def log_softmax(call: Call) -> Value:
    return _on_axis(call, _logarithm)


def _on_axis(call: Call, rule: Rule) -> Value:
    """One axis since opset 13; before, all axes from ``axis`` on count as one."""
    x, emit = call.var(), call.emit
    if call.opset < 13:
        axis = axis_of(call.integer("axis", 1), len(x.shape))
        flat = (math.prod(x.shape[:axis]), math.prod(x.shape[axis:]))
        if axis == len(x.shape) - 1:
            return rule(emit, x)
        lead = emit.rearrange(x, lambda a: a.reshape(flat))
        assert isinstance(lead, Var)
        return emit.reshape(rule(emit, lead), x.shape)
    axis = axis_of(call.integer("axis", -1), len(x.shape))
    if axis == len(x.shape) - 1:
        return rule(emit, x)
    turned = emit.rearrange(x, lambda a: np.moveaxis(a, axis, -1))
    assert isinstance(turned, Var)
    return emit.rearrange(rule(emit, turned), lambda a: np.moveaxis(a, -1, axis))


MAX_PAIRS = 1 << 16
"""Up to how many differences a logarithm of softmax is written with them."""


def _logarithm(emit: Emitter, x: Var) -> Var:
    """``-log(1 + sum exp(x_j - x_i))`` over the others j: what all share cancels.

    For many entries ``x_i - log sum exp x_j``.
    """
    if isinstance(x, Masked):
        raise NotLoweredError("the logarithm of a masked softmax")
    count = x.shape[-1]
    if count == 1:
        return emit.gather(x, np.full(x.shape, -1))
    if math.prod(x.shape) * count > MAX_PAIRS:
        powers = emit.add("exp", [x])
        total = emit.add("dense", [powers], consts={"weight": Constant(np.ones((count, 1)))})
        return compose.total(emit, x, emit.add("log", [total]), -1)
    return _pairwise(emit, x, count)


def _pairwise(emit: Emitter, x: Var, count: int) -> Var:
    index: Array = np.arange(math.prod(x.shape)).reshape((-1, count))
    others = np.array([[j for j in range(count) if j != i] for i in range(count)])
    own = np.broadcast_to(index[:, :, None], (len(index), count, count - 1))
    differences = compose.total(emit, emit.gather(x, index[:, others]), emit.gather(x, own), -1)
    powers = emit.add("exp", [differences])
    column = {"weight": Constant(np.ones((count - 1, 1))), "bias": Constant(np.ones(1))}
    logs = emit.add("log", [emit.add("dense", [powers], consts=column)])
    return emit.reshape(emit.add("scale", [logs], consts=_MINUS), x.shape)


_MINUS = {"weight": Constant(np.array(-1.0))}
