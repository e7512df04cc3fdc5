"""What several rules lower to: products, quotients, extremes of variables."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from absint.frontends.lowering import enclosure, gated, moments
from absint.frontends.lowering.emit import Emitter
from absint.frontends.lowering.values import (
    FLOATS,
    Array,
    Const,
    NotLoweredError,
    Shape,
    Value,
    Var,
    broadcast,
    number,
    require,
)


def product(emit: Emitter, a: Var, b: Var) -> Var:
    """``a * b`` with broadcasting; squares, normalisations and gates are recognised."""
    if a.node == b.node and a.shape == b.shape:
        return power(emit, a, 2)
    for x, y in ((a, b), (b, a)):
        found = moments.normalised(emit, x, y) or gated.gated(emit, x, y)
        if found is not None:
            return found
    broadcast(a.shape, b.shape)
    return emit.add("mul", [a, b])


def power(emit: Emitter, x: Var, exponent: int) -> Var:
    """``x ** exponent`` for an exponent of at least 2."""
    y = emit.add("power", [x], {"exponent": exponent})
    if exponent == 2:
        moments.squared(emit, x, y)
    return y


def square_root(emit: Emitter, x: Var) -> Var:
    y = emit.add("sqrt", [x])
    moments.rooted(emit, x, y)
    return y


def reciprocal(emit: Emitter, x: Var) -> Var:
    y = emit.add("reciprocal", [x])
    moments.inverted(emit, x, y)
    return y


def quotient(emit: Emitter, a: Var, b: Var) -> Var:
    """``a / b`` with broadcasting."""
    return product(emit, a, reciprocal(emit, b))


def spread(emit: Emitter, x: Var, shape: Shape) -> Var:
    """``x`` expanded to ``shape``."""
    wide: Value = emit.broadcast(x, shape)
    assert isinstance(wide, Var)
    return wide


def total(emit: Emitter, a: Var, b: Var, sign: int = 1) -> Var:
    """``a + sign * b`` with broadcasting."""
    shape = broadcast(a.shape, b.shape)
    operands = [spread(emit, a, shape), spread(emit, b, shape)]
    return emit.add("sum", operands, {"coefficients": (1, sign)})


def converted(emit: Emitter, x: Var, dtype: str) -> Var:
    """``x`` in a type that holds its numbers; a wide integer as a float is rounded, so a product
    with 1 stands for the conversion."""
    if x.dtype in ("int32", "int64") and dtype in FLOATS:
        return emit.add("scale", [x], consts={"weight": number(1.0, dtype).ir()}, dtype=dtype)
    return Var(x.node, x.shape, dtype)


def maximum(emit: Emitter, a: Var, b: Var, sign: int = 1) -> Var:
    """``max(a, b) = b + relu(a - b)``; with sign -1 ``min(a, b) = b - relu(b - a)``."""
    first, second = (a, b) if sign > 0 else (b, a)
    excess = emit.add("relu", [total(emit, first, second, -1)])
    return total(emit, b, excess, sign)


def larger(emit: Emitter, a: Value, b: Value, sign: int = 1) -> Var:
    """``max(a, b)`` of values of which one at most is constant; with sign -1 ``min(a, b)``."""
    if isinstance(a, Const):
        a, b = b, a
    if isinstance(a, Const):
        raise NotLoweredError("the extreme of constants that are not exact")
    if isinstance(b, Var):
        return maximum(emit, a, b, sign)
    return bounded(emit, spread(emit, a, broadcast(a.shape, b.shape)), b, sign)


def bounded(emit: Emitter, x: Var, bound: Const, sign: int) -> Var:
    """``max(x, bound)``, with sign -1 ``min(x, bound)``; the bound does not enlarge ``x``.

    One bound for all entries is a clip. Otherwise ``max(x, c) = relu(x - c) + c`` and ``min(x, c) =
    c - relu(c - x)``: exact in real arithmetic, though roundings differ from the runtime's.
    """
    common = bound.common()
    if common is not None:
        return emit.clip(x, common, math.inf) if sign > 0 else emit.clip(x, -math.inf, common)
    if sign > 0:
        excess = emit.add("relu", [emit.scale(x, bias=enclosure.negate(bound))])
        return emit.scale(excess, bias=bound)
    minus = number(-1.0, x.dtype)
    return emit.scale(emit.add("relu", [emit.scale(x, minus, bound)]), minus, bound)


def extreme(emit: Emitter, x: Var, index: Array, sign: int = 1) -> Var:
    """The largest (or smallest) of ``x``'s flat entries at ``index`` along its first axis.

    A tree of pairs: as few rounds as possible, so that relaxations stack little.
    """
    count = len(index)
    if count == 1:
        return emit.gather(x, index[0])
    half = count // 2
    best = maximum(emit, emit.gather(x, index[:half]), emit.gather(x, index[half : 2 * half]), sign)
    rows = np.arange(best.shape[0] * int(np.prod(best.shape[1:], dtype=np.int64)))
    result = extreme(emit, best, rows.reshape(best.shape), sign)
    if count % 2 == 0:
        return result
    return maximum(emit, result, emit.gather(x, index[-1]), sign)


def pick(emit: Emitter, sources: Sequence[Value], index: Array) -> Value:
    """Entries of all sources, flattened and joined, at ``index``; -1 reads zero.

    What is read of constants becomes a bias.
    """
    ends = np.cumsum([int(np.prod(s.shape, dtype=np.int64)) for s in sources])
    owner = np.searchsorted(ends, index, side="right")
    owner = np.where(index < 0, -1, owner)
    starts = np.concatenate([[0], ends])
    variables: list[Var] = []
    places = np.full(index.shape, -1, dtype=np.int64)
    value, radius = np.zeros(index.shape), np.zeros(index.shape)
    offset = 0
    for position, source in enumerate(sources):
        here = owner == position
        at = index[here] - starts[position]
        if isinstance(source, Const):
            value[here] = source.value.reshape(-1)[at]
            radius[here] = 0.0 if source.radius is None else source.radius.reshape(-1)[at]
        elif here.any():
            places[here] = at + offset
            variables.append(source)
            offset += int(ends[position] - starts[position])
    dtype = sources[0].dtype
    rest = Const(value, dtype, radius if radius.any() else None)
    if not variables:
        return _typed(rest, sources)
    joined = _joined(emit, variables)
    if not value.any() and rest.radius is None:
        return emit.gather(joined, places)
    return emit.scale(emit.gather(joined, places), bias=rest)


def _joined(emit: Emitter, variables: Sequence[Var]) -> Var:
    if len(variables) == 1:
        return variables[0]
    flat = [emit.reshape(v, (int(np.prod(v.shape, dtype=np.int64)),)) for v in variables]
    return emit.add("concat", flat, {"axis": 0})


def _typed(value: Const, sources: Sequence[Value]) -> Const:
    """Entries of constants that are all integers or booleans, as such."""
    kinds = {s.value.dtype for s in sources if isinstance(s, Const)}
    if len(kinds) == 1 and np.dtype(np.float64) not in kinds:
        return Const(value.value.astype(kinds.pop()), value.dtype)
    return value


def raised(emit: Emitter, x: Var, exponent: float) -> Var:
    """``x ** exponent`` for integers and halves; the base of a half must not be negative."""
    if exponent < 0:
        return reciprocal(emit, raised(emit, x, -exponent))
    if exponent == 0:
        return emit.scale(x, number(0.0, x.dtype), number(1.0, x.dtype))
    if exponent == int(exponent):
        return x if exponent == 1 else power(emit, x, int(exponent))
    if exponent * 2 == int(exponent * 2):
        return raised(emit, square_root(emit, x), exponent * 2)
    raise NotLoweredError(f"the power {exponent}", "integers and multiples of 1/2 are")


def stack(emit: Emitter, values: Sequence[Value], axis: int) -> Value:
    """Values of one shape and type along a new axis."""
    require(len({v.shape for v in values}) == 1, "rounds that give different shapes")
    require(len({v.dtype for v in values}) == 1, "rounds that give different types")
    shape = values[0].shape
    index = np.arange(math.prod(shape) * len(values)).reshape((len(values), *shape))
    return pick(emit, values, np.moveaxis(index, 0, axis))
