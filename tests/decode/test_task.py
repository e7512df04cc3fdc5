"""Networks and decode specs together: the graphs and the runner do the calls that the spec says."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper
from onnxdecoders import VOCABULARY, OnnxDecoder, Session
from torch import Tensor, nn

from absint.decode.task import DecodeTask, check, load, verify_each
from absint.ir import evaluate
from absint.problem import InputError, UnsupportedError
from absint.proofs.format import Certificate, CertificateError
from absint.search.options import SearchOptions

SIZE, PROMPT, STEPS = len(VOCABULARY), 3, 3
NEVER = "never: {output: X Y X}"


def spec(folder: Path, network: str = "", more: str = "", never: str = NEVER) -> Path:
    path = folder / "spec.yaml"
    lines = [
        "decode:",
        f"  vocabulary: [{', '.join(VOCABULARY)}]",
        *([f"  network: {network}"] if network else []),
        "  prompt: '[a b c]{3}'",
        f"  steps: {STEPS}",
        *([f"  {more}"] if more else []),
        never,
    ]
    path.write_text("\n".join(lines) + "\n")
    return path


def made(folder: Path, decoder: OnnxDecoder, network: str = "", more: str = "") -> DecodeTask:
    return load(decoder.save(folder / "model.onnx"), spec(folder, network, more))


def compare(task: DecodeTask, wanted: list[list[np.ndarray]], texts: np.ndarray) -> None:
    """``wanted[row][step]``: the logits that onnxruntime gives for that text's beginning."""
    graph = task.graphs[PROMPT]
    assert [port.name for port in graph.inputs] == [f"token_{i}" for i in range(PROMPT + STEPS - 1)]
    found = evaluate(graph, texts.astype(float)).reshape(len(texts), STEPS, SIZE)
    np.testing.assert_allclose(found, np.array(wanted), rtol=1e-4, atol=1e-4)
    for text, rows in zip(texts.tolist(), wanted, strict=True):
        for step in range(STEPS):
            logits = task.runner.numbers(task.caller, text[: PROMPT + step])
            np.testing.assert_array_equal(logits, rows[step].astype(np.float64))


@pytest.fixture(scope="module")
def texts() -> np.ndarray:
    return np.random.default_rng(1).integers(SIZE, size=(12, PROMPT + STEPS - 1))


@pytest.mark.parametrize("last", [False, True])
def test_a_network_of_open_length(last: bool, tmp_path: Path, texts: np.ndarray) -> None:
    task = made(tmp_path, OnnxDecoder(last=last), "{logits: next}" if last else "")
    session = Session(tmp_path / "model.onnx")
    wanted = [
        [session.logits(text[: PROMPT + t]).reshape(-1, SIZE)[-1] for t in range(STEPS)]
        for text in texts.tolist()
    ]
    compare(task, wanted, texts)
    attends = [node for node in task.graphs[PROMPT].nodes if node.op == "attend"]
    assert len(attends) == STEPS  # what two steps have in common is there once


@pytest.mark.parametrize("length", [PROMPT + STEPS - 1, 9])
@pytest.mark.parametrize("said", ["", "{length: %d, pad: END}"])
def test_a_causal_network_of_one_length(
    length: int, said: str, tmp_path: Path, texts: np.ndarray
) -> None:
    task = made(tmp_path, OnnxDecoder(length), said % length if said else "")
    session, pad = Session(tmp_path / "model.onnx"), SIZE - 1 if said else 0
    wanted = [
        [
            session.logits(text[: PROMPT + t] + [pad] * (length - PROMPT - t))[PROMPT + t - 1]
            for t in range(STEPS)
        ]
        for text in texts.tolist()
    ]
    compare(task, wanted, texts)


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("causal", [False, True])
def test_padding_that_the_logits_depend_on(
    side: str, causal: bool, tmp_path: Path, texts: np.ndarray
) -> None:
    length, pad = 7, SIZE - 1
    network = f"{{length: {length}, pad: END, side: {side}}}"
    task = made(tmp_path, OnnxDecoder(length, causal=causal), network)
    session = Session(tmp_path / "model.onnx")

    def logits(text: list[int]) -> np.ndarray:
        rest = [pad] * (length - len(text))
        if side == "left":
            return session.logits(rest + text)[-1]
        return session.logits(text + rest)[len(text) - 1]

    wanted = [[logits(text[: PROMPT + t]) for t in range(STEPS)] for text in texts.tolist()]
    compare(task, wanted, texts)


def test_padding_is_part_of_what_is_proved(tmp_path: Path) -> None:
    """A verdict about a padded network agrees with all of its 27 prompts."""
    decoder = OnnxDecoder(7, causal=False, seed=2)
    task = made(tmp_path, decoder, "{length: 7, pad: END, side: left}")
    prompts = np.array(list(itertools.product(range(3), repeat=PROMPT)))
    outputs = task.runner(prompts).tokens.tolist()
    seen = {tuple(output) for output in outputs}
    absent = next(t for t in itertools.product(range(SIZE), repeat=STEPS) if t not in seen)
    for text, verdict in ((absent, "verified"), (outputs[5], "falsified")):
        never = f"never: {{output: {' '.join(VOCABULARY[t] for t in text)}}}"
        path = spec(tmp_path, "{length: 7, pad: END, side: left}", never=never)
        (result,) = verify_each(load(tmp_path / "model.onnx", path), SearchOptions(timeout=30))
        assert result.verdict == verdict


def test_the_runner_writes_what_onnxruntime_writes(tmp_path: Path) -> None:
    task = made(tmp_path, OnnxDecoder(seed=3), more="stop: [a, END]")
    session = Session(tmp_path / "model.onnx")
    prompts = np.array(list(itertools.product(range(3), repeat=PROMPT)))
    found = task.runner(prompts)
    for prompt, tokens, margins in zip(
        prompts.tolist(), found.tokens.tolist(), found.margins, strict=True
    ):
        wanted = session.write(prompt, STEPS, [0, 5])
        assert tokens == wanted + [-1] * (STEPS - len(wanted))
        ordered = np.sort(session.logits(prompt)[-1].astype(float))
        assert margins[0] == ordered[-1] - ordered[-2]
        assert np.isnan(margins[len(wanted) :]).all()


def test_only_allowed_tokens_are_written(tmp_path: Path) -> None:
    task = made(tmp_path, OnnxDecoder(seed=3), more="allowed: '[X Y] Y .'")
    found = task.runner(np.array([[0, 1, 2], [2, 2, 2]]))
    assert set(found.tokens[:, 0]) <= {3, 4}
    assert (found.tokens[:, 1] == 4).all()
    assert np.isinf(found.margins[:, 1]).all()


class Torch(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(4)
        self.tokens, self.places = nn.Embedding(SIZE, 8), nn.Parameter(torch.randn(6, 8))
        self.query, self.logits = nn.Linear(8, 8), nn.Linear(8, SIZE)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.tokens(tokens) + self.places[: tokens.shape[1]]
        mask = torch.full((tokens.shape[1],) * 2, -torch.inf).triu(1)
        shares = torch.softmax(self.query(x) @ x.transpose(1, 2) + mask, dim=-1)
        logits: Tensor = self.logits(x + shares @ x)
        return logits


def test_a_pytorch_module(tmp_path: Path) -> None:
    module, example = Torch().eval(), torch.zeros((1, 6), dtype=torch.int64)
    task = load((module, (example,)), spec(tmp_path))
    assert task.runner(np.zeros((0, PROMPT), dtype=np.int64)).tokens.shape == (0, STEPS)
    prompts = list(itertools.product(range(3), repeat=PROMPT))
    written = []
    with torch.no_grad():
        for prompt in prompts:
            text = list(prompt)
            for _ in range(STEPS):
                text.append(int(module(torch.tensor([text]))[0, -1].argmax()))
            written.append(text[PROMPT:])
    assert task.runner(np.array(prompts)).tokens.tolist() == written
    for output, verdict in (("X X X END", "verified"), (None, "falsified")):
        shown = output or " ".join(VOCABULARY[t] for t in written[7])
        if output is not None:
            shown = "a b c"
            assert [0, 1, 2] not in written
        path = spec(tmp_path, never=f"never: {{output: {shown}}}")
        (result,) = verify_each(load((module, (example,)), path), SearchOptions(timeout=30))
        assert result.verdict == verdict


ERRORS = {
    "a vocabulary that does not fit": (
        OnnxDecoder(vocabulary=7),
        "",
        r"7 logits in output 'logits' of shape \[1, 3, 7\], but the vocabulary has 6 tokens",
    ),
    "an input that is not there": (OnnxDecoder(), "{input: ids}", "has no input 'ids'"),
    "an output that is not there": (OnnxDecoder(), "{output: y}", "there is no output 'y'"),
    "another length": (OnnxDecoder(9), "{length: 8, pad: END}", "the length is 9, not 8"),
    "too short": (OnnxDecoder(4), "", "it reads 4 tokens, but prompt and output together have"),
    "no mask, no padding": (OnnxDecoder(9, causal=False), "", "is a causal mask missing"),
    "a row each": (OnnxDecoder(), "{logits: next}", "holds 3 rows of logits where 1 are needed"),
    "one row": (OnnxDecoder(last=True), "", "holds 1 rows of logits where 3 are needed"),
}


@pytest.mark.parametrize("name", ERRORS)
def test_what_does_not_fit_is_named(name: str, tmp_path: Path) -> None:
    decoder, network, message = ERRORS[name]
    with pytest.raises(InputError, match=message):
        made(tmp_path, decoder, network)


def test_a_second_input_is_named(tmp_path: Path) -> None:
    proto = OnnxDecoder(5).proto()
    mask = helper.make_tensor_value_info("attention_mask", TensorProto.FLOAT, [1, 5, 6])
    proto.graph.input.append(mask)
    proto.graph.node.append(helper.make_node("Add", ["logits", "attention_mask"], ["more"]))
    proto.graph.output[0].name = "more"
    onnx.save(proto, tmp_path / "model.onnx")
    with pytest.raises(InputError, match=r"has 2 inputs \('tokens', 'attention_mask'\)"):
        load(tmp_path / "model.onnx", spec(tmp_path))


def test_an_embedding_with_too_few_tokens(tmp_path: Path) -> None:
    proto = OnnxDecoder(5).proto()
    for tensor in proto.graph.initializer:
        if tensor.name == "table":
            array = onnx.numpy_helper.to_array(tensor)[:4]
            tensor.CopyFrom(onnx.numpy_helper.from_array(array, "table"))
    onnx.save(proto, tmp_path / "model.onnx")
    with pytest.raises(InputError, match="its embedding has 4 tokens, but the vocabulary has 6"):
        load(tmp_path / "model.onnx", spec(tmp_path))


def test_an_op_that_is_not_supported(tmp_path: Path) -> None:
    proto = OnnxDecoder().proto()
    proto.graph.node.append(helper.make_node("Det", ["scores"], ["det"]))
    proto.graph.node.append(helper.make_node("Add", ["logits", "det"], ["more"]))
    proto.graph.output[0].name = "more"
    onnx.save(proto, tmp_path / "model.onnx")
    with pytest.raises(UnsupportedError, match="Det"):
        load(tmp_path / "model.onnx", spec(tmp_path))


def test_a_certificate_is_bound_to_model_and_spec(tmp_path: Path) -> None:
    task = made(tmp_path, OnnxDecoder(seed=1))
    (result,) = verify_each(task, SearchOptions(timeout=30))
    assert result.certificate is not None
    claim = Certificate.from_bytes(result.certificate)
    assert check(claim, task).accepted == (result.verdict == "verified")
    other = load(OnnxDecoder(seed=2).save(tmp_path / "other.onnx"), tmp_path / "spec.yaml")
    with pytest.raises(CertificateError, match="another model file"):
        check(claim, other)
    (tmp_path / "other.yaml").write_text((tmp_path / "spec.yaml").read_text() + "# changed\n")
    with pytest.raises(CertificateError, match="another spec file"):
        check(claim, load(tmp_path / "model.onnx", tmp_path / "other.yaml"))
