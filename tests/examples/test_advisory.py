"""The advisory example: the model is the script's, one spec holds and the other does not.

onnxruntime is the truth about the network, and the script's kinematics about the encounters.
"""

from __future__ import annotations

import importlib.util
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import numpy_helper

from absint.frontends import onnx as onnx_frontend
from absint.frontends.spec import Spec, read
from absint.problem import Cell, violated

FOLDER = Path(__file__).parents[2] / "examples" / "advisory"
MODEL = FOLDER / "advisory.onnx"
SAMPLES = 400_000
CATASTROPHE = (482.0, -0.3, 0.61, 53.9, 20.0)
"""An encounter of unsafe.yaml: the aircraft will pass two metres apart in twelve seconds."""

Array = NDArray[np.float64]


@pytest.fixture(scope="module")
def script() -> ModuleType:
    found = importlib.util.spec_from_file_location("advisory_train", FOLDER / "train.py")
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def proto() -> onnx.ModelProto:
    return onnx.load(MODEL)


@pytest.fixture(scope="module")
def session() -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(MODEL, options, providers=["CPUExecutionProvider"])


def spec(name: str) -> Spec:
    return read(FOLDER / name, onnx_frontend.load(MODEL).graph)


def only_cell(name: str) -> Cell:
    (problem,) = spec(name).properties
    (cell,) = problem.cells
    return cell


def samples(cell: Cell, seed: int) -> Array:
    """States (SAMPLES, 5) of the cell's region, uniform, as the network receives them."""
    lower = np.array([float(v) for v in cell.box.lower])
    upper = np.array([float(v) for v in cell.box.upper])
    states = np.random.default_rng(seed).uniform(lower, upper, (SAMPLES, len(lower)))
    return states.astype(np.float32).astype(np.float64)


def says_clear(session: Any, states: Array) -> NDArray[np.bool_]:
    """Whether no advisory scores above CLEAR, for each of the states (n, 5)."""
    (scores,) = session.run(None, {"state": states.astype(np.float32)})
    return np.asarray(scores[:, 0] >= scores[:, 1:].max(axis=1))


def test_the_model_is_what_the_script_writes(script: ModuleType, proto: onnx.ModelProto) -> None:
    fresh = script.to_onnx(script.network())
    for model in (fresh, proto):
        for tensor in model.graph.initializer:
            if tensor.name.startswith(("weight", "bias")):
                tensor.raw_data = bytes(len(tensor.raw_data))
    assert proto == fresh


def test_the_models_size(proto: onnx.ModelProto) -> None:
    weights = [numpy_helper.to_array(t) for t in proto.graph.initializer]
    shapes = [w.shape for w in weights if w.ndim == 2]
    assert shapes == [(32, 5), (32, 32), (32, 32), (5, 32)]
    assert MODEL.stat().st_size < 64 * 1024


def test_the_model_imitates_the_policy(script: ModuleType, session: Any) -> None:
    states = np.random.default_rng(5).uniform(script.LOWER, script.UPPER, (SAMPLES, 5))
    (scores,) = session.run(None, {"state": states.astype(np.float32)})
    assert (scores.argmax(axis=1) == script.policy(states)).mean() > 0.97


def test_the_specs_name_the_values_as_the_script_does(script: ModuleType) -> None:
    for name in ("safe.yaml", "unsafe.yaml"):
        assert spec(name).sources.input_names == script.INPUTS
        assert spec(name).sources.output_names == script.ADVISORIES


def test_the_specs_differ_in_one_bound() -> None:
    safe, unsafe = only_cell("safe.yaml"), only_cell("unsafe.yaml")
    assert unsafe.box.lower == safe.box.lower
    assert unsafe.catastrophe == safe.catastrophe
    pairs = zip(safe.box.upper, unsafe.box.upper, strict=True)
    assert [(a, b) for a, b in pairs if a != b] == [(Fraction(52), Fraction(54))]


@pytest.mark.parametrize("name", ["safe.yaml", "unsafe.yaml"])
def test_in_every_encounter_the_policy_warns(script: ModuleType, name: str) -> None:
    """Both regions hold threats only, so that CLEAR is wrong everywhere in them."""
    states = samples(only_cell(name), seed=1)
    assert (script.policy(states) != 0).all()


def test_the_safe_region_has_no_violation_in_samples(session: Any) -> None:
    assert not says_clear(session, samples(only_cell("safe.yaml"), seed=2)).any()


def test_the_unsafe_region_looks_safe_in_samples(session: Any) -> None:
    """Fewer than one in 10,000: a test flight campaign would hardly meet one."""
    assert says_clear(session, samples(only_cell("unsafe.yaml"), seed=3)).mean() < 1e-4


def test_the_catastrophe_is_real(script: ModuleType, session: Any) -> None:
    cell = only_cell("unsafe.yaml")
    state = np.array(CATASTROPHE, dtype=np.float32)
    (scores,) = session.run(None, {"state": state[None]})
    assert scores[0, 0] > scores[0, 1:].max() + 0.05
    assert violated(cell, state.astype(np.float64), scores[0].astype(np.float64)) is not None
    ranges = zip(cell.box.lower, state, cell.box.upper, strict=True)
    rounded = [(np.float32(float(a)), x, np.float32(float(b))) for a, x, b in ranges]
    assert all(a <= x <= b for a, x, b in rounded)
    time, miss, _ = script.closest_approach(np.array([CATASTROPHE]))
    assert time[0] < 13
    assert miss[0] < 2


def test_the_catastrophe_lies_outside_the_safe_region() -> None:
    cell = only_cell("safe.yaml")
    assert not all(
        a <= Fraction(x) <= b
        for a, x, b in zip(cell.box.lower, CATASTROPHE, cell.box.upper, strict=True)
    )
