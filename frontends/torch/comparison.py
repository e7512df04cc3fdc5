"""Comparisons, logic and quantifiers of variables; of constants PyTorch itself gives the result."""

from __future__ import annotations

import math

from absint.frontends.lowering import logic
from absint.frontends.lowering.linear import average
from absint.frontends.lowering.values import Const, NotLoweredError, Value, Var, axes_of, number
from absint.frontends.torch.arithmetic import cast, scalar
from absint.frontends.torch.call import Call, Rule


def relation(lowered: logic.Relation) -> Rule:
    """A comparison of two tensors, or of a tensor and a number, in their common type."""

    def rule(call: Call) -> Value:
        a, b = call.value(), call.read("other")
        if isinstance(b, Const | Var):
            b = call.value("other")
            dtype = _common(a, b)
            return lowered(call.emit, cast(call.emit, a, dtype), cast(call.emit, b, dtype))
        wide = "float32" if isinstance(b, float) and not a.dtype.startswith("float") else a.dtype
        return lowered(call.emit, cast(call.emit, a, wide), scalar(b, wide))

    return rule


def _common(a: Value, b: Value) -> str:
    """The type in which PyTorch compares: tensors without axes count less than others."""
    import torch

    blank = [
        torch.empty((1,) * len(v.shape), dtype=getattr(torch, v.dtype), device="meta")
        for v in (a, b)
    ]
    return str(torch.result_type(*blank)).removeprefix("torch.")


def connective(lowered: logic.Relation, bitwise: bool = False) -> Rule:
    """``logical_and`` and its like, of any types; with ``bitwise`` of truth values only."""

    def rule(call: Call) -> Value:
        a, b = call.value(), call.value("other")
        if bitwise and (a.dtype, b.dtype) != ("bool", "bool"):
            raise NotLoweredError(f"bits of {a.dtype}", "truth values are")
        return lowered(call.emit, *(cast(call.emit, v, "bool") for v in (a, b)))

    return rule


def negation(call: Call) -> Value:
    x = call.var()
    if call.node.target.__name__.startswith("bitwise") and x.dtype != "bool":
        raise NotLoweredError(f"bits of {x.dtype}", "truth values are")
    return logic.negation(call.emit, logic.nonzero(call.emit, x))


def some(call: Call) -> Value:
    """Whether any entry along ``dim`` (of all, without) is not zero: a sum, limited to 1."""
    holds = logic.nonzero(call.emit, call.var())
    count, _ = _count(call, holds)
    return _truth(call.emit.add("clip", [count], {"lower": -math.inf, "upper": 1.0}))


def every(call: Call) -> Value:
    """Whether all entries are not zero: what their count exceeds by one less than their number."""
    count, entries = _count(call, logic.nonzero(call.emit, call.var()))
    spare = number(1.0 - entries, count.dtype)
    return _truth(call.emit.add("relu", [call.emit.scale(count, bias=spare)]))


def _count(call: Call, holds: Var) -> tuple[Var, int]:
    """How many entries hold, and of how many."""
    rank = len(holds.shape)
    given = call.read("dim") if "dim" in call.arguments else None
    listed = tuple(range(rank)) if given is None else given if isinstance(given, list) else (given,)
    axes = axes_of(tuple(listed), rank)
    keep = "keepdim" in call.arguments and call.flag("keepdim")
    x = Var(holds.node, holds.shape, call.emit.real)
    total = average(call.emit, x, axes, keep, False) if axes else x
    assert isinstance(total, Var)
    return total, math.prod(holds.shape[axis] for axis in axes)


def _truth(x: Var) -> Var:
    return Var(x.node, x.shape, "bool")
