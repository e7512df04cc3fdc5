"""Matrix products."""

from __future__ import annotations

from absint.frontends.lowering.arithmetic import plus, times
from absint.frontends.lowering.linear import product
from absint.frontends.lowering.values import Value, number
from absint.frontends.torch.call import Call, Rule
from absint.frontends.torch.movement import swap


def linear(call: Call) -> Value:
    """``input weight^T + bias``."""
    x, weight = call.value("input"), call.value("weight")
    y = product(call.emit, x, swap(call.emit, weight) if len(weight.shape) > 1 else weight)
    return plus(call.emit, y, call.value("bias"), (True, False)) if call.given("bias") else y


def matmul(second: str) -> Rule:
    """``self @ other``; aten has several names for the second operand."""
    return lambda call: product(call.emit, call.value(), call.value(second))


def added_matmul(first: str, second: str) -> Rule:
    """``beta self + alpha (first @ second)``."""

    def rule(call: Call) -> Value:
        y = product(call.emit, call.value(first), call.value(second))
        alpha, beta = call.number("alpha"), call.number("beta")
        y = _times(call, y, alpha)
        if beta == 0:
            call.ignore("self")
            return y
        return plus(call.emit, y, _times(call, call.value(), beta), (True, False))

    return rule


def _times(call: Call, x: Value, factor: float) -> Value:
    return x if factor == 1 else times(call.emit, x, number(factor, x.dtype))


def outer(call: Call) -> Value:
    a, b = call.value(), call.value("vec2")
    column = call.emit.rearrange(a, lambda v: v.reshape((-1, 1)))
    return times(call.emit, column, b)
