"""What a node computed in float32 may be off by: bounds from its operands' and its own.

The value of a node is its exact function of its operands' *computed* values, plus an error of at
most this. Derivation: docs/rigor.md, section 14.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from absint.ir import OPS, Graph, Node
from absint.ir.joint import aligned
from absint.problem.contract import Contract
from absint.proofs.arithmetic import FloatArray, down, up, without_subnormals
from absint.proofs.transformers import attended, forward, normalize
from absint.proofs.transformers.affine import AFFINE_OPS, Interval, magnitude
from absint.proofs.transformers.attended import OWN, sum_error


def uncovered(graph: Graph, rules: Contract) -> list[str]:
    """What of a network the contract has no bound for: parts of its source, ops, other types."""
    ports = {p.dtype for p in (*graph.inputs, *graph.outputs)} - {"float32", "int32", "int64"}
    ops = {node.op for node in graph.nodes if not rules.covers(node.op)}
    return [*graph.real_only, *(f"the op {op}" for op in sorted(ops)), *sorted(ports)]


def error(
    node: Node, xs: Sequence[Interval], value: Interval, divisor: Interval | None, rules: Contract
) -> FloatArray:
    """(batch, *shape): at least ``|computed - exact|``; NaN where the contract says nothing.

    ``xs`` are bounds of the operands as computed and read, ``value`` those of the exact function
    of them, ``divisor`` what a normalisation divides by (batch, groups).
    """
    with np.errstate(all="ignore"):
        far = [np.maximum(np.abs(x[0]), np.abs(x[1])) for x in xs]
        size = np.maximum(np.abs(value[0]), np.abs(value[1]))
        found = OWN * _error(node, far, size, divisor, rules) + 4 * rules.flush
        return np.where(size + found <= rules.largest, found, np.nan)


def computed(node: Node, xs: Sequence[Interval], rules: Contract) -> Interval:
    """Bounds of what a node gives for operands as computed and read, as any reader may read it.

    NaN in a batch entry where it may have no value.
    """
    value, divisor = forward.interval(node, xs, rules), None
    if node.op == "normalize":
        divisor = normalize.divisor(node, without_subnormals(*xs[0]))
    return widened(value, error(node, xs, value, divisor, rules), rules)


def widened(value: Interval, off: FloatArray, rules: Contract) -> Interval:
    """Bounds of what is computed, as any reader may read it; NaN in a batch entry without any."""
    lost = np.isnan(off.reshape((len(off), -1))).any(axis=1)
    lost = lost.reshape((-1, *(1 for _ in off.shape[1:])))
    lower, upper = as_read((down(value[0] - off), up(value[1] + off)), rules)
    return np.where(lost, np.nan, lower), np.where(lost, np.nan, upper)


def as_read(x: Interval, rules: Contract) -> Interval:
    """With ends below the smallest normal float32 moved outward: it may be read as zero."""
    near = [(np.abs(end) < rules.flush) & ~_is_zero(end) for end in x]
    return (
        np.where(near[0], np.where(np.signbit(x[0]), -rules.flush, 0.0), x[0]),
        np.where(near[1], np.where(np.signbit(x[1]), 0.0, rules.flush), x[1]),
    )


def _is_zero(x: FloatArray) -> NDArray[np.bool_]:
    """By its bits: a subnormal float64 may compare as zero."""
    result: NDArray[np.bool_] = np.ascontiguousarray(x).view(np.int64) << 1 == 0
    return result


def _error(
    node: Node,
    far: Sequence[FloatArray],
    size: FloatArray,
    divisor: Interval | None,
    rules: Contract,
) -> FloatArray:
    if node.op in AFFINE_OPS:
        return _affine(node, far, rules)
    if node.op in rules.elementwise:
        return _elementwise(node, far[0], size, rules)
    if node.op == "mul":
        return sum_error(1 + rules.roundings["mul"], rules) * size
    if node.op == "matmul":
        a, b = (aligned(x, len(node.shape)) for x in far)
        return _product_error(a @ b, a.shape[-1] + rules.roundings["matmul"], rules)
    if node.op == "softmax":
        return _softmax(size, rules)
    if node.op == "normalize" and divisor is not None:
        return _normalize(node, far[0], size, divisor, rules)
    if node.op == "attend":
        count = len(far) // 2
        shape = (len(far[0]), node.integer("kv_heads"), -1)
        largest = np.maximum.reduce(far[count + 1 :]).reshape(shape)
        each = np.repeat(largest, node.integer("heads") // shape[1], axis=1)
        return attended.values_off(each.reshape(size.shape), count, rules)
    if node.op == "embedding" and not _held(node):
        return 2 * rules.unit * size
    return np.full(size.shape, 0.0 if node.op in ("embedding", "argmax") else np.nan)


def _held(node: Node) -> bool:
    """Whether a table's entries are float32 numbers, or are known no better than those would be."""
    table = node.consts["weight"]
    return table.radius is not None or bool((np.float32(table.value) == table.value).all())


def _product_error(reached: FloatArray, terms: int, rules: Contract) -> FloatArray:
    """Of sums of products with the given sums of sizes, each product and sum perhaps flushed."""
    relative = sum_error(terms, rules)
    fits = reached * (1 + relative) <= rules.largest
    return np.where(fits, relative * reached + 2 * terms * rules.flush, np.nan)


def _affine(node: Node, far: Sequence[FloatArray], rules: Contract) -> FloatArray:
    """Sums of products with constants, which may themselves be rounded or read as zero."""
    rule = OPS[node.op].affine
    assert rule is not None
    shape = (len(far[0]), *node.shape)
    if node.op not in rules.roundings or (node.op == "gather" and "bias" not in node.consts):
        return np.zeros(shape)
    reached = np.broadcast_to(magnitude(node, far), shape)
    if any(float(np.abs(c.value).max()) > rules.largest for c in node.consts.values()):
        return np.full(shape, np.nan)
    read: FloatArray = rules.flush * np.add.reduce([x.reshape((len(x), -1)).sum(1) for x in far])
    drowned = read.reshape((-1, *(1 for _ in node.shape)))
    return _product_error(reached, rule.fan_in(node) + rules.roundings[node.op], rules) + drowned


def _elementwise(node: Node, far: FloatArray, size: FloatArray, rules: Contract) -> FloatArray:
    row = rules.elementwise[node.op]
    absolute, relative = row.absolute, row.relative
    if node.op == "elu":
        absolute *= abs(node.number("alpha"))
    if node.op == "power":
        relative *= node.integer("exponent")
    if node.op == "clip":
        absolute = max(_misread(node.extended(end)) for end in ("lower", "upper")) / rules.unit
    found = rules.unit * (absolute + relative * size + row.argument * far)
    return np.where(far <= row.reach, found, np.nan)


def _misread(end: float) -> float:
    """What an end of a clip loses as a float32."""
    return abs(end) * 2.0**-24 if math.isfinite(end) and float(np.float32(end)) != end else 0.0


def _softmax(size: FloatArray, rules: Contract) -> FloatArray:
    """``-y log y`` is at most 1 / e, and the mean of what differences lose at most log n."""
    count = size.shape[-1]
    terms = count + math.log(count) + 16 + 4 * rules.elementwise["exp"].relative
    relative = sum_error(math.ceil(terms), rules)
    found: FloatArray = 1.02 * (rules.unit * 0.37 + relative * size) + count * rules.flush
    return found


def _normalize(
    node: Node, far: FloatArray, size: FloatArray, divisor: Interval, rules: Contract
) -> FloatArray:
    """The divisor is off by half of what the variance is, relatively, and less than all of it."""
    groups = (len(far), -1, normalize.together(node))
    x, y, least = far.reshape(groups), size.reshape(groups), divisor[0][..., None]
    relative, epsilon = sum_error(groups[2] + 16, rules), node.number("epsilon")
    squares = (x * x).mean(axis=2, keepdims=True)
    moved: FloatArray = np.zeros_like(x)
    share: FloatArray = np.full(least.shape, relative)
    if node.integer("centered"):
        mean = x.mean(axis=2, keepdims=True)
        share = 4 * relative * (squares + epsilon) / (least * least)
        moved = relative * mean + 8 * rules.unit * (x + 2 * mean)
    share = share + 8 * rules.flush / (least * least)
    found = 1.5 * moved / least + (share + 16 * rules.unit) * y
    fits = (share <= 0.25) & (squares * groups[2] <= rules.largest / 4)
    result: FloatArray = np.where(fits, found, np.nan).reshape(size.shape)
    return result
