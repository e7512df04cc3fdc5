"""The statement beside a certificate: what it says, and that `check` believes no other."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from cli.problems import MODEL, SAFE, Run

from absint.proofs.format import Certificate

BESIDE = "safe.cert.intoto.json"


@pytest.fixture
def proved(run: Run, tmp_path: Path) -> dict[str, Any]:
    assert run("verify", MODEL, "--region", SAFE).code == 0
    said: dict[str, Any] = json.loads((tmp_path / BESIDE).read_text())
    return said


def check(run: Run, *options: str) -> tuple[int, str]:
    outcome = run("check", "safe.cert", "--model", MODEL, "--region", SAFE, *options)
    return outcome.code, outcome.out


def test_it_names_files_that_anyone_can_hash(proved: dict[str, Any], tmp_path: Path) -> None:
    assert proved["_type"] == "https://in-toto.io/Statement/v1"
    found = {item["name"]: item["digest"]["sha256"] for item in proved["subject"]}
    model, spec = Path(MODEL), Path(SAFE)
    assert found == {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in (model, spec)}
    predicate, data = proved["predicate"], (tmp_path / "safe.cert").read_bytes()
    assert predicate["certificate"] == {
        "name": "safe.cert",
        "digest": {"sha256": hashlib.sha256(data).hexdigest()},
    }
    assert predicate["verdict"] == "verified"
    assert predicate["property"] == Certificate.from_bytes(data).problem.name


def test_it_is_accepted_wherever_the_files_lie(
    run: Run, proved: dict[str, Any], tmp_path: Path
) -> None:
    assert check(run)[0] == 0
    (tmp_path / BESIDE).rename(tmp_path / "said.json")
    assert check(run)[0] == 0
    proved["subject"][0]["name"] = "renamed.onnx"
    proved["predicate"]["checker"]["version"] = "0.0.9"
    (tmp_path / "said.json").write_text(json.dumps(proved))
    assert check(run, "--statement", "said.json")[0] == 0


FALSE = {
    "digest": lambda said: said["subject"][0]["digest"].update(sha256="0" * 64),
    "sha256": lambda said: said["predicate"]["graph"].update(sha256="0" * 64),
    "verdict": lambda said: said["predicate"].update(verdict="falsified"),
    "property": lambda said: said["predicate"].update(property="another"),
    "name": lambda said: said["predicate"]["semantics"].update(name="exact"),
    "trusted": lambda said: said["predicate"]["trusted"].clear(),
    "predicateType": lambda said: said.update(predicateType="https://slsa.dev/provenance/v1"),
    "content": lambda said: said.update(more="claims"),
}


@pytest.mark.parametrize("place", FALSE)
def test_what_the_certificate_does_not_prove_is_rejected(
    run: Run, proved: dict[str, Any], tmp_path: Path, place: str
) -> None:
    FALSE[place](proved)
    (tmp_path / BESIDE).write_text(json.dumps(proved))
    code, out = check(run)
    assert code == 1
    assert f"the statement {BESIDE}: its " in out


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"subject": [1]}', "null", "[" * 100_000])
def test_malformed_statements_are_rejected(
    run: Run, proved: dict[str, Any], tmp_path: Path, text: str
) -> None:
    (tmp_path / BESIDE).write_text(text)
    code, out = check(run)
    assert (code, "well-formed" in out) == (1, True)


def test_an_unfinished_proof_is_stated_as_unknown(run: Run, tmp_path: Path) -> None:
    assert run("verify", MODEL, "--region", SAFE, "--timeout", "0.001").code == 3
    said = json.loads((tmp_path / BESIDE).read_text())
    assert said["predicate"]["verdict"] == "unknown"
    assert check(run)[0] == 3
    said["predicate"]["verdict"] = "verified"
    (tmp_path / BESIDE).write_text(json.dumps(said))
    code, out = check(run)
    assert code == 1
    assert "verdict" in out


def test_a_missing_statement_that_is_asked_for_is_an_error(
    run: Run, proved: dict[str, Any]
) -> None:
    assert check(run, "--statement", "none.json")[0] == 2


def test_something_else_is_not_overwritten(run: Run, tmp_path: Path) -> None:
    (tmp_path / BESIDE).write_text("mine")
    outcome = run("verify", MODEL, "--region", SAFE)
    assert (outcome.code, outcome.err.count(BESIDE)) == (2, 1)
    assert not (tmp_path / "safe.cert").exists()
