"""Matrix products, batch normalisation and reductions, against onnxruntime."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnxmodels import agree, agree_exactly, real, single, var, whole

MATMUL = [
    ((2, 3), (3, 4)),
    ((3,), (3, 4)),
    ((2, 3), (3,)),
    ((3,), (3,)),
    ((5, 2, 3), (3, 4)),
    ((2, 3), (1, 3, 4)),
    ((2, 3), (5, 3, 4)),
    ((5, 2, 3), (5, 3, 4)),
    ((5, 1, 3), (5, 3, 4)),
    ((1, 2, 3), (5, 3, 4)),
    ((2, 1, 2, 3), (5, 3, 4)),
    ((5, 2, 3), (2, 1, 3, 4)),
    ((3,), (5, 3, 4)),
    ((5, 2, 3), (3,)),
    ((1, 1), (1, 1)),
]


@pytest.mark.parametrize("opset", [7, 9, 13, 24])
@pytest.mark.parametrize(("left", "right"), MATMUL)
def test_matmul_with_either_side_constant(
    left: tuple[int, ...], right: tuple[int, ...], opset: int, tmp_path: Path
) -> None:
    agree_exactly(single("MatMul", var(*left), whole(1, *right), opset=opset), tmp_path)
    agree_exactly(single("MatMul", whole(2, *left), var(*right), opset=opset), tmp_path)


def test_a_vector_matmul_is_one_dense_node(tmp_path: Path) -> None:
    graph = agree_exactly(single("MatMul", var(1, 3), whole(1, 3, 4)), tmp_path)
    assert [node.op for node in graph.nodes] == ["input", "dense"]


@pytest.mark.parametrize("opset", [7, 9, 11, 13, 24])
@pytest.mark.parametrize("trans_a", [0, 1])
@pytest.mark.parametrize("trans_b", [0, 1])
@pytest.mark.parametrize("alpha", [1.0, -2.0])
@pytest.mark.parametrize("side", ["right", "left"])
def test_gemm(
    opset: int, trans_a: int, trans_b: int, alpha: float, side: str, tmp_path: Path
) -> None:
    a, b = ((3, 2) if trans_a else (2, 3)), ((4, 3) if trans_b else (3, 4))
    first = var(*a) if side == "right" else whole(1, *a)
    second = whole(2, *b) if side == "right" else var(*b)
    attributes: dict[str, Any] = {"alpha": alpha, "beta": 0.5, "transA": trans_a, "transB": trans_b}
    agree_exactly(
        single("Gemm", first, second, whole(3, 2, 4), opset=opset, **attributes), tmp_path
    )


@pytest.mark.parametrize("shape", [(), (1,), (4,), (1, 4), (2, 1), (2, 4)])
def test_gemm_broadcasts_its_bias(shape: tuple[int, ...], tmp_path: Path) -> None:
    agree_exactly(single("Gemm", var(2, 3), whole(1, 3, 4), whole(2, *shape), beta=2.0), tmp_path)
    agree_exactly(single("Gemm", var(2, 3), whole(1, 3, 4), var(*shape), beta=2.0), tmp_path)


def test_gemm_without_bias(tmp_path: Path) -> None:
    agree_exactly(single("Gemm", var(2, 3), whole(1, 3, 4), opset=11), tmp_path)
    agree_exactly(single("Gemm", whole(1, 2, 3), var(3, 4), opset=13, alpha=3.0), tmp_path)


def test_gemm_with_real_factors(tmp_path: Path) -> None:
    proto = single(
        "Gemm",
        var(2, 30),
        real(1, 30, 4),
        real(2, 4),
        dtype="float64",
        alpha=0.3,
        beta=-1.7,
    )
    graph = agree(proto, tmp_path)
    assert [node.op for node in graph.nodes] == ["input", "dense"]


NORMALISED = [(2, 3), (1, 3, 4), (2, 3, 4, 5), (1, 1, 2, 2)]


@pytest.mark.parametrize("opset", [7, 9, 14, 15, 24])
@pytest.mark.parametrize("shape", NORMALISED)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_batch_normalization(
    opset: int, shape: tuple[int, ...], dtype: str, tmp_path: Path
) -> None:
    c = shape[1]
    consts = [real(i, c, dtype=dtype) for i in range(3)]
    variance = np.abs(real(3, c, dtype=dtype)) + np.asarray(0.1, dtype)
    proto = single(
        "BatchNormalization",
        var(*shape),
        *consts,
        variance,
        opset=opset,
        dtype=dtype,
        epsilon=1e-3,
    )
    agree(proto, tmp_path)


def test_batch_normalization_has_the_default_epsilon_of_the_schema(tmp_path: Path) -> None:
    tiny = np.full(2, 1e-7)
    consts = [real(i, 2) for i in range(3)]
    proto = single("BatchNormalization", var(1, 2), *consts, tiny, opset=15, dtype="float64")
    agree(proto, tmp_path)


AXES = [(0,), (1,), (-1,), (0, 2), (0, 1, 2), (2, 0), (1, 2)]


@pytest.mark.parametrize("keep", [0, 1])
@pytest.mark.parametrize("axes", AXES)
@pytest.mark.parametrize("opset", [7, 11, 13, 18, 24])
@pytest.mark.parametrize("op", ["ReduceSum", "ReduceMean"])
def test_reductions(op: str, opset: int, axes: tuple[int, ...], keep: int, tmp_path: Path) -> None:
    listed = np.array(axes, dtype=np.int64)
    as_operand = opset >= (13 if op == "ReduceSum" else 18)
    operands = [var(2, 3, 4), listed] if as_operand else [var(2, 3, 4)]
    attributes: dict[str, Any] = {} if as_operand else {"axes": axes}
    proto = single(op, *operands, opset=opset, keepdims=keep, **attributes)
    agree(proto, tmp_path)


@pytest.mark.parametrize("noop", [0, 1])
def test_reduction_without_axes(noop: int, tmp_path: Path) -> None:
    agree(single("ReduceSum", var(2, 3), opset=13, noop_with_empty_axes=noop), tmp_path)
    agree(single("ReduceMean", var(2, 3), opset=18, noop_with_empty_axes=noop), tmp_path)
    agree(single("ReduceMean", var(2, 3), opset=13), tmp_path)


@pytest.mark.parametrize("shape", [(1, 2, 3), (2, 3, 4, 5), (1, 2, 2, 3, 2), (1, 1, 1, 1)])
@pytest.mark.parametrize("opset", [7, 13, 22])
def test_global_average_pool(shape: tuple[int, ...], opset: int, tmp_path: Path) -> None:
    agree(single("GlobalAveragePool", var(*shape), opset=opset), tmp_path)
