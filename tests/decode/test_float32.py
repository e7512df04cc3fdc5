"""Decode specs under float32: the default, what is refused by name, and what a certificate says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from decoders import Decoder, last_rows
from onnx import TensorProto, helper, numpy_helper
from onnxdecoders import OnnxDecoder

from absint.decode.task import check, load, verify_each
from absint.ir.blocks import unroll
from absint.problem import InputError, UnsupportedError
from absint.problem.contract import FLOAT32
from absint.proofs.format import Certificate, CertificateError
from absint.proofs.transformers.rounding import uncovered
from absint.search.options import SearchOptions
from absint.search.result import Verdict

SPEC = """
decode:
  vocabulary: [a, b, c, X, Y, END]
  prompt: '[a b]{2} X'
  steps: 2
never: {output: {contains: END}}
"""


def spec(folder: Path, said: str = "") -> Path:
    path = folder / f"spec{len(said)}.yaml"
    path.write_text(said + SPEC)
    return path


def test_float32_is_the_default_and_real_is_said(tmp_path: Path) -> None:
    model = OnnxDecoder(seed=1).save(tmp_path / "model.onnx")
    silent, real = spec(tmp_path), spec(tmp_path, "semantics: real")
    for region, asked, meant in (
        (silent, None, "float32"),
        (silent, "real", "real"),
        (real, None, "real"),
        (real, "real", "real"),
    ):
        found = load(model, region, semantics=asked)
        assert {p.semantics.name for p in found.spec.problems} == {meant}
    with pytest.raises(InputError, match="the spec says real, which is not to be float32"):
        load(model, real, semantics="float32")


def test_a_certificate_is_of_one_meaning(tmp_path: Path) -> None:
    model = OnnxDecoder(seed=1).save(tmp_path / "model.onnx")
    floats, real = (load(model, spec(tmp_path), semantics=m) for m in ("float32", "real"))
    (found,) = verify_each(floats, SearchOptions(timeout=20))
    assert found.verdict is Verdict.VERIFIED
    assert found.certificate is not None
    claim = Certificate.from_bytes(found.certificate)
    assert check(claim, floats).accepted
    with pytest.raises(CertificateError, match="speaks of semantics float32, not real"):
        check(claim, real)


def in_double(proto: onnx.ModelProto) -> onnx.ModelProto:
    """The last product in float64, and back."""
    *_, last = proto.graph.node
    for array in proto.graph.initializer:
        if array.name == "wo":
            values = numpy_helper.to_array(array).astype(np.float64)
            array.CopyFrom(numpy_helper.from_array(values, "wo"))
    last.input[0], last.output[0] = "wide", "sums"
    wide = helper.make_node("Cast", ["y"], ["wide"], to=TensorProto.DOUBLE)
    proto.graph.node.insert(len(proto.graph.node) - 1, wide)
    narrow = helper.make_node("Cast", ["sums"], ["logits"], to=TensorProto.FLOAT)
    proto.graph.node.append(narrow)
    return proto


def test_other_types_within_are_named(tmp_path: Path) -> None:
    onnx.save(in_double(OnnxDecoder().proto()), tmp_path / "model.onnx")
    with pytest.raises(UnsupportedError, match=r"arithmetic in float64.*semantics: real"):
        load(tmp_path / "model.onnx", spec(tmp_path))
    load(tmp_path / "model.onnx", spec(tmp_path), semantics="real")


@pytest.mark.parametrize(
    ("way", "named"),
    [
        ("heads", []),
        ("both", []),
        ("twice", ["attention scores that several constants multiply"]),
        ("far", ["attention scores that a constant scales by far"]),
    ],
)
def test_ways_to_scale_scores_that_are_not_covered_are_named(way: str, named: list[str]) -> None:
    graph = Decoder(scaled=way).graph(3)
    assert uncovered(unroll(graph, last_rows(graph, 1)), FLOAT32) == named
