"""PyTorch's loops and branches: unrolled, where the graph's constants decide how often."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from absint.frontends.lowering import compose, logic
from absint.frontends.lowering.emit import Emitter
from absint.frontends.lowering.values import Const, NotLoweredError, Value, Var, require

MAX_TRIPS = 1 << 14
Inside = Callable[[Any, Sequence[Value]], tuple[Value, ...]]
"""The results of a sub-graph on operands. Raises FoundInsideError."""
Rule = Callable[[Emitter, Sequence[Any], Inside], tuple[Value, ...]]
"""A rule of the emitter, the node's arguments, and how sub-graphs are lowered."""


class FoundInsideError(Exception):
    """Something in a sub-graph is not supported, and is listed already."""


def while_loop(emit: Emitter, arguments: Sequence[Any], inside: Inside) -> tuple[Value, ...]:
    """Unrolled: its condition must not depend on the input in any round."""
    condition, body, state, more = arguments
    for _ in range(MAX_TRIPS):
        going = inside(condition, [*state, *more])[0]
        if isinstance(going, Var):
            raise NotLoweredError(
                "a loop whose end depends on the input",
                "count the rounds in a tensor of its own, or write a Python loop of a fixed number",
            )
        if not going.value.all():
            return tuple(state)
        state = list(inside(body, [*state, *more]))
    raise NotLoweredError(f"a loop of more than {MAX_TRIPS} rounds")


def scan(emit: Emitter, arguments: Sequence[Any], inside: Inside) -> tuple[Value, ...]:
    """Unrolled over the first axis of what is scanned."""
    body, state, scanned, more = arguments
    lengths = {value.shape[0] for value in scanned}
    require(len(lengths) == 1, "scanned tensors of different lengths")
    count, rows = len(state), []
    for t in range(lengths.pop()):
        slices = [emit.take(value, t, 0) for value in scanned]
        results = inside(body, [*state, *slices, *more])
        state = list(results[:count])
        rows.append(results[count:])
    columns = zip(*rows, strict=True)
    return (*state, *(compose.stack(emit, list(column), 0) for column in columns))


def mapped(emit: Emitter, arguments: Sequence[Any], inside: Inside) -> tuple[Value, ...]:
    """``map``: a function of each slice along the first axis."""
    body, scanned, more = arguments
    return scan(emit, [body, [], scanned, more], inside)


def branch(emit: Emitter, arguments: Sequence[Any], inside: Inside) -> tuple[Value, ...]:
    """The branch that a constant chooses; else both, and a choice of their results."""
    condition, first, second, operands = arguments
    if isinstance(condition, bool):
        return inside(first if condition else second, operands)
    if isinstance(condition, Const):
        return inside(first if condition.value.all() else second, operands)
    return logic.choose(emit, condition, inside(first, operands), inside(second, operands))


RULES: Mapping[str, Rule] = MappingProxyType(
    {"cond": branch, "map_impl": mapped, "scan": scan, "while_loop": while_loop}
)
"""By the name of PyTorch's higher-order op."""
