"""Max and Min with constants, and limits of constants, against onnxruntime."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import helper
from onnxmodels import (
    AT_KNOTS,
    Array,
    Var,
    agree,
    agree_exactly,
    model,
    only_clip,
    ops,
    real,
    scalar,
    single,
    var,
    whole,
)

from absint.frontends.onnx import load
from absint.ir import evaluate

ROW = var(2, 7)
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
        graph = agree_exactly(single(op, ROW, bound, dtype=dtype), tmp_path, AT_KNOTS)
        assert "clip" in ops(graph)
        assert "relu" not in ops(graph)
    assert ops(agree_exactly(single(op, ROW, dtype=dtype), tmp_path, AT_KNOTS)) == []


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
    assert abs(float(np.float32(1 / 3)) - 1 / 3) < float(bias.radius) < 1e-7
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
