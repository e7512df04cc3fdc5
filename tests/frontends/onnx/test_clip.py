"""Clips, written in every way, against onnxruntime, with every limit hit."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from onnxmodels import AT_KNOTS, agree_exactly, model, only_clip, ops, scalar, single, var

from absint.frontends.onnx import load
from absint.ir import digest

FLOAT32_MAX = float(np.finfo(np.float32).max)
ROW = var(2, 7)
ENDS = [(0.0, 6.0), (-1.5, 2.5), (0.1, 0.25), (-math.inf, 2.5), (-1.5, math.inf), (-3.0, -0.0)]


@pytest.mark.parametrize("ends", ENDS)
@pytest.mark.parametrize("opset", [7, 10])
def test_clip_with_attributes(opset: int, ends: tuple[float, float], tmp_path: Path) -> None:
    pairs = zip(("min", "max"), ends, strict=True)
    given: dict[str, Any] = {name: end for name, end in pairs if math.isfinite(end)}
    graph = agree_exactly(single("Clip", ROW, opset=opset, **given), tmp_path, AT_KNOTS)
    assert only_clip(graph) == tuple(float(np.float32(end)) for end in ends)


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
    graph = agree_exactly(single("Clip", ROW, *given, opset=opset, dtype=dtype), tmp_path, AT_KNOTS)
    assert only_clip(graph) == tuple(float(np.dtype(dtype).type(v)) for v in ends)


@pytest.mark.parametrize("opset", [7, 11, 13, 24])
def test_clip_without_ends_is_nothing(opset: int, tmp_path: Path) -> None:
    assert ops(agree_exactly(single("Clip", ROW, opset=opset), tmp_path, AT_KNOTS)) == []


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
        graph = agree_exactly(proto, tmp_path, AT_KNOTS)
        assert (only_clip(graph) if expected else None) == expected
    wide = [scalar(lower, "float64"), scalar(upper, "float64")]
    graph = agree_exactly(single("Clip", ROW, *wide, dtype="float64"), tmp_path, AT_KNOTS)
    assert only_clip(graph) == (lower, upper), "a finite end among float64 numbers"


@pytest.mark.parametrize("opset", [11, 12, 13, 24])
@pytest.mark.parametrize(("lower", "upper"), [(2.0, 2.0), (3.0, -1.0), (0.0, -0.0)])
def test_ends_that_leave_one_value(lower: float, upper: float, opset: int, tmp_path: Path) -> None:
    proto = single("Clip", ROW, scalar(lower), scalar(upper), opset=opset)
    assert ops(agree_exactly(proto, tmp_path, AT_KNOTS)) == ["scale"]


def test_clip_at_zero_is_relu(tmp_path: Path) -> None:
    for proto in (
        single("Clip", ROW, scalar(-0.0)),
        single("Clip", ROW, opset=7, min=0.0),
        single("Max", ROW, scalar(0.0)),
        single("Max", np.zeros((2, 1), np.float32), ROW),
    ):
        assert ops(agree_exactly(proto, tmp_path, AT_KNOTS)) == ["relu"]


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
    assert only_clip(agree_exactly(chain(*limits), tmp_path, AT_KNOTS)) == expected


@pytest.mark.parametrize("limits", [[("Max", 2.5), ("Min", -1.5)], [("Relu", 0), ("Min", -2.0)]])
def test_limits_that_exclude_each_other(limits: list[tuple[str, float]], tmp_path: Path) -> None:
    assert ops(agree_exactly(chain(*limits), tmp_path, AT_KNOTS)) == ["scale"]


def test_a_limit_that_changes_nothing(tmp_path: Path) -> None:
    assert ops(agree_exactly(chain(("Relu", 0), ("Max", -1.5)), tmp_path, AT_KNOTS)) == ["relu"]


def test_what_is_clipped_again_may_be_read_elsewhere(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Relu", ["x"], ["h"]),
        helper.make_node("Min", ["h", "c"], ["y"]),
        helper.make_node("Sub", ["h", "y"], ["z"]),
    ]
    proto = model(nodes, {"x": [2, 7]}, ["y", "z"], {"c": scalar(6.0)})
    assert sorted(ops(agree_exactly(proto, tmp_path, AT_KNOTS))) == ["clip", "relu", "sum"]


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
        agree_exactly(proto, tmp_path, AT_KNOTS)
        path = tmp_path / f"{index}.onnx"
        path.write_bytes(proto.SerializeToString())
        digests.add(digest(load(path).graph))
    assert len(digests) == 1
