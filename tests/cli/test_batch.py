"""Batch mode through the command line."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from cli.problems import MODEL, SAFE, UNSAFE, Run

from absint.cli.batch import exit_code
from absint.cli.instances import read_instances
from absint.proofs.format import Certificate
from absint.report.rows import Instance, RowResult

COLUMNS = (
    "onnx,vnnlib,verdict,reason,seconds,search_seconds,check_seconds,nodes,leaves,"
    "certificate_bytes,expected,agrees"
)


def table(path: Path) -> list[dict[str, str]]:
    text = path.read_text()
    assert text.splitlines()[0] == COLUMNS
    return list(csv.DictReader(io.StringIO(text)))


def copied(folder: Path) -> None:
    """The example's files in a folder of their own, so that paths are relative to the CSV."""
    folder.mkdir()
    for path in (MODEL, SAFE, UNSAFE):
        (folder / path.name).write_bytes(path.read_bytes())


@pytest.fixture
def instances(tmp_path: Path) -> Path:
    copied(tmp_path / "rows")
    path = tmp_path / "rows" / "instances.csv"
    path.write_text(
        "onnx,vnnlib,timeout_s,expected\n"
        "advisory.onnx,safe.yaml,60,unsat\n"
        "advisory.onnx,unsafe.yaml,60,sat\n"
        "advisory.onnx,missing.yaml,60,unknown\n"
    )
    return path


def test_rows_in_order_with_their_files(run: Run, instances: Path, tmp_path: Path) -> None:
    outcome = run(
        "verify", "--instances", instances, "--results", "out.csv", "--workers", "2",
        "--certificates", "proofs", "--counterexamples", "found",
    )  # fmt: skip
    assert (outcome.code, outcome.err) == (1, "")
    rows = table(tmp_path / "out.csv")
    assert [row["verdict"] for row in rows] == ["verified", "falsified", "error"]
    assert [row["agrees"] for row in rows] == ["yes", "yes", ""]
    assert [row["onnx"] for row in rows] == ["advisory.onnx"] * 3
    assert "missing.yaml: no such file" in rows[2]["reason"]
    assert "1 verified, 1 falsified, 0 unknown, 1 error" in outcome.out
    lines = [line for line in outcome.out.splitlines() if line.startswith("[")]
    assert [line[:5] for line in lines] == ["[1/3]", "[2/3]", "[3/3]"]
    proof = tmp_path / "proofs" / "0001-advisory-safe.cert"
    assert len(proof.read_bytes()) == int(rows[0]["certificate_bytes"])
    assert Certificate.from_bytes(proof.read_bytes()).problem.name == "crossing-traffic-52"
    assert run("check", proof, "--model", MODEL, "--region", SAFE).code == 0
    found = tmp_path / "found" / "0002-advisory-unsafe.npz"
    assert run("replay", found, "--model", MODEL, "--region", UNSAFE).code == 1


def test_json_and_a_contradiction(run: Run, tmp_path: Path) -> None:
    copied(tmp_path / "rows")
    path = tmp_path / "rows" / "i.csv"
    path.write_text("advisory.onnx,safe.yaml,60,sat\n")
    outcome = run("verify", "--instances", path, "--format", "json", "--workers", "1")
    assert outcome.code == outcome.json["exit_code"] == 70
    assert outcome.json["summary"]["contradictions"] == [1]
    assert outcome.json["rows"][0]["agrees"] is False
    assert "row 1" in outcome.err
    assert "CONTRADICTS" in outcome.err


def read(tmp_path: Path, text: str) -> list[Instance]:
    path = tmp_path / "i.csv"
    path.write_text(text)
    return read_instances(path, 99.0)


def test_reading_with_and_without_a_header(tmp_path: Path) -> None:
    bare = read(tmp_path, "a.onnx, b.vnnlib, 116\n\nc.onnx,d.vnnlib\n")
    assert [(i.onnx, i.vnnlib, i.timeout, i.expected) for i in bare] == [
        ("a.onnx", "b.vnnlib", 116.0, ""),
        ("c.onnx", "d.vnnlib", 99.0, ""),
    ]
    assert bare[0].model == tmp_path / "a.onnx"
    named = read(tmp_path, "expected,region,model\nunsat,b.yaml,a.onnx\n")
    assert (named[0].onnx, named[0].vnnlib, named[0].expected) == ("a.onnx", "b.yaml", "unsat")
    assert named[0].timeout == 99.0


@pytest.mark.parametrize(
    ("expected", "verdict", "agrees"),
    [
        ("unsat", "verified", True), ("UNSAT", "falsified", False), ("sat", "verified", False),
        ("sat", "falsified", True), ("verified", "verified", True), ("sat", "unknown", None),
        ("disputed", "verified", None), ("", "falsified", None), ("sat", "error", None),
    ],
)  # fmt: skip
def test_agreement(expected: str, verdict: str, agrees: bool | None) -> None:
    instance = Instance(1, "a", "b", 1.0, expected, Path())
    assert instance.agrees(verdict) is agrees


@pytest.mark.parametrize(
    ("codes", "worst"),
    [([0, 0], 0), ([0, 3], 3), ([3, 2], 2), ([2, 4], 4), ([4, 70], 70), ([70, 1, 0], 1)],
)
def test_the_worst_row_sets_the_exit_code(codes: list[int], worst: int) -> None:
    verdicts = {0: "verified", 1: "falsified", 3: "unknown"}
    rows = [
        (Instance(n, "a", "b", 1.0, "", Path()), RowResult(verdicts.get(code, "error"), code))
        for n, code in enumerate(codes)
    ]
    assert exit_code(rows) == worst
    contradicting = (Instance(9, "a", "b", 1.0, "unsat", Path()), RowResult("falsified", 1))
    assert exit_code([*rows, contradicting]) == 70
