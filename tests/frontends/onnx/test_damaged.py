"""Damaged files of models with the larger ops: one line each, soon, and never a traceback."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import onnx
import pytest
from jointmodels import JOINT
from onnx import TensorProto, helper
from onnxmodels import model, real, single, var, whole
from onnxwriter import of_dtype, written

from absint.frontends.onnx import inspect
from absint.problem import AbsintError

INFO = helper.make_tensor_value_info
SECONDS = 60.0
"""Of this process: what no small file may take. The largest tensor that is allowed takes less."""


def loop() -> onnx.ModelProto:
    nodes = [
        helper.make_node("MatMul", ["h", "w"], ["g"]),
        helper.make_node("Identity", ["g"], ["row"]),
        helper.make_node("Less", ["i", "two"], ["on"]),
    ]
    inputs = [
        INFO("i", TensorProto.INT64, []),
        INFO("go", TensorProto.BOOL, []),
        INFO("h", 1, None),
    ]
    outputs = [INFO("on", TensorProto.BOOL, []), INFO("g", 1, None), INFO("row", 1, None)]
    body = helper.make_graph(nodes, "body", inputs, outputs)
    node = helper.make_node("Loop", ["trips", "", "x"], ["y", "rows"], body=body)
    constants = {"trips": np.array(9), "w": whole(1, 3, 3), "two": np.array(2)}
    return model([node], {"x": [2, 3]}, ["y", "rows"], constants)


def near(seed: int, *shape: int) -> np.ndarray:
    return real(seed, *shape, dtype="float32")


DRAWN = [case for case in JOINT if case.op in ("matmul", "softmax", "normalize")]
MODELS: dict[str, onnx.ModelProto] = {
    **{case.name: written(of_dtype(case.graph(), "float64")) for case in DRAWN},
    "loop": loop(),
    "lstm": single("LSTM", var(3, 1, 2), near(1, 1, 8, 2), near(2, 1, 8, 2), hidden_size=2),
    "resize": single("Resize", var(1, 1, 3, 3), None, np.array([1, 1, 2, 2], np.float32)),
    "pool": single("MaxPool", var(1, 1, 5, 5), kernel_shape=[2, 2], strides=[2, 2]),
    "transposed": single("ConvTranspose", var(1, 2, 3, 3), near(1, 2, 2, 2, 2), strides=[2, 2]),
    "einsum": single("Einsum", var(2, 3, 4), var(2, 4, 5), equation="bij,bjk->bik"),
    "attention": single("Attention", *[var(1, 2, 3, 4)] * 3, opset=23, is_causal=1),
    "pad": single("Pad", var(2, 3), np.array([1, 0, 0, 2])),
}


def damage(data: bytes, rng: np.random.Generator) -> bytes:
    """Some bytes changed, some taken out or doubled, or the end cut off."""
    damaged = bytearray(data)
    for _ in range(int(rng.integers(1, 5))):
        place = int(rng.integers(max(1, len(damaged))))
        kind = int(rng.integers(10))
        if kind == 0:
            del damaged[place : place + int(rng.integers(1, 9))]
        elif kind == 1:
            damaged[place:place] = damaged[place : place + int(rng.integers(1, 9))]
        elif kind == 2 and place:
            del damaged[place:]
        else:
            damaged[place : place + 1] = rng.bytes(1)
    return bytes(damaged)


def survives(name: str, rounds: int, seed: int, folder: Path) -> None:
    data, rng = MODELS[name].SerializeToString(), np.random.default_rng(seed)
    path = folder / "m.onnx"
    for _ in range(rounds):
        path.write_bytes(damage(data, rng))
        start, message = time.process_time(), ""
        try:
            inspect(path)
        except AbsintError as error:
            message = str(error)
        assert len(message.splitlines()) <= 1
        assert time.process_time() - start < SECONDS


@pytest.mark.parametrize("name", MODELS)
def test_damaged_models(name: str, tmp_path: Path) -> None:
    survives(name, 40, 0, tmp_path)


@pytest.mark.full
@pytest.mark.parametrize("seed", range(1, 6))
@pytest.mark.parametrize("name", MODELS)
def test_many_damaged_models(name: str, seed: int, tmp_path: Path) -> None:
    survives(name, 1000, seed, tmp_path)


@pytest.mark.parametrize("name", MODELS)
def test_the_model_that_is_damaged_is_right(name: str, tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(MODELS[name].SerializeToString())
    assert inspect(path).graph is not None
