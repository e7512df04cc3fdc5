"""What whole models lower to: ports, fused biases, several inputs, old files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, defs, helper
from onnxmodels import ELEMENT, agree, agree_exactly, model, real, saved, whole

from absint.frontends.onnx import load
from absint.frontends.onnx.registry import MAX_OPSET, MIN_OPSET, RULES

WEIGHTS = {"w": whole(1, 3, 4), "b": whole(2, 4)}


def ops(path: Path) -> list[str]:
    return [node.op for node in load(path).graph.nodes]


def linear(*extra: onnx.NodeProto, outputs: list[str] | None = None) -> onnx.ModelProto:
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["a"]),
        helper.make_node("Add", ["a", "b"], ["y"]),
        *extra,
    ]
    return model(nodes, {"x": [1, 3]}, outputs or ["y"], WEIGHTS)


def test_a_bias_after_a_product_is_fused(tmp_path: Path) -> None:
    graph = agree_exactly(linear(), tmp_path)
    assert [node.op for node in graph.nodes] == ["input", "dense"]


def test_a_bias_is_not_fused_into_a_product_that_others_read(tmp_path: Path) -> None:
    both = [helper.make_node("Relu", ["a"], ["z"])]
    graph = agree_exactly(linear(*both, outputs=["y", "z"]), tmp_path)
    assert sorted(node.op for node in graph.nodes) == ["dense", "input", "relu", "scale"]
    graph = agree_exactly(linear(outputs=["y", "a"]), tmp_path)
    assert [node.op for node in graph.nodes] == ["input", "dense", "scale"]


def test_a_second_bias_is_not_added_to_the_first_in_floats(tmp_path: Path) -> None:
    graph = agree_exactly(
        linear(helper.make_node("Sub", ["y", "b"], ["z"]), outputs=["z"]), tmp_path
    )
    assert [node.op for node in graph.nodes] == ["input", "dense", "scale"]


def test_a_bias_after_a_convolution_is_fused(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["a"]),
        helper.make_node("Add", ["b", "a"], ["y"]),
    ]
    constants = {"w": whole(1, 3, 2, 2, 2), "b": whole(2, 3, 1, 1)}
    graph = agree_exactly(model(nodes, {"x": [1, 2, 4, 4]}, ["y"], constants), tmp_path)
    assert [node.op for node in graph.nodes] == ["input", "conv"]


def test_a_bias_that_enlarges_the_product_is_not_fused(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["a"]),
        helper.make_node("Add", ["a", "b"], ["y"]),
    ]
    constants = {"w": whole(1, 3, 1), "b": whole(2, 2, 4)}
    agree_exactly(model(nodes, {"x": [1, 3]}, ["y"], constants), tmp_path)


def test_normalisation_before_the_first_layer_is_a_shift(tmp_path: Path) -> None:
    nodes = [helper.make_node("Sub", ["x", "mean"], ["y"])]
    proto = model(nodes, {"x": [1, 1, 1, 5]}, ["y"], {"mean": whole(1, 1, 1, 1, 5)})
    graph = agree_exactly(proto, tmp_path)
    assert [node.op for node in graph.nodes] == ["input", "scale"]
    assert set(graph.nodes[1].consts) == {"bias"}


def test_ports_keep_names_shapes_and_types(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Concat", ["first", "second"], ["both"], axis=1),
        helper.make_node("Relu", ["both"], ["positive"]),
    ]
    inputs: dict[str, list[int | str]] = {
        "first": ["batch", 2],
        "second": ["batch", 3],
        "unused": [4],
    }
    proto = model(nodes, inputs, ["both", "positive", "second"], dtype="float64")
    loaded = load(saved(proto, tmp_path))
    graph = loaded.graph
    assert [(p.name, p.shape, p.dtype) for p in graph.inputs] == [
        ("first", (1, 2), "float64"),
        ("second", (1, 3), "float64"),
        ("unused", (4,), "float64"),
    ]
    assert [(p.name, p.shape) for p in graph.outputs] == [
        ("both", (1, 5)),
        ("positive", (1, 5)),
        ("second", (1, 3)),
    ]
    assert not loaded.free_batch
    agree_exactly(proto, tmp_path)


def test_an_output_may_be_constant(tmp_path: Path) -> None:
    nodes = [helper.make_node("Neg", ["c"], ["y"]), helper.make_node("Relu", ["x"], ["z"])]
    agree_exactly(model(nodes, {"x": [1, 2]}, ["y", "z"], {"c": whole(1, 2, 3)}), tmp_path)


@pytest.mark.parametrize("ir_version", [3, 8])
def test_initialisers_among_the_inputs(ir_version: int, tmp_path: Path) -> None:
    proto = linear()
    proto.ir_version = ir_version
    proto.opset_import[0].version = 8
    for name, value in WEIGHTS.items():
        info = helper.make_tensor_value_info(name, TensorProto.FLOAT, value.shape)
        proto.graph.input.append(info)
    graph = agree_exactly(proto, tmp_path)
    assert [port.name for port in graph.inputs] == ["x"]


@pytest.mark.parametrize("form", ["tensor", "float", "floats", "int", "ints"])
def test_constant_nodes(form: str, tmp_path: Path) -> None:
    attributes: dict[str, Any] = {
        "tensor": {"value": helper.make_tensor("t", 1, [2], [1.5, -2.0])},
        "float": {"value_float": 0.5},
        "floats": {"value_floats": [1.0, 2.0]},
        "int": {"value_int": 3},
        "ints": {"value_ints": [4, 5]},
    }
    nodes = [
        helper.make_node("Constant", [], ["c"], **attributes[form]),
        helper.make_node("Cast", ["c"], ["d"], to=TensorProto.FLOAT),
        helper.make_node("Add", ["x", "d"], ["y"]),
    ]
    agree_exactly(model(nodes, {"x": [1, 2]}, ["y"]), tmp_path)


@pytest.mark.parametrize("fill", [None, 2.5])
def test_constant_of_shape(fill: float | None, tmp_path: Path) -> None:
    value = {} if fill is None else {"value": helper.make_tensor("t", 1, [1], [fill])}
    nodes = [
        helper.make_node("ConstantOfShape", ["shape"], ["c"], **value),
        helper.make_node("Add", ["x", "c"], ["y"]),
    ]
    constants = {"shape": np.array([2, 3])}
    agree_exactly(model(nodes, {"x": [1, 3]}, ["y"], constants), tmp_path)


def test_declared_shapes_may_be_symbolic_or_fixed(tmp_path: Path) -> None:
    proto = linear()
    proto.graph.value_info.append(helper.make_tensor_value_info("a", TensorProto.FLOAT, ["n", 4]))
    proto.graph.output[0].CopyFrom(helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 4]))
    agree_exactly(proto, tmp_path)


@pytest.mark.parametrize("op", sorted(RULES))
def test_every_rule_is_for_an_op_of_the_standard(op: str) -> None:
    assert defs.get_schema(op, MAX_OPSET, "").since_version <= MAX_OPSET
    assert MIN_OPSET < MAX_OPSET <= defs.onnx_opset_version()


LAYERS = st.lists(
    st.sampled_from(
        ["dense", "bias", "relu", "leaky", "tanh", "clip", "abs", "residual", "flip", "scale"]
    ),
    max_size=8,
)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(layers=LAYERS, seed=st.integers(0, 1000), dtype=st.sampled_from(sorted(ELEMENT)))
def test_random_networks(layers: list[str], seed: int, dtype: str, tmp_path: Path) -> None:
    nodes, constants, last = [], {}, "x"
    for depth, layer in enumerate(layers):
        here, c = f"h{depth}", f"c{depth}"
        constants[c] = 0.5 * real(
            seed + depth, *((4, 4) if layer == "dense" else (4,)), dtype=dtype
        )
        if layer in ("dense", "bias", "scale"):
            op = {"dense": "MatMul", "bias": "Add", "scale": "Mul"}[layer]
            nodes.append(helper.make_node(op, [last, c], [here]))
        elif layer == "residual":
            nodes.append(helper.make_node("Add", [last, "x"], [here]))
        elif layer == "flip":
            constants[c] = np.array([3, 1, 0, 2])
            nodes.append(helper.make_node("Gather", [last, c], [here], axis=1))
        elif layer == "clip":
            constants[c], constants["top"] = (np.array(v, dtype=dtype) for v in (-0.5, 1.5))
            nodes.append(helper.make_node("Clip", [last, c, "top"], [here]))
        else:
            op = {"relu": "Relu", "leaky": "LeakyRelu", "tanh": "Tanh", "abs": "Abs"}[layer]
            if op == "LeakyRelu" and dtype == "float64":
                op = "Relu"  # onnxruntime has no float64 kernel for it
            nodes.append(helper.make_node(op, [last], [here]))
        last = here
    nodes.append(helper.make_node("Identity", [last], ["y"]))
    agree(model(nodes, {"x": ["n", 4]}, ["y"], constants, dtype=dtype), tmp_path, seed=seed)
