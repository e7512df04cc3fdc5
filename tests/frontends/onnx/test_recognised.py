"""What exporters write out in several nodes becomes one node of the core, and only where it is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper
from onnxmodels import Array, agree, model, ops

SHAPE = [2, 3, 4]
N = helper.make_node


def scalar(value: float) -> Array:
    return np.array(value, dtype=np.float64)


CONSTANTS = {
    "eps": scalar(1e-3),
    "one": scalar(1.0),
    "half": scalar(0.5),
    "two": scalar(2.0),
    "minus": scalar(-0.5),
    "root": np.array(np.float64(np.float32(2**0.5))),
    "inverse": np.array(np.float64(np.float32(2**-0.5))),
    "vector": np.array([0.5, 1.0, -2.0, 1.5]),
    "shift": scalar(0.25),
}


def built(*nodes: onnx.NodeProto) -> onnx.ModelProto:
    """The last node's output is the model's."""
    read = {name for node in nodes for name in node.input}
    constants = {name: value for name, value in CONSTANTS.items() if name in read}
    return model(nodes, {"x": SHAPE}, [nodes[-1].output[0]], constants, opset=17, dtype="float64")


MEAN = N("ReduceMean", ["x"], ["m"], axes=[-1])
CENTRE = N("Sub", ["x", "m"], ["c"])


def variance(of: str, square: str = "Pow") -> list[onnx.NodeProto]:
    operands = [of, "two"] if square == "Pow" else [of, of]
    return [
        N(square, operands, ["s"]),
        N("ReduceMean", ["s"], ["v"], axes=[-1]),
        N("Add", ["v", "eps"], ["e"]),
    ]


ROOT = N("Sqrt", ["e"], ["r"])
NORMS = {
    "layer": [MEAN, CENTRE, *variance("c"), ROOT, N("Div", ["c", "r"], ["y"])],
    "layer by product": [
        *[MEAN, CENTRE, *variance("c", "Mul"), ROOT, N("Reciprocal", ["r"], ["i"])],
        N("Mul", ["i", "c"], ["y"]),
    ],
    "rms": [*variance("x"), ROOT, N("Div", ["x", "r"], ["y"])],
    "rms by one over": [
        *[*variance("x"), ROOT, N("Div", ["one", "r"], ["i"])],
        N("Mul", ["x", "i"], ["y"]),
    ],
    "rms by a power": [
        *[*variance("x"), N("Pow", ["e", "minus"], ["i"])],
        N("Mul", ["x", "i"], ["y"]),
    ],
}


@pytest.mark.parametrize("name", sorted(NORMS))
def test_a_normalisation(name: str, tmp_path: Path) -> None:
    graph = agree(built(*NORMS[name]), tmp_path)
    assert ops(graph) == ["normalize"]
    node = graph.nodes[1]
    assert node.attrs == {"axes": 1, "centered": int("layer" in name), "epsilon": 1e-3}


OTHERS = {
    "another axis": [
        *[N("Pow", ["x", "two"], ["s"]), N("ReduceMean", ["s"], ["v"], axes=[1])],
        *[N("Add", ["v", "eps"], ["e"]), ROOT, N("Div", ["x", "r"], ["y"])],
    ],
    "of something else": [MEAN, CENTRE, *variance("c"), ROOT, N("Div", ["x", "r"], ["y"])],
    "a sum": [
        *[N("Pow", ["x", "two"], ["s"]), N("ReduceL2", ["x"], ["v"], axes=[-1])],
        *[N("Add", ["v", "eps"], ["e"]), ROOT, N("Div", ["x", "r"], ["y"])],
    ],
    "an epsilon an entry": [
        *[N("Pow", ["x", "two"], ["s"]), N("ReduceMean", ["s"], ["v"], axes=[-1])],
        *[N("Add", ["v", "vector_"], ["e"]), ROOT, N("Div", ["x", "r"], ["y"])],
    ],
    "no root": [*variance("x"), N("Div", ["x", "e"], ["y"])],
    "two roots": [*variance("x"), ROOT, N("Sqrt", ["r"], ["q"]), N("Div", ["x", "q"], ["y"])],
    "a scale before the root": [
        *[*variance("x"), N("Mul", ["e", "two"], ["f"]), N("Sqrt", ["f"], ["r"])],
        N("Div", ["x", "r"], ["y"]),
    ],
}


@pytest.mark.parametrize("name", sorted(OTHERS))
def test_what_only_looks_like_one(name: str, tmp_path: Path) -> None:
    nodes = OTHERS[name]
    proto = built(*nodes)
    if "vector_" in nodes[2].input:
        proto.graph.initializer.append(
            helper.make_tensor("vector_", onnx.TensorProto.DOUBLE, [4], [0.5, 1.0, 2.0, 1.5])
        )
    assert "normalize" not in ops(agree(proto, tmp_path))


ERF = N("Erf", ["a"], ["f"])
GATES = {
    "silu": ([N("Sigmoid", ["x"], ["s"]), N("Mul", ["x", "s"], ["y"])], "silu"),
    "silu turned round": ([N("Sigmoid", ["x"], ["s"]), N("Mul", ["s", "x"], ["y"])], "silu"),
    "silu of a multiple": (
        [N("Mul", ["x", "half"], ["a"]), N("Sigmoid", ["a"], ["s"]), N("Mul", ["x", "s"], ["y"])],
        "silu",
    ),
    "silu of a scaled vector": (
        [
            *[N("Mul", ["x", "vector"], ["v"]), N("Sigmoid", ["v"], ["s"])],
            N("Mul", ["v", "s"], ["y"]),
        ],
        "silu",
    ),
    "sigmoid of a shift": (
        [N("Add", ["x", "shift"], ["a"]), N("Sigmoid", ["a"], ["s"]), N("Mul", ["x", "s"], ["y"])],
        "mul",
    ),
    "sigmoid of another multiple": (
        [
            *[N("Mul", ["x", "vector"], ["a"]), N("Sigmoid", ["a"], ["s"])],
            N("Mul", ["x", "s"], ["y"]),
        ],
        "mul",
    ),
    "gelu by division": (
        [
            *[N("Div", ["x", "root"], ["a"]), ERF, N("Add", ["f", "one"], ["g"])],
            *[N("Mul", ["x", "g"], ["h"]), N("Mul", ["h", "half"], ["y"])],
        ],
        "gelu",
    ),
    "gelu by product": (
        [
            *[N("Mul", ["x", "inverse"], ["a"]), ERF, N("Add", ["f", "one"], ["g"])],
            *[N("Mul", ["x", "half"], ["h"]), N("Mul", ["h", "g"], ["y"])],
        ],
        "gelu",
    ),
    "gelu, halved early": (
        [
            *[N("Mul", ["x", "inverse"], ["a"]), ERF, N("Add", ["f", "one"], ["g"])],
            *[N("Mul", ["g", "half"], ["h"]), N("Mul", ["h", "x"], ["y"])],
        ],
        "gelu",
    ),
    "erf with another shift": (
        [
            *[N("Mul", ["x", "inverse"], ["a"]), ERF, N("Add", ["f", "shift"], ["g"])],
            N("Mul", ["x", "g"], ["y"]),
        ],
        "mul",
    ),
}


@pytest.mark.parametrize("name", sorted(GATES))
def test_a_gate(name: str, tmp_path: Path) -> None:
    nodes, op = GATES[name]
    if any(node.op_type == "Erf" for node in nodes):  # onnxruntime has it in float32 only
        proto = built(*nodes)
        for tensor in proto.graph.initializer:
            value = np.array(onnx.numpy_helper.to_array(tensor), dtype=np.float32)
            tensor.CopyFrom(onnx.numpy_helper.from_array(value, tensor.name))
        for info in (*proto.graph.input, *proto.graph.output):
            info.type.tensor_type.elem_type = onnx.TensorProto.FLOAT
    else:
        proto = built(*nodes)
    found = ops(agree(proto, tmp_path))
    assert op in found
    assert ("mul" in found) is (op == "mul")
