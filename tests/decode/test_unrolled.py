"""Networks that are an unrolled greedy loop: the same proofs as of their step network."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from onnxdecoders import VOCABULARY, OnnxDecoder, Session
from unrolleddecoders import Loop, example, exported, written_by_hand

from absint.decode.result import DecodeResult
from absint.decode.task import DecodeTask, check, load, verify_each
from absint.ir import evaluate
from absint.problem import InputError
from absint.proofs.format import Certificate
from absint.search.options import SearchOptions
from absint.search.result import Verdict

PROMPT, STEPS = 3, 3
PROMPTS = list(itertools.product(range(3), repeat=PROMPT))
STOP = VOCABULARY.index("c")
Text = tuple[int, ...]
DECODER = OnnxDecoder(seed=5)


def spec(folder: Path, never: str, logits: str = "none", vocabulary: str = "") -> Path:
    path = folder / "spec.yaml"
    path.write_text(
        "decode:\n"
        f"  vocabulary: [{vocabulary or ', '.join(VOCABULARY)}]\n"
        f"  network: {{logits: {logits}}}\n"
        f"  prompt: '[a b c]{{{PROMPT}}}'\n"
        f"  steps: {STEPS}\n"
        "  stop: c\n"
        f"never: {{output: '{never}'}}\n"
    )
    return path


def hand(decoder: OnnxDecoder, folder: Path, emits: list[str] | None = None) -> Path:
    onnx.save(written_by_hand(decoder, PROMPT, STEPS, emits), folder / "loop.onnx")
    return folder / "loop.onnx"


FORMS = [
    "by hand",
    "by hand, the text",
    "exported, the text",
    "PyTorch",
    pytest.param("exported", marks=pytest.mark.full),
]


@pytest.fixture(scope="module", params=FORMS)
def loop(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The decoder with its loop, in one form."""
    form, folder = request.param, tmp_path_factory.mktemp("loop")
    if form.startswith("by hand"):
        return hand(DECODER, folder, [f"text_{STEPS}"] if form.endswith("text") else None)
    module = Loop(DECODER, STEPS, form.endswith("text")).eval()
    if form == "PyTorch":
        return module, example(PROMPT)
    return exported(module, PROMPT, folder / "loop.onnx")


def texts(decoder: OnnxDecoder, folder: Path) -> dict[Text, Text]:
    """What onnxruntime writes, calling the step network token by token."""
    session = Session(decoder.save(folder / "step.onnx"))
    return {p: tuple(session.write(p, STEPS, [STOP])) for p in PROMPTS}


def properties(written: dict[Text, Text]) -> dict[str, Callable[[Text], bool]]:
    """What must not be written, and which texts that are: two that fail, and one that holds."""
    most = max(written.values(), key=len)
    absent = next(t for t in itertools.product(range(6), repeat=STEPS) if t not in written.values())
    last = most[-1]
    return {
        " ".join(VOCABULARY[t] for t in most): lambda text: text == most,
        f".* {VOCABULARY[last]}": lambda text: text[-1] == last,
        " ".join(VOCABULARY[t] for t in absent): lambda text: text == absent,
    }


def proved(model: Any, path: Path) -> tuple[DecodeResult, DecodeTask]:
    task = load(model, path)
    (result,) = verify_each(task, SearchOptions(timeout=60, count=True))
    return result, task


def left_open(result: DecodeResult) -> set[Text]:
    assert result.report is not None
    return set().union(*(set(found) for found in result.report.open_prompts))


def agrees(result: DecodeResult, written: dict[Text, Text], bad: Callable[[Text], bool]) -> None:
    """Verdict, open prompts and counterexample are those of enumeration."""
    violating = {prompt for prompt, text in written.items() if bad(text)}
    assert result.verdict is (Verdict.FALSIFIED if violating else Verdict.VERIFIED)
    assert left_open(result) == violating
    if result.counterexample is not None:
        found = result.counterexample
        assert written[found.prompt] == found.output
        assert bad(found.output)


@pytest.mark.filterwarnings("ignore")
def test_the_same_proofs_as_of_the_step_network(loop: Any, tmp_path: Path) -> None:
    written = texts(DECODER, tmp_path)
    for never, bad in properties(written).items():
        of_step, _ = proved(tmp_path / "step.onnx", spec(tmp_path, never, "each"))
        of_loop, task = proved(loop, spec(tmp_path, never))
        agrees(of_step, written, bad)
        agrees(of_loop, written, bad)
        assert of_loop.certificate is not None
        report = check(Certificate.from_bytes(of_loop.certificate), task)
        assert not report.rejected
        assert report.accepted is (of_loop.verdict is Verdict.VERIFIED)


@pytest.mark.filterwarnings("ignore")
def test_the_graph_and_the_runner(loop: Any, tmp_path: Path) -> None:
    """The graph has the step network's logits; the runner writes what the loop does."""
    written = texts(DECODER, tmp_path)
    task = load(loop, spec(tmp_path, "X Y X"))
    rng, session = np.random.default_rng(0), Session(tmp_path / "step.onnx")
    rows = rng.integers(len(VOCABULARY), size=(10, PROMPT + STEPS - 1))
    wanted = [session.logits(row)[PROMPT - 1 :].reshape(-1) for row in rows.tolist()]
    graph = task.graphs[PROMPT]
    assert [port.name for port in graph.inputs] == [f"token_{i}" for i in range(rows.shape[1])]
    np.testing.assert_allclose(evaluate(graph, rows.astype(float)), wanted, rtol=1e-4, atol=1e-4)
    found = task.runner(np.array(PROMPTS))
    for prompt, tokens in zip(PROMPTS, found.tokens.tolist(), strict=True):
        assert tokens == [*written[prompt], *[-1] * (STEPS - len(written[prompt]))]
    assert np.isnan(found.margins).all()


def test_the_example_of_the_documentation(tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "docs" / "decode.md").read_text()
    example = re.search(r"^### 8\. .*?```yaml\n(.*?)^```", text, re.M | re.S)
    assert example is not None
    (tmp_path / "spec.yaml").write_text(example[1])
    session = Session(DECODER.save(tmp_path / "step.onnx"))
    written = [session.write((0, a, b), STEPS, [5]) for a in (1, 2) for b in (1, 2)]
    task = load(hand(DECODER, tmp_path), tmp_path / "spec.yaml")
    assert task.spec.network.logits == "none"
    relief, verdict = (r.verdict for r in verify_each(task, SearchOptions(timeout=60)))
    fails = any((3, 4) in itertools.pairwise(output) for output in written)
    assert relief is (Verdict.FALSIFIED if fails else Verdict.VERIFIED)
    fails = any(output[0] not in (3, 4) for output in written)
    assert verdict is (Verdict.FALSIFIED if fails else Verdict.VERIFIED)


@pytest.mark.parametrize(
    "seed", [*range(4), *(pytest.param(s, marks=pytest.mark.full) for s in range(4, 60))]
)
def test_random_loops_against_enumeration(seed: int, tmp_path: Path) -> None:
    decoder = OnnxDecoder(seed=seed)
    written, model = texts(decoder, tmp_path), hand(decoder, tmp_path)
    for never, bad in properties(written).items():
        agrees(proved(model, spec(tmp_path, never))[0], written, bad)


ORDERS = {
    "another order": (
        ["next_2", "next_1", "next_3"],
        r"emitted token 1 \(choice_2\) depends on the argmax choice_1, which is not emitted before",
    ),
    "a token that is not emitted": (
        ["tokens", "next_2", "next_3", "next_1"],
        r"emitted token 1 \(choice_2\) depends on the argmax choice_1",
    ),
    "one token twice": (
        ["next_1", "next_2", "next_2"],
        r"emitted tokens 2 and 3 are one argmax \(choice_2\)",
    ),
    "too few": (["next_1", "next_2"], r"does not hold 3 emitted tokens \(the spec's steps\)"),
    "the prompt elsewhere": (["next_1", "next_2", "next_3", "tokens"], "does not hold 3 emitted"),
}


@pytest.mark.parametrize("name", ORDERS)
def test_outputs_that_are_not_the_emitted_tokens(name: str, tmp_path: Path) -> None:
    emits, message = ORDERS[name]
    with pytest.raises(InputError, match=rf"loop.onnx: output 'emitted' of shape .*: {message}"):
        load(hand(DECODER, tmp_path, emits), spec(tmp_path, "X Y X"))


def test_the_last_of_several_largest_is_another_rule(tmp_path: Path) -> None:
    proto = written_by_hand(DECODER, PROMPT, STEPS, select_last_index=1)
    onnx.save(proto, tmp_path / "loop.onnx")
    with pytest.raises(InputError, match="entry 1 is no argmax and no token of the prompt, but a "):
        load(tmp_path / "loop.onnx", spec(tmp_path, "X Y X"))


def test_a_window_of_the_text(tmp_path: Path) -> None:
    """The last token of the prompt, and two that are emitted."""
    proto = written_by_hand(DECODER, PROMPT, STEPS, [f"text_{STEPS}"])
    window = numpy_helper.from_array(np.arange(PROMPT - 1, PROMPT - 1 + STEPS), "window")
    proto.graph.initializer.append(window)
    proto.graph.node.append(helper.make_node("Gather", ["emitted", "window"], ["some"], axis=1))
    proto.graph.output[0].name = "some"
    onnx.save(proto, tmp_path / "loop.onnx")
    with pytest.raises(InputError, match=r"'some' .* token 1 is token 3 of the prompt"):
        load(tmp_path / "loop.onnx", spec(tmp_path, "X Y X"))


def test_another_vocabulary(tmp_path: Path) -> None:
    path = spec(tmp_path, "X Y X", vocabulary="a, b, c, X, Y, END, more")
    message = r"emitted token 1 \(choice_1\) is an argmax of 6 logits, but the vocabulary has 7"
    with pytest.raises(InputError, match=message):
        load(hand(DECODER, tmp_path), path)


def test_prompts_of_another_length(tmp_path: Path) -> None:
    path = spec(tmp_path, "X Y X")
    path.write_text(path.read_text().replace("{3}", "{3,4}"))
    with pytest.raises(InputError, match=r"reads 3 tokens, not 4 \(for a prompt of 4 tokens\)"):
        load(hand(DECODER, tmp_path), path)


def test_a_loop_and_a_step_taken_for_each_other(tmp_path: Path) -> None:
    step = DECODER.save(tmp_path / "step.onnx")
    with pytest.raises(InputError, match="it holds no argmax, so it emits no tokens itself"):
        load(step, spec(tmp_path, "X Y X"))
    onnx.save(written_by_hand(DECODER, PROMPT + STEPS - 1, STEPS), tmp_path / "loop.onnx")
    with pytest.raises(InputError, match=r"whole numbers, not logits; .* network: {logits: none}"):
        load(tmp_path / "loop.onnx", spec(tmp_path, "X Y X", "each"))
