"""Activations, against onnxruntime, at their ends and knots too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnxmodels import AT_KNOTS, Array, Var, agree, agree_exactly, both, ops, single, var

EDGES = np.array(
    [[0.0, -0.0, 1e-45, -1e-45, 1.0, -1.0, 17.4, -17.4, 88.0, -88.0, 1000.0, -1000.0, 3e38, -3e38]],
    dtype=np.float32,
).astype(np.float64)
MODERATE = np.where(
    (np.abs(AT_KNOTS) > 1e38) | (np.abs(AT_KNOTS) == AT_KNOTS[0, 2]), -1.5, AT_KNOTS
)
"""Products of these neither overflow nor underflow."""
ROW = var(2, 7)


@pytest.mark.parametrize("opset", [7, 13, 14, 24])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_relu(opset: int, dtype: str, tmp_path: Path) -> None:
    agree_exactly(single("Relu", var(2, 7), opset=opset, dtype=dtype), tmp_path, EDGES)


@pytest.mark.parametrize("opset", [7, 16, 24])
@pytest.mark.parametrize("attributes", [{}, {"alpha": 0.25}, {"alpha": 0.0}, {"alpha": 2.0}])
def test_leaky_relu(opset: int, attributes: dict[str, Any], tmp_path: Path) -> None:
    agree(single("LeakyRelu", var(2, 7), opset=opset, **attributes), tmp_path)


def test_leaky_relu_has_the_float32_slope(tmp_path: Path) -> None:
    graph = agree(single("LeakyRelu", var(1, 2)), tmp_path)
    assert graph.nodes[1].number("alpha") == float(np.float32(0.01))


@pytest.mark.parametrize("opset", [7, 13, 24])
@pytest.mark.parametrize("op", ["Sigmoid", "Tanh"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_s_shaped(op: str, opset: int, dtype: str, tmp_path: Path) -> None:
    agree(single(op, var(2, 7), opset=opset, dtype=dtype), tmp_path)
    agree(single(op, var(2, 7), opset=opset, dtype=dtype), tmp_path, EDGES)


@pytest.mark.parametrize("opset", [7, 12, 13, 24])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_abs(opset: int, dtype: str, tmp_path: Path) -> None:
    graph = agree_exactly(single("Abs", ROW, opset=opset, dtype=dtype), tmp_path, AT_KNOTS)
    assert ops(graph) == ["abs"]


@pytest.mark.parametrize("opset", [7, 22, 24])
@pytest.mark.parametrize(
    "attributes",
    [{}, {"alpha": 0.25}, {"beta": -1.0}, {"alpha": -2.0, "beta": 0.5}, {"alpha": 0.0}],
)
def test_hard_sigmoid(opset: int, attributes: dict[str, Any], tmp_path: Path) -> None:
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
