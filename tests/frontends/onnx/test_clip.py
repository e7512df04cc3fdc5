"""Limits and other piecewise linear ops, against onnxruntime, with every knot hit."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from onnxmodels import Array, Var, agree, agree_exactly, both, model, real, single, var, whole

from absint.frontends.onnx import load
from absint.ir import Graph, digest, evaluate

FLOAT32_MAX = float(np.finfo(np.float32).max)
ROW = var(2, 7)
EDGES = np.array(
    [[0.0, -0.0, 1e-45, -1e-45, 6.0, 5.9999995, 6.0000005, -1.5, 2.5, 0.1, 1e4, -1e4, 3e38, -3e38]],
    dtype=np.float32,
).astype(np.float64)


MODERATE = np.where((np.abs(EDGES) > 1e38) | (np.abs(EDGES) == EDGES[0, 2]), -1.5, EDGES)
"""Products of these neither overflow nor underflow."""


def scalar(value: float, dtype: str = "float32") -> Array:
    return np.array(value, dtype=dtype)


def ops(graph: Graph) -> list[str]:
    return [node.op for node in graph.nodes[1:]]


def only_clip(graph: Graph) -> tuple[float, float]:
    """The ends of the only node."""
    (node,) = graph.nodes[1:]
    assert node.op == "clip"
    return node.extended("lower"), node.extended("upper")


@pytest.mark.parametrize("opset", [7, 12, 13, 24])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_abs(opset: int, dtype: str, tmp_path: Path) -> None:
    graph = agree_exactly(single("Abs", ROW, opset=opset, dtype=dtype), tmp_path, EDGES)
    assert ops(graph) == ["abs"]


ENDS = [(0.0, 6.0), (-1.5, 2.5), (0.1, 0.25), (-math.inf, 2.5), (-1.5, math.inf), (-3.0, -0.0)]


@pytest.mark.parametrize("ends", ENDS)
@pytest.mark.parametrize("opset", [7, 10])
def test_clip_with_attributes(opset: int, ends: tuple[float, float], tmp_path: Path) -> None:
    given = {name: v for name, v in zip(("min", "max"), ends, strict=True) if math.isfinite(v)}
    graph = agree_exactly(single("Clip", ROW, opset=opset, **given), tmp_path, EDGES)
    assert only_clip(graph) == (scalar(ends[0]), scalar(ends[1]))


@pytest.mark.parametrize("ends", ENDS)
@pytest.mark.parametrize(
    ("opset", "dtype"),
    [(11, "float32"), *((v, t) for v in (12, 13, 24) for t in ("float32", "float64"))],
)  # onnxruntime has no float64 kernel of opset 11
@pytest.mark.parametrize("shape", [(), (1,)])
def test_clip_with_operands(
    opset: int, ends: tuple[float, float], dtype: str, shape: tuple[int, ...], tmp_path: Path
) -> None:
    given = [np.full(shape, v, dtype) if math.isfinite(v) else None for v in ends]
    while given[-1] is None:
        given.pop()
    graph = agree_exactly(single("Clip", ROW, *given, opset=opset, dtype=dtype), tmp_path, EDGES)
    assert only_clip(graph) == tuple(float(np.dtype(dtype).type(v)) for v in ends)


@pytest.mark.parametrize("opset", [7, 11, 13, 24])
def test_clip_without_ends_is_nothing(opset: int, tmp_path: Path) -> None:
    assert ops(agree_exactly(single("Clip", ROW, opset=opset), tmp_path, EDGES)) == []


@pytest.mark.parametrize(
    ("lower", "upper", "expected"),
    [
        (-FLOAT32_MAX, 6.0, (-math.inf, 6.0)),
        (-1.0, FLOAT32_MAX, (-1.0, math.inf)),
        (-FLOAT32_MAX, FLOAT32_MAX, None),
    ],
)
def test_the_largest_number_is_no_end(
    lower: float, upper: float, expected: tuple[float, float] | None, tmp_path: Path
) -> None:
    for proto in (
        single("Clip", ROW, opset=10, min=lower, max=upper),
        single("Clip", ROW, scalar(lower), scalar(upper)),
    ):
        graph = agree_exactly(proto, tmp_path, EDGES)
        assert (only_clip(graph) if expected else None) == expected
    wide = [scalar(lower, "float64"), scalar(upper, "float64")]
    graph = agree_exactly(single("Clip", ROW, *wide, dtype="float64"), tmp_path, EDGES)
    assert only_clip(graph) == (lower, upper), "a finite end among float64 numbers"


@pytest.mark.parametrize("opset", [11, 12, 13, 24])
@pytest.mark.parametrize(("lower", "upper"), [(2.0, 2.0), (3.0, -1.0), (0.0, -0.0)])
def test_ends_that_leave_one_value(lower: float, upper: float, opset: int, tmp_path: Path) -> None:
    proto = single("Clip", ROW, scalar(lower), scalar(upper), opset=opset)
    assert ops(agree_exactly(proto, tmp_path, EDGES)) == ["scale"]


def test_clip_at_zero_is_relu(tmp_path: Path) -> None:
    for proto in (
        single("Clip", ROW, scalar(-0.0)),
        single("Clip", ROW, opset=7, min=0.0),
        single("Max", ROW, scalar(0.0)),
        single("Max", np.zeros((2, 1), np.float32), ROW),
    ):
        assert ops(agree_exactly(proto, tmp_path, EDGES)) == ["relu"]


def chain(*limits: tuple[str, float]) -> onnx.ModelProto:
    """Relu, Max and Min by scalars, one after another."""
    nodes, constants, last = [], {}, "x"
    for depth, (op, value) in enumerate(limits):
        here, c = f"h{depth}", f"c{depth}"
        if op != "Relu":
            constants[c] = scalar(value)
        nodes.append(helper.make_node(op, [last, c] if op != "Relu" else [last], [here]))
        last = here
    return model(nodes, {"x": [2, 7]}, [last], constants)


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ([("Relu", 0.0), ("Min", 6.0)], (0.0, 6.0)),
        ([("Max", -1.5), ("Min", 2.5)], (-1.5, 2.5)),
        ([("Min", 2.5), ("Max", -1.5)], (-1.5, 2.5)),
        ([("Max", -1.5), ("Min", 2.5), ("Max", -3.0), ("Min", 1.0)], (-1.5, 1.0)),
        ([("Max", -1.5), ("Max", 2.5)], (2.5, math.inf)),
    ],
)
def test_limits_in_a_row_are_one_clip(
    limits: list[tuple[str, float]], expected: tuple[float, float], tmp_path: Path
) -> None:
    assert only_clip(agree_exactly(chain(*limits), tmp_path, EDGES)) == expected


@pytest.mark.parametrize("limits", [[("Max", 2.5), ("Min", -1.5)], [("Relu", 0), ("Min", -2.0)]])
def test_limits_that_exclude_each_other(limits: list[tuple[str, float]], tmp_path: Path) -> None:
    assert ops(agree_exactly(chain(*limits), tmp_path, EDGES)) == ["scale"]


def test_a_limit_that_changes_nothing(tmp_path: Path) -> None:
    assert ops(agree_exactly(chain(("Relu", 0), ("Max", -1.5)), tmp_path, EDGES)) == ["relu"]


def test_what_is_clipped_again_may_be_read_elsewhere(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Relu", ["x"], ["h"]),
        helper.make_node("Min", ["h", "c"], ["y"]),
        helper.make_node("Sub", ["h", "y"], ["z"]),
    ]
    proto = model(nodes, {"x": [2, 7]}, ["y", "z"], {"c": scalar(6.0)})
    assert sorted(ops(agree_exactly(proto, tmp_path, EDGES))) == ["clip", "relu", "sum"]


@pytest.mark.parametrize("opset", [7, 22, 24])
@pytest.mark.parametrize(
    "attributes",
    [{}, {"alpha": 0.25}, {"beta": -1.0}, {"alpha": -2.0, "beta": 0.5}, {"alpha": 0.0}],
)
def test_hard_sigmoid(opset: int, attributes: dict[str, float], tmp_path: Path) -> None:
    proto = single("HardSigmoid", ROW, opset=opset, **attributes)
    assert ops(agree(proto, tmp_path)) == ["scale", "clip"]
    agree(proto, tmp_path, MODERATE)


@pytest.mark.parametrize("opset", [7, 9, 16, 24])
@pytest.mark.parametrize("slope", [0.25, 0.0, 1.0, -0.5, 2.0])
@pytest.mark.parametrize("shape", [(), (1,), (7,), (2, 1)])
def test_prelu_of_one_slope(
    opset: int, slope: float, shape: tuple[int, ...], tmp_path: Path
) -> None:
    proto = single("PRelu", ROW, np.full(shape, slope, np.float32), opset=opset)
    graph = agree_exactly(proto, tmp_path, np.concatenate([MODERATE, -MODERATE]))
    assert ops(graph) == ["leaky_relu"]


SLOPES = np.array([0.25, 0.1, 0.0, 1.0, -0.5, 3.0, 1e-30], dtype=np.float32)


@pytest.mark.parametrize("opset", [7, 9, 16, 24])
@pytest.mark.parametrize(
    ("x", "slopes"),
    [
        (ROW, SLOPES),
        (ROW, SLOPES[None]),
        (ROW, SLOPES[:2, None]),
        (var(1, 2, 7), np.stack([SLOPES, -SLOPES])),
        (var(1, 2, 7, 1), SLOPES[:2, None, None]),
    ],
)
def test_prelu_of_several_slopes(opset: int, x: Var, slopes: Array, tmp_path: Path) -> None:
    """Equal to the runtime's product, rounded once: no other rounding comes in."""
    points = np.concatenate([MODERATE, -MODERATE])
    graph, _, truth, values = both(single("PRelu", x, slopes, opset=opset), tmp_path, points)
    assert ops(graph) == ["relu", "sum", "scale", "sum"]
    found = values[-1].reshape(truth.shape)
    assert np.array_equal(found.astype(np.float32), truth.astype(np.float32))


def test_prelu_in_float64(tmp_path: Path) -> None:
    slopes = np.array([0.1, 0.3], dtype=np.float64)
    agree(single("PRelu", var(3, 2), slopes, opset=16, dtype="float64"), tmp_path)


BOUNDS = [
    (ROW, (7,)),
    (ROW, (2, 7)),
    (ROW, (2, 1)),
    (var(1, 7), (2, 7)),
    (var(7), (2, 1)),
    (var(2, 1), (1, 7)),
]


@pytest.mark.parametrize("op", ["Max", "Min"])
@pytest.mark.parametrize("opset", [8, 12, 13, 24])
@pytest.mark.parametrize(("x", "shape"), BOUNDS)
@pytest.mark.parametrize("first", [True, False])
def test_extremes_with_a_constant_tensor(
    op: str, opset: int, x: Var, shape: tuple[int, ...], first: bool, tmp_path: Path
) -> None:
    bound = whole(3, *shape)
    bound.reshape(-1)[0] = -0.5
    operands: list[Any] = [bound, x] if first else [x, bound]
    graph = agree_exactly(single(op, *operands, opset=opset), tmp_path)
    assert "relu" in ops(graph)
    agree(single(op, x, real(3, *shape), opset=opset, dtype="float64"), tmp_path)


@pytest.mark.parametrize("op", ["Max", "Min"])
@pytest.mark.parametrize("opset", [7, 8, 12, 13, 24])
def test_extremes_with_several_constants(op: str, opset: int, tmp_path: Path) -> None:
    same = [whole(seed, 2, 7) for seed in (1, 2)]
    agree_exactly(single(op, same[0], ROW, same[1], opset=opset), tmp_path)
    level = [np.full((2, 7), value, np.float32) for value in (1.5, -0.5)]
    graph = agree_exactly(single(op, *level, ROW, opset=opset), tmp_path)
    assert only_clip(graph) == ((1.5, math.inf) if op == "Max" else (-math.inf, -0.5))
    if opset >= 8:
        mixed = [scalar(1.0), whole(3, 7), whole(4, 2, 1)]
        agree_exactly(single(op, ROW, *mixed, opset=opset), tmp_path)


@pytest.mark.parametrize("op", ["Max", "Min"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_extremes_with_one_number(op: str, dtype: str, tmp_path: Path) -> None:
    for bound in (scalar(2.5, dtype), np.full((1, 1, 7), 2.5, dtype)):
        graph = agree_exactly(single(op, ROW, bound, dtype=dtype), tmp_path, EDGES)
        assert "clip" in ops(graph)
        assert "relu" not in ops(graph)
    assert ops(agree_exactly(single(op, ROW, dtype=dtype), tmp_path, EDGES)) == []


@pytest.mark.parametrize(
    ("op", "constants"),
    [
        ("Abs", [whole(1, 2, 3)]),
        ("Abs", [scalar(-2.0)]),
        ("Clip", [whole(1, 2, 3), scalar(-1.0), scalar(2.0)]),
        ("Clip", [scalar(5.0), None, scalar(2.0)]),
        ("Max", [whole(1, 2, 3), whole(2, 3), scalar(0.5)]),
        ("Min", [whole(1, 2, 1), whole(2, 3)]),
    ],
)
def test_constants_are_folded(op: str, constants: list[Array | None], tmp_path: Path) -> None:
    names = [f"c{i}" if c is not None else "" for i, c in enumerate(constants)]
    nodes = [helper.make_node(op, names, ["a"]), helper.make_node("Add", ["x", "a"], ["y"])]
    given = {name: c for name, c in zip(names, constants, strict=True) if c is not None}
    graph = agree_exactly(model(nodes, {"x": [2, 3]}, ["y"], given), tmp_path)
    assert ops(graph) == ["scale"]


def test_integers_are_compared_too(tmp_path: Path) -> None:
    """Shape arithmetic: the larger of two extents."""
    nodes = [
        helper.make_node("Max", ["a", "b"], ["shape"]),
        helper.make_node("Expand", ["x", "shape"], ["y"]),
    ]
    given = {"a": np.array([2, 1]), "b": np.array([1, 3])}
    agree_exactly(model(nodes, {"x": [1, 3]}, ["y"], given), tmp_path)


@pytest.mark.parametrize("op", ["Abs", "Clip", "Max", "Min"])
def test_radii_of_folded_constants_hold(op: str, tmp_path: Path) -> None:
    """1/3 has no exact value: what is made of it encloses the true one."""
    ends = {"Abs": [], "Clip": ["low", "high"], "Max": ["low"], "Min": ["low", "high"]}[op]
    nodes = [
        helper.make_node("Div", ["one", "three"], ["third"]),
        helper.make_node(op, ["third", *ends], ["a"]),
        helper.make_node("Add", ["x", "a"], ["y"]),
    ]
    given = {"one": scalar(1.0), "three": scalar(3.0), "low": scalar(1.0), "high": scalar(2.0)}
    given["low"] = scalar(0.25) if op != "Min" else scalar(1.0)
    path = tmp_path / "model.onnx"
    path.write_bytes(model(nodes, {"x": [1]}, ["y"], given).SerializeToString())
    bias = load(path).graph.nodes[-1].consts["bias"]
    assert bias.radius is not None
    assert 0 < float(bias.radius) < 1e-15
    assert float(bias.value) == 1 / 3


def test_a_bound_with_a_radius_bounds_from_both_ends(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Div", ["one", "three"], ["third"]),
        helper.make_node("Max", ["x", "third"], ["y"]),
    ]
    proto = model(nodes, {"x": [2]}, ["y"], {"one": scalar(1.0), "three": scalar(3.0)})
    graph = agree(proto, tmp_path)
    assert ops(graph) == ["scale", "relu", "scale"]
    assert all(graph.nodes[i].consts["bias"].radius is not None for i in (1, 3))
    assert np.allclose(evaluate(graph, np.array([[-1.0, 2.0]])), [[1 / 3, 2.0]])


def test_relu6_and_hardtanh_of_both_exporters_are_one_graph(tmp_path: Path) -> None:
    """As attributes, as operands, as Constant nodes, and as Max and Min: the same digest."""
    constants = [
        helper.make_node("Constant", [], [name], value=numpy_helper.from_array(scalar(value)))
        for name, value in (("low", -1.0), ("high", 1.0))
    ]
    operands = helper.make_node("Clip", ["x", "low", "high"], ["y"])
    nested = [
        helper.make_node("Max", ["x", "low"], ["a"]),
        helper.make_node("Min", ["a", "high"], ["y"]),
    ]
    attributes = helper.make_node("Clip", ["x"], ["y"], min=-1.0, max=1.0)
    protos = [
        model([attributes], {"x": [2, 7]}, ["y"], opset=9),
        model([*constants, operands], {"x": [2, 7]}, ["y"]),
        model([*constants, *nested], {"x": [2, 7]}, ["y"]),
    ]
    digests = set()
    for index, proto in enumerate(protos):
        agree_exactly(proto, tmp_path, EDGES)
        path = tmp_path / f"{index}.onnx"
        path.write_bytes(proto.SerializeToString())
        digests.add(digest(load(path).graph))
    assert len(digests) == 1
