"""Every public benchmark model lowers, and agrees with onnxruntime on its own region."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import vnncomp
from onnx import TensorProto, numpy_helper
from onnxmodels import Array, error_bounds, saved

from absint.frontends.onnx import OnnxModel, load
from absint.frontends.runtime import OnnxRuntime
from absint.ir import from_bytes, to_bytes
from absint.ir.evaluate import outputs, run


def test_the_benchmarks_are_here() -> None:
    assert len(vnncomp.models()) > 50, vnncomp.root()


RUNS = vnncomp.models()


MANY = 200


def samples(name: str, size: int, count: int) -> Array:
    """Inputs of the region of the model's first instance."""
    low, high = map(np.array, vnncomp.hull(vnncomp.properties(name)[0]))
    drawn = np.random.default_rng(0).uniform(low, high, (count, size))
    return drawn.astype(np.float32).astype(np.float64)


def few(size: int) -> int:
    """How many inputs by default: fewer of images."""
    return MANY if size < 100 else 20


@pytest.mark.parametrize("name", RUNS)
def test_a_model_on_its_region(name: str) -> None:
    loaded = load(vnncomp.root() / name)
    agrees(loaded, samples(name, loaded.graph.input_size, few(loaded.graph.input_size)))


@pytest.mark.full
@pytest.mark.parametrize("name", RUNS)
def test_a_model_on_many_inputs_of_its_region(name: str) -> None:
    loaded = load(vnncomp.root() / name)
    agrees(loaded, samples(name, loaded.graph.input_size, MANY))


def agrees(loaded: OnnxModel, x: Array) -> None:
    """In float32, within the a-priori bound and within what such networks really lose."""
    graph = loaded.graph
    values = run(graph, x)
    difference = np.abs(outputs(graph, values) - OnnxRuntime(loaded).run(x))
    assert (difference <= outputs(graph, error_bounds(graph, x, values))).all()
    largest = max(np.abs(value).max() for value in values)
    assert difference.max() <= 16 * 2.0**-23 * largest


def as_float64(proto: onnx.ModelProto) -> onnx.ModelProto:
    """The same network with every float32 tensor as float64."""
    graph = proto.graph
    constants = [a.t for node in graph.node for a in node.attribute if a.HasField("t")]
    for tensor in (*graph.initializer, *constants):
        if tensor.data_type == TensorProto.FLOAT:
            wide = numpy_helper.to_array(tensor).astype(np.float64)
            tensor.CopyFrom(numpy_helper.from_array(wide, tensor.name))
    for info in (*graph.input, *graph.output, *graph.value_info):
        if info.type.tensor_type.elem_type == TensorProto.FLOAT:
            info.type.tensor_type.elem_type = TensorProto.DOUBLE
    return proto


@pytest.mark.parametrize("name", RUNS)
def test_a_model_in_float64(name: str, tmp_path: Path) -> None:
    """As above, with rounding all but gone; onnxruntime convolves in float32 only."""
    original = load(vnncomp.root() / name)
    if any(node.op == "conv" for node in original.graph.nodes):
        pytest.skip("onnxruntime has no float64 convolution")
    proto = as_float64(onnx.load_model_from_string(original.proto_bytes))
    loaded = load(saved(proto, tmp_path))
    x = samples(name, original.graph.input_size, few(original.graph.input_size))
    values = run(original.graph, x)
    largest = max(np.abs(value).max() for value in values)
    difference = np.abs(outputs(original.graph, values) - OnnxRuntime(loaded).run(x))
    assert difference.max() <= 1e-13 * largest


@pytest.mark.parametrize("name", ["acasxu/onnx/ACASXU_run2a_1_1_batch_2000.onnx"])
def test_a_real_model_survives_the_canonical_form(name: str) -> None:
    data = to_bytes(load(vnncomp.root() / name).graph)
    assert to_bytes(from_bytes(data)) == data
