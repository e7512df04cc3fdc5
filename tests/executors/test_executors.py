"""Real workers: processes and Ray actors, some of them killed at work."""

from __future__ import annotations

import itertools
import threading
import time
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import psutil
import pytest
from cli.problems import network

from absint import api
from absint.executors.job import Job
from absint.problem import InputError
from absint.search import farm
from absint.search import prove as proving
from absint.search.attack import Attack
from absint.search.options import SearchOptions
from absint.search.result import Result, Verdict

RAY = pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed")
KINDS = ["process", pytest.param("ray", marks=RAY)]
SOME_KINDS = ["process", pytest.param("ray", marks=[RAY, pytest.mark.full])]
OPTIONS = SearchOptions(timeout=120.0, jobs=2)


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """A model and a property that holds and takes some thousand boxes."""
    rng, sizes = np.random.default_rng(1), [5, 24, 24, 1]
    weights = [
        (rng.standard_normal(shape) / np.sqrt(shape[0]) * 1.5).tolist()
        for shape in itertools.pairwise(sizes)
    ]
    return network(weights, tmp_path / "model.onnx"), tmp_path / "spec.yaml"


def verified(
    files: tuple[Path, Path], bound: float, kind: str, patch: pytest.MonkeyPatch
) -> Result:
    """A run in which the workers do nearly all."""
    model, spec = files
    spec.write_text(f"region: {{all: [-1, 1]}}\nnever: y[0] >= {bound}\n")
    patch.setattr(proving, "SLICE", 0.0)
    patch.setattr(Attack, "descend", lambda *_: None)
    options = SearchOptions(timeout=OPTIONS.timeout, jobs=OPTIONS.jobs, executor=kind)
    (result,) = api.verify_each(api.load(model, spec), options)
    return result


def workers(kind: str) -> list[psutil.Process]:
    name, found = "ray::_Hand" if kind == "ray" else "spawn_main", []
    for child in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            if child.status() != psutil.STATUS_ZOMBIE and name in " ".join(child.cmdline()):
                found.append(child)
    return found


def gone(kind: str) -> bool:
    """Whether no worker is left, soon."""
    for _ in range(100):
        if not workers(kind):
            return True
        time.sleep(0.1)
    return False


@pytest.mark.parametrize("kind", SOME_KINDS)
def test_workers_prove_what_is_left(
    kind: str, files: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    result = verified(files, 1.25, kind, monkeypatch)
    assert result.verdict is Verdict.VERIFIED
    assert result.certificate is not None
    assert api.check(result.certificate, *files).accepted
    assert gone(kind)


@pytest.mark.parametrize("kind", KINDS)
def test_a_killed_worker_is_replaced(
    kind: str, files: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    killed, given = list[int](), farm._Farm._give

    def give(work: farm._Farm, group: farm._Given, seconds: float) -> None:
        given(work, group, min(seconds, 0.2))
        if work.numbers == 3:
            worker = workers(kind)[0]
            worker.kill()
            killed.append(worker.pid)

    monkeypatch.setattr(farm._Farm, "_give", give)
    result = verified(files, 1.0, kind, monkeypatch)
    assert killed
    assert result.verdict is Verdict.VERIFIED, result.reason


@pytest.mark.parametrize("kind", SOME_KINDS)
def test_a_counterexample_that_a_worker_finds(
    kind: str, files: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    result = verified(files, 0.5, kind, monkeypatch)
    assert result.verdict is Verdict.FALSIFIED
    assert result.counterexample is not None
    assert result.counterexample.y[0] >= 0.5


def test_a_model_that_cannot_be_sent_is_an_error(files: tuple[Path, Path]) -> None:
    model, spec = files
    spec.write_text("region: {all: [-1, 1]}\nnever: y[0] >= 9\n")
    task = api.load(model, spec)
    object.__setattr__(task.model, "digest", threading.Lock())
    with pytest.raises(InputError, match=r"model\.onnx: cannot be sent to other processes"):
        Job(task, task.spec.properties[0], OPTIONS).packed()
