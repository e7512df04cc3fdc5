"""The max-of-K models: file, factory and ONNX are one network, and it does what it was trained for.

onnxruntime is the truth about the network.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray

FOLDER = Path(__file__).parents[2] / "examples" / "max_of_k"
LENGTHS = (4, 5, 10)


def script(name: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """``name``.py of the example, whose modules know each other by their bare names."""
    modules = {}
    for part in ("model", name):
        found = importlib.util.spec_from_file_location(part, FOLDER / f"{part}.py")
        assert found is not None
        assert found.loader is not None
        modules[part] = importlib.util.module_from_spec(found)
        monkeypatch.setitem(sys.modules, part, modules[part])
        found.loader.exec_module(modules[part])
    return modules[name]


def texts(length: int, count: int) -> NDArray[np.int64]:
    """Half of them uniform, half with all tokens close together."""
    rng = np.random.default_rng(length)
    near = rng.integers(0, 60, (count // 2, 1)) + rng.integers(0, 5, (count // 2, length))
    return np.concatenate([rng.integers(0, 64, (count // 2, length)), near])


@pytest.mark.parametrize("length", LENGTHS)
def test_the_onnx_file_is_the_factorys_network(
    length: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    factory = getattr(script("model", monkeypatch), f"max_of_{length}")
    session = onnxruntime.InferenceSession(FOLDER / f"max_of_{length}.onnx")
    tokens = texts(length, 40)
    with torch.no_grad():
        own = factory()(torch.from_numpy(tokens)).numpy()
    assert own.shape == (40, length, 64)
    for row, logits in zip(tokens, own, strict=True):
        (runtime,) = session.run(["logits"], {"tokens": row[None]})
        np.testing.assert_allclose(logits[None], runtime, atol=1e-3)


@pytest.mark.parametrize("length", LENGTHS)
def test_the_runtime_says_the_maximum(length: int) -> None:
    session = onnxruntime.InferenceSession(FOLDER / f"max_of_{length}.onnx")
    tokens = texts(length, 2_000)
    said = [session.run(["logits"], {"tokens": row[None]})[0][0, -1].argmax() for row in tokens]
    assert (np.array(said) == tokens.max(axis=1)).mean() > 0.999


@pytest.mark.parametrize("length", LENGTHS)
def test_training_computes_the_models_last_row(
    length: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    train = script("train", monkeypatch)
    model, tokens = train.MaxOfK(length), torch.from_numpy(texts(length, 64))
    with torch.no_grad():
        torch.testing.assert_close(train.answers(model, tokens), model(tokens)[:, -1])


def test_a_few_steps_of_training_help(monkeypatch: pytest.MonkeyPatch) -> None:
    train = script("train", monkeypatch)
    model = train.train(4, steps=150)
    assert train.accuracy(model, 4, 2_000, seed=1) > 0.3


def test_samples_are_tokens_and_reach_the_top(monkeypatch: pytest.MonkeyPatch) -> None:
    train = script("train", monkeypatch)
    tokens = train.sample(5, 4_000, torch.Generator().manual_seed(0))
    assert tokens.shape == (4_000, 5)
    assert (tokens.min(), tokens.max()) == (0, 63)
