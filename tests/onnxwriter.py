"""Writes a graph of the core as an ONNX model, op by op, for tests of the way back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from absint.ir import Graph, Node

OPSET = 20
DOUBLE = {"float64": TensorProto.DOUBLE, "int64": TensorProto.INT64}


@dataclass
class Writer:
    """The model's nodes and initialisers so far; a node of the graph is the tensor ``v<place>``."""

    nodes: list[onnx.NodeProto] = field(default_factory=list)
    tensors: list[onnx.TensorProto] = field(default_factory=list)

    def constant(self, value: NDArray[Any]) -> str:
        name = f"c{len(self.tensors)}"
        self.tensors.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def op(self, op: str, *operands: str, **attributes: Any) -> str:
        name = f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, operands, [name], **attributes))
        return name

    def biased(self, node: Node, y: str) -> str:
        if "bias" not in node.consts:
            return y
        return self.op("Add", y, self.constant(node.consts["bias"].value))


Rule = Callable[[Writer, Node, list[str]], str]


def _dense(w: Writer, node: Node, xs: list[str]) -> str:
    return w.biased(node, w.op("MatMul", xs[0], w.constant(node.consts["weight"].value)))


def _conv(w: Writer, node: Node, xs: list[str]) -> str:
    names = {"strides": "strides", "pads": "pads", "dilations": "dilations", "group": "groups"}
    attrs = {name: node.attrs[ours] for name, ours in names.items()}
    return w.biased(node, w.op("Conv", xs[0], w.constant(node.consts["weight"].value), **attrs))


def _scale(w: Writer, node: Node, xs: list[str]) -> str:
    y = xs[0]
    if "weight" in node.consts:
        y = w.op("Mul", y, w.constant(node.consts["weight"].value))
    return w.biased(node, y)


def _reshaped(w: Writer, x: str, shape: tuple[int, ...]) -> str:
    return w.op("Reshape", x, w.constant(np.array(shape, dtype=np.int64)))


def _gather(w: Writer, node: Node, xs: list[str]) -> str:
    """Missing entries (-1) are read of a zero at the end."""
    size = int(np.prod(node.in_shapes[0], dtype=np.int64))
    index = np.where(node.consts["index"].value < 0, size, node.consts["index"].value)
    flat = w.op("Concat", _reshaped(w, xs[0], (size,)), w.constant(np.zeros(1)), axis=0)
    return w.biased(node, w.op("Gather", flat, w.constant(index), axis=0))


def _sum(w: Writer, node: Node, xs: list[str]) -> str:
    signs = node.integers("coefficients")
    y = xs[0] if signs[0] > 0 else w.op("Neg", xs[0])
    for sign, x in zip(signs[1:], xs[1:], strict=True):
        y = w.op("Add" if sign > 0 else "Sub", y, x)
    return y


def _clip(w: Writer, node: Node, xs: list[str]) -> str:
    ends = [node.extended(name) for name in ("lower", "upper")]
    named = [w.constant(np.array(end)) if np.isfinite(end) else "" for end in ends]
    return w.op("Clip", xs[0], *named)


def _softmax(w: Writer, node: Node, xs: list[str]) -> str:
    x = xs[0]
    if "mask" in node.consts:
        mask = np.where(node.consts["mask"].value == 1, 0.0, -np.inf)
        x = w.op("Add", x, w.constant(mask))
    return w.op("Softmax", x, axis=-1)


def _normalize(w: Writer, node: Node, xs: list[str]) -> str:
    """As written out: ``c / sqrt(mean(c^2) + epsilon)``."""
    axes = w.constant(np.arange(-node.integer("axes"), 0))
    c = xs[0]
    if node.integer("centered"):
        c = w.op("Sub", c, w.op("ReduceMean", c, axes, keepdims=1))
    variance = w.op("ReduceMean", w.op("Pow", c, w.constant(np.array(2.0))), axes, keepdims=1)
    shifted = w.op("Add", variance, w.constant(np.array(node.number("epsilon"))))
    return w.op("Div", c, w.op("Sqrt", shifted))


def _plain(op: str, **attributes: Any) -> Rule:
    return lambda w, node, xs: w.op(op, *xs, **attributes)


RULES: dict[str, Rule] = {
    "dense": _dense,
    "conv": _conv,
    "scale": _scale,
    "gather": _gather,
    "sum": _sum,
    "clip": _clip,
    "softmax": _softmax,
    "normalize": _normalize,
    "reshape": lambda w, node, xs: _reshaped(w, xs[0], node.shape),
    "concat": lambda w, node, xs: w.op("Concat", *xs, axis=node.integer("axis")),
    "leaky_relu": lambda w, node, xs: w.op("LeakyRelu", xs[0], alpha=node.number("alpha")),
    "elu": lambda w, node, xs: w.op("Elu", xs[0], alpha=node.number("alpha")),
    "power": lambda w, node, xs: w.op("Pow", xs[0], w.constant(np.array(node.number("exponent")))),
    "silu": lambda w, node, xs: w.op("Mul", xs[0], w.op("Sigmoid", xs[0])),
    "embedding": lambda w, node, xs: w.op(
        "Gather", w.constant(node.consts["weight"].value), xs[0], axis=0
    ),
    "argmax": _plain("ArgMax", axis=-1, keepdims=0),
    "gelu": _plain("Gelu"),
    "gelu_tanh": _plain("Gelu", approximate="tanh"),
    "mul": _plain("Mul"),
    "matmul": _plain("MatMul"),
    "relu": _plain("Relu"),
    "abs": _plain("Abs"),
    "exp": _plain("Exp"),
    "log": _plain("Log"),
    "sqrt": _plain("Sqrt"),
    "reciprocal": _plain("Reciprocal"),
    "sin": _plain("Sin"),
    "cos": _plain("Cos"),
    "erf": _plain("Erf"),
    "sigmoid": _plain("Sigmoid"),
    "tanh": _plain("Tanh"),
    "softplus": _plain("Softplus"),
    "mish": _plain("Mish"),
    "hard_swish": _plain("HardSwish"),
    "sign": _plain("Sign"),
    "floor": _plain("Floor"),
    "round": _plain("Round"),
}
"""What ONNX calls the ops of the core. No file has ``attend``: it is what ``unroll`` makes."""


def attributes_as_onnx_has_them(graph: Graph) -> Graph:
    """The graph with its slopes rounded to float32, which is all that an ONNX attribute holds."""
    nodes = (
        replace(node, attrs={**node.attrs, "alpha": float(np.float32(node.number("alpha")))})
        if "alpha" in node.attrs
        else node
        for node in graph.nodes
    )
    return replace(graph, nodes=tuple(nodes))


def of_dtype(graph: Graph, dtype: str) -> Graph:
    """The graph with inputs of another type."""
    return replace(graph, inputs=tuple(replace(port, dtype=dtype) for port in graph.inputs))


def written(graph: Graph) -> onnx.ModelProto:
    """The model of a graph whose inputs are float64 or int64, and whose constants are exact."""
    writer, names = Writer(), list[str]()
    ports = {port.node: f"in_{i}" for i, port in enumerate(graph.inputs)}
    for place, node in enumerate(graph.nodes):
        operands = [names[i] for i in node.inputs]
        names.append(ports[place] if node.op == "input" else RULES[node.op](writer, node, operands))
    results = []
    for i, port in enumerate(graph.outputs):
        writer.nodes.append(helper.make_node("Identity", [names[port.node]], [f"out_{i}"]))
        kind = TensorProto.INT64 if graph.nodes[port.node].op == "argmax" else TensorProto.DOUBLE
        results.append(helper.make_tensor_value_info(f"out_{i}", kind, port.shape))
    given = [
        helper.make_tensor_value_info(ports[port.node], DOUBLE[port.dtype], port.shape)
        for port in graph.inputs
    ]
    proto = helper.make_graph(writer.nodes, "drawn", given, results, writer.tensors)
    return helper.make_model(proto, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=9)
