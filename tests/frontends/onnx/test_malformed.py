"""Models that are wrong end in one line that names the place."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper
from onnxmodels import model, saved, single, var, whole

from absint.frontends.onnx import load, walk
from absint.problem import AbsintError, InputError

Edit = Callable[[onnx.ModelProto], None]
WEIGHTS = {"w": whole(1, 3, 4), "b": whole(2, 4)}


def network() -> onnx.ModelProto:
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["a"], name="product"),
        helper.make_node("Add", ["a", "b"], ["c"], name="shift"),
        helper.make_node("Relu", ["c"], ["y"]),
    ]
    return model(nodes, {"x": [1, 3]}, ["y"], WEIGHTS)


def refused(proto: onnx.ModelProto, message: str, folder: Path) -> None:
    path = saved(proto, folder)
    with pytest.raises(InputError) as caught:
        load(path)
    text = str(caught.value)
    assert message in text
    assert text.startswith(str(path))
    assert len(text.splitlines()) == 1


def replace(name: str, value: np.ndarray) -> Edit:
    def edit(proto: onnx.ModelProto) -> None:
        for tensor in proto.graph.initializer:
            if tensor.name == name:
                tensor.CopyFrom(numpy_helper.from_array(value, name))

    return edit


def poison(value: float) -> Edit:
    bad = WEIGHTS["w"].copy()
    bad[1, 2] = value
    return replace("w", bad)


def unsorted(proto: onnx.ModelProto) -> None:
    nodes = list(proto.graph.node)
    del proto.graph.node[:]
    proto.graph.node.extend([nodes[1], nodes[0], nodes[2]])


def cycle(proto: onnx.ModelProto) -> None:
    proto.graph.node[0].input[0] = "c"


def no_initialiser(proto: onnx.ModelProto) -> None:
    del proto.graph.initializer[0]


def second_definition(proto: onnx.ModelProto) -> None:
    proto.graph.node[1].output[0] = "a"


def shadowed_initialiser(proto: onnx.ModelProto) -> None:
    proto.graph.node[0].output[0] = "w"


def two_initialisers(proto: onnx.ModelProto) -> None:
    proto.graph.initializer.append(proto.graph.initializer[0])


def two_inputs(proto: onnx.ModelProto) -> None:
    proto.graph.input.append(proto.graph.input[0])


def two_outputs(proto: onnx.ModelProto) -> None:
    proto.graph.output.append(proto.graph.output[0])


def no_output(proto: onnx.ModelProto) -> None:
    del proto.graph.output[:]


def no_input(proto: onnx.ModelProto) -> None:
    del proto.graph.input[:]


def only_constants(proto: onnx.ModelProto) -> None:
    proto.graph.input[0].CopyFrom(helper.make_tensor_value_info("w", TensorProto.FLOAT, [3, 4]))


def undefined_output(proto: onnx.ModelProto) -> None:
    proto.graph.output[0].name = "nothing"


def raw_data_of_another_size(proto: onnx.ModelProto) -> None:
    proto.graph.initializer[0].raw_data = b"\0" * 44


def no_data(proto: onnx.ModelProto) -> None:
    proto.graph.initializer[0].ClearField("raw_data")


def negative_extent(proto: onnx.ModelProto) -> None:
    proto.graph.initializer[0].dims[:] = [-1, 4]


def huge_extent(proto: onnx.ModelProto) -> None:
    proto.graph.initializer[0].dims[:] = [1 << 40, 1 << 40]


def declared(name: str, shape: list[int], element: int = TensorProto.FLOAT) -> Edit:
    def edit(proto: onnx.ModelProto) -> None:
        proto.graph.value_info.append(helper.make_tensor_value_info(name, element, shape))

    return edit


def output_shape(proto: onnx.ModelProto) -> None:
    proto.graph.output[0].CopyFrom(helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 5]))


def output_type(proto: onnx.ModelProto) -> None:
    proto.graph.output[0].CopyFrom(helper.make_tensor_value_info("y", TensorProto.DOUBLE, [1, 4]))


def input_extents(*extents: int | str | None) -> Edit:
    def edit(proto: onnx.ModelProto) -> None:
        info = helper.make_tensor_value_info("x", TensorProto.FLOAT, extents)
        proto.graph.input[0].CopyFrom(info)

    return edit


def input_without_shape(proto: onnx.ModelProto) -> None:
    proto.graph.input[0].type.tensor_type.ClearField("shape")


def listed_initialiser_of_another_shape(proto: onnx.ModelProto) -> None:
    proto.graph.input.append(helper.make_tensor_value_info("w", TensorProto.FLOAT, [4, 3]))


def no_opset(proto: onnx.ModelProto) -> None:
    del proto.opset_import[:]


def two_opsets(proto: onnx.ModelProto) -> None:
    proto.opset_import.append(helper.make_opsetid("ai.onnx", 9))


def old_ir(proto: onnx.ModelProto) -> None:
    proto.ir_version = 2


def unknown_attribute(proto: onnx.ModelProto) -> None:
    proto.graph.node[1].attribute.append(helper.make_attribute("broadcast", 1))


def repeated_attribute(proto: onnx.ModelProto) -> None:
    proto.graph.node[1].attribute.extend([helper.make_attribute("axis", 1)] * 2)


def third_operand(proto: onnx.ModelProto) -> None:
    proto.graph.node[1].input.append("b")


def one_operand(proto: onnx.ModelProto) -> None:
    del proto.graph.node[1].input[1]


def left_out_operand(proto: onnx.ModelProto) -> None:
    proto.graph.node[1].input[1] = ""


def newline_in_a_name(proto: onnx.ModelProto) -> None:
    proto.graph.node[1].name = "shift\nverified\x1b[2K"
    proto.graph.node[1].input[1] = "no\nthing"


WRONG: list[tuple[Edit, str]] = [
    (poison(float("nan")), "initialiser 'w': the tensor holds NaN or infinity"),
    (poison(float("inf")), "initialiser 'w': the tensor holds NaN or infinity"),
    (replace("w", whole(1, 4, 4)), "node 'product' (MatMul): shapes (1, 3) and (4, 4)"),
    (replace("b", whole(1, 3)), "node 'shift' (Add): shapes (1, 4) and (3,)"),
    (replace("b", whole(1, 4, dtype="float64")), "node 'shift' (Add): operands of types"),
    (replace("b", whole(1, 4, dtype="int64")), "node 'shift' (Add): operands of types"),
    (unsorted, "node 'shift' (Add): reads 'a', which nothing before it defines"),
    (cycle, "node 'product' (MatMul): reads 'c', which nothing before it defines"),
    (no_initialiser, "node 'product' (MatMul): reads 'w', which nothing before it defines"),
    (second_definition, "node 'shift' (Add): 'a' is defined a second time"),
    (shadowed_initialiser, "node 'product' (MatMul): 'w' is defined a second time"),
    (two_initialisers, "initialiser 'w': 'w' is defined a second time"),
    (two_inputs, "input 'x' is listed twice"),
    (two_outputs, "output 'y': it is listed twice"),
    (no_output, "the model has no output"),
    (no_input, "the model has no input"),
    (only_constants, "the model has no input"),
    (undefined_output, "output 'nothing': no node defines it"),
    (raw_data_of_another_size, "initialiser 'w': a float32 tensor of shape (3, 4) needs 48 bytes"),
    (no_data, "initialiser 'w': the data does not fit"),
    (negative_extent, "initialiser 'w': shape (-1, 4) has a negative extent"),
    (huge_extent, "initialiser 'w': a tensor of shape"),
    (declared("a", [1, 5]), "node 'product' (MatMul): 'a' is declared with shape (1, 5)"),
    (declared("c", [4]), "node 'shift' (Add): 'c' is declared with shape (4,)"),
    (declared("c", [1, 4], TensorProto.DOUBLE), "node 'shift' (Add): 'c' is declared float64"),
    (output_shape, "node 2 (Relu): 'y' is declared with shape (1, 5) but has (1, 4)"),
    (output_type, "node 2 (Relu): 'y' is declared float64 but is float32"),
    (listed_initialiser_of_another_shape, "initialiser 'w': 'w' is declared with shape (4, 3)"),
    (input_extents(1, "features"), "input 'x': dimension 1 is symbolic ('features')"),
    (input_extents("n", None), "input 'x': dimension 1 is symbolic ('')"),
    (input_extents(0, 3), "input 'x': the input's shape (0, 3) is empty"),
    (input_extents(1 << 40, 3), "input 'x': a tensor of shape"),
    (input_extents(1, 4), "node 'product' (MatMul): shapes (1, 4) and (3, 4)"),
    (input_without_shape, "input 'x': the shape of the input is not given"),
    (no_opset, "the model must import one version of the standard ops"),
    (two_opsets, "the model must import one version of the standard ops"),
    (old_ir, "IR version 2 is older than 3"),
    (unknown_attribute, "node 'shift' (Add): there is no attribute 'broadcast' in opset 13"),
    (repeated_attribute, "node 'shift' (Add): an attribute is given twice"),
    (third_operand, "node 'shift' (Add): 3 operands, where 2 to 2 are allowed"),
    (one_operand, "node 'shift' (Add): 1 operands, where 2 to 2 are allowed"),
    (left_out_operand, "node 'shift' (Add): operand 1 is missing"),
    (newline_in_a_name, "node 'shift?verified?[2K' (Add): reads 'no?thing'"),
]


@pytest.mark.parametrize(("edit", "message"), WRONG)
def test_a_wrong_model(edit: Edit, message: str, tmp_path: Path) -> None:
    proto = network()
    edit(proto)
    refused(proto, message, tmp_path)


def test_the_model_that_is_edited_is_right(tmp_path: Path) -> None:
    load(saved(network(), tmp_path))


def ints(*values: int) -> np.ndarray:
    return np.array(values, dtype=np.int64)


ROW = var(2, 3)
IMAGE = var(1, 2, 4, 4)
VALUES = whole(1, 3)
NODES: list[tuple[onnx.ModelProto, str]] = [
    (single("Reshape", ROW, ints(4, 2)), "cannot be reshaped"),
    (single("Reshape", ROW, ints(-1, -1)), "more than one -1"),
    (single("Reshape", ROW, ints(-1, 4)), "cannot be reshaped"),
    (single("Reshape", ROW, ints(-2, 3)), "negative extent"),
    (single("Reshape", ROW, ints(2, 3, 0)), "copies a missing axis"),
    (single("Reshape", ROW, ints(0, 3), opset=14, allowzero=1), "cannot be reshaped"),
    (single("Reshape", ROW, np.array([2.0, 3.0], dtype=np.float32)), "must be integers"),
    (single("Flatten", ROW, axis=3), "axis 3 lies outside"),
    (single("Squeeze", ROW, ints(0)), "are not all 1"),
    (single("Unsqueeze", ROW, ints(0, 0)), "repeat an axis"),
    (single("Unsqueeze", ROW, ints(5)), "axis 5 lies outside"),
    (single("Unsqueeze", ROW, opset=11), "axes are missing"),
    (single("Transpose", ROW, perm=[0, 0]), "no permutation"),
    (single("Concat", ROW, whole(1, 3, 3), axis=1), "do not line up"),
    (single("Concat", ROW, axis=2), "axis 2 lies outside"),
    (single("Concat", ROW), "attribute axis is missing"),
    (single("Concat", ROW, axis=1.0), "attribute axis is not of type int"),
    (single("Split", ROW, ints(1, 1), axis=1, count=2), "do not make up"),
    (single("Split", ROW, ints(4, -1), axis=1, count=2), "do not make up"),
    (single("Split", ROW, axis=1, count=2), "do not divide"),
    (single("Slice", ROW, ints(0), ints(1), ints(0, 1)), "differ in length"),
    (single("Slice", ROW, ints(0), ints(1), ints(0), ints(0)), "a step of 0"),
    (single("Slice", ROW, ints(0, 0), ints(1, 1), ints(0, -2)), "repeat an axis"),
    (single("Gather", ROW, ints(2), axis=0), "lies outside an axis of 2"),
    (single("Gather", ROW, ints(-3), axis=0), "lies outside an axis of 2"),
    (single("Expand", ROW, ints(4, 3)), "do not broadcast"),
    (single("Expand", ROW, ints(1 << 40, 2, 3)), "exceeds"),
    (single("Tile", ROW, ints(2)), "do not fit"),
    (single("Tile", ROW, ints(1 << 30, 1 << 30)), "exceeds"),
    (single("Pad", ROW, ints(1, 1)), "pads must have 4 entries"),
    (single("Pad", ROW, ints(0, -2, 0, -2)), "crop more than there is"),
    (single("Pad", ROW, ints(0, 1 << 40, 0, 0)), "exceeds"),
    (single("Pad", ROW, ints(2, 0, 0, 0), mode="reflect"), "smaller than the axis"),
    (single("Div", ROW, np.array([1, 0, 2], dtype=np.float32)), "divides by zero"),
    (single("Gemm", var(2, 3, 4), whole(1, 4, 4)), "must have two axes"),
    (single("Gemm", ROW, whole(1, 3, 4), whole(1, 5)), "do not broadcast"),
    (single("Gemm", ROW, whole(1, 3, 4), whole(1, 2, 2, 4)), "does not fit"),
    (single("Gemm", ROW, whole(1, 3, 4), alpha=float("nan")), "NaN or infinite"),
    (single("LeakyRelu", ROW, alpha=float("inf")), "NaN or infinite"),
    (single("MatMul", ROW, np.array(2, dtype=np.float32)), "with a scalar"),
    (single("BatchNormalization", IMAGE, *[VALUES] * 4), "where the input has 2 channels"),
    (
        single("BatchNormalization", var(1, 3), VALUES, VALUES, VALUES, -4 - np.abs(VALUES)),
        "square root of a negative",
    ),
    (single("ReduceSum", ROW, ints(2)), "axis 2 lies outside"),
    (single("Conv", IMAGE, whole(1, 3, 3, 2, 2)), "do not fit weight"),
    (single("Conv", IMAGE, whole(1, 3, 2, 2)), "does not fit input"),
    (single("Conv", IMAGE, whole(1, 3, 2, 5, 5)), "larger than the padded input"),
    (single("Conv", IMAGE, whole(1, 3, 2, 2, 2), group=0), "do not fit weight"),
    (single("Conv", IMAGE, whole(1, 3, 2, 2, 2), strides=[0, 1]), "below 1"),
    (single("Conv", IMAGE, whole(1, 3, 2, 2, 2), strides=[1]), "do not fit 2 spatial axes"),
    (single("Conv", IMAGE, whole(1, 3, 2, 2, 2), kernel_shape=[3, 3]), "does not fit"),
    (single("Conv", IMAGE, whole(1, 3, 2, 2, 2), auto_pad="SAME"), "there is no such auto_pad"),
    (
        single("Conv", IMAGE, whole(1, 3, 2, 2, 2), auto_pad="VALID", pads=[1, 1, 1, 1]),
        "exclude each other",
    ),
    (single("Conv", IMAGE, whole(1, 3, 2, 2, 2), pads=[1 << 40] * 4), "exceeds"),
    (single("Conv", IMAGE, whole(1, 3, 2, 2, 2), whole(1, 2)), "does not fit kernel"),
    (single("AveragePool", IMAGE), "kernel_shape is missing"),
    (single("AveragePool", IMAGE, kernel_shape=[9, 9]), "larger than the padded input"),
    (single("AveragePool", IMAGE, kernel_shape=[1, 1], pads=[1, 0, 0, 0]), "padding only"),
    (single("Expand", ROW, ints(2, 3), opset=7), "there is no such op in opset 7"),
    (single("Clip", ROW, opset=10, min=2.0, max=-1.0), "min 2.0 is above max -1.0"),
    (single("Clip", ROW, opset=10, max=float("nan")), "NaN or infinite"),
    (single("Clip", ROW, opset=13, min=2.0), "there is no attribute 'min'"),
    (single("Clip", ROW, np.ones((1, 1), np.float32)), "min must be one number"),
    (single("Clip", ROW, None, VALUES), "max must be one number"),
    (single("Clip", ROW, np.array(1.0)), "min of type float64 for float32"),
    (single("HardSigmoid", ROW, alpha=float("nan")), "NaN or infinite"),
    (single("PRelu", ROW, np.ones((2, 2, 3), np.float32)), "slopes (2, 2, 3) for (2, 3)"),
    (single("PRelu", ROW, whole(1, 2)), "do not broadcast"),
    (single("PRelu", ROW, np.array(0.5)), "a slope of type float64 for float32"),
    (single("Max", ROW, whole(1, 4)), "do not broadcast"),
    (single("Max", ROW, np.array(1.0)), "operands of different types"),
    (single("Min", ROW, VALUES, opset=7), "operands of different shapes before opset 8"),
]


@pytest.mark.parametrize(("proto", "message"), NODES)
def test_a_wrong_node(proto: onnx.ModelProto, message: str, tmp_path: Path) -> None:
    path = saved(proto, tmp_path)
    with pytest.raises(InputError) as caught:
        load(path)
    text = str(caught.value)
    assert message in text
    assert f"node 'the_node' ({proto.graph.node[0].op_type})" in text
    assert len(text.splitlines()) == 1


def test_integers_that_overflow(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Mul", ["n", "n"], ["m"], name="square"),
        helper.make_node("Expand", ["x", "m"], ["y"]),
    ]
    proto = model(nodes, {"x": [1]}, ["y"], {"n": ints(1 << 40)})
    refused(proto, "node 'square' (Mul): integer arithmetic overflows", tmp_path)


def test_small_files_do_not_become_large_tensors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(walk, "MAX_TOTAL", 1 << 12)
    names = [f"c{i}" for i in range(9)]
    grown = [helper.make_node("Expand", [a, "shape"], [b], name=b) for a, b in pairwise(names)]
    proto = model(grown, {"c0": [1]}, ["c8"], {"shape": ints(1 << 10)})
    refused(proto, "node 'c5' (Expand): tensors of more than 4096 numbers", tmp_path)


@pytest.mark.parametrize("keep", [0, 1, 10, 50, -1])
def test_a_truncated_file(keep: int, tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(network().SerializeToString()[:keep])
    with pytest.raises(InputError) as caught:
        load(path)
    assert str(caught.value).startswith(f"{path}: not an ONNX model")


def _varint(number: int) -> bytes:
    low, rest = number & 127, number >> 7
    return bytes([low | 128]) + _varint(rest) if rest else bytes([low])


def test_nesting_is_bounded(tmp_path: Path) -> None:
    """A graph in an attribute of a node of a graph, and so on: fields 6, 5 and 1."""
    graph = b""
    for _ in range(200):
        for tag in (6, 5, 1):
            graph = bytes([tag << 3 | 2]) + _varint(len(graph)) + graph
    path = tmp_path / "m.onnx"
    path.write_bytes(b"\x3a" + _varint(len(graph)) + graph)
    with pytest.raises(InputError, match="not an ONNX model"):
        load(path)


@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    edits=st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), min_size=1, max_size=4)
)
def test_damaged_bytes_never_end_in_a_traceback(
    edits: list[tuple[int, int]], tmp_path: Path
) -> None:
    damaged = bytearray(network().SerializeToString())
    for position, byte in edits:
        damaged[position % len(damaged)] = byte
    path = tmp_path / "m.onnx"
    path.write_bytes(damaged)
    message = ""
    try:
        load(path)
    except AbsintError as error:
        message = str(error)
    assert len(message.splitlines()) <= 1
