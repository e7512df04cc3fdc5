"""The monitors and the misled reader: the models in the repository do what their READMEs say.

onnxruntime is the truth about the networks, the scripts' tasks about what is right.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import onnxruntime
import pytest
import yaml

FOLDER = Path(__file__).parents[2] / "examples"
PROMPTS = 60
EXAMPLES = [("monitor", f"monitor_{n}", n) for n in (8, 16, 32, 64)] + [("misled", "misled", 12)]
OF = pytest.mark.parametrize(("folder", "name", "signs"), EXAMPLES)


@pytest.fixture(scope="module", autouse=True)
def scripts() -> Iterator[None]:
    """The scripts import each other as they do when they are run."""
    names = ("model", "chains")
    sys.path.insert(0, str(FOLDER / "monitor"))
    yield
    sys.path.remove(str(FOLDER / "monitor"))
    for name in names:
        sys.modules.pop(name, None)


def script(folder: str) -> ModuleType:
    path = FOLDER / folder / "train.py"
    found = importlib.util.spec_from_file_location(f"{folder}_train", path)
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


def written(session: Any, task: Any, prompt: Any) -> list[int]:
    """What the network writes after ``prompt``, one token at a time."""
    signs = len(prompt)
    tokens = np.zeros((1, task.length(signs)), dtype=np.int64)
    tokens[0, :signs], tokens[0, signs] = prompt, task.mark
    out: list[int] = []
    for place in range(signs, signs + task.steps(signs)):
        out.append(int(session.run(None, {"tokens": tokens})[0][0, place].argmax()))
        if task.vocabulary[out[-1]] in ("ALERT", "SAFE", "STAY", "LEAVE"):
            break
        tokens[0, place + 1] = out[-1]
    return out


def expected(task: Any, prompt: Any) -> list[int]:
    out, state = [], task.start
    for sign in prompt:
        state = task.after[state][int(sign)]
        out.append(state)
    for words in task.closing:
        if out[-1] in words:
            out.append(words[out[-1]])
    return out


@OF
def test_the_network_writes_what_the_task_says(folder: str, name: str, signs: int) -> None:
    task, rng = script(folder).TASK, np.random.default_rng(0)
    model = FOLDER / folder / f"{name}.onnx"
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    for _ in range(PROMPTS if signs < 20 else 5):
        few = rng.choice(task.signs, rng.integers(1, len(task.signs) + 1), replace=False)
        prompt = rng.choice(few, signs)
        assert written(session, task, prompt) == expected(task, prompt)


@OF
def test_the_specs_speak_of_the_model(folder: str, name: str, signs: int) -> None:
    task = script(folder).TASK
    spec = "safe.yaml" if folder == "misled" else f"safe_{signs}.yaml"
    decode = yaml.safe_load((FOLDER / folder / spec).read_text())["decode"]
    assert decode["vocabulary"] == list(task.vocabulary)
    assert decode["network"]["length"] == task.length(signs)
    assert decode["steps"] == task.steps(signs)


def test_the_cases_are_those_of_the_readme() -> None:
    module = script("monitor")
    chains = sys.modules["chains"]
    cases = chains.cases_of(module.TASK, 8)
    assert [len(group.targets) for group in cases] == [3, *[12] * 7, 4]
    assert all(group.allowed.any(axis=2).all() for group in cases)
