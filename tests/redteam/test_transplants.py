"""A good certificate, held against every model, spec and property but its own."""

from __future__ import annotations

import dataclasses
import gzip
import shutil
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import onnx
import pytest
from cli.problems import Outcome, Run
from onnx import helper, numpy_helper
from onnx.external_data_helper import set_external_data
from onnxmodels import Array, model

from absint import api, cli
from absint.problem import Box, Problem, Semantics
from absint.proofs.format import Certificate
from absint.proofs.stream import Writer

SPEC = (
    "region: {center: middle.npy, eps: 0.25}\n"
    "properties:\n"
    "  a: {never: 'y[0] > 1'}\n"
    "  a b: {never: 'y[0] > 0.7'}\n"
    "  b: {never: 'y[1] > 1'}\n"
)
"""The first and the last are true of the identity, the second is not."""


def write_model(path: str, weight: Array, names: tuple[str, str] = ("i", "o")) -> None:
    nodes = [helper.make_node("MatMul", [names[0], "w"], ["h"])]
    nodes.append(helper.make_node("Relu", ["h"], [names[1]]))
    proto = model(nodes, {names[0]: (1, 2)}, [names[1]], {"w": weight.astype(np.float32)})
    onnx.save(proto, path)


@pytest.fixture
def good(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Certificate:
    """The certificate of property a, in a.cert of the current folder."""
    monkeypatch.chdir(tmp_path)
    write_model("model.onnx", np.eye(2))
    np.save("middle.npy", np.array([0.5, 0.5]))
    Path("spec.yaml").write_text(SPEC)
    results = {result.name: result for result in api.verify("model.onnx", "spec.yaml")}
    assert {name: r.verdict.value for name, r in results.items()} == {
        "a": "verified",
        "a b": "falsified",
        "b": "verified",
    }
    data = results["a"].certificate
    assert data is not None
    Path("a.cert").write_bytes(data)
    return Certificate.from_bytes(data)


@pytest.fixture
def check(good: Certificate, capsys: pytest.CaptureFixture[str]) -> Run:
    """``absint check``, with what it printed."""

    def call(
        certificate: str = "a.cert", network: str = "model.onnx", spec: str = "spec.yaml"
    ) -> Outcome:
        capsys.readouterr()
        code = cli._run(["check", certificate, "--model", network, "--region", spec])
        return Outcome(code, *capsys.readouterr())

    return call


def test_its_own_files_under_other_names_are_its_own(check: Run) -> None:
    shutil.copy("model.onnx", "copy.onnx")
    shutil.copy("spec.yaml", "copy.yaml")
    Path("packed.onnx.gz").write_bytes(gzip.compress(Path("model.onnx").read_bytes()))
    for arguments in ((), ("a.cert", "copy.onnx", "copy.yaml"), ("a.cert", "packed.onnx.gz")):
        assert check(*arguments).code == 0


def test_the_property_is_named(check: Run, good: Certificate) -> None:
    """So that the certificate of an easy property cannot pass for that of another one."""
    shutil.copy("a.cert", "b.cert")
    outcome = check("b.cert")
    assert outcome.code == 0
    assert "accepted: a: " in outcome.out


def _weight() -> None:
    write_model("model.onnx", np.array([[1, 0], [0, 1 + 2**-23]]))


def _names() -> None:
    write_model("model.onnx", np.eye(2), ("input", "output"))


def _centre() -> None:
    np.save("middle.npy", np.array([0.5, 0.5000001]))


def _type() -> None:
    np.save("middle.npy", np.array([0.5, 0.5], dtype=np.float32))


def _comment() -> None:
    Path("spec.yaml").write_text(SPEC + "# nothing\n")


def _external() -> None:
    """The same bytes of the model file, but for the tensor beside it."""
    proto = onnx.load("model.onnx")
    (tensor,) = proto.graph.initializer
    Path("weights.bin").write_bytes(numpy_helper.to_array(tensor).tobytes())
    set_external_data(tensor, "weights.bin")
    tensor.ClearField("raw_data")
    Path("model.onnx").write_bytes(proto.SerializeToString())


@pytest.mark.parametrize("change", [_weight, _names, _centre, _type, _comment, _external])
def test_a_changed_file_is_another_file(change: Callable[[], None], check: Run) -> None:
    change()
    assert check().code == 1


def test_external_tensors_count(check: Run, good: Certificate) -> None:
    _external()
    (result, *_) = api.verify("model.onnx", "spec.yaml")
    assert result.certificate is not None
    Path("e.cert").write_bytes(result.certificate)
    assert check("e.cert").code == 0
    Path("weights.bin").write_bytes(np.array([[1, 0], [0, 2]], dtype=np.float32).tobytes())
    assert check("e.cert").code == 1


def _renamed(problem: Problem) -> Problem:
    return dataclasses.replace(problem, name="b")


def _shrunk(problem: Problem) -> Problem:
    half = (Fraction(1, 2),) * 2
    cell = dataclasses.replace(problem.cells[0], box=Box(half, half))
    return dataclasses.replace(problem, name="a b", cells=(cell,))


def _twice(problem: Problem) -> Problem:
    return dataclasses.replace(problem, cells=problem.cells * 2)


def _floats(problem: Problem) -> Problem:
    return dataclasses.replace(problem, semantics=Semantics(inputs="representable"))


def _doubles(problem: Problem) -> Problem:
    return dataclasses.replace(problem, semantics=Semantics(dtype="float64"))


@pytest.mark.parametrize("forge", [_renamed, _shrunk, _twice, _floats, _doubles])
def test_a_sealed_forgery_is_about_another_problem(
    forge: Callable[[Problem], Problem], check: Run, good: Certificate
) -> None:
    problem = forge(good.problem)
    proofs = good.proofs * len(problem.cells)
    forged = dataclasses.replace(good, problem=problem, proofs=proofs)
    Path("forged.cert").write_bytes(forged.to_bytes())
    assert check("forged.cert").code == 1


@pytest.mark.parametrize(
    ("claim", "code"),
    [
        (lambda proof: proof.safe([0]), 1),
        (lambda proof: proof.empty(0), 1),
        (lambda proof: proof.mix([0]), 1),
        (lambda proof: proof.mix([255]), 1),
        (lambda proof: proof.open(), 3),
    ],
)
def test_no_leaf_proves_what_is_false(
    claim: Callable[[Writer], None], code: int, check: Run, good: Certificate
) -> None:
    proof = Writer()
    claim(proof)
    false = api.load("model.onnx", "spec.yaml").problem("a b")
    forged = dataclasses.replace(good, problem=false, proofs=(proof.to_bytes(),))
    Path("forged.cert").write_bytes(forged.to_bytes())
    assert check("forged.cert").code == code
