"""Verify through the command line: verdicts, several properties, resuming, datasets, JSON."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from cli.problems import MODEL, SAFE, UNSAFE, Run, network

from absint.proofs.format import Certificate, digest

PROPERTIES = """\
inputs: [a, b]
outputs: [left, right]
region: {all: [-1, 1]}
properties:
  both low: {never: left >= 3 and right >= 3}
  both_low: {never: left >= 5}
  reached: {never: right >= 1/2}
"""


@pytest.fixture
def identity(tmp_path: Path) -> Path:
    """y = relu(x) - relu(-x) = x, in two inputs: what is true of it is evident."""
    eye = np.eye(2)
    weights = [np.hstack([eye, -eye]).tolist(), np.vstack([eye, -eye]).tolist()]
    return network(weights, tmp_path / "identity.onnx")


def test_several_properties_the_worst_counts(run: Run, identity: Path, tmp_path: Path) -> None:
    (tmp_path / "spec.yaml").write_text(PROPERTIES)
    outcome = run("verify", identity, "--region", "spec.yaml", "--counterexample", "found")
    assert (outcome.code, outcome.err) == (1, "")
    assert "right >= 0.5 holds, by " in outcome.out
    assert outcome.out.endswith("2 verified, 1 falsified, 0 unknown\n")
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == [
        "found-reached.json", "found-reached.npz", "identity.onnx",
        "spec-both_low-2.cert", "spec-both_low-2.cert.intoto.json",
        "spec-both_low.cert", "spec-both_low.cert.intoto.json", "spec.yaml",
    ]  # fmt: skip
    for name, problem in (("both_low", "both low"), ("both_low-2", "both_low")):
        path = tmp_path / f"spec-{name}.cert"
        assert Certificate.from_bytes(path.read_bytes()).problem.name == problem
        assert run("check", path, "--model", identity, "--region", "spec.yaml").code == 0


def test_the_given_name_is_extended_by_the_property(
    run: Run, identity: Path, tmp_path: Path
) -> None:
    (tmp_path / "spec.yaml").write_text(PROPERTIES)
    (tmp_path / "out").mkdir()
    run("verify", identity, "--region", "spec.yaml", "--certificate", "out/proof.bin")
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    stems = ("proof-both_low-2.bin", "proof-both_low.bin")
    assert names == [f"{stem}{end}" for stem in stems for end in ("", ".intoto.json")]


def test_unknown_is_resumed_to_verified(run: Run, tmp_path: Path) -> None:
    command = ("verify", MODEL, "--region", SAFE)
    first = run(*command, "--timeout", "0.001")
    assert (first.code, first.err) == (3, "")
    assert "unknown" in first.out
    assert "--resume safe.cert" in first.out
    check = ("check", "safe.cert", "--model", MODEL, "--region", SAFE)
    incomplete = run(*check)
    assert incomplete.code == 3
    assert "incomplete" in incomplete.out
    assert run(*command, "--resume", "safe.cert").code == 0
    accepted = run(*check)
    assert (accepted.code, "accepted" in accepted.out) == (0, True)


def test_a_certificate_is_replaced_by_a_certificate_only(run: Run, tmp_path: Path) -> None:
    command = ("verify", MODEL, "--region", SAFE)
    assert run(*command).code == 0
    first = (tmp_path / "safe.cert").read_bytes()
    assert run(*command).code == 0
    assert (tmp_path / "safe.cert").read_bytes() == first, "the same search, the same bytes"


def test_the_null_device_stays_one(run: Run) -> None:
    null = Path("/dev/null")
    if not null.is_char_device():
        pytest.skip("there is no /dev/null")
    assert run("verify", MODEL, "--region", SAFE, "--certificate", null).code == 0
    assert null.is_char_device()


def test_a_link_is_written_through(run: Run, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link.cert").symlink_to(tmp_path / "real" / "proof.cert")
    assert run("verify", MODEL, "--region", SAFE, "--certificate", "link.cert").code == 0
    assert (tmp_path / "link.cert").is_symlink()
    assert (tmp_path / "real" / "proof.cert").stat().st_size > 0


def keys(value: Any) -> Any:
    """The shape of a document: its keys, and the types at its leaves."""
    if isinstance(value, dict):
        return {key: keys(item) for key, item in value.items()}
    if isinstance(value, list):
        return [keys(value[0])] if value else []
    return type(value).__name__


PROPERTY = {
    "property": "str", "verdict": "str", "search_seconds": "float", "check_seconds": "float",
    "nodes": "int", "reason": "str",
}  # fmt: skip
HEAD = {
    "absint": "str", "exit_code": "int", "model": {"path": "str", "sha256": "str"},
    "spec": {"path": "str", "sha256": "str"}, "semantics": {"name": "str", "inputs": "str"},
    "seed": "int",
}  # fmt: skip


def test_the_document_of_a_proof(run: Run, tmp_path: Path) -> None:
    outcome = run("verify", MODEL, "--region", SAFE, "--format", "json")
    assert keys(outcome.json) == {
        **HEAD,
        "properties": [{
            **PROPERTY,
            "open_share": "float",
            "certificate": {
                "path": "str", "sha256": "str", "bytes": "int",
                "proof_bytes": "int", "leaves": "int",
                "open_leaves": "int", "open_share_exact": "bool", "accepted": "bool",
            },
            "counterexample": "NoneType",
        }],
    }  # fmt: skip
    (proof,) = outcome.json["properties"]
    data = (tmp_path / "safe.cert").read_bytes()
    assert proof["certificate"]["sha256"] == digest(data)
    assert (proof["certificate"]["accepted"], outcome.json["exit_code"]) == (True, 0)


def test_the_document_of_a_counterexample(run: Run) -> None:
    outcome = run("verify", MODEL, "--region", UNSAFE, "--format", "json")
    inputs = ("range", "bearing", "heading", "own_speed", "intruder_speed")
    outputs = ("CLEAR", "WEAK_LEFT", "WEAK_RIGHT", "STRONG_LEFT", "STRONG_RIGHT")
    assert keys(outcome.json) == {
        **HEAD,
        "properties": [{
            **PROPERTY,
            "open_share": "NoneType",
            "certificate": "NoneType",
            "counterexample": {
                "input": dict.fromkeys(inputs, "float"),
                "output": dict.fromkeys(outputs, "float"),
                "constraints": [
                    {"constraint": "str", "margin": "float", "margin_exact": "str"}
                ],
                "runtime": "str",
                "catastrophic": "bool",
                "catastrophic_with_default_optimisations": "bool",
                "real_arithmetic": "str",
            },
        }],
    }  # fmt: skip
    found = outcome.json["properties"][0]["counterexample"]
    session = onnxruntime.InferenceSession(str(MODEL))
    (truth,) = session.run(None, {"state": np.array([list(found["input"].values())], np.float32)})
    assert int(np.argmax(truth)) == 0, "onnxruntime itself says CLEAR"


def test_a_dataset_ends_in_certified_accuracy(run: Run, identity: Path, tmp_path: Path) -> None:
    """The argmax of (a, b) is the larger one; a box of 0.1 around (0, 0.15) holds a tie."""
    (tmp_path / "data.yaml").write_text(
        "dataset:\n"
        "  center: [[1, 0], [0, 1], [0, 0.15], [1, 0]]\n"
        "  labels: [0, 1, 1, 1]\n"
        "  eps: 0.1\n"
    )
    outcome = run("verify", identity, "--region", "data.yaml")
    assert outcome.code == 1
    lines = outcome.out.splitlines()
    assert lines[-1] == "certified 2 of 4, clean accuracy 3 of 4, falsified 2, open 0"
    assert [line.split()[:4] for line in lines[2:-1]] == [
        ["0", "0", "0", "verified"],
        ["1", "1", "1", "verified"],
        ["2", "1", "1", "falsified"],
        ["3", "1", "0", "falsified"],
    ]
    document = run("verify", identity, "--region", "data.yaml", "--format", "json").json
    assert document["dataset"]["summary"] == {
        "verified": 2, "falsified": 2, "unknown": 0, "clean_correct": 3, "rows": 4,
    }  # fmt: skip
    assert [row["prediction"] for row in document["dataset"]["rows"]] == [0, 1, 1, 0]
    assert run("check", "data-row-0.cert", "--model", identity, "--region", "data.yaml").code == 0


def test_raw_units_are_the_users(run: Run, identity: Path, tmp_path: Path) -> None:
    """The spec speaks of metres; the network receives (metres - 100) / 50."""
    (tmp_path / "raw.yaml").write_text(
        "inputs: [near, far]\noutputs: [u, v]\n"
        "normalize: {mean: 100, std: 50}\n"
        "region: {near: [50, 150], far: [50, 150]}\n"
        "never: near >= 140 and u >= 0.9\n"
    )
    outcome = run("verify", identity, "--region", "raw.yaml", "--format", "json")
    found = outcome.json["properties"][0]["counterexample"]
    near, network_near = found["input"]["near"], found["network_input"][0]
    assert 145 - 1e-4 <= near <= 150
    assert near == pytest.approx(network_near * 50 + 100)
    constraints = [row["constraint"] for row in found["constraints"]]
    assert constraints == ["near >= 140", "u >= 0.9"]


@pytest.mark.parametrize("style", ["text", "json"])
def test_inspect_lists_all_that_is_unsupported(style: str, run: Run, tmp_path: Path) -> None:
    import onnx

    proto = onnx.load(MODEL)
    for index in (-1, -2):
        proto.graph.node[index].op_type = "Frobnicate"
    onnx.save(proto, tmp_path / "odd.onnx")
    outcome = run("inspect", "odd.onnx", "--format", style)
    assert (outcome.code, outcome.err) == (4, "")
    assert outcome.out.count("relu_3") == outcome.out.count("layer_4") == 1
    if style == "json":
        assert outcome.json["lowered"] is None


def test_a_changed_network_starts_from_the_old_proof(
    run: Run, identity: Path, tmp_path: Path
) -> None:
    (tmp_path / "spec.yaml").write_text("region: {all: [-1, 1]}\nnever: y[0] >= 1.5\n")
    assert run("verify", identity, "--region", "spec.yaml").code == 0
    other = network([[[0.5, 0], [0, 1]], [[1, 0], [0, 1]]], tmp_path / "other.onnx")
    command = ("verify", other, "--region", "spec.yaml", "--certificate", "other.cert")
    assert run(*command, "--warm-start", "spec.cert").code == 0
    assert run("check", "other.cert", "--model", other, "--region", "spec.yaml").code == 0
    refused = run(*command, "--warm-start", "spec.cert", "--resume", "spec.cert")
    assert (refused.code, "do not go together" in refused.err) == (2, True)
