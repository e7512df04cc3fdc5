"""What is valid but not supported is named, all of it at once, before anything is computed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from onnxmodels import model, saved, single, var, whole

from absint.frontends.onnx import inspect, load, lower
from absint.frontends.onnx.registry import HINTS, RULES
from absint.problem import InputError, UnsupportedError


def findings(proto: onnx.ModelProto, folder: Path) -> list[tuple[str, str]]:
    path = saved(proto, folder)
    with pytest.raises(UnsupportedError) as caught:
        load(path)
    assert len(str(caught.value).splitlines()) == 1
    assert inspect(path).unsupported == caught.value.found
    assert inspect(path).graph is None
    return [(item.place, item.what) for item in caught.value.found]


def test_every_node_is_listed_even_behind_another(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Atan", ["x"], ["a"], name="wave"),
        helper.make_node("MatMul", ["a", "w"], ["b"]),
        helper.make_node("Pow", ["b", "b"], ["c"], name="power"),
        helper.make_node("Hardmax", ["c"], ["d"]),
        helper.make_node("Cast", ["d"], ["f"], to=TensorProto.INT8),
        helper.make_node("Elsewhere", ["f"], ["y"], domain="com.example"),
    ]
    proto = model(nodes, {"x": [1, 3]}, ["y"], {"w": whole(1, 3, 3), "e": whole(2, 3, 3)})
    assert findings(proto, tmp_path) == [
        ("node 'wave' (Atan)", "this op"),
        ("node 'power' (Pow)", "a power of which base and exponent depend on the input"),
        ("node 3 (Hardmax)", "this op"),
        ("node 4 (Cast)", "conversion of the network's values to int8"),
        ("node 5 (Elsewhere)", "an op of domain 'com.example'"),
    ]


def test_a_wrong_name_is_an_error_even_behind_an_unsupported_node(tmp_path: Path) -> None:
    nodes = [helper.make_node("Atan", ["x"], ["a"]), helper.make_node("Relu", ["b"], ["y"])]
    with pytest.raises(InputError, match="reads 'b'"):
        load(saved(model(nodes, {"x": [1, 3]}, ["y"]), tmp_path))


def test_a_wrong_attribute_behind_an_unsupported_node(tmp_path: Path) -> None:
    first = helper.make_node("Atan", ["x"], ["a"])
    unknown = helper.make_node("Hardmax", ["a"], ["y"], no_such=1)
    proto = model([first, unknown], {"x": [1, 3]}, ["y"])
    assert len(findings(proto, tmp_path)) == 2
    wrong = model([first, helper.make_node("Relu", ["a"], ["y"], no_such=1)], {"x": [1, 3]}, ["y"])
    with pytest.raises(InputError, match="there is no attribute 'no_such'"):
        load(saved(wrong, tmp_path))


ROW = var(2, 3)
IMAGE = var(1, 2, 4, 4)
KERNEL = whole(1, 3, 2, 2, 2)
VECTOR = whole(2, 3)
PAIR = [np.ones(2, dtype=np.float32)] * 3
SINGLE: list[tuple[onnx.ModelProto, str]] = [
    (single("Conv", IMAGE, var(3, 2, 2, 2)), "a kernel that depends"),
    (single("Conv", IMAGE, KERNEL, var(3)), "a bias that depends"),
    (single("Conv", IMAGE, KERNEL, pads=[-1, 0, 0, 0]), "negative pads"),
    (single("Hardmax", ROW), "this op"),
    (single("Dropout", ROW, None, np.array(True)), "training mode"),
    (single("BatchNormalization", IMAGE, *PAIR, PAIR[0], training_mode=1, opset=15), "training"),
    (single("BatchNormalization", IMAGE, *PAIR, PAIR[0], spatial=0, opset=7), "spatial=0"),
    (single("BatchNormalization", IMAGE, *PAIR, var(2), opset=15), "a variance that depends"),
    (single("Cast", ROW, to=TensorProto.FLOAT16), "to float16"),
    (single("Cast", ROW, to=TensorProto.INT64), "to int64"),
    (single("Cast", ROW, to=TensorProto.BFLOAT16), "element type bfloat16"),
    (single("Pad", ROW, np.array([0, 1, 0, 1]), mode="wrap", opset=19), "mode='wrap'"),
    (single("Slice", ROW, np.array([1]), np.array([1])), "an empty tensor"),
    (single("Relu", ROW, opset=6), "opset 6"),
    (single("Relu", ROW, opset=25), "opset 25"),
    (single("PRelu", whole(1, 2), whole(1, 2)), "a constant operand"),
    (single("Pow", ROW, var(2, 3)), "a power of which base and exponent depend"),
    (single("Pow", ROW, np.array(0.3, np.float32)), "the power 0.3"),
    (single("Pow", ROW, VECTOR), "exponents that differ"),
    (single("OneHot", var(2), np.array(3), whole(3, 2)), "that depend"),
    (single("TopK", ROW, np.array([2]), count=2), "the 2 largest entries"),
    (single("CumSum", ROW, var()), "an axis that depends"),
    (single("Resize", ROW, None, np.array([2, 2], np.float32), mode="cubic"), "mode='cubic'"),
    (single("PRelu", ROW, var(3)), "a slope that depends"),
    (single("Clip", np.array([1, 2], dtype=np.int32)), "a clip of int32"),
    (single("Abs", np.array([1, -2])), "the absolute value of int64"),
    *[(single(op, ROW), "this op") for op in ("Atan", "ThresholdedRelu", "Hardmax", "Det")],
]


@pytest.mark.parametrize(("proto", "what"), SINGLE)
def test_a_node(proto: onnx.ModelProto, what: str, tmp_path: Path) -> None:
    if not proto.graph.input:
        proto.graph.input.append(helper.make_tensor_value_info("extra", 1, [1]))
    ((place, found),) = findings(proto, tmp_path)
    assert what in found
    assert place in (f"node 'the_node' ({proto.graph.node[0].op_type})", "model")


@pytest.mark.parametrize(
    ("op", "hint"),
    [("ThresholdedRelu", "it is not continuous")],
)
def test_a_hint(op: str, hint: str, tmp_path: Path) -> None:
    with pytest.raises(UnsupportedError, match=f"'the_node' \\({op}\\): this op \\({hint}"):
        load(saved(single(op, ROW, opset=24), tmp_path))


@pytest.mark.parametrize("op", sorted(HINTS))
def test_hints_are_for_ops_that_are_not_supported(op: str) -> None:
    assert op not in RULES
    assert onnx.defs.has(op)


@pytest.mark.parametrize(
    ("element", "name"),
    [(TensorProto.FLOAT16, "float16"), (TensorProto.INT8, "int8"), (TensorProto.BOOL, "bool")],
)
def test_the_type_of_an_input(element: int, name: str, tmp_path: Path) -> None:
    proto = single("Relu", ROW)
    proto.graph.input[0].type.tensor_type.elem_type = element
    assert findings(proto, tmp_path) == [("input 'x0'", f"element type {name}")]


def test_a_mask_that_no_softmax_reads(tmp_path: Path) -> None:
    mask = np.array([0, -np.inf, 0], np.float32)
    what = "an operand with entries of -inf"
    assert findings(single("Add", ROW, mask), tmp_path) == [("output 'y0'", what)]
    nodes = [
        helper.make_node("Add", ["x", "mask"], ["a"]),
        helper.make_node("Relu", ["a"], ["y"]),
    ]
    proto = model(nodes, {"x": [2, 3]}, ["y"], {"mask": mask})
    assert findings(proto, tmp_path) == [("node 1 (Relu)", what)]


def test_token_ids_are_for_look_ups_only(tmp_path: Path) -> None:
    proto = single("Relu", ROW)
    proto.graph.input[0].type.tensor_type.elem_type = TensorProto.INT64
    place = "node 'the_node' (Relu)"
    assert findings(proto, tmp_path) == [
        (place, "an operand of type int64 that depends on the input")
    ]
    proto = single("Cast", ROW, to=TensorProto.UINT8)
    proto.graph.input[0].type.tensor_type.elem_type = TensorProto.INT64
    what = "conversion of int64 that depends on the input to uint8"
    assert findings(proto, tmp_path) == [("node 'the_node' (Cast)", what)]


def test_what_a_function_holds_is_named_too(tmp_path: Path) -> None:
    inner = [
        helper.make_node("Atan", ["a"], ["b"]),
        helper.make_node("Relu", ["b"], ["c"]),
        helper.make_node("Hardmax", ["c"], ["d"]),
    ]
    imports = [helper.make_opsetid("", 13), helper.make_opsetid("my", 1)]
    proto = model([helper.make_node("Block", ["x"], ["y"], domain="my")], {"x": [2]}, ["y"])
    proto.functions.append(helper.make_function("my", "Block", ["a"], ["d"], inner, imports))
    proto.opset_import.append(helper.make_opsetid("my", 1))
    assert findings(proto, tmp_path) == [
        ("node 0 (Block), node 0 (Atan) inside", "this op"),
        ("node 0 (Block), node 2 (Hardmax) inside", "this op"),
    ]


def test_functions_that_call_each_other_without_end(tmp_path: Path) -> None:
    imports = [helper.make_opsetid("", 13), helper.make_opsetid("my", 1)]
    proto = model([helper.make_node("A", ["x"], ["y"], domain="my")], {"x": [2]}, ["y"])
    for name, other in (("A", "B"), ("B", "A")):
        inner = [helper.make_node(other, ["a"], ["b"], domain="my")] * 1
        proto.functions.append(helper.make_function("my", name, ["a"], ["b"], inner, imports))
    proto.opset_import.append(helper.make_opsetid("my", 1))
    ((_, what),) = findings(proto, tmp_path)
    assert what == "more than 16 sub-graphs within each other"


def test_inputs_of_different_types(tmp_path: Path) -> None:
    nodes = [helper.make_node("Relu", ["x"], ["y"])]
    proto = model(nodes, {"x": [2], "z": [2]}, ["y"])
    proto.graph.input[1].type.tensor_type.elem_type = TensorProto.DOUBLE
    assert findings(proto, tmp_path) == [("model", "inputs of different element types")]


def test_an_integer_output(tmp_path: Path) -> None:
    nodes = [helper.make_node("Relu", ["x"], ["y"]), helper.make_node("Shape", ["x"], ["s"])]
    proto = model(nodes, {"x": [2]}, ["y", "s"])
    proto.graph.output[1].type.tensor_type.elem_type = TensorProto.INT64
    assert findings(proto, tmp_path) == [("output 's'", "element type int64")]


def test_a_second_output_that_is_read(tmp_path: Path) -> None:
    nodes = [helper.make_node("Dropout", ["x"], ["y", "mask"], name="drop")]
    load(saved(model(nodes, {"x": [2]}, ["y"]), tmp_path))
    nodes.append(helper.make_node("Cast", ["mask"], ["m"], to=TensorProto.FLOAT))
    proto = model(nodes, {"x": [2]}, ["y", "m"])
    assert findings(proto, tmp_path) == [("node 'drop' (Dropout)", "output 1")]


def test_sparse_initialisers_and_functions(tmp_path: Path) -> None:
    proto = single("Relu", ROW)
    values = helper.make_tensor("s", TensorProto.FLOAT, [1], [1.0])
    indices = helper.make_tensor("i", TensorProto.INT64, [1], [0])
    proto.graph.sparse_initializer.append(helper.make_sparse_tensor(values, indices, [3]))
    node = helper.make_node("Identity", ["a"], ["b"])
    imports = [helper.make_opsetid("", 13)]
    proto.functions.append(helper.make_function("", "Relu", ["a"], ["b"], [node], imports))
    assert [what for _, what in findings(proto, tmp_path)] == [
        "functions in the standard domain",
        "sparse initialisers",
    ]


def test_string_constants(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Constant", [], ["c"], value_string="text", name="words"),
        helper.make_node("Relu", ["x"], ["y"]),
    ]
    proto = model(nodes, {"x": [2]}, ["y"])
    assert findings(proto, tmp_path) == [("node 'words' (Constant)", "attribute value_string")]


def test_an_attribute_that_a_rule_overlooks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever adds a rule cannot ignore an attribute by oversight."""
    monkeypatch.setattr(lower, "RULES", {"Hardmax": lambda call: call.value()})
    load(saved(single("Hardmax", ROW), tmp_path))
    proto = single("Hardmax", ROW, axis=0)
    assert findings(proto, tmp_path) == [("node 'the_node' (Hardmax)", "attribute axis")]
