"""Specs with a detector: the calls are those that the spec says, on the graph and the runtime."""

from __future__ import annotations

import itertools
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from onnxdecoders import VOCABULARY, OnnxDecoder, Session

from absint.decode.task import DecodeTask, check, load, verify_each
from absint.ir import evaluate
from absint.problem import InputError
from absint.proofs.format import Certificate, CertificateError
from absint.report.decoding.transcript import replayed
from absint.search.options import SearchOptions
from absint.search.result import Verdict

SIZE, PROMPT, STEPS, WIDTH = len(VOCABULARY), 3, 3, 2
STOP = [0, 4]
CALLS = {
    "any length": (None, ""),
    "padded on the right": (7, ", length: 7, pad: END"),
    "padded on the left": (8, ", length: 8, pad: b, side: left"),
}
PADDING = {
    "any length": (0, 0, 0),
    "padded on the right": (0, 5, 7),
    "padded on the left": (8, 1, 0),
}
"""To how many tokens the padding fills a text up on the left, its token, and on the right."""


def made(folder: Path, call: str, never: str = "alarm > 0", seed: int = 0) -> DecodeTask:
    """A writer of open length and a detector that is not causal, with one row of two values."""
    length, words = CALLS[call]
    other = OnnxDecoder(length, causal=False, last=True, seed=seed + 100, vocabulary=SIZE)
    narrowed(other, folder / "alarm.onnx")
    lines = [
        "decode:",
        f"  vocabulary: [{', '.join(VOCABULARY)}]",
        f"  detector: {{model: alarm.onnx, outputs: [alarm, calm]{words}}}",
        "  prompt: '[a b c]{3}'",
        f"  steps: {STEPS}",
        f"  stop: [{', '.join(VOCABULARY[t] for t in STOP)}]",
        f"never: {{detector: {never}}}",
    ]
    (folder / "spec.yaml").write_text("\n".join(lines) + "\n")
    return load(OnnxDecoder(seed=seed).save(folder / "model.onnx"), folder / "spec.yaml")


def narrowed(decoder: OnnxDecoder, path: Path) -> None:
    """The decoder's file with its first two logits only."""
    import onnx
    from onnx import numpy_helper

    proto = decoder.proto()
    (table,) = (one for one in proto.graph.initializer if one.name == "wo")
    table.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(table)[:, :WIDTH].copy(), "wo"))
    proto.graph.output[0].type.tensor_type.shape.dim[1].dim_value = WIDTH
    onnx.save(proto, path)


def said(session: Session, call: str, text: list[int]) -> np.ndarray:
    """What onnxruntime gives for a text, filled up as the spec says."""
    left, pad, right = PADDING[call]
    padded = [pad] * max(0, left - len(text)) + text + [pad] * max(0, right - len(text))
    return session.logits(padded).reshape(-1)


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
    writer, detector = Session(tmp_path / "model.onnx"), Session(tmp_path / "alarm.onnx")
    values = []
    for prompt in itertools.product(range(3), repeat=PROMPT):
        text = [*prompt, *writer.write(prompt, STEPS, STOP)]
        values.append(float(said(detector, call, text)[0]))
    options = SearchOptions(timeout=60)
    (held,) = verify_each(made(tmp_path, call, f"alarm > {max(values) + 0.01:.4f}"), options)
    assert held.verdict is Verdict.VERIFIED
    (failed,) = verify_each(made(tmp_path, call, f"alarm > {max(values) - 0.01:.4f}"), options)
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
