"""What ``inspect`` says of a model."""

from __future__ import annotations

from pathlib import Path

from onnx import helper
from onnxmodels import model, saved, whole

from absint.frontends.lowering.tensors import TensorInfo
from absint.frontends.onnx import inspect, load


def test_a_model_that_lowers(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["a"]),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("MatMul", ["b", "v"], ["y"]),
    ]
    proto = model(nodes, {"x": ["batch", 3]}, ["y"], {"w": whole(1, 3, 4), "v": whole(2, 4, 2)})
    proto.producer_name, proto.producer_version = "trainer", "1.2"
    proto.opset_import.append(helper.make_opsetid("ai.onnx.ml", 2))
    path = saved(proto, tmp_path)
    report = inspect(path)
    assert report.ops == {"MatMul": 2, "Relu": 1}
    assert (report.parameters, report.opset, report.ir_version) == (20, 13, 8)
    assert report.producer == "trainer 1.2"
    assert report.inputs == (TensorInfo("x", "float32", ("batch", 3)),)
    assert report.outputs == (TensorInfo("y", "float32", None),)
    assert report.unsupported == ()
    assert report.graph is not None
    assert report.graph.parameter_count() == 20
    assert report.digest == load(path).digest


def test_a_model_that_does_not(tmp_path: Path) -> None:
    nodes = [helper.make_node("Atan", ["x"], ["y"]), helper.make_node("Atan", ["y"], ["z"])]
    report = inspect(saved(model(nodes, {"x": [1, 3]}, ["z"]), tmp_path))
    assert report.ops == {"Atan": 2}
    assert [item.place for item in report.unsupported] == ["node 0 (Atan)", "node 1 (Atan)"]
    assert report.graph is None
