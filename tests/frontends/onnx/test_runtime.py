"""onnxruntime on flat vectors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper
from onnxmodels import Array, model, real, saved, whole

from absint.frontends.onnx import load
from absint.frontends.runtime import OnnxRuntime
from absint.ir import evaluate
from absint.problem import InputError


def network(*batch: int | str, dtype: str = "float32") -> onnx.ModelProto:
    nodes = [
        helper.make_node("Concat", ["p", "q"], ["a"], axis=1),
        helper.make_node("MatMul", ["a", "w"], ["y"]),
        helper.make_node("Relu", ["q"], ["z"]),
    ]
    inputs = {"p": [*batch, 2], "q": [*batch, 3]}
    return model(nodes, inputs, ["y", "z"], {"w": whole(1, 5, 4, dtype=dtype)}, dtype=dtype)


@pytest.mark.parametrize("batch", [1, "n"])
@pytest.mark.parametrize("optimised", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_inputs_and_outputs_are_joined_in_order(
    batch: int | str, optimised: bool, dtype: str, tmp_path: Path
) -> None:
    loaded = load(saved(network(batch, dtype=dtype), tmp_path))
    runtime = OnnxRuntime(loaded, optimised=optimised)
    x = whole(1, 7, 5, dtype="float64")
    expected = np.concatenate([x @ whole(1, 5, 4), np.maximum(x[:, 2:], 0)], axis=1)
    result = runtime.run(x)
    assert result.dtype == np.float64
    assert np.array_equal(result, expected)
    assert np.array_equal(result, evaluate(loaded.graph, x))
    assert runtime.run(x[:0]).shape == (0, 7)


def test_the_version_is_that_of_onnxruntime(tmp_path: Path) -> None:
    runtime = OnnxRuntime(load(saved(network(1), tmp_path)))
    assert runtime.version == onnxruntime.__version__


def bad(x: Array, value: float) -> Array:
    x = x.copy()
    x[1, 3] = value
    return x


@pytest.mark.parametrize("value", [0.1, 1e300, float("nan"), 1 + 2**-40, 1e-50])
def test_only_what_the_input_type_represents(value: float, tmp_path: Path) -> None:
    x = whole(1, 3, 5, dtype="float64")
    runtime = OnnxRuntime(load(saved(network(1), tmp_path)))
    with pytest.raises(ValueError, match="input 'q' has a value that is no float32"):
        runtime.run(bad(x, value))
    runtime.run(bad(x, float(np.float32(0.1))))


def test_the_shape_of_the_inputs(tmp_path: Path) -> None:
    runtime = OnnxRuntime(load(saved(network(1), tmp_path)))
    for wrong in (np.zeros(5), np.zeros((1, 4))):
        with pytest.raises(ValueError, match="not \\(batch, 5\\)"):
            runtime.run(wrong)


def test_a_free_batch_that_the_model_does_not_keep(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Reshape", ["x", "one"], ["a"]),
        helper.make_node("Relu", ["a"], ["y"]),
    ]
    fixed = model(nodes, {"x": ["n", 3]}, ["y"], {"one": np.array([1, 3])})
    flat = model(nodes, {"x": ["n", 3]}, ["y"], {"one": np.array([-1])})
    x = whole(1, 4, 3, dtype="float64")
    for proto in (fixed, flat):
        runtime = OnnxRuntime(load(saved(proto, tmp_path)))
        assert np.array_equal(runtime.run(x), np.maximum(x, 0))


def test_the_graph_runs_as_written_unless_optimised(tmp_path: Path) -> None:
    """Folding a convolution and a batch normalisation moves the result."""
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["a"]),
        helper.make_node("BatchNormalization", ["a", "s", "s", "s", "v"], ["y"]),
    ]
    constants = {
        "w": real(1, 2, 2, 3, 3, dtype="float32"),
        "s": real(2, 2, dtype="float32"),
        "v": np.full(2, 0.3, dtype=np.float32),
    }
    loaded = load(saved(model(nodes, {"x": [1, 2, 8, 8]}, ["y"], constants), tmp_path))
    x = real(3, 20, 128, dtype="float32").astype(np.float64)
    written, folded = (OnnxRuntime(loaded, optimised=o).run(x) for o in (False, True))
    assert not np.array_equal(written, folded)
    assert np.allclose(written, folded, atol=1e-3)


def test_a_model_that_the_runtime_refuses(tmp_path: Path) -> None:
    """A float64 kernel that onnxruntime does not have."""
    nodes = [helper.make_node("LeakyRelu", ["x"], ["y"])]
    loaded = load(saved(model(nodes, {"x": [1, 2]}, ["y"], dtype="float64"), tmp_path))
    with pytest.raises(InputError, match="onnxruntime refuses it") as caught:
        OnnxRuntime(loaded)
    assert len(str(caught.value).splitlines()) == 1
    assert loaded.graph.inputs[0].dtype == "float64"
