"""Ops that ONNX has, too: its rule is the one rule, so that both give the same graph."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from onnx import helper

from absint.frontends.lowering.values import NotLoweredError, Value, integers
from absint.frontends.onnx.call import Call as OnnxCall
from absint.frontends.onnx.registry import RULES
from absint.frontends.torch.call import Call, Rule

OPSET = 20
"""The opset whose semantics are meant here."""


def onnx(
    call: Call, op: str, operands: Sequence[Value | None], **attributes: Any
) -> tuple[Value, ...]:
    """What ``op`` of ONNX gives on ``operands``."""
    names = [f"operand_{i}" if value is not None else "" for i, value in enumerate(operands)]
    node = helper.make_node(op, names, ["result"], name=call.node.name, **attributes)
    none: Any = None  # no op that is used here has sub-graphs
    inner = OnnxCall(node, OPSET, operands, call.emit, [False] * len(names), none)
    result = RULES[op](inner)
    if inner.unread():
        raise NotLoweredError(f"attribute {inner.unread()[0]} of ONNX's {op}")
    return result if isinstance(result, tuple) else (result,)


def single(call: Call, op: str, operands: Sequence[Value | None], **attributes: Any) -> Value:
    """The first result of ``onnx``."""
    return onnx(call, op, operands, **attributes)[0]


def reduction(op: str, pair: bool = False) -> Rule:
    """Over ``dim``; with ``pair`` the second result (positions) is left out."""

    def rule(call: Call) -> Value | tuple[Value, ...]:
        x, keep = call.value(), int(call.flag("keepdim"))
        given = call.given("dim")
        axes = integers(call.integers("dim")) if given and call.integers("dim") else None
        result = single(call, op, [x, axes], keepdims=keep)
        return (result,) if pair else result

    return rule


def log_softmax(call: Call) -> Value:
    call.ignore("dtype", "half_to_float")
    return single(call, "LogSoftmax", [call.value()], axis=call.integer("dim"))


def einsum(call: Call) -> Value:
    if call.given("path"):
        raise NotLoweredError("a path")
    return single(call, "Einsum", call.tensors(), equation=call.text("equation"))


def cumulative_sum(call: Call) -> Value:
    return single(call, "CumSum", [call.value(), integers(np.array(call.integer("dim")))])


def vector_norm(call: Call) -> Value:
    """Of order 1 or 2."""
    order = call.read("ord")
    if order not in (1, 2):
        raise NotLoweredError(f"a norm of order {order}")
    call.ignore("dtype")
    x, keep = call.value(), int(call.flag("keepdim"))
    axes = integers(call.integers("dim")) if call.given("dim") else None
    return single(call, f"ReduceL{int(order)}", [x, axes], keepdims=keep)
