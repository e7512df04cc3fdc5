"""Activations, against onnxruntime, at their ends and knots too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnxmodels import agree, agree_exactly, single, var

EDGES = np.array(
    [[0.0, -0.0, 1e-45, -1e-45, 1.0, -1.0, 17.4, -17.4, 88.0, -88.0, 1000.0, -1000.0, 3e38, -3e38]],
    dtype=np.float32,
).astype(np.float64)


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
