"""Ops that lower to several core ops or to new ones, against onnxruntime, beside the conformance
models: attributes and shapes that those leave out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper
from onnxmodels import Array, agree, model, ops, real, single, var, whole

ROW = var(2, 6)
IMAGE = var(1, 2, 6, 5)
SEQUENCE = var(2, 6, 5)


def f32(*values: float) -> Array:
    return np.array(values, dtype=np.float32)


def near(seed: int, *shape: int) -> Array:
    return real(seed, *shape, dtype="float32")


CASES: list[onnx.ModelProto] = [
    single("Mul", ROW, var(6)),
    single("Mul", var(2, 1), var(1, 6)),
    single("MatMul", var(2, 3, 4), var(2, 4, 5)),
    single("MatMul", var(3, 4), var(2, 4, 5)),
    single("MatMul", var(4), var(4, 5)),
    single("MatMul", var(3, 4), var(4)),
    single("MatMul", var(4), var(4)),
    single("Gemm", var(3, 4), var(5, 4), var(5), alpha=0.5, beta=2.0, transB=1),
    single("Gemm", var(4, 3), near(1, 4, 5), var(3, 1), transA=1),
    *[single("Softmax", SEQUENCE, axis=a, opset=o) for a in (0, 1, 2, -2) for o in (11, 13)],
    *[single("LogSoftmax", SEQUENCE, axis=a, opset=o) for a in (0, 1, 2) for o in (11, 13)],
    single("LogSoftmax", var(3, 1)),
    *[single("LayerNormalization", SEQUENCE, near(1, *s), opset=17, axis=a, epsilon=0.1)
      for a, s in ((-1, (5,)), (1, (6, 5)), (2, (1,)), (0, (2, 6, 5)))],
    single("RMSNormalization", SEQUENCE, near(1, 5), opset=23, epsilon=0.25),
    single("InstanceNormalization", IMAGE, near(1, 2), near(2, 2), epsilon=0.5),
    single("GroupNormalization", var(2, 4, 3), near(1, 4), near(2, 4), opset=21, num_groups=2),
    single("LRN", var(1, 5, 2, 2), size=3, alpha=0.5, beta=0.75, bias=2.0),
    single("LRN", var(1, 5, 2, 2), size=5, alpha=0.5, beta=1.0),
    *[single("Pow", ROW, f32(e)) for e in (1, 2, 3, 4)],
    single("Pow", f32(2.0, 0.5, 1.0, 3.0, 1.5, 0.1), ROW),
    *[single("MaxPool", IMAGE, kernel_shape=[3, 2], opset=12, **k) for k in (
        {}, {"strides": [2, 1]}, {"pads": [1, 1, 1, 0]}, {"dilations": [2, 3]},
        {"ceil_mode": 1, "strides": [2, 2]}, {"auto_pad": "SAME_UPPER", "strides": [2, 2]},
        {"auto_pad": "SAME_LOWER"}, {"auto_pad": "VALID", "strides": [3, 3]})],
    single("MaxPool", var(2, 3, 7), kernel_shape=[3], strides=[2]),
    single("MaxPool", var(1, 1, 3, 3, 3), kernel_shape=[2, 2, 2]),
    single("GlobalMaxPool", IMAGE),
    *[single("LpPool", IMAGE, kernel_shape=[2, 2], p=p, opset=18) for p in (1, 2)],
    *[single("GlobalLpPool", IMAGE, p=p) for p in (1, 2)],
    *[single("ConvTranspose", IMAGE, near(1, 2, 3, 3, 2), **k) for k in (
        {}, {"strides": [2, 3]}, {"pads": [1, 0, 1, 1], "strides": [2, 2]},
        {"dilations": [2, 2]}, {"output_padding": [1, 0], "strides": [2, 2]},
        {"output_shape": [12, 10], "strides": [2, 2]}, {"pads": [2, 1, 2, 1]},
        {"auto_pad": "SAME_UPPER", "strides": [2, 2]})],
    single("ConvTranspose", IMAGE, near(1, 2, 2, 2, 2), near(2, 4), group=2, strides=[2, 1]),
    single("ConvTranspose", var(2, 3, 4), near(1, 3, 2, 3)),
    *[single("Resize", IMAGE, None, f32(1, 1, 2, 3), opset=13, mode=m,
             coordinate_transformation_mode=c)
      for m in ("nearest", "linear")
      for c in ("half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel")],
    *[single("Resize", IMAGE, None, f32(1, 1, 2, 2), opset=13, mode="nearest", nearest_mode=n,
             coordinate_transformation_mode="asymmetric")
      for n in ("floor", "ceil", "round_prefer_floor", "round_prefer_ceil")],
    single("Resize", IMAGE, None, None, np.array([1, 2, 3, 10]), opset=13, mode="linear"),
    single("Upsample", IMAGE, f32(1, 1, 2, 3), opset=9),
    *[single(op, SEQUENCE, axes=[1], keepdims=k, opset=13)
      for op in ("ReduceMax", "ReduceMin", "ReduceL1", "ReduceL2", "ReduceSumSquare",
                 "ReduceLogSumExp", "ReduceProd") for k in (0, 1)],
    single("ReduceMax", SEQUENCE, np.array([0, 2]), opset=18),
    single("Max", ROW, var(6), var(2, 1)),
    single("Min", ROW, var(6), f32(0.25)),
    single("Sum", ROW, var(6), near(1, 2, 1)),
    single("Mean", ROW, var(6), near(1, 2, 1)),
    single("CumSum", SEQUENCE, np.array(1), exclusive=1),
    single("CumSum", SEQUENCE, np.array(-1), reverse=1),
    *[single("Einsum", var(2, 3, 4), near(1, 2, 4, 5), equation=e)
      for e in ("bij,bjk->bik", "bij,bjk->kb", "bij,bjk->ijk")],
    single("Einsum", var(2, 3, 4), var(2, 4, 5), equation="bij,bjk->bik"),
    single("Einsum", var(2, 3, 3), equation="bii->b"),
    single("Einsum", var(2, 3, 4), near(1, 4), equation="...j,j->..."),
    single("DepthToSpace", var(1, 8, 2, 3), blocksize=2, mode="CRD"),
    single("SpaceToDepth", var(1, 2, 4, 6), blocksize=2),
    single("Trilu", var(2, 4, 3), np.array(-1), upper=0, opset=14),
    single("Where", whole(1, 2, 6) > 0, ROW, var(1, 6)),
    single("Where", whole(1, 2, 6) > 0, ROW, f32(2.5)),
    single("Where", whole(1, 2, 6) > 0, near(2, 2, 6), ROW),
    single("ScatterND", ROW, np.array([[1, 2], [0, 5]]), var(2), opset=13),
    single("ScatterElements", ROW, np.array([[1, 0, 2]]), near(1, 1, 3), axis=1, opset=13),
    single("GatherElements", ROW, np.array([[0, -1]]), axis=1),
    single("GatherND", ROW, np.array([[0, 1], [-1, -2]]), opset=13),
]  # fmt: skip


@pytest.mark.parametrize("proto", CASES, ids=lambda p: p.graph.node[0].op_type)
def test_an_op(proto: onnx.ModelProto, tmp_path: Path) -> None:
    agree(proto, tmp_path)


UNARY: list[tuple[str, int, dict[str, Any]]] = [
    *[(op, 13, {}) for op in ("Exp", "Sin", "Cos", "Erf", "Softplus", "Softsign", "Elu", "Selu",
                              "Sign", "Floor", "Ceil", "Round", "Tan", "Sinh", "Cosh")],
    ("Elu", 13, {"alpha": 0.5}), ("Selu", 13, {"alpha": 1.5, "gamma": 2.0}),
    ("Celu", 13, {"alpha": 2.0}), ("HardSwish", 14, {}), ("Mish", 18, {}),
    ("Gelu", 20, {}), ("Gelu", 20, {"approximate": "tanh"}),
]  # fmt: skip


@pytest.mark.parametrize(("op", "opset", "attributes"), UNARY)
def test_a_function_of_one_variable(
    op: str, opset: int, attributes: dict[str, Any], tmp_path: Path
) -> None:
    x = np.linspace(-1.45, 1.45, 120).astype(np.float32).astype(np.float64).reshape((10, 12))
    agree(single(op, ROW, opset=opset, **attributes), tmp_path, x)
    if op not in ("Tan", "Sinh", "Cosh"):
        wide = (8.03 * x).astype(np.float32).astype(np.float64)
        agree(single(op, ROW, opset=opset, **attributes), tmp_path, wide)


@pytest.mark.parametrize("op", ["Log", "Sqrt", "Reciprocal"])
def test_a_function_of_positive_numbers(op: str, tmp_path: Path) -> None:
    x = np.geomspace(1e-3, 1e3, 120).astype(np.float32).astype(np.float64).reshape((10, 12))
    agree(single(op, ROW), tmp_path, x)


def test_a_quotient_of_variables(tmp_path: Path) -> None:
    x = np.random.default_rng(0).uniform(0.5, 2, (5, 15)).astype(np.float32).astype(np.float64)
    agree(single("Div", var(4, 3), var(3)), tmp_path, x)
    agree(single("Div", near(1, 4, 3), var(3)), tmp_path, x[:, :3])


@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
@pytest.mark.parametrize(("op", "gates"), [("RNN", 1), ("GRU", 3), ("LSTM", 4)])
def test_a_recurrent_network(op: str, gates: int, direction: str, tmp_path: Path) -> None:
    count, hidden = 1 + (direction == "bidirectional"), 3
    weights = [near(1, count, gates * hidden, 2), near(2, count, gates * hidden, hidden)]
    bias = near(3, count, 2 * gates * hidden)
    proto = single(op, var(4, 2, 2), *weights, bias, count=2, opset=14,
                   hidden_size=hidden, direction=direction)  # fmt: skip
    agree(proto, tmp_path)


def test_a_gru_that_resets_before_the_product(tmp_path: Path) -> None:
    weights = [near(1, 1, 9, 2), near(2, 1, 9, 3), near(3, 1, 18)]
    for flag in (0, 1):
        proto = single("GRU", var(3, 2, 2), *weights, None, var(1, 2, 3), count=2, opset=14,
                       hidden_size=3, linear_before_reset=flag)  # fmt: skip
        agree(proto, tmp_path)


def test_a_quantised_layer(tmp_path: Path) -> None:
    """Powers of two as scales: the runtime's quotients are exact, and round as ours do."""
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["r"]),
        helper.make_node("DequantizeLinear", ["w", "s"], ["v"]),
        helper.make_node("MatMul", ["r", "v"], ["y"]),
    ]
    constants = {
        "s": np.array(0.125, np.float32),
        "z": np.array(3, np.int8),
        "w": whole(1, 4, 5, dtype="int8"),
    }
    graph = agree(model(nodes, {"x": [2, 4]}, ["y"], constants), tmp_path)
    assert ops(graph) == ["scale", "round", "scale", "clip", "scale", "scale", "dense"]
