"""LSTM, GRU and plain recurrent layers, unrolled over the sequence's constant length."""

from __future__ import annotations

import numpy as np

from absint.frontends.lowering.values import Array, Const, NotLoweredError, Value, require
from absint.frontends.torch.bridge import onnx
from absint.frontends.torch.call import Call, Rule
from absint.frontends.torch.movement import join, reshape, swap

_ORDERS = {"LSTM": (0, 3, 1, 2), "GRU": (1, 0, 2), "RNN": (0,)}
"""PyTorch's gates in ONNX's order: (i f g o) to (i o f c), (r z n) to (z r h)."""


def layers(op: str, *activations: str) -> Rule:
    """``op`` of ONNX, one call a layer; ``activations`` are one direction's, where not usual."""

    def rule(call: Call) -> tuple[Value, ...]:
        call.ignore("dropout")
        if call.flag("train"):
            raise NotLoweredError("training mode", "give the module in eval mode")
        turned = call.flag("batch_first")
        x = call.value("input")
        require(len(x.shape) == 3, f"a sequence of shape {x.shape}, which has no batch axis")
        x = swap(call.emit, x, 0, 1) if turned else x
        outputs, finals = _stack(call, op, activations, x)
        return (swap(call.emit, outputs, 0, 1) if turned else outputs, *finals)

    return rule


def _stack(
    call: Call, op: str, activations: tuple[str, ...], x: Value
) -> tuple[Value, list[Value]]:
    """The last layer's outputs (length, batch, directions x hidden), and each state's finals."""
    count, biased = 1 + call.flag("bidirectional"), call.flag("has_biases")
    state = call.read("hx")
    states = list(state) if isinstance(state, list) else [state]
    tensors = [_constant(value) for value in call.read("params")]
    each = 4 if biased else 2
    depth = call.integer("num_layers")
    require(len(tensors) == each * count * depth, f"{len(tensors)} weights: a projection?")
    finals: list[list[Value]] = [[] for _ in states]
    for layer in range(depth):
        own = tensors[layer * each * count : (layer + 1) * each * count]
        parts = [own[d * each : (d + 1) * each] for d in range(count)]
        rows = slice(layer * count, (layer + 1) * count)
        y, *last = onnx(
            call,
            op,
            [x, *_weights(op, parts), None, *(_rows(call, value, rows) for value in states)],
            hidden_size=own[1].shape[1],
            direction="bidirectional" if count == 2 else "forward",
            **_options(op, activations * count),
        )
        for kept, final in zip(finals, last, strict=True):
            kept.append(final)
        x = _side_by_side(call, y)
    return x, [join(call.emit, kept, 0) for kept in finals]


def _options(op: str, activations: tuple[str, ...]) -> dict[str, object]:
    options: dict[str, object] = {"activations": list(activations)} if activations else {}
    return {**options, "linear_before_reset": 1} if op == "GRU" else options


def _constant(value: Value) -> Const:
    if not isinstance(value, Const):
        raise NotLoweredError("weights that depend on the input")
    return value


def _weights(op: str, parts: list[list[Const]]) -> list[Const | None]:
    """W, R and B of ONNX: (directions, gates x hidden, ...)."""
    dtype = parts[0][0].dtype
    inward = np.stack([_ordered(op, p[0].value) for p in parts])
    recurrent = np.stack([_ordered(op, p[1].value) for p in parts])
    found: list[Const | None] = [Const(inward, dtype), Const(recurrent, dtype)]
    if len(parts[0]) == 2:
        return [*found, None]
    bias = [np.concatenate([_ordered(op, b.value) for b in p[2:4]]) for p in parts]
    return [*found, Const(np.stack(bias), dtype)]


def _ordered(op: str, array: Array) -> Array:
    """The gates' rows in ONNX's order."""
    gates = np.split(array, len(_ORDERS[op]))
    return np.concatenate([gates[i] for i in _ORDERS[op]])


def _rows(call: Call, state: Value, rows: slice) -> Value:
    """One layer's part of an initial state (layers x directions, batch, hidden)."""
    return call.emit.rearrange(state, lambda a: a[rows])


def _side_by_side(call: Call, y: Value) -> Value:
    """(length, directions, batch, hidden) to (length, batch, directions x hidden)."""
    length, count, batch, hidden = y.shape
    turned = call.emit.rearrange(y, lambda a: np.moveaxis(a, 1, 2))
    return reshape(call.emit, turned, (length, batch, count * hidden))
