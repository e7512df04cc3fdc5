"""A lowered graph as a PyTorch module that auto_LiRPA can trace.

Every value is a matrix (batch, size). Affine maps become matrices, but for convolutions, sums and
elementwise scales; constants are taken at their middle, so nothing here is rigorous.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from absint.domains.product import Query
from absint.ir import OPS, Graph, Node

Tensor = torch.Tensor
DTYPE = torch.float32
"""auto_LiRPA makes some of its own tensors in PyTorch's default type."""
MAX_ELEMENTS = 1 << 26
"""Of one affine map written as a matrix."""

UNIVARIATE: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": torch.relu,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "exp": torch.exp,
    "log": torch.log,
    "sqrt": torch.sqrt,
    "reciprocal": torch.reciprocal,
    "sin": torch.sin,
    "cos": torch.cos,
    "abs": torch.abs,
}
CONVOLUTIONS = {3: functional.conv1d, 4: functional.conv2d}


def refused(graph: Graph) -> list[str]:
    """The ops of a graph that this has no module for."""
    return sorted({node.op for node in graph.nodes if not _known(node)})


def _known(node: Node) -> bool:
    rule = OPS[node.op]
    if rule.affine is not None:
        return True
    same = len(set(node.in_shapes)) == 1
    return node.op == "input" or node.op in UNIVARIATE or (node.op == "mul" and same)


class Rows(torch.nn.Module):
    """From flat inputs (batch, input_size) to a query's rows (batch, rows).

    Raises ValueError where the graph has an op of ``refused``, or a map too large for a matrix.
    """

    def __init__(self, graph: Graph, query: Query) -> None:
        super().__init__()
        if missing := refused(graph):
            raise ValueError(f"auto_LiRPA is not given {', '.join(missing)}")
        self.graph = graph
        self.places = graph.input_slices()
        for position, node in enumerate(graph.nodes):
            for name, constant in _constants(node).items():
                self._keep(f"{name}_{position}", constant)
        self._keep("inputs", query.inputs)
        self._keep("outputs", query.outputs)
        self._keep("bound", query.bound)
        self.reads_inputs = bool(np.any(query.inputs))

    def _keep(self, name: str, constant: NDArray[Any]) -> None:
        tensor = torch.tensor(constant, dtype=DTYPE)
        self.register_parameter(name, torch.nn.Parameter(tensor, requires_grad=False))

    def forward(self, x: Tensor) -> Tensor:
        values: list[Tensor] = []
        for position, node in enumerate(self.graph.nodes):
            if node.op == "input":
                values.append(_columns(x, self.places[position]))
            else:
                values.append(self._value(position, node, [values[i] for i in node.inputs]))
        rows = -self._constant("bound")
        for output, place in self.graph.output_slices():
            rows = rows + functional.linear(values[output], self._constant("outputs")[:, place])
        if self.reads_inputs:
            rows = rows + functional.linear(x, self._constant("inputs"))
        return rows

    def _value(self, position: int, node: Node, xs: list[Tensor]) -> Tensor:
        if node.op in UNIVARIATE:
            return UNIVARIATE[node.op](xs[0])
        if node.op == "mul":
            return xs[0] * xs[1]
        value = self._linear(position, node, xs)
        return value + self._constant(f"bias_{position}") if "bias" in node.consts else value

    def _linear(self, position: int, node: Node, xs: list[Tensor]) -> Tensor:
        if _is_convolution(node):
            return self._convolution(position, node, xs[0])
        if node.op == "reshape":
            return xs[0]
        if node.op == "sum":
            signed = zip(xs, node.integers("coefficients"), strict=True)
            terms = [x if sign > 0 else -x for x, sign in signed]
            return sum(terms[1:], start=terms[0])
        parts = [
            functional.linear(x, self._constant(f"matrix{i}_{position}")) for i, x in enumerate(xs)
        ]
        return sum(parts[1:], start=parts[0])

    def _convolution(self, position: int, node: Node, x: Tensor) -> Tensor:
        shape, rank = node.in_shapes[0], len(node.shape) - 2
        pads = node.integers("pads")
        value = CONVOLUTIONS[len(shape)](
            x.reshape((-1, *shape[1:])),
            self._constant(f"weight_{position}"),
            stride=list(node.integers("strides")),
            padding=list(pads[:rank]),
            dilation=list(node.integers("dilations")),
            groups=node.integer("groups"),
        )
        return value.reshape((-1, node.size))

    def _constant(self, name: str) -> Tensor:
        found: Tensor = getattr(self, name)
        return found


def _columns(x: Tensor, place: slice) -> Tensor:
    return x if place == slice(0, x.shape[1]) else x[:, place]


def _is_convolution(node: Node) -> bool:
    """Whether PyTorch has it: one image a batch entry, and as much padding after as before."""
    if node.op != "conv" or len(node.shape) not in CONVOLUTIONS or node.in_shapes[0][0] != 1:
        return False
    pads, rank = node.integers("pads"), len(node.shape) - 2
    return pads[:rank] == pads[rank:]


def _constants(node: Node) -> Mapping[str, Any]:
    rule = OPS[node.op].affine
    if rule is None:
        return {}
    found: dict[str, Any] = {}
    if "bias" in node.consts:
        bias = np.broadcast_to(node.consts["bias"].value, node.shape)
        found["bias"] = np.array(bias).reshape(-1)
    if _is_convolution(node):
        found["weight"] = np.array(node.consts["weight"].value)
    elif node.op not in ("sum", "reshape"):
        found |= {f"matrix{i}": matrix for i, matrix in enumerate(_matrices(node))}
    return found


def _matrices(node: Node) -> list[Any]:
    """For each operand the map's matrix, (size, operand's size)."""
    rule = OPS[node.op].affine
    assert rule is not None
    sizes = [int(np.prod(shape)) for shape in node.in_shapes]
    if node.size * sum(sizes) > MAX_ELEMENTS:
        raise ValueError(f"a {node.op} of {node.size} x {sum(sizes)} is too large for auto_LiRPA")
    units = np.eye(node.size).reshape((node.size, *node.shape))
    weight = node.consts["weight"].value if "weight" in node.consts else None
    parts = rule.backward(node, units, weight, np)
    return [np.array(p).reshape((node.size, n)) for p, n in zip(parts, sizes, strict=True)]
