"""RNN, GRU and LSTM, unrolled over a constant number of steps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from absint.frontends.lowering import compose, elementary
from absint.frontends.lowering.arithmetic import plus, times
from absint.frontends.lowering.emit import Emitter
from absint.frontends.lowering.linear import product
from absint.frontends.lowering.values import Const, NotLoweredError, Value, Var, number, require
from absint.frontends.onnx.call import Call

Activation = Callable[[Emitter, Value], Value]


def _function(op: str) -> Activation:
    def apply(emit: Emitter, x: Value) -> Value:
        return elementary.image(op, x) if isinstance(x, Const) else emit.add(op, [x])

    return apply


def _relu(emit: Emitter, x: Value) -> Value:
    if isinstance(x, Const):
        return Const(np.maximum(x.value, 0), x.dtype, x.radius)
    return emit.add("relu", [x])


ACTIVATIONS: dict[str, Activation] = {
    "sigmoid": _function("sigmoid"),
    "tanh": _function("tanh"),
    "relu": _relu,
}


@dataclass(frozen=True)
class Cell:
    """One direction: transposed weights by gate, biases by gate (input's and recurrent), etc."""

    inward: list[Const]
    recurrent: list[Const]
    bias: list[Const]
    recurrent_bias: list[Const]
    functions: list[Activation]
    peepholes: list[Const]
    linear_before_reset: bool


Step = Callable[[Emitter, Cell, Value, list[Value]], list[Value]]


def rnn(call: Call) -> tuple[Value, ...]:
    return _unrolled(call, 1, ["tanh"], _rnn_step, 1)


def gru(call: Call) -> tuple[Value, ...]:
    return _unrolled(call, 3, ["sigmoid", "tanh"], _gru_step, 1)


def lstm(call: Call) -> tuple[Value, ...]:
    return _unrolled(call, 4, ["sigmoid", "tanh", "tanh"], _lstm_step, 2)


def _gate(emit: Emitter, cell: Cell, i: int, x: Value, h: Value) -> Value:
    """``x W_i + h R_i + b_i``."""
    y = plus(emit, product(emit, x, cell.inward[i]), product(emit, h, cell.recurrent[i]))
    return plus(emit, plus(emit, y, cell.bias[i]), cell.recurrent_bias[i])


def _rnn_step(emit: Emitter, cell: Cell, x: Value, state: list[Value]) -> list[Value]:
    return [cell.functions[0](emit, _gate(emit, cell, 0, x, state[0]))]


def _gru_step(emit: Emitter, cell: Cell, x: Value, state: list[Value]) -> list[Value]:
    """``h' = (1 - z) n + z h``, as ``n + z (h - n)``."""
    (h,) = state
    update, reset = (cell.functions[0](emit, _gate(emit, cell, i, x, h)) for i in (0, 1))
    inner = product(emit, x, cell.inward[2])
    if cell.linear_before_reset:
        past = plus(emit, product(emit, h, cell.recurrent[2]), cell.recurrent_bias[2])
        inner = plus(emit, plus(emit, inner, times(emit, reset, past)), cell.bias[2])
    else:
        past = product(emit, times(emit, reset, h), cell.recurrent[2])
        inner = plus(emit, plus(emit, inner, past), cell.bias[2])
        inner = plus(emit, inner, cell.recurrent_bias[2])
    new = cell.functions[1](emit, inner)
    return [plus(emit, new, times(emit, update, _minus(emit, h, new)))]


def _minus(emit: Emitter, a: Value, b: Value) -> Value:
    if isinstance(a, Var) and isinstance(b, Var):
        return compose.total(emit, a, b, -1)
    return plus(emit, a, times(emit, b, number(-1.0, b.dtype)))


def _lstm_step(emit: Emitter, cell: Cell, x: Value, state: list[Value]) -> list[Value]:
    """Gates in ONNX's order: input, output, forget, cell."""
    h, c = state
    raw = [_gate(emit, cell, i, x, h) for i in range(4)]
    if cell.peepholes:
        raw[0] = plus(emit, raw[0], times(emit, c, cell.peepholes[0]))
        raw[2] = plus(emit, raw[2], times(emit, c, cell.peepholes[2]))
    enter, forget = cell.functions[0](emit, raw[0]), cell.functions[0](emit, raw[2])
    new = times(emit, enter, cell.functions[1](emit, raw[3]))
    c = plus(emit, times(emit, forget, c), new)
    if cell.peepholes:
        raw[1] = plus(emit, raw[1], times(emit, c, cell.peepholes[1]))
    leave = cell.functions[0](emit, raw[1])
    return [times(emit, leave, cell.functions[2](emit, c)), c]


def _unrolled(
    call: Call, gates: int, defaults: list[str], step: Step, states: int
) -> tuple[Value, ...]:
    x, emit = call.var(), call.emit
    emit.real_only(f"{call.node.op_type}, whose gates may be summed in any order")
    if call.integer("layout", 0):
        raise NotLoweredError("layout=1")
    _plain(call)
    require(len(x.shape) == 3, f"a sequence of shape {x.shape}")
    length, batch, _ = x.shape
    hidden = call.integer("hidden_size", call.const(2, "recurrent weights").shape[-1])
    direction = call.text("direction", "forward")
    require(direction in ("forward", "reverse", "bidirectional"), f"direction={direction!r}")
    count = 2 if direction == "bidirectional" else 1
    if call.has(4):
        full = (call.const(4, "lengths").value == length).all()
        if not full:
            raise NotLoweredError("sequences of different lengths")
    columns: list[list[Value]] = []
    finals: list[list[Value]] = []
    for d in range(count):
        cell = _cell(call, d, count, gates, hidden, defaults)
        state = [_initial(call, 5 + i, d, batch, hidden, x.dtype) for i in range(states)]
        outputs: list[Value] = []
        back = direction == "reverse" or d == 1
        for t in range(length)[:: -1 if back else 1]:
            state = step(emit, cell, emit.take(x, t, 0), state)
            outputs.append(state[0])
        columns.append(outputs[:: -1 if back else 1])
        finals.append(state)
    flat = [column[t] for t in range(length) for column in columns]
    every = _joined(emit, flat, (length, count, batch, hidden))
    last = [_joined(emit, [f[i] for f in finals], (count, batch, hidden)) for i in range(states)]
    return (every, *last)


def _plain(call: Call) -> None:
    for name in ("clip", "activation_alpha", "activation_beta"):
        if call.present(name):
            raise NotLoweredError(f"attribute {name}")
    if call.integer("input_forget", 0):
        raise NotLoweredError("input_forget=1")


def _joined(emit: Emitter, values: Sequence[Value], shape: tuple[int, ...]) -> Value:
    return compose.pick(emit, values, np.arange(int(np.prod(shape))).reshape(shape))


def _initial(call: Call, place: int, d: int, batch: int, hidden: int, dtype: str) -> Value:
    if not call.has(place):
        return Const(np.zeros((batch, hidden)), dtype)
    return call.emit.rearrange(call.value(place), lambda a: a[d])


def _cell(call: Call, d: int, count: int, gates: int, hidden: int, defaults: list[str]) -> Cell:
    w, r = call.float_const(1, "weights"), call.float_const(2, "recurrent weights")
    require(w.shape[:2] == (count, gates * hidden) and len(w.shape) == 3, f"weights {w.shape}")
    require(r.shape == (count, gates * hidden, hidden), f"recurrent weights {r.shape}")
    biases = [Const(np.zeros(hidden), w.dtype)] * (2 * gates)
    if call.has(3):
        b = call.float_const(3, "a bias")
        require(b.shape == (count, 2 * gates * hidden), f"a bias {b.shape}")
        biases = [_part(call, b, d, i, hidden, False) for i in range(2 * gates)]
    names = [name.lower() for name in call.strings("activations") or defaults * count]
    unknown = sorted(set(names) - set(ACTIVATIONS))
    if unknown:
        raise NotLoweredError(f"activation {unknown[0]}")
    require(len(names) == count * len(defaults), f"{len(names)} activations")
    functions = [ACTIVATIONS[n] for n in names[d * len(defaults) : (d + 1) * len(defaults)]]
    peepholes: list[Const] = []
    if call.has(7):
        p = call.float_const(7, "peepholes")
        require(p.shape == (count, 3 * hidden), f"peepholes {p.shape}")
        peepholes = [_part(call, p, d, i, hidden, False) for i in range(3)]
    return Cell(
        [_part(call, w, d, i, hidden, True) for i in range(gates)],
        [_part(call, r, d, i, hidden, True) for i in range(gates)],
        biases[:gates],
        biases[gates:],
        functions,
        peepholes,
        gates == 3 and bool(call.integer("linear_before_reset", 0)),
    )


def _part(call: Call, c: Const, d: int, i: int, hidden: int, turned: bool) -> Const:
    """One gate's rows of one direction; matrices transposed."""
    value = call.emit.rearrange(
        c, lambda a: np.ascontiguousarray(a[d, i * hidden : (i + 1) * hidden].T if turned
                                          else a[d, i * hidden : (i + 1) * hidden])
    )  # fmt: skip
    assert isinstance(value, Const)
    return value
