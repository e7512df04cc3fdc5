"""What a network means: said by the spec or the command, held by check, refused where unknown."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from cli.problems import MODEL, SAFE, Run
from onnx import helper
from onnxmodels import model

VNNLIB = """
(declare-const X_0 Real) (declare-const X_1 Real) (declare-const X_2 Real)
(declare-const Y_0 Real) (declare-const Y_1 Real)
(assert (<= X_0 1)) (assert (>= X_0 0)) (assert (<= X_1 1)) (assert (>= X_1 0))
(assert (<= X_2 1)) (assert (>= X_2 0)) (assert (>= Y_0 100))
"""


@pytest.fixture
def recurrent(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    weights = {
        "w": rng.normal(size=(1, 2, 3)).astype(np.float32),
        "r": rng.normal(size=(1, 2, 2)).astype(np.float32),
    }
    node = helper.make_node("RNN", ["x", "w", "r"], ["", "y"], hidden_size=2)
    path = tmp_path / "rnn.onnx"
    path.write_bytes(model([node], {"x": [1, 1, 3]}, ["y"], weights).SerializeToString())
    return path


def test_a_float32_certificate_is_one_about_float32(run: Run) -> None:
    outcome = run("verify", MODEL, "--region", SAFE, "--semantics", "float32", "--certificate", "c")
    assert outcome.code == 0
    assert "float32 as executed (contract 2), inputs rounded" in outcome.out
    checked = ("check", "c", "--model", MODEL, "--region", SAFE, "--semantics")
    accepted = run(*checked, "float32")
    assert accepted.code == 0
    assert "float32 as executed (contract 2)" in accepted.out
    refused = run(*checked, "real")
    assert refused.code == 1
    assert "speaks of semantics float32, not real" in refused.out


def test_a_spec_is_not_contradicted(run: Run, tmp_path: Path) -> None:
    stated = "semantics: real\n" + SAFE.read_text()
    (tmp_path / "spec.yaml").write_text(stated)
    outcome = run("verify", MODEL, "--region", "spec.yaml", "--semantics", "float32")
    assert outcome.code == 2
    assert "spec.yaml:1:12" in outcome.err


def test_what_the_contract_does_not_cover_is_named_before_work(
    run: Run, recurrent: Path, tmp_path: Path
) -> None:
    (tmp_path / "spec.vnnlib").write_text(VNNLIB)
    arguments = ("verify", recurrent, "--region", "spec.vnnlib", "--semantics")
    refused = run(*arguments, "float32")
    assert refused.code == 4
    assert "RNN, whose gates may be summed in any order" in refused.err
    assert "semantics: real" in refused.err
    assert run(*arguments, "real").code == 0
