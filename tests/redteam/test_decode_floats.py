"""Networks that decode one thing in real arithmetic, and as they are deployed perhaps another.

Ties and near-ties (Jia and Rinard 2021), the same sum computed twice (Szász et al. 2025), numbers
that a mask multiplies by zero. None is `verified` under float32.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from decoders import last_rows, move, problem
from executions import Execution
from numpy.typing import NDArray
from onnx import helper, numpy_helper
from onnxdecoders import VOCABULARY, OnnxDecoder, Session

from absint.decode.leftout import Call, require_finite
from absint.decode.task import DecodeTask, load, verify_each
from absint.ir import Constant, Graph, GraphBuilder
from absint.ir.blocks import unroll
from absint.problem import UnsupportedError
from absint.problem.contract import FLOAT32 as CONTRACT
from absint.problem.problem import Meaning, Semantics
from absint.proofs.decode.check import StepBounds, check_decode
from absint.proofs.decode.state import State
from absint.proofs.format import Certificate
from absint.search.options import SearchOptions
from absint.search.result import Verdict

Floats = NDArray[np.float64]
FLOAT32 = Semantics("float32")
MARGIN = 1e-9
PROMPT = (0, 3, 2, 1)


def constants(proto: onnx.ModelProto) -> dict[str, Any]:
    return {i.name: numpy_helper.to_array(i).astype(np.float64) for i in proto.graph.initializer}


def real_logits(proto: onnx.ModelProto, text: tuple[int, ...]) -> Floats:
    """After the last token, in float64."""
    c = constants(proto)
    x = c["table"][list(text)] + c["places"][: len(text)]
    q, k, v = (x @ c[name] for name in ("wq", "wk", "wv"))
    e = np.exp(q[-1] @ k.T - (q[-1] @ k.T).max())
    logits: Floats = (x[-1] + (e / e.sum()) @ v) @ c["wo"]
    return logits


def nearly_tied(seed: int) -> tuple[onnx.ModelProto, int, int]:
    """A decoder, the token that it emits after PROMPT, by 1e-9, and the next best.

    Two biases are added to the logits: what one float32 leaves, another makes up.
    """
    proto = OnnxDecoder(seed=seed).proto()
    logits = real_logits(proto, PROMPT)
    second, first = np.argsort(logits)[-2:].tolist()
    if seed % 2:  # also where of equals the second would win
        first, second = second, first
    coarse = np.float32(logits[first] - logits[second])
    fine = np.float32(logits[first] - logits[second] - np.float64(coarse) - MARGIN)
    for number, value in enumerate((coarse, fine)):
        bias = np.zeros(len(logits), np.float32)
        bias[second] = value
        proto.graph.initializer.append(numpy_helper.from_array(bias, f"bias{number}"))
    proto.graph.node[-1].output[0] = "plain"
    proto.graph.node.append(helper.make_node("Add", ["plain", "bias0"], ["nearer"]))
    proto.graph.node.append(helper.make_node("Add", ["nearer", "bias1"], ["logits"]))
    return proto, first, second


SPEC = """
decode:
  vocabulary: [{names}]
  prompt: '{prompt}'
  steps: 1
never: {{output: '{second}'}}
"""


def task_of(folder: Path, seed: int, semantics: Meaning | None) -> DecodeTask:
    proto, _, second = nearly_tied(seed)
    onnx.save(proto, folder / "model.onnx")
    names = [VOCABULARY[token] for token in PROMPT]
    text = SPEC.format(
        names=", ".join(VOCABULARY), prompt=" ".join(names), second=VOCABULARY[second]
    )
    (folder / "spec.yaml").write_text(text)
    return load(folder / "model.onnx", folder / "spec.yaml", semantics=semantics)


@pytest.mark.parametrize(
    "seed", [0, 1, *(pytest.param(seed, marks=pytest.mark.full) for seed in range(2, 20))]
)
def test_a_margin_below_rounding_is_verified_of_real_numbers_only(
    seed: int, tmp_path: Path
) -> None:
    options = SearchOptions(timeout=2)
    (real,) = verify_each(task_of(tmp_path, seed, "real"), options)
    assert real.verdict is Verdict.VERIFIED
    task = task_of(tmp_path, seed, None)
    (default,) = verify_each(task, options)
    assert default.problem.semantics == FLOAT32
    assert default.verdict is not Verdict.VERIFIED
    assert default.counterexample is not None or default.report is not None
    assert real.certificate is not None
    claim = Certificate.from_bytes(real.certificate)
    forged = replace(claim, problem=default.problem)
    report = check_decode(Certificate.from_bytes(forged.to_bytes()), task.graphs)
    assert not report.accepted
    assert report.rejected


def test_such_margins_are_not_those_of_the_runtime(tmp_path: Path) -> None:
    """Some of these networks emit what real arithmetic rules out."""
    flipped = 0
    for seed in range(10):
        proto, first, second = nearly_tied(seed)
        real = real_logits(proto, PROMPT)
        biases = constants(proto)
        real = real + biases["bias0"] + biases["bias1"]
        assert real[first] - real[second] == pytest.approx(MARGIN, rel=0.01)
        onnx.save(proto, tmp_path / "model.onnx")
        (emitted,) = Session(tmp_path / "model.onnx").write(PROMPT, 1)
        assert emitted in (first, second)
        flipped += emitted == second
    assert flipped > 0


THRESHOLD = """
decode:
  vocabulary: [{names}]
  prompt: '{prompt}'
  steps: 1
  detector: {{model: alarm.onnx, outputs: [p, q, r, s, alarm, t]}}
properties:
  probe: {{never: {{logits: {token} > {level}, step: 1}}}}
  detector: {{never: {{detector: alarm > {alarm}}}}}
"""


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.full)])
def test_a_threshold_below_rounding_is_verified_of_real_numbers_only(
    seed: int, tmp_path: Path
) -> None:
    """Of a logit, and of a detector's output."""
    proto = OnnxDecoder(seed=seed).proto()
    alarm = OnnxDecoder(causal=False, last=True, seed=seed + 2).proto()
    logits = real_logits(proto, PROMPT)
    first = int(logits.argmax())
    found = real_logits(alarm, (*PROMPT, first))[4]
    onnx.save(proto, tmp_path / "model.onnx")
    onnx.save(alarm, tmp_path / "alarm.onnx")
    text = THRESHOLD.format(
        names=", ".join(VOCABULARY),
        prompt=" ".join(VOCABULARY[token] for token in PROMPT),
        token=VOCABULARY[first],
        level=f"{logits[first] + MARGIN:.12f}",
        alarm=f"{found + MARGIN:.12f}",
    )
    (tmp_path / "spec.yaml").write_text(text)
    for semantics, sure in (("real", True), ("float32", False)):
        asked: Meaning = "real" if semantics == "real" else "float32"
        task = load(tmp_path / "model.onnx", tmp_path / "spec.yaml", semantics=asked)
        for result in verify_each(task, SearchOptions(timeout=3)):
            assert (result.verdict is Verdict.VERIFIED) == sure, result.name


def twice(kind: str) -> Graph:
    """``2^22 (x . w - x . w)`` and 0.5 as logits: the same product, computed twice."""
    rng, builder = np.random.default_rng(0), GraphBuilder()
    tokens = builder.input("tokens", (1, 2), "int64")
    table = Constant(rng.normal(size=(4, 40)).astype(np.float32))
    x = builder.add("embedding", [tokens], consts={"weight": table})
    weight = {"weight": Constant(rng.normal(size=(40, 1)).astype(np.float32))}
    if kind == "nodes":
        sides = [builder.add("dense", [x], consts=weight) for _ in range(2)]
    else:  # one product of two equal rows
        both = move(builder, x, lambda a: np.repeat(a[:, :, None], 2, axis=2))
        made = builder.add("dense", [both], consts=weight)
        sides = [move(builder, made, lambda a, i=i: a[:, :, i]) for i in (0, 1)]
    apart = builder.add("sum", sides, attrs={"coefficients": (1, -1)})
    large = {"weight": Constant(np.array([[2.0**22, 0.0]])), "bias": Constant(np.array([0, 0.5]))}
    return builder.build({"logits": builder.add("dense", [apart], consts=large)})


@pytest.mark.parametrize("kind", ["nodes", "rows"])
def test_what_is_computed_twice_may_be_rounded_twice(kind: str) -> None:
    graph = twice(kind)
    block = unroll(graph, last_rows(graph, 1))
    every = State((15, 15), 0, (), (0,), False)
    for semantics, sure in ((Semantics("real"), True), (FLOAT32, False)):
        bounds = StepBounds(problem(2, 2, 1, semantics=semantics), block, 2)
        wide = replace(every, sets=(3, 3))
        assert bounds.excluded([wide], [((1,), (1,))]) == [sure]
    rng, emitted = np.random.default_rng(1), set[int]()
    for _ in range(20):
        values = Execution(rng).run(graph, np.array([[0.0, 1.0]]))
        emitted.add(int(values[graph.outputs[0].node][0, 0, -1].argmax()))
    assert emitted == {0, 1}


PADDED = """
decode:
  vocabulary: [a, b, c, X, Y, END]
  network: {length: 6, pad: c}
  prompt: '[a b]{3}'
  steps: 3
never: {output: {contains: END}}
"""


def test_what_a_mask_multiplies_by_zero_must_be_finite(tmp_path: Path) -> None:
    """The padding's value overflows; where its share is zero, the product is not a number."""
    proto = OnnxDecoder(length=6).proto()
    for array in proto.graph.initializer:
        if array.name == "table":
            table = numpy_helper.to_array(array).copy()
            table[2] = 3e38
            array.CopyFrom(numpy_helper.from_array(table, "table"))
    onnx.save(proto, tmp_path / "model.onnx")
    (tmp_path / "spec.yaml").write_text(PADDED)
    found = Session(tmp_path / "model.onnx").logits([0, 1, 0, 2, 2, 2])
    assert np.isnan(found[2]).all()
    with pytest.raises(UnsupportedError, match=re.escape("may not be finite")):
        load(tmp_path / "model.onnx", tmp_path / "spec.yaml")
    load(tmp_path / "model.onnx", tmp_path / "spec.yaml", semantics="real")


def test_a_padding_within_reason_is_no_obstacle(tmp_path: Path) -> None:
    OnnxDecoder(length=6).save(tmp_path / "model.onnx")
    (tmp_path / "spec.yaml").write_text(PADDED)
    task = load(tmp_path / "model.onnx", tmp_path / "spec.yaml")
    assert task.spec.problems[0].semantics == FLOAT32
    assert {port.name for port in task.graphs[3].outputs} == {f"logits_{i}" for i in (1, 2, 3)}


def pooled(scale: float) -> Graph:
    """The last row attends to a window of one, and adds the mean of all rows: what the window hides
    is read all the same, but not as a key."""
    rng, builder = np.random.default_rng(0), GraphBuilder()
    tokens = builder.input("tokens", (1, 3), "int64")
    table = Constant((scale * rng.normal(size=(4, 2))).astype(np.float32))
    x = builder.add("embedding", [tokens], consts={"weight": table})
    scores = builder.add("matmul", [x, move(builder, x, lambda a: np.swapaxes(a, 1, 2))])
    mask = {"mask": Constant(np.eye(3, dtype=np.int64)[None])}
    mixed = builder.add("matmul", [builder.add("softmax", [scores], consts=mask), x])
    turned = move(builder, x, lambda a: np.swapaxes(a, 1, 2))
    mean = builder.add("dense", [turned], consts={"weight": Constant(np.full((3, 3), 0.25))})
    back = move(builder, mean, lambda a: np.swapaxes(a, 1, 2))
    both = builder.add("sum", [mixed, back], attrs={"coefficients": (1, 1)})
    return builder.build({"logits": both})


def test_what_a_mask_hides_is_bounded_though_it_is_read_elsewhere() -> None:
    """Its score may overflow, and no mask makes up for that."""
    require_finite(Call(pooled(1.0), {"logits_1": [4, 5]}), 4, CONTRACT)
    with pytest.raises(UnsupportedError, match="may not be finite"):
        require_finite(Call(pooled(1e30), {"logits_1": [4, 5]}), 4, CONTRACT)
