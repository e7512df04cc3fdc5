"""Specs with a detector: the calls are those that the spec says, on the graph and the runtime."""

from __future__ import annotations

import itertools
import re
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from detectorspecs import CALLS, PROMPT, SIZE, STEPS, STOP, WIDTH, made, narrowed, said, values
from onnxdecoders import OnnxDecoder, Session

from absint.decode.task import check, load, verify_each
from absint.ir import evaluate
from absint.problem import InputError
from absint.proofs.format import Certificate, CertificateError
from absint.report.decoding.transcript import replayed
from absint.search.options import SearchOptions
from absint.search.result import Verdict


@pytest.mark.parametrize("call", CALLS)
def test_the_graph_and_the_runner_call_both(call: str, tmp_path: Path) -> None:
    task = made(tmp_path, call)
    detector = Session(tmp_path / "alarm.onnx")
    writer = Session(tmp_path / "model.onnx")
    graph, problem = task.graphs[PROMPT], task.spec.problems[0]
    assert graph.input_size == PROMPT + STEPS
    lengths = set()
    for prompt in itertools.product(range(3), repeat=PROMPT):
        output = writer.write(prompt, STEPS, STOP)
        text = [*prompt, *output]
        lengths.add(len(text))
        wanted = said(detector, call, text)
        row = np.zeros((1, graph.input_size))
        row[0, : len(text)] = text
        found = evaluate(graph, row)[0, STEPS * SIZE :].reshape(STEPS, WIDTH)[len(output) - 1]
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-4)
        real = replayed(task, problem, prompt)
        assert real.output == tuple(output)
        (answer,) = real.answers
        assert answer.value == -wanted[0].astype(np.float64)
        assert answer.holds is real.catastrophic is bool(wanted[0] > 0)
        np.testing.assert_allclose(answer.real_value, -wanted[0], rtol=1e-4, atol=1e-4)
    assert len(lengths) > 1


@pytest.mark.parametrize("call", CALLS)
def test_bounds_beside_the_greatest_value(call: str, tmp_path: Path) -> None:
    made(tmp_path, call)
    most = max(alarm for alarm, _ in values(tmp_path, call))
    options = SearchOptions(timeout=60)
    (held,) = verify_each(made(tmp_path, call, f"alarm > {most + 0.01:.4f}"), options)
    assert held.verdict is Verdict.VERIFIED
    (failed,) = verify_each(made(tmp_path, call, f"alarm > {most - 0.01:.4f}"), options)
    assert failed.verdict is Verdict.FALSIFIED


def test_a_certificate_binds_both_networks(tmp_path: Path) -> None:
    task = made(tmp_path, "any length", "alarm > 1000")
    (result,) = verify_each(task, SearchOptions(timeout=60))
    assert result.certificate is not None
    claim = Certificate.from_bytes(result.certificate)
    assert check(claim, task).accepted
    narrowed(OnnxDecoder(None, causal=False, last=True, seed=7), tmp_path / "alarm.onnx")
    other = load(tmp_path / "model.onnx", tmp_path / "spec.yaml")
    with pytest.raises(CertificateError, match="another spec"):
        check(claim, other)
    with pytest.raises(CertificateError, match="graphs differ"):
        check(replace(claim, spec=other.spec.digest), other)


def test_the_detector_itself(tmp_path: Path) -> None:
    """The example of docs/decode.md, with bounds beside what onnxruntime gives for every text."""
    docs = (Path(__file__).parents[2] / "docs" / "decode.md").read_text()
    example = re.search(r"^### 10\. .*?```yaml\n(.*?)^```", docs, re.M | re.S)
    assert example is not None
    words = ("BOS", "ok", "fail", "LA", "UNCH", "LAUNCH", "END")
    narrowed(
        OnnxDecoder(None, causal=False, last=True, seed=3, vocabulary=7), tmp_path / "alarm.onnx"
    )
    OnnxDecoder(vocabulary=7).save(tmp_path / "writer.onnx")
    detector = Session(tmp_path / "alarm.onnx")
    alarms: dict[bool, list[float]] = {True: [], False: []}
    for count in range(1, 4):
        for text in itertools.product(range(1, 6), repeat=count):
            seen = "LAUNCH" in "".join(words[token] for token in text)
            alarms[seen].append(float(detector.logits([0, *text, 6])[0]))
    for spare, verdict in ((0.01, Verdict.VERIFIED), (-0.01, Verdict.FALSIFIED)):
        own = re.sub("0.5(?=}\n  no)", f"{min(alarms[True]) - spare:.4f}", example[1])
        own = re.sub("0.5(?=}\n *- )", f"{max(alarms[False]) + spare:.4f}", own)
        (tmp_path / "spec.yaml").write_text(own)
        task = load(tmp_path / "writer.onnx", tmp_path / "spec.yaml")
        results = list(verify_each(task, SearchOptions(timeout=60)))
        assert [result.verdict for result in results] == [verdict] * 2


def test_a_bound_that_no_rounding_moves(tmp_path: Path) -> None:
    task = made(tmp_path, "any length", "alarm > 0.1")
    (probe,) = task.spec.problems[0].probes
    assert probe.row.bound == Fraction(-1, 10)


def test_detectors_that_do_not_fit(tmp_path: Path) -> None:
    made(tmp_path, "any length")
    OnnxDecoder(None, last=True).save(tmp_path / "alarm.onnx")
    with pytest.raises(InputError, match="has 6 values, but 2 are named"):
        load(tmp_path / "model.onnx", tmp_path / "spec.yaml")
    narrowed(OnnxDecoder(8, last=True), tmp_path / "alarm.onnx")
    with pytest.raises(InputError, match="texts differ in length: say what shorter texts"):
        load(tmp_path / "model.onnx", tmp_path / "spec.yaml")
    narrowed(OnnxDecoder(5, last=True), tmp_path / "alarm.onnx")
    with pytest.raises(
        InputError, match="reads 5 tokens, but prompt and output together have up to"
    ):
        load(tmp_path / "model.onnx", tmp_path / "spec.yaml")
    narrowed(OnnxDecoder(None, last=True, vocabulary=4), tmp_path / "alarm.onnx")
    with pytest.raises(InputError, match="its embedding has 4 tokens"):
        load(tmp_path / "model.onnx", tmp_path / "spec.yaml")
