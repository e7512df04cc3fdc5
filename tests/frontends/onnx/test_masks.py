"""Attention masks: constants of -inf, or as low as floats go, become the softmax's index set."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper
from onnxmodels import Array, agree, model, ops, real, saved

from absint.frontends.onnx import load
from absint.problem import UnsupportedError

N = helper.make_node
LOWER = np.tril(np.ones((3, 3), dtype=np.bool_))


def mask(value: float, bias: float = 0.0) -> Array:
    return np.where(LOWER, bias, value).astype(np.float32)


def masked(*nodes: onnx.NodeProto, **constants: Array) -> onnx.ModelProto:
    return model(
        [*nodes, N("Softmax", ["a"], ["y"], axis=-1)], {"x": [2, 3, 3]}, ["y"], constants, opset=14
    )


FORMS = {
    "infinite": masked(N("Add", ["x", "m"], ["a"]), m=mask(-np.inf)),
    "lowest": masked(N("Add", ["x", "m"], ["a"]), m=mask(-3.4028235e38)),
    "with a bias": masked(N("Add", ["m", "x"], ["a"]), m=mask(-np.inf, 0.5)),
    "twice": masked(
        *[N("Add", ["x", "m"], ["b"]), N("Add", ["b", "m"], ["a"])], m=mask(-1e38, 0.25)
    ),
    "selected": masked(
        N("Where", ["c", "x", "low"], ["a"]), c=LOWER, low=np.array(-np.inf, np.float32)
    ),
    "selected the other way": masked(
        N("Where", ["c", "low", "x"], ["a"]), c=~LOWER, low=np.array(-3e38, np.float32)
    ),
    "computed": masked(
        *[N("Where", ["c", "zero", "low"], ["m"]), N("Add", ["x", "m"], ["a"])],
        c=LOWER, low=np.array(-np.inf, np.float32), zero=np.array(0, np.float32),
    ),
    "moved": masked(
        *[N("Add", ["x", "m"], ["b"]), N("Reshape", ["b", "s"], ["d"])],
        N("Unsqueeze", ["d", "z"], ["e"]), N("Identity", ["e"], ["a"]),
        m=mask(-np.inf), s=np.array([6, 3]), z=np.array([0]),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(FORMS))
def test_a_mask(name: str, tmp_path: Path) -> None:
    graph = agree(FORMS[name], tmp_path)
    (node,) = [node for node in graph.nodes if node.op == "softmax"]
    kept = node.consts["mask"].value.reshape((-1, 3, 3))
    assert (kept == LOWER).all()
    for node in graph.nodes:
        for const in node.consts.values():
            assert np.abs(const.value).max() <= 1e30


def test_other_readers_see_the_sum_as_written(tmp_path: Path) -> None:
    nodes = [N("Add", ["x", "m"], ["a"]), N("Relu", ["a"], ["z"])]
    proto = masked(*nodes, m=mask(-1e31))
    proto.graph.output.append(helper.make_tensor_value_info("z", onnx.TensorProto.FLOAT, None))
    proto.graph.output.append(helper.make_tensor_value_info("a", onnx.TensorProto.FLOAT, None))
    assert "softmax" in ops(agree(proto, tmp_path))


@pytest.mark.parametrize("low", [-np.inf, -3e38])
def test_a_row_in_which_nothing_is_left(low: float, tmp_path: Path) -> None:
    value = mask(low)
    value[1] = low
    with pytest.raises(UnsupportedError, match="everything is masked"):
        load(saved(masked(N("Add", ["x", "m"], ["a"]), m=value), tmp_path))


@pytest.mark.parametrize("opset", [23, 24])
@pytest.mark.parametrize("causal", [0, 1])
@pytest.mark.parametrize("shared", [1, 2])
def test_attention(opset: int, causal: int, shared: int, tmp_path: Path) -> None:
    heads = {"q_num_heads": 2, "kv_num_heads": 2 // shared}
    node = N("Attention", ["q", "k", "v"], ["y"], is_causal=causal, **heads)
    sizes = {"q": [1, 3, 8], "k": [1, 3, 8 // shared], "v": [1, 3, 8 // shared]}
    proto = model([node], sizes, ["y"], opset=opset, ir_version=11)
    graph = agree(proto, tmp_path)
    assert ops(graph).count("matmul") == 2
    (softmax,) = [node for node in graph.nodes if node.op == "softmax"]
    assert ("mask" in softmax.consts) is bool(causal)
    assert real(0, 1).shape == (1,)
