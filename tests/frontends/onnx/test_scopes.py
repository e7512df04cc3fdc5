"""Tokens, pinned dimensions, branches, loops and functions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from onnxmodels import agree, agree_exactly, model, ops, saved, whole

from absint.frontends.onnx import load
from absint.frontends.runtime import OnnxRuntime
from absint.ir import evaluate
from absint.problem import InputError

N = helper.make_node
INFO = helper.make_tensor_value_info
IDS = np.array([[0, 3, 1, 2], [4, 4, 0, 1], [2, 0, 3, 3]], dtype=np.float64)
TABLE = whole(1, 5, 3)


def tokens(*nodes: onnx.NodeProto, shape: list[int | str], dtype: int = TensorProto.INT64,
           **constants: np.ndarray) -> onnx.ModelProto:  # fmt: skip
    proto = model(nodes, {"ids": shape}, [nodes[-1].output[0]], constants, opset=13)
    proto.graph.input[0].type.tensor_type.elem_type = dtype
    return proto


@pytest.mark.parametrize("dtype", [TensorProto.INT64, TensorProto.INT32])
def test_an_embedding(dtype: int, tmp_path: Path) -> None:
    proto = tokens(N("Gather", ["t", "ids"], ["y"]), shape=[1, 4], dtype=dtype, t=TABLE)
    graph = agree_exactly(proto, tmp_path, IDS)
    assert ops(graph) == ["embedding"]
    assert graph.inputs[0].dtype == {7: "int64", 6: "int32"}[dtype]


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_an_embedding_along_any_axis(axis: int, tmp_path: Path) -> None:
    table = np.moveaxis(whole(2, 5, 2, 3), 0, axis)
    proto = tokens(N("Gather", ["t", "ids"], ["y"], axis=axis), shape=[2, 2], t=table)
    assert "embedding" in ops(agree_exactly(proto, tmp_path, IDS))


def test_moved_ids_are_looked_up_where_they_come_in(tmp_path: Path) -> None:
    nodes = [
        N("Slice", ["ids", "one", "four", "one"], ["a"]),
        N("Transpose", ["a"], ["b"]),
        N("Unsqueeze", ["b", "one"], ["c"]),
        N("Cast", ["c"], ["d"], to=TensorProto.INT32),
        N("Gather", ["t", "d"], ["y"]),
    ]
    constants = {"one": np.array([1]), "four": np.array([4]), "t": TABLE}
    graph = agree_exactly(tokens(*nodes, shape=[1, 4], **constants), tmp_path, IDS)
    assert ops(graph) == ["embedding", "gather"]
    assert graph.nodes[1].inputs == (0,)


def test_a_step_of_greedy_decoding(tmp_path: Path) -> None:
    """The next token, by argmax, is looked up beside those before it."""
    nodes = [
        N("Gather", ["t", "ids"], ["e"]),
        N("ReduceSum", ["e", "one"], ["s"], keepdims=0),
        N("MatMul", ["s", "w"], ["l"]),
        N("ArgMax", ["l"], ["k"], axis=-1, keepdims=1),
        N("Concat", ["ids", "k"], ["longer"], axis=1),
        N("Gather", ["t", "longer"], ["y"]),
    ]
    constants = {"one": np.array([1]), "t": TABLE, "w": whole(4, 3, 5, low=-9, high=9)}
    graph = agree_exactly(tokens(*nodes, shape=[1, 4], **constants), tmp_path, IDS)
    assert ops(graph).count("embedding") == 2


@pytest.mark.parametrize("keep", [0, 1])
@pytest.mark.parametrize("op", ["ArgMax", "ArgMin"])
@pytest.mark.parametrize("last", [0, 1])
def test_positions_of_extremes(op: str, keep: int, last: int, tmp_path: Path) -> None:
    node = N(op, ["x"], ["y"], axis=1, keepdims=keep, select_last_index=last)
    proto = model([node], {"x": [2, 4, 2]}, ["y"])
    proto.graph.output[0].type.tensor_type.elem_type = TensorProto.INT64
    ties = whole(3, 20, 16, low=0, high=2).astype(np.float64)
    assert agree_exactly(proto, tmp_path, ties).outputs[0].dtype == "int64"


def test_dimensions_are_pinned_by_name_or_place(tmp_path: Path) -> None:
    nodes = [N("Gather", ["t", "ids"], ["e"]), N("ReduceSum", ["e", "one"], ["y"], keepdims=0)]
    proto = tokens(*nodes, shape=["batch", "sequence"], t=TABLE, one=np.array([1]))
    path = saved(proto, tmp_path)
    for dims in ({"sequence": 4}, {"ids:1": 4}):
        found = load(path, dims)
        assert found.graph.inputs[0].shape == (1, 4)
        assert found.free_batch
        assert np.array_equal(evaluate(found.graph, IDS), OnnxRuntime(found).run(IDS))
    fixed = load(path, {"batch": 3, "sequence": 4})
    assert fixed.graph.inputs[0].shape == (3, 4)
    assert not fixed.free_batch
    for dims, what in (
        ({}, "unless it is given a size"),
        ({"sequences": 4}, "no input has a dimension 'sequences'"),
        ({"": 4}, "no input has a dimension ''"),
        ({"sequence": 0}, "cannot be 0"),
    ):
        with pytest.raises(InputError, match=what):
            load(path, dims)


def test_a_branch(tmp_path: Path) -> None:
    for value in (True, False):
        branches = [
            helper.make_graph([N(op, ["x"], [f"out_{op}"])], op, [], [INFO(f"out_{op}", 1, None)])
            for op in ("Relu", "Neg")
        ]
        node = N("If", ["c"], ["y"], then_branch=branches[0], else_branch=branches[1])
        proto = model([node], {"x": [2, 3]}, ["y"], {"c": np.array(value)})
        assert ops(agree_exactly(proto, tmp_path)) == ["relu" if value else "scale"]


def body(*nodes: onnx.NodeProto) -> onnx.GraphProto:
    inputs = [
        INFO("i", TensorProto.INT64, []),
        INFO("go", TensorProto.BOOL, []),
        INFO("h", 1, None),
    ]
    outputs = [INFO("on", TensorProto.BOOL, []), INFO("g", 1, None), INFO("row", 1, None)]
    return helper.make_graph(list(nodes), "body", inputs, outputs)


@pytest.mark.parametrize("trips", [1, 4])
def test_a_loop(trips: int, tmp_path: Path) -> None:
    """``h = relu(h W + i)`` some times over, or until i reaches 2; every h on the way."""
    inner = [
        N("MatMul", ["h", "w"], ["a"]),
        N("Cast", ["i"], ["f"], to=TensorProto.FLOAT),
        N("Add", ["a", "f"], ["b"]),
        N("Relu", ["b"], ["g"]),
        N("Identity", ["g"], ["row"]),
        N("Less", ["i", "two"], ["on"]),
    ]
    node = N("Loop", ["trips", "", "x"], ["y", "rows"], body=body(*inner))
    constants = {"trips": np.array(trips), "w": whole(1, 3, 3), "two": np.array(2)}
    proto = model([node], {"x": [2, 3]}, ["y", "rows"], constants)
    assert ops(agree_exactly(proto, tmp_path)).count("relu") == min(trips, 3)


def test_a_scan(tmp_path: Path) -> None:
    inner = [N("Add", ["h", "e"], ["g"]), N("Relu", ["g"], ["row"])]
    graph = helper.make_graph(
        inner, "body", [INFO("h", 1, None), INFO("e", 1, None)],
        [INFO("g", 1, None), INFO("row", 1, None)],
    )  # fmt: skip
    for back in (0, 1):
        node = N("Scan", ["s", "x"], ["y", "rows"], body=graph, num_scan_inputs=1,
                 scan_input_axes=[1], scan_input_directions=[back],
                 scan_output_axes=[1], scan_output_directions=[1 - back])  # fmt: skip
        proto = model([node], {"x": [2, 3], "s": [2]}, ["y", "rows"])
        agree_exactly(proto, tmp_path)


def test_functions_are_inlined(tmp_path: Path) -> None:
    """One calls another, with attributes handed on, defaults, and an operand left out."""
    imports = [helper.make_opsetid("", 17), helper.make_opsetid("my", 1)]
    leaky = N("LeakyRelu", ["a"], ["b"])
    reference = onnx.AttributeProto(name="alpha", ref_attr_name="slope", type=1)
    leaky.attribute.append(reference)
    inner = helper.make_function(
        "my", "Bent", ["a"], ["b"], [leaky], imports,
        attribute_protos=[helper.make_attribute("slope", 0.25)],
    )  # fmt: skip
    bent = N("Bent", ["d"], ["e"], domain="my")
    bent.attribute.append(onnx.AttributeProto(name="slope", ref_attr_name="s", type=1))
    outer = helper.make_function(
        "my", "Layer", ["a", "w", "low"], ["f"],
        [N("MatMul", ["a", "w"], ["d"]), bent, N("Clip", ["e", "low"], ["f"])], imports,
        attributes=["s"],
    )  # fmt: skip
    nodes = [
        N("Layer", ["x", "w", "low"], ["h"], domain="my", s=0.5),
        N("Layer", ["h", "w"], ["y"], domain="my"),
    ]
    constants = {"w": whole(1, 3, 3), "low": np.array(-2, np.float32)}
    proto = model(nodes, {"x": [2, 3]}, ["y"], constants, opset=17)
    proto.functions.extend([inner, outer])
    proto.opset_import.append(helper.make_opsetid("my", 1))
    graph = agree(proto, tmp_path)
    slopes = [node.attrs["alpha"] for node in graph.nodes if node.op == "leaky_relu"]
    assert slopes == [0.5, 0.25]
