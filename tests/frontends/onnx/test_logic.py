"""Comparisons, logic and choices of variables, against onnxruntime, bit for bit."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnxmodels import Array, Var, agree_exactly, model, real, saved, single, var, whole

from absint.frontends.onnx import load
from absint.frontends.runtime import OnnxRuntime
from absint.ir import evaluate
from absint.problem.contract import FLOAT32
from absint.problem.errors import UnsupportedError
from absint.proofs.bounds import Bounds
from absint.proofs.regions import Boxes
from absint.proofs.transformers.rounding import uncovered

RELATIONS = ["Less", "LessOrEqual", "Greater", "GreaterOrEqual", "Equal"]
KINDS = {"float32": TensorProto.FLOAT, "float64": TensorProto.DOUBLE, "int64": TensorProto.INT64}
CLOSE = np.array([0.0, 1e-45, -1e-45, 1.0, np.nextafter(np.float32(1), np.float32(2))], np.float32)
"""Subnormal numbers and neighbours: their differences are exact or of the right sign."""


def truth_out(proto: onnx.ModelProto) -> onnx.ModelProto:
    for info in proto.graph.output:
        info.type.tensor_type.elem_type = TensorProto.BOOL
    return proto


@pytest.mark.parametrize("op", RELATIONS)
@pytest.mark.parametrize(
    "operands",
    [
        (var(2, 3), var(3)),
        (var(2, 1), var(1, 3)),
        (var(2, 3), whole(1, 2, 3)),
        (whole(2, 3), var(2, 3)),
        (var(2, 1), whole(3, 1, 3)),
    ],
)
def test_relations_of_floats(op: str, operands: tuple[Var | Array, ...], tmp_path: Path) -> None:
    agree_exactly(truth_out(single(op, *operands)), tmp_path)


@pytest.mark.parametrize("op", RELATIONS)
def test_relations_of_close_floats(op: str, tmp_path: Path) -> None:
    pairs = np.array(list(itertools.product(CLOSE, CLOSE)), dtype=np.float64)
    proto = truth_out(single(op, var(1), var(1)))
    agree_exactly(proto, tmp_path, pairs)
    for bound in CLOSE:
        proto = truth_out(single(op, var(1), np.array([bound])))
        agree_exactly(proto, tmp_path, CLOSE.astype(np.float64)[:, None])


def of_integers(nodes: list[onnx.NodeProto], names: str, result: int, **constants: Array) -> Any:
    """A model on int64 inputs (3,) called by the letters of ``names``."""
    graph = helper.make_graph(
        nodes,
        "test",
        [helper.make_tensor_value_info(name, TensorProto.INT64, [3]) for name in names],
        [helper.make_tensor_value_info("y", result, None)],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)


@pytest.mark.parametrize("op", RELATIONS)
def test_relations_of_integers(op: str, tmp_path: Path) -> None:
    two = of_integers([helper.make_node(op, ["a", "b"], ["y"])], "ab", TensorProto.BOOL)
    agree_exactly(two, tmp_path, whole(1, 20, 6, dtype="float64", low=-1, high=2))
    for order in (["a", "c"], ["c", "a"]):
        node = helper.make_node(op, order, ["y"])
        one = of_integers([node], "a", TensorProto.BOOL, c=np.array([0, 1, 2]))
        agree_exactly(one, tmp_path, whole(2, 20, 3, dtype="float64", low=-1, high=3))


@pytest.mark.parametrize("op", ["And", "Or", "Xor", "Equal"])
def test_connectives(op: str, tmp_path: Path) -> None:
    """All combinations of two truth values, and of one with constants."""
    x = np.array(list(itertools.product([-1.0, 1.0], repeat=2)))
    made = [helper.make_node("Greater", [name, "zero"], [f"{name}_"]) for name in "ab"]
    zero = {"zero": np.zeros(1, np.float32), "c": np.array([True, False])}
    both = helper.make_node(op, ["a_", "b_"], ["y"])
    inputs = {name: [1] for name in "ab"}
    agree_exactly(truth_out(model([*made, both], inputs, ["y"], zero)), tmp_path, x)
    for order in (["a_", "c"], ["c", "a_"]):
        nodes = [made[0], helper.make_node(op, order, ["t"]), helper.make_node("Not", ["t"], ["y"])]
        agree_exactly(truth_out(model(nodes, {"a": [1]}, ["y"], zero)), tmp_path, x[:, :1])


@pytest.mark.parametrize("shape", [(2, 3), (3,), (2, 1)])
def test_where_with_a_condition_that_depends_on_the_input(
    shape: tuple[int, ...], tmp_path: Path
) -> None:
    greater = helper.make_node("Greater", ["a", "b"], ["c"])
    constants = {"k": real(1, 3).astype(np.float32), "l": real(2, 2, 1).astype(np.float32)}
    inputs = {"a": shape, "b": [2, 3]}
    for pair in itertools.product(["a", "b", "k", "l"], repeat=2):
        where = helper.make_node("Where", ["c", *pair], ["y"])
        agree_exactly(model([greater, where], inputs, ["y"], constants, opset=16), tmp_path)


def test_a_truth_value_becomes_a_number_and_back(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Cast", ["x"], ["t"], to=TensorProto.BOOL),
        helper.make_node("Cast", ["t"], ["i"], to=TensorProto.INT64),
        helper.make_node("Cast", ["i"], ["f"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["f", "x"], ["y"]),
    ]
    x = np.array([[0.0, -2.0, 3.0], [float(np.float32(1e-45)), 0.0, -0.0]])
    agree_exactly(model(nodes, {"x": [3]}, ["y"]), tmp_path, x)


def test_tokens_become_numbers(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Equal", ["a", "c"], ["pad"]),
        helper.make_node("Not", ["pad"], ["kept"]),
        helper.make_node("Cast", ["kept"], ["k"], to=TensorProto.FLOAT),
        helper.make_node("Cast", ["a"], ["f"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["f", "k"], ["y"]),
    ]
    proto = of_integers(nodes, "a", TensorProto.FLOAT, c=np.array(2))
    agree_exactly(proto, tmp_path, whole(1, 20, 3, dtype="float64", low=0, high=4))


@pytest.mark.parametrize("given", ["both", "low", "high"])
def test_clip_with_limits_that_depend_on_the_input(given: str, tmp_path: Path) -> None:
    ends = {"both": ["low", "high"], "low": ["low"], "high": ["", "high"]}[given]
    node = helper.make_node("Clip", ["x", *ends], ["y"])
    names = {"x": [2, 3], **{name: [] for name in ends if name}}
    agree_exactly(model([node], names, ["y"]), tmp_path)


def branches(scale: float) -> onnx.GraphProto:
    node = helper.make_node("Mul", ["x", f"by_{scale}"], ["r"])
    tensor = numpy_helper.from_array(np.array(scale, np.float32), f"by_{scale}")
    info = helper.make_tensor_value_info("r", TensorProto.FLOAT, [3])
    return helper.make_graph([node], "branch", [], [info], [tensor])


def test_if_with_a_condition_that_depends_on_the_input(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("ReduceSum", ["x"], ["s"], keepdims=0),
        helper.make_node("Less", ["s", "zero"], ["c"]),
        helper.make_node("If", ["c"], ["y"], then_branch=branches(2.0), else_branch=branches(-3.0)),
    ]
    proto = model(nodes, {"x": [3]}, ["y"], {"zero": np.zeros((), np.float32)})
    agree_exactly(proto, tmp_path)


def test_what_float32_arithmetic_gives_is_enclosed(tmp_path: Path) -> None:
    """At ties, beside them, and at subnormal numbers; none of it is of real arithmetic only."""
    nodes = [
        helper.make_node("Less", ["a", "b"], ["less"]),
        helper.make_node("Equal", ["a", "k"], ["same"]),
        helper.make_node("Xor", ["less", "same"], ["odd"]),
        helper.make_node("Cast", ["odd"], ["i"], to=TensorProto.INT64),
        helper.make_node("Cast", ["i"], ["f"], to=TensorProto.FLOAT),
        helper.make_node("Where", ["less", "k", "b"], ["chosen"]),
        helper.make_node("Clip", ["f", "chosen", "b"], ["kept"]),
        helper.make_node("Mul", ["kept", "a"], ["y"]),
    ]
    proto = model(nodes, {"a": [], "b": []}, ["y"], {"k": np.float32(1.0)}, opset=16)
    values = np.concatenate([CLOSE, np.array([-2.0, 1e18, 0.1], np.float32)])
    x = np.array(list(itertools.product(values, values)), dtype=np.float64)
    lowered = load(saved(proto, tmp_path))
    assert not uncovered(lowered.graph, FLOAT32)
    bounds = Bounds(lowered.graph, Boxes(lowered.graph, x, x), FLOAT32)
    ((node, _),) = lowered.graph.output_slices()
    lower, upper = (end.reshape(-1) for end in bounds.enclosure(node))
    y = OnnxRuntime(lowered).run(x)[:, 0]
    assert ((lower <= y) & (y <= upper)).all()


def test_masks_that_depend_on_the_input_are_named(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Greater", ["x", "zero"], ["c"]),
        helper.make_node("Where", ["c", "x", "low"], ["y"]),
    ]
    constants = {"zero": np.zeros(1, np.float32), "low": np.array(-np.inf, np.float32)}
    with pytest.raises(UnsupportedError, match="a mask that depends on the input"):
        load(saved(model(nodes, {"x": [3]}, ["y"], constants, opset=16), tmp_path))


def test_integers_that_no_float_holds_are_named(tmp_path: Path) -> None:
    node = helper.make_node("Equal", ["a", "c"], ["y"])
    proto = of_integers([node], "a", TensorProto.BOOL, c=np.array([2**53 + 1]))
    with pytest.raises(UnsupportedError, match="beyond 2"):
        load(saved(proto, tmp_path))


def test_thresholds_on_a_grid(tmp_path: Path) -> None:
    """Where an op meets its threshold exactly, on every point of a grid."""
    grid = np.arange(-8, 9)[:, None] / 4
    for op in RELATIONS:
        proto = truth_out(single(op, var(1), np.array([0.5], np.float32)))
        lowered = load(saved(proto, tmp_path))
        assert (evaluate(lowered.graph, grid) == OnnxRuntime(lowered).run(grid)).all()
