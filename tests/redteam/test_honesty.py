"""Reports at the edges of arithmetic: nothing is lost to a number, and nothing claimed unproved."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from cli.problems import Outcome, Run
from onnx import helper
from onnxmodels import model

from absint import cli


@pytest.fixture
def verify(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Run:
    """``absint verify`` of a model and a spec's text, in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def call(proto: onnx.ModelProto, spec: str, *options: str) -> Outcome:
        onnx.save(proto, "model.onnx")
        Path("spec.yaml").write_text(spec)
        capsys.readouterr()
        arguments = ["verify", "model.onnx", "--region", "spec.yaml", "--timeout", "1", *options]
        return Outcome(cli._run(arguments), *capsys.readouterr())

    return call


def identity(output: str = "o") -> onnx.ModelProto:
    return model([helper.make_node("Identity", ["i"], [output])], {"i": (1, 1)}, [output])


def cancelling() -> onnx.ModelProto:
    """y = x; in float32, 2^25 swallows x."""
    nodes = [helper.make_node("Add", ["i", "big"], ["h"])]
    nodes.append(helper.make_node("Sub", ["h", "big"], ["o"]))
    return model(nodes, {"i": (1, 1)}, ["o"], {"big": np.array([2**25], dtype=np.float32)})


LONG = "1." + "1" * 900


@pytest.mark.parametrize("style", ["text", "json"])
@pytest.mark.parametrize(
    ("factor", "bound"),
    [("1e400", "0"), ("1e-400", "0"), (f"{LONG}*{LONG}*{LONG}*{LONG}", f"1/{'7' * 900}")],
    ids=["huge", "tiny", "long"],
)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_counterexample_survives_numbers_beyond_floats(
    verify: Run, factor: str, bound: str, style: str
) -> None:
    spec = f"region: {{all: [-1, 2]}}\nnever: {factor}*y[0] >= {bound}\n"
    outcome = verify(identity(), spec, "--format", style, "--counterexample", "found")
    assert outcome.code == 1, outcome.err
    assert Path("found.npz").exists()


def test_what_cannot_be_written_down_is_an_error_before_any_work(verify: Run) -> None:
    factor = "*".join([LONG] * 6)
    outcome = verify(identity(), f"region: {{all: [-1, 2]}}\nnever: {factor}*y[0] >= 0\n")
    assert outcome.code == 2
    assert "too many digits" in outcome.err


@pytest.mark.parametrize("condition", ["y[0] > 1", "y[0] != 0.5 and y[0] > 1"])
def test_a_tie_is_not_called_a_violation(verify: Run, condition: str) -> None:
    """True, but only just: rounding bounds cannot prove it, and nothing violates it."""
    outcome = verify(identity(), f"region: {{all: [0, 1]}}\nnever: {condition}\n")
    assert outcome.code == 3
    assert "violated" not in outcome.out


def test_a_violation_that_the_runtime_hides_is_named(verify: Run) -> None:
    outcome = verify(cancelling(), "region: {all: 0.5}\nnever: y[0] >= 0.4\n")
    assert outcome.code == 3
    assert "violated in real arithmetic, not reproduced on the runtime" in outcome.out


def test_the_arithmetic_of_a_proof_is_said(verify: Run) -> None:
    """The runtime gives 0 here, which the proof of real arithmetic excludes."""
    spec = "region: {all: [0.5, 1]}\nnever: y[0] <= 0.4\n"
    outcome = verify(cancelling(), spec, "--semantics", "real")
    assert outcome.code == 0
    assert "real arithmetic" in outcome.out
    assert verify(cancelling(), spec).code != 0


def test_a_tensors_name_cannot_forge_a_report(verify: Run) -> None:
    outcome = verify(
        identity("\x1b[2J\nfake: verified in 0.1 s"), "region: {all: 1}\nnever: output[0] > 0\n"
    )
    assert outcome.code == 1
    assert "\x1b" not in outcome.out
    assert not any(line.startswith("fake") for line in outcome.out.splitlines())


def test_inspect_shows_names_as_text(verify: Run, capsys: pytest.CaptureFixture[str]) -> None:
    node = helper.make_node("Relu", ["i\x1b[1m"], ["o\x1b[2J"], "n\x1b[2J")
    onnx.save(model([node], {"i\x1b[1m": ("N\x1b[2J", 1)}, ["o\x1b[2J"]), "model.onnx")
    assert cli._run(["inspect", "model.onnx"]) == 0
    assert "\x1b" not in capsys.readouterr().out


def test_many_cells_leave_time_for_proofs(verify: Run) -> None:
    parts = ", ".join(f"{{all: [{i}, {i + 1}]}}" for i in range(400))
    outcome = verify(identity(), f"region: {{any_of: [{parts}]}}\nnever: y[0] > 1000\n")
    assert outcome.code in (0, 3)
    assert "open: 100% of the region" not in outcome.out
