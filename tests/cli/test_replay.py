"""Counterexample files: written, read back, and run again on onnxruntime."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from cli.problems import MODEL, SAFE, UNSAFE, Run
from onnx import numpy_helper

PAIR = ("--model", MODEL, "--region", UNSAFE)


@pytest.fixture
def found(run: Run, tmp_path: Path) -> Path:
    assert run("verify", MODEL, "--region", UNSAFE, "--counterexample", "found").code == 1
    return tmp_path / "found"


def test_the_files_say_what_onnxruntime_says(found: Path) -> None:
    arrays = np.load(found.with_name("found.npz"), allow_pickle=False)
    facts = json.loads(found.with_name("found.json").read_text())
    assert sorted(arrays) == ["input", "output"]
    assert arrays["input"].dtype == np.float32
    session = onnxruntime.InferenceSession(str(MODEL))
    (truth,) = session.run(None, {"state": arrays["input"][None]})
    assert np.allclose(truth[0], arrays["output"], rtol=1e-4)
    y = [Fraction(float(v)) for v in arrays["output"]]
    for row, other in zip(facts["constraints"], y[1:], strict=True):
        assert Fraction(row["margin_exact"]) == other - y[0] <= 0
    assert facts["property"] == "crossing-traffic-54"


@pytest.mark.parametrize("name", ["found", "found.npz", "found.json"])
def test_a_catastrophe_again(name: str, found: Path, run: Run) -> None:
    outcome = run("replay", name, *PAIR)
    assert (outcome.code, outcome.err) == (1, "")
    assert outcome.out.startswith("crossing-traffic-54: catastrophic again\n")
    assert "bit for bit" in outcome.out


def test_its_document(found: Path, run: Run) -> None:
    document = run("replay", found, *PAIR, "--format", "json").json
    assert document["exit_code"] == 1
    assert document["output_difference"] == 0.0
    assert document["catastrophic"] is True


def retrained(folder: Path) -> Path:
    """The model with a final bias that forbids CLEAR."""
    proto = onnx.load(MODEL)
    for tensor in proto.graph.initializer:
        if tensor.name == "bias_4":
            bias = numpy_helper.to_array(tensor).copy()
            bias[0] -= 100
            tensor.CopyFrom(numpy_helper.from_array(bias, tensor.name))
    onnx.save(proto, folder / "retrained.onnx")
    return folder / "retrained.onnx"


def test_another_model_needs_a_word(found: Path, run: Run, tmp_path: Path) -> None:
    command = ("replay", found, "--model", retrained(tmp_path), "--region", UNSAFE)
    refused = run(*command)
    assert refused.code == 2
    assert "is about another model" in refused.err
    outcome = run(*command, "--changed")
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out.startswith("crossing-traffic-54: not catastrophic\n")
    assert "does not hold" in outcome.out


def test_an_input_outside_the_region_is_an_error(found: Path, run: Run, tmp_path: Path) -> None:
    spec = tmp_path / "slow.yaml"
    spec.write_text(SAFE.read_text().replace("crossing-traffic-52", "crossing-traffic-54"))
    outcome = run("replay", found, "--model", MODEL, "--region", spec, "--changed")
    assert outcome.code == 2
    assert "its input is not in the region of crossing-traffic-54" in outcome.err


def test_a_changed_array_is_an_error(found: Path, run: Run) -> None:
    np.savez(found.with_name("found.npz"), input=np.zeros(5), output=np.zeros(5))
    outcome = run("replay", found, *PAIR)
    assert (outcome.code, outcome.err.count("\n")) == (2, 1)
    assert "is not the file that found.json speaks of" in outcome.err


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"format": "absint-counterexample 1"}', "\x00", '{"format": 1}', "[" * 5000],
)
def test_a_damaged_description_is_an_error(text: str, found: Path, run: Run) -> None:
    found.with_name("found.json").write_text(text)
    outcome = run("replay", found, *PAIR)
    assert (outcome.code, outcome.err.count("\n")) == (2, 1)
    assert "found.json" in outcome.err


def test_an_array_that_is_none_is_an_error(found: Path, run: Run) -> None:
    import hashlib

    facts_path, arrays_path = found.with_name("found.json"), found.with_name("found.npz")
    for data in (b"", b"PK\x03\x04", b"garbage"):
        arrays_path.write_bytes(data)
        facts = json.loads(facts_path.read_text())
        facts["arrays_sha256"] = hashlib.sha256(data).hexdigest()
        facts_path.write_text(json.dumps(facts))
        outcome = run("replay", found, *PAIR)
        assert (outcome.code, outcome.err.count("\n")) == (2, 1)
        assert "found.npz" in outcome.err


def test_its_own_files_may_be_replaced(found: Path, run: Run) -> None:
    command = ("verify", MODEL, "--region", UNSAFE, "--counterexample", "found.json")
    assert run(*command).code == 1
    assert run("replay", found, *PAIR).code == 1
