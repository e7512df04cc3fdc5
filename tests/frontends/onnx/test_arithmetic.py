"""Elementwise arithmetic and casts, against onnxruntime."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper
from onnxmodels import agree, agree_exactly, both, model, real, single, var, whole

SHAPES = [
    ((2, 3), (2, 3)),
    ((2, 3), (3,)),
    ((2, 3), ()),
    ((2, 3), (1, 1)),
    ((2, 3), (2, 1)),
    ((3,), (2, 3)),
    ((2, 1), (1, 3)),
    ((1, 3), (4, 1, 1)),
    ((), (2,)),
    ((), ()),
    ((1,), (1, 1, 1)),
]


@pytest.mark.parametrize("opset", [7, 13, 14, 24])
@pytest.mark.parametrize(("left", "right"), SHAPES)
@pytest.mark.parametrize("op", ["Add", "Sub", "Mul"])
def test_with_a_constant_on_either_side(
    op: str, left: tuple[int, ...], right: tuple[int, ...], opset: int, tmp_path: Path
) -> None:
    agree_exactly(single(op, var(*left), whole(1, *right), opset=opset), tmp_path)
    agree_exactly(single(op, whole(1, *left), var(*right), opset=opset), tmp_path)


@pytest.mark.parametrize(("left", "right"), SHAPES)
@pytest.mark.parametrize("op", ["Add", "Sub"])
def test_of_two_variables(
    op: str, left: tuple[int, ...], right: tuple[int, ...], tmp_path: Path
) -> None:
    agree_exactly(single(op, var(*left), var(*right)), tmp_path)


@pytest.mark.parametrize(("left", "right"), SHAPES)
def test_division_by_a_constant(
    left: tuple[int, ...], right: tuple[int, ...], tmp_path: Path
) -> None:
    powers = np.asarray(2.0 ** whole(1, *right), dtype=np.float32)
    agree_exactly(single("Div", var(*left), powers), tmp_path)
    agree(
        single("Div", var(*left), np.asarray(1 + np.abs(real(2, *right))), dtype="float64"),
        tmp_path,
    )


def test_a_tensor_with_itself(tmp_path: Path) -> None:
    nodes = [helper.make_node("Sub", ["x", "x"], ["y"]), helper.make_node("Add", ["x", "y"], ["z"])]
    agree_exactly(model(nodes, {"x": [1, 3]}, ["y", "z"]), tmp_path)


@pytest.mark.parametrize("opset", [7, 13])
def test_negation(opset: int, tmp_path: Path) -> None:
    agree_exactly(single("Neg", var(2, 3), opset=opset), tmp_path)


@pytest.mark.parametrize("opset", [7, 13, 14, 16, 24])
def test_identity_leaves_no_node(opset: int, tmp_path: Path) -> None:
    graph = agree_exactly(single("Identity", var(2, 3), opset=opset), tmp_path)
    assert len(graph.nodes) == 1


@pytest.mark.parametrize("opset", [7, 9, 13, 19, 24])
def test_cast_between_float_types(opset: int, tmp_path: Path) -> None:
    proto = single("Cast", var(2, 3), opset=opset, to=TensorProto.DOUBLE)
    proto.graph.output[0].type.tensor_type.elem_type = TensorProto.DOUBLE
    graph = agree_exactly(proto, tmp_path)
    assert (graph.inputs[0].dtype, graph.outputs[0].dtype) == ("float32", "float64")


@pytest.mark.parametrize(
    ("value", "target"),
    [
        (np.array([1.5, -2.5, 0.1]), TensorProto.FLOAT),
        (np.array([1.7, -1.7, 0.0, 1e9], dtype=np.float32), TensorProto.INT64),
        (np.array([2**53 + 1, -7]), TensorProto.FLOAT),
        (np.array([True, False]), TensorProto.FLOAT),
        (np.array([1.5, 0.1], dtype=np.float16), TensorProto.FLOAT),
        (np.array([300, -1], dtype=np.int64), TensorProto.INT32),
        (np.array([0.0, 0.5, -3.0], dtype=np.float32), TensorProto.BOOL),
    ],
)
def test_cast_of_constants(value: np.ndarray, target: int, tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Cast", ["c"], ["a"], to=target),
        helper.make_node("Cast", ["a"], ["b"], to=TensorProto.FLOAT),
        helper.make_node("Add", ["x", "b"], ["y"]),
    ]
    zero = np.zeros((1, 1))
    proto = model(nodes, {"x": [1, 1]}, ["y"], {"c": value})
    graph, _, truth, values = both(proto, tmp_path, zero)
    assert np.array_equal(values[graph.outputs[0].node].reshape(1, -1), truth)


@pytest.mark.parametrize(
    ("opset", "extra"),
    [
        (7, []),
        (10, []),
        (12, [np.array(0.3, dtype=np.float32)]),
        (13, [np.array(0.3, dtype=np.float32), np.array(False)]),
        (22, [None, np.array(False)]),
        (12, []),
    ],
)
def test_dropout_in_inference(opset: int, extra: list[np.ndarray | None], tmp_path: Path) -> None:
    attributes = {"ratio": 0.4} if opset < 12 else {"seed": 3}
    graph = agree_exactly(single("Dropout", var(2, 3), *extra, opset=opset, **attributes), tmp_path)
    assert len(graph.nodes) == 1
