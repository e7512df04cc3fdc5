"""PyTorch models at the command line and in Python."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torchfactories
from cli.problems import Outcome, Run

import absint
from absint import cli
from absint.frontends.models import load
from absint.problem import InputError

SPEC = "region:\n  input[0]: [-1, 1]\n  input[1]: [0, 1]\nnever: output[0] {} 2.5\n"
SMALL = "torchfactories:small"


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs ``absint ARGUMENTS`` in a folder with two specs: one holds, the other does not."""
    monkeypatch.chdir(tmp_path)
    Path("safe.yaml").write_text(SPEC.format(">="))
    Path("unsafe.yaml").write_text(SPEC.format("<="))

    def call(*arguments: object) -> Outcome:
        capsys.readouterr()
        code = cli._run([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return Outcome(code, out, err)

    return call


def save(path: str) -> None:
    module, example = torchfactories.small()
    torch.export.save(torch.export.export(module, example), path)


def test_a_factory_is_verified_and_checked_on_its_graph(run: Run) -> None:
    assert run("verify", SMALL, "--region", "safe.yaml").code == 0
    assert run("inspect", SMALL, "--graph", "small.graph").code == 0
    checked = run("check", "safe.cert", "--model", "small.graph", "--region", "safe.yaml")
    assert (checked.code, checked.err) == (0, "")


def test_check_executes_no_code(run: Run) -> None:
    assert run("verify", SMALL, "--region", "safe.yaml").code == 0
    save("small.pt2")
    for model in (SMALL, "small.pt2"):
        refused = run("check", "safe.cert", "--model", model, "--region", "safe.yaml")
        assert refused.code == 2
        assert "executes code" in refused.err
        assert "inspect" in refused.err


def test_another_graph_is_rejected(run: Run) -> None:
    assert run("verify", SMALL, "--region", "safe.yaml").code == 0
    assert run("inspect", "torchfactories:small_and_other", "--graph", "x.graph").code == 2
    module, example = torchfactories.small()
    module[2].bias.data[0] -= 0.5
    torch.export.save(torch.export.export(module, example), "other.pt2")
    assert run("inspect", "other.pt2", "--graph", "other.graph").code == 0
    checked = run("check", "safe.cert", "--model", "other.graph", "--region", "safe.yaml")
    assert (checked.code, "another model" in checked.out) == (1, True)


def test_a_counterexample_is_replayed_on_pytorch(run: Run) -> None:
    found = run("verify", SMALL, "--region", "unsafe.yaml", "--counterexample", "found")
    assert found.code == 1
    assert f"replayed on PyTorch {torch.__version__}: catastrophic" in found.out
    assert run("replay", "found", "--model", SMALL, "--region", "unsafe.yaml").code == 1


def test_a_saved_program_gives_the_same_certificate(run: Run) -> None:
    save("small.pt2")
    assert run("verify", "small.pt2", "--region", "safe.yaml").code == 0
    first = Path("safe.cert").read_bytes()
    assert run("verify", SMALL, "--region", "safe.yaml", "--certificate", "two.cert").code == 0
    assert Path("two.cert").read_bytes() == first


def test_untrusted_models_are_refused_before_their_code_runs(run: Run) -> None:
    Path("small.pt2").write_bytes(b"not even read")
    for model in ("no_such_module:factory", "small.pt2"):
        for command in (("verify", model, "--region", "safe.yaml"), ("inspect", model)):
            refused = run(*command, "--untrusted")
            assert refused.code == 2
            assert "executes code" in refused.err


@pytest.mark.parametrize(
    ("model", "code", "words"),
    [
        ("torchfactories:nothing", 2, "no function 'nothing'"),
        ("torchfactories:number", 2, "returned int"),
        ("torchfactories:failing", 2, "RuntimeError: no weights"),
        ("torchfactories:without_inputs", 2, "example inputs are missing"),
        ("torchfactories:branching", 4, "torchfactories.py:"),
        ("torchfactories:several", 4, "atan"),
        ("no_such_package.module:factory", 2, "ModuleNotFoundError"),
        ("missing.pt2", 2, "no such file"),
        ("broken.pt2", 2, "torch.export.save"),
    ],
)
def test_bad_models_end_in_one_line(run: Run, model: str, code: int, words: str) -> None:
    Path("broken.pt2").write_bytes(b"PK\x03\x04 and no more")
    outcome = run("verify", model, "--region", "safe.yaml")
    assert outcome.code == code
    assert words in outcome.err
    assert outcome.err.count("\n") == 1
    assert not Path("safe.cert").exists()


def test_modules_are_verified_from_python(run: Run) -> None:
    module, example = torchfactories.small()
    for model in (module, (module, example)):
        (result,) = absint.verify(model, "safe.yaml")
        assert result.verdict.value == "verified"
        (result,) = absint.verify(model, "unsafe.yaml")
        assert result.verdict.value == "falsified"
    with pytest.raises(InputError, match="no path"):
        absint.verify(3, "safe.yaml")
    with pytest.raises(InputError, match="executes code"):
        load(module, trusted=False)


def test_inspect_lists_what_is_not_supported(run: Run) -> None:
    document = run("inspect", "torchfactories:several", "--format", "json").json
    assert document["lowered"] is None
    assert document["ops"]["aten.atan.default"] == 1
    assert len(document["unsupported"]) == 3
