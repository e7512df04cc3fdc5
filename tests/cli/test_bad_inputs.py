"""Whatever is wrong ends in its exit code and one line, and no file is touched."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import pytest
from cli.problems import MODEL, SAFE, UNSAFE, Run, network
from onnx import numpy_helper

from absint.proofs.format import Certificate

Build = Callable[[Path], list[object]]
"""Puts files into an empty folder and returns the command line."""


@dataclass(frozen=True)
class Case:
    name: str
    build: Build
    code: int
    says: str


def verify(model: object = MODEL, region: object = SAFE, *rest: object) -> list[object]:
    return ["verify", model, "--region", region, *rest]


def model_file(name: str, data: bytes) -> Build:
    def build(folder: Path) -> list[object]:
        (folder / name).write_bytes(data)
        return verify(name)

    return build


def spec_file(text: str | bytes, name: str = "spec.yaml") -> Build:
    def build(folder: Path) -> list[object]:
        (folder / name).write_bytes(text.encode() if isinstance(text, str) else text)
        return verify(MODEL, name)

    return build


NAMES = (
    "inputs: [range, bearing, heading, own_speed, intruder_speed]\n"
    "outputs: [CLEAR, WEAK_LEFT, WEAK_RIGHT, STRONG_LEFT, STRONG_RIGHT]\n"
)
REGION = (
    "region: {range: [300, 600], bearing: [-0.5, -0.3], heading: [0.5, 0.9], own_speed: [45, 52], "
    "intruder_speed: [20, 30]}\n"
)


def nan_weights(folder: Path) -> list[object]:
    network([[[1.0, float("nan")]], [[1.0], [1.0]]], folder / "nan.onnx")
    return verify("nan.onnx")


def wrong_shapes(folder: Path) -> list[object]:
    network([[[1.0, 2.0]], [[1.0], [1.0], [1.0]]], folder / "shapes.onnx")
    return verify("shapes.onnx")


def unknown_op(folder: Path) -> list[object]:
    proto = onnx.load(MODEL)
    proto.graph.node[-1].op_type = "Frobnicate"
    onnx.save(proto, folder / "op.onnx")
    return verify("op.onnx")


def external_data(folder: Path) -> list[object]:
    """A weight that is to be read from outside the model's folder."""
    proto = onnx.load(MODEL)
    tensor = proto.graph.initializer[0]
    tensor.CopyFrom(numpy_helper.from_array(np.ones(5, np.float32), tensor.name))
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "../../etc/passwd"
    onnx.save(proto, folder / "external.onnx")
    return verify("external.onnx")


def folder_as(name: str, command: list[object]) -> Build:
    def build(folder: Path) -> list[object]:
        (folder / name).mkdir()
        return command

    return build


def file_as(name: str, text: str, command: list[object]) -> Build:
    def build(folder: Path) -> list[object]:
        (folder / name).write_text(text)
        return command

    return build


def instances(text: str) -> Build:
    return file_as("rows.csv", text, ["verify", "--instances", "rows.csv", "--results", "r.csv"])


def plain(*command: object) -> Build:
    return lambda folder: list(command)


def below_a_file(folder: Path) -> list[object]:
    (folder / "file").write_text("")
    return verify("file/model.onnx")


def foreign_counterexample(folder: Path) -> list[object]:
    np.savez(folder / "mine.npz", data=np.zeros(3))
    return verify(MODEL, UNSAFE, "--counterexample", "mine")


MODELS = [
    Case("missing", plain(*verify("nope.onnx")), 2, "nope.onnx: no such file"),
    Case("folder", folder_as("m.onnx", verify("m.onnx")), 2, "m.onnx: not a regular file"),
    Case("below a file", below_a_file, 2, "file/model.onnx"),
    Case("empty", model_file("m.onnx", b""), 2, "m.onnx"),
    Case("text", model_file("m.onnx", b"not a model at all\n"), 2, "m.onnx: not an ONNX model"),
    Case("truncated", model_file("m.onnx", MODEL.read_bytes()[:9000]), 2, "m.onnx: not an ONNX"),
    Case("truncated gzip", model_file("m.onnx.gz", gzip.compress(MODEL.read_bytes())[:900]), 2,
         "not a whole gzip file"),
    Case("NaN weights", nan_weights, 2, "nan.onnx"),
    Case("wrong shapes", wrong_shapes, 2, "shapes.onnx"),
    Case("unknown op", unknown_op, 4, "Frobnicate"),
    Case("external data outside", external_data, 2, "external.onnx"),
]  # fmt: skip

SPECS = [
    Case("missing", plain(*verify(MODEL, "nope.yaml")), 2, "nope.yaml: no such file"),
    Case("folder", folder_as("s.yaml", verify(MODEL, "s.yaml")), 2, "s.yaml: not a file"),
    Case("suffix", spec_file("never: y[0] >= 0", "spec.txt"), 2, "spec.txt: not a spec"),
    Case("binary", spec_file(b"\x00\xff\xfe"), 2, "spec.yaml:1: not UTF-8 text"),
    Case("syntax", spec_file(NAMES + "region: {range: [300"), 2, "spec.yaml:4:1"),
    Case("key", spec_file(NAMES + REGION + "nevr: CLEAR is maximal"), 2, "did you mean 'never'?"),
    Case("name", spec_file(NAMES + REGION + "never: CLEER is maximal"), 2, "mean 'CLEAR'?"),
    Case("names", spec_file("inputs: [a, b]\nnever: y[0] >= 0"), 2, "spec.yaml:1:9"),
    Case("no region", spec_file(NAMES + "never: CLEAR is maximal"), 2, "no region"),
    Case("lower above upper", spec_file("region: {all: [1, 0]}\nnever: y[0] >= 0"), 2,
         "spec.yaml:1:15"),
    Case("where nobody is", spec_file(
        NAMES + REGION.replace("}", ", where: range >= 1000}") + "never: CLEAR >= 0"), 2,
        "no input satisfies"),
    Case("catastrophe that cannot be", spec_file(
        NAMES + REGION + "never: CLEAR > WEAK_LEFT and WEAK_LEFT > CLEAR"), 2, "spec"),
    Case("huge exponent", spec_file("region: {all: [0, 1e999999]}\nnever: y[0] >= 0"), 2,
         "spec.yaml:1"),
    Case("no float32", spec_file("region: {all: [0, 1e39]}\nnever: y[0] >= 0"), 2, "float32"),
    Case("NaN", spec_file("region: {all: [0, nan]}\nnever: y[0] >= 0"), 2, "spec.yaml:1"),
    Case("missing array", spec_file("region: {center: x.npy, eps: 1}\nnever: y[0] >= 0"), 2,
         "x.npy"),
    Case("VNN-LIB cut off", spec_file("(declare-const X_0 Real)\n(assert (>= X_0", "p.vnnlib"), 2,
         "p.vnnlib:2"),
    Case("VNN-LIB garbage", spec_file("\x1f\x8b not gzip", "p.vnnlib.gz"), 2, "p.vnnlib.gz"),
]  # fmt: skip

OPTIONS = [
    Case("command", plain("verfy"), 2, "did you mean 'verify'?"),
    Case("option", plain(*verify(), "--timout", "3"), 2, "'--timeout'?"),
    Case("timeout nan", plain(*verify(), "--timeout", "nan"), 2, "not a time above zero"),
    Case("timeout negative", plain(*verify(), "--timeout", "-1"), 2, "not a time above zero"),
    Case("timeout huge", plain(*verify(), "--timeout", "1e300"), 2, "not a time above zero"),
    Case("memory unit", plain(*verify(), "--memory", "5X"), 2, "not a size"),
    Case("memory none", plain(*verify(), "--memory", "0"), 2, "not between"),
    Case("jobs", plain(*verify(), "--jobs", "0"), 2, "--jobs"),
    Case("seed", plain(*verify(), "--seed", "x"), 2, "--seed"),
    Case("no region", plain("verify", MODEL), 2, "--region is missing"),
    Case("spec for model", plain("verify", SAFE, "--region", SAFE), 2, "is a spec"),
    Case("spec without --region", plain("verify", MODEL, SAFE), 2, "after --region"),
    Case("results alone", plain(*verify(), "--results", "r.csv"), 2, "needs --instances"),
    Case("model in a batch", plain("verify", MODEL, "--instances", "i.csv"), 2, "MODEL does not"),
    Case("jobs in a batch", plain("verify", "--instances", "i.csv", "--jobs", "2"), 2, "--workers"),
]

OUTPUTS = [
    Case("certificate over a text", file_as("out", "keep me", verify(
        MODEL, SAFE, "--certificate", "out")), 2, "out: exists and is something else"),
    Case("default certificate over a text", file_as("safe.cert", "keep me", verify()), 2,
         "safe.cert: exists and is something else"),
    Case("certificate over a folder", folder_as("out", verify(MODEL, SAFE, "--certificate", "out")),
         2, "out: exists and is not a file"),
    Case("no folder", plain(*verify(MODEL, SAFE, "--certificate", "no/where")), 2,
         "no/where: its folder does not exist"),
    Case("counterexample over an array", foreign_counterexample, 2, "mine.npz: exists"),
    Case("counterexample over a text", file_as("c.json", "{}", verify(
        MODEL, UNSAFE, "--counterexample", "c")), 2, "c.json: exists"),
    Case("written twice", plain(*verify(
        MODEL, SAFE, "--certificate", "a.npz", "--counterexample", "a")), 2, "written twice"),
    Case("graph over a text", file_as("g", "keep me", ["inspect", MODEL, "--graph", "g"]), 2,
         "g: exists"),
    Case("results over a text", file_as("r.csv", "mine,too", [
        "verify", "--instances", "r.csv", "--results", "r.csv"]), 2, "r.csv"),
]  # fmt: skip

INSTANCES = [
    Case("missing", plain("verify", "--instances", "rows.csv"), 2, "rows.csv: no such file"),
    Case("empty", instances(""), 2, "rows.csv: no rows"),
    Case("only a header", instances("onnx,vnnlib,timeout\n"), 2, "rows.csv: no rows"),
    Case("header", instances("onnx,spek,timeout\na,b,3\n"), 2, "rows.csv:1: the header has no"),
    Case("column", instances("onnx,spec,expectd\na,b,sat\n"), 2, "did you mean 'expected'?"),
    Case("time", instances("a.onnx,b.yaml,soon\n"), 2, "rows.csv:1: 'soon'"),
    Case("expected", instances("a.onnx,b.yaml,3,maybe\n"), 2, "rows.csv:1: 'maybe'"),
    Case("empty column", instances("onnx,vnnlib\na.onnx,b.yaml\n,b.yaml\n"), 2, "rows.csv:3"),
    Case("quotes", instances('a.onnx,"b.yaml\n'), 2, "rows.csv: not a CSV file"),
]

ALL = [
    pytest.param(case, id=f"{group}: {case.name}")
    for group, cases in (
        ("model", MODELS),
        ("spec", SPECS),
        ("option", OPTIONS),
        ("output", OUTPUTS),
        ("instances", INSTANCES),
    )
    for case in cases
]


def contents(folder: Path) -> dict[str, bytes | None]:
    found = sorted(folder.rglob("*"))
    return {str(p.relative_to(folder)): p.read_bytes() if p.is_file() else None for p in found}


@pytest.mark.parametrize("case", ALL)
def test_one_line_and_nothing_written(case: Case, run: Run, tmp_path: Path) -> None:
    command = case.build(tmp_path)
    before = contents(tmp_path)
    outcome = run(*command)
    assert outcome.code == case.code, outcome
    assert outcome.err.startswith("absint: ")
    assert outcome.err.count("\n") == 1
    assert case.says in outcome.err
    assert "Traceback" not in outcome.err + outcome.out
    assert contents(tmp_path) == before


@pytest.mark.parametrize("case", ALL[::6])
def test_with_json_the_error_is_the_one_document(case: Case, run: Run, tmp_path: Path) -> None:
    outcome = run(*case.build(tmp_path), "--format", "json")
    assert outcome.json["exit_code"] == outcome.code == case.code
    assert case.says in outcome.json["error"]


def test_at_least_thirty() -> None:
    assert len(ALL) >= 30


@pytest.fixture
def certificate(run: Run, tmp_path: Path) -> Path:
    assert run(*verify(MODEL, SAFE, "--certificate", "safe.cert")).code == 0
    return tmp_path / "safe.cert"


def rejected(run: Run, path: Path, model: Path = MODEL, region: Path = SAFE) -> str:
    """Checks that the certificate is rejected in one line, which is returned."""
    outcome = run("check", path, "--model", model, "--region", region)
    assert (outcome.code, outcome.err) == (1, "")
    assert outcome.out.startswith(f"{path}: rejected: ")
    assert outcome.out.count("\n") == 1
    return outcome.out


def test_a_flipped_byte_is_found_wherever_it_is(run: Run, certificate: Path) -> None:
    good = certificate.read_bytes()
    for place in [*range(0, len(good), 29), len(good) - 1]:
        bad = bytearray(good)
        bad[place] ^= 1 << place % 8
        certificate.write_bytes(bad)
        rejected(run, certificate)
    certificate.write_bytes(good)
    assert run("check", certificate, "--model", MODEL, "--region", SAFE).code == 0


@pytest.mark.parametrize("data", [b"", b"garbage", b"ABSINT-CERTIFICATE 1\n", b"\x00" * 4096])
def test_garbage_is_rejected(data: bytes, run: Run, tmp_path: Path) -> None:
    path = tmp_path / "garbage.cert"
    path.write_bytes(data)
    rejected(run, path)


def test_a_certificate_speaks_for_its_own_files_only(
    run: Run, certificate: Path, tmp_path: Path
) -> None:
    other = network([np.ones((5, 5)).tolist()], tmp_path / "other.onnx")
    assert "another model" in rejected(run, certificate, model=other)
    assert "another spec" in rejected(run, certificate, region=UNSAFE)


def test_a_certificate_of_another_property_is_rejected(
    run: Run, certificate: Path, tmp_path: Path
) -> None:
    """The digests of the files are those of safe.yaml; the problem is not."""
    good = Certificate.from_bytes(certificate.read_bytes())
    assert run(*verify(MODEL, UNSAFE, "--timeout", "0.01", "--certificate", "u.cert")).code in (
        1,
        3,
    )
    from absint.api import load

    problem = load(MODEL, UNSAFE).spec.properties[0]
    forged = Certificate(good.model, good.spec, good.graph, problem, good.proofs)
    path = tmp_path / "forged.cert"
    path.write_bytes(forged.to_bytes())
    outcome = run("check", path, "--model", MODEL, "--region", SAFE)
    assert outcome.code == 2
    assert "no property 'crossing-traffic-54'" in outcome.err


@pytest.mark.parametrize("command", ["check", "plot"])
def test_a_missing_certificate_is_no_rejection(command: str, run: Run) -> None:
    rest = ["--output", "p.svg"] if command == "plot" else []
    outcome = run(command, "nope.cert", "--model", MODEL, "--region", SAFE, *rest)
    assert (outcome.code, outcome.err) == (2, "absint: nope.cert: no such file\n")


def test_resuming_something_else_is_an_error(run: Run, certificate: Path, tmp_path: Path) -> None:
    other = network([np.ones((5, 5)).tolist()], tmp_path / "other.onnx")
    (tmp_path / "garbage").write_text("garbage")
    (tmp_path / "copy.yaml").write_bytes(SAFE.read_bytes() + b"# another spec\n")
    target = ("--certificate", "out.cert", "--resume")
    for command, says in (
        (verify(MODEL, SAFE, *target, "garbage"), "garbage: not a certificate"),
        (verify(MODEL, SAFE, *target, "nope"), "nope: no such file"),
        (verify(MODEL, "copy.yaml", *target, certificate), "about another spec"),
        (verify(other, SAFE, *target, certificate), "about another model"),
    ):
        outcome = run(*command)
        assert (outcome.code, outcome.err.count("\n")) == (2, 1)
        assert says in outcome.err
        assert not (tmp_path / "out.cert").exists()


def test_an_internal_error_is_70_and_says_how_to_see_more(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError("by zero")

    monkeypatch.setattr("absint.cli.verify.load", fail)
    outcome = run(*verify())
    assert outcome.code == 70
    assert outcome.err == (
        "absint: internal error: ZeroDivisionError: by zero (ABSINT_TRACEBACK=1 shows more)\n"
    )
    monkeypatch.setenv("ABSINT_TRACEBACK", "1")
    outcome = run(*verify())
    assert (outcome.code, "Traceback" in outcome.err) == (70, True)
