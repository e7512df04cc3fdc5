"""Networks that decode, at the command line: verdicts, certificates, counterexamples, errors."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
from cli.problems import Run
from onnxdecoders import VOCABULARY, OnnxDecoder, Session
from unrolleddecoders import written_by_hand

import absint

STEPS = 3
SPEC = """\
decode:
  vocabulary: [a, b, c, X, Y, END]
  prompt: '[a b c]{{3}}'
  steps: 3
properties:
{properties}
"""
Property = tuple[str, str]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return OnnxDecoder(5, seed=1).save(tmp_path / "model.onnx")


@pytest.fixture
def texts(tmp_path: Path) -> dict[tuple[int, ...], tuple[str, ...]]:
    """What onnxruntime writes after each of the 27 prompts: the same weights, of open length."""
    session = Session(OnnxDecoder(seed=1).save(tmp_path / "open.onnx"))
    return {
        prompt: tuple(VOCABULARY[t] for t in session.write(prompt, STEPS))
        for prompt in itertools.product(range(3), repeat=3)
    }


@pytest.fixture
def spec(tmp_path: Path) -> Callable[..., Path]:
    def write(**never: str) -> Path:
        lines = [f"  {name}: {{never: {{output: '{text}'}}}}" for name, text in never.items()]
        path = tmp_path / "spec.yaml"
        path.write_text(SPEC.format(properties="\n".join(lines)))
        return path

    return write


def absent(texts: dict[tuple[int, ...], tuple[str, ...]]) -> str:
    """A text that is never written."""
    every = itertools.product(VOCABULARY, repeat=STEPS)
    return " ".join(next(text for text in every if text not in texts.values()))


def test_a_property_that_holds(run: Run, model: Path, texts, spec, tmp_path: Path) -> None:
    region = spec(holds=absent(texts))
    outcome = run("verify", model, "--region", region)
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out.startswith(
        "model.onnx: 6 tokens, prompts of 3 tokens, up to 3 steps; "
        "float32 as executed (contract 2)\n"
        "holds: verified in "
    )
    assert "27 (3^3) prompts: " in outcome.out
    assert "certificate: spec.cert (" in outcome.out
    outcome = run("check", "spec.cert", "--model", model, "--region", region)
    assert (outcome.code, outcome.err) == (0, "")
    assert "hold and cover 27 (3^3) prompts" in outcome.out
    document = run(
        "check", "spec.cert", "--model", model, "--region", region, "--format", "json"
    ).json
    assert document["result"] == "accepted"
    assert (document["prompts"], document["open_prompts"]) == ("27", "0")


def test_the_checker_alone(run: Run, model: Path, texts, spec, tmp_path: Path) -> None:
    region = spec(holds=absent(texts))
    assert run("verify", model, "--region", region).code == 0
    outcome = run("inspect", model, "--region", region, "--graph", "one.graph", "--ir")
    assert outcome.code == 0
    assert "-> one.graph" in outcome.out
    assert '%0 = input "token_0" ' in outcome.out
    command = [sys.executable, "-m", "absint.proofs", "spec.cert", "--graph"]
    good = subprocess.run([*command, "one.graph"], cwd=tmp_path, capture_output=True, text=True)
    assert (good.returncode, good.stderr) == (0, "")
    assert good.stdout.startswith("accepted: holds: ")
    other = OnnxDecoder(5, seed=2).save(tmp_path / "other.onnx")
    assert run("inspect", other, "--region", region, "--graph", "other.graph").code == 0
    bad = subprocess.run([*command, "other.graph"], cwd=tmp_path, capture_output=True, text=True)
    assert bad.returncode == 1
    assert "the graphs differ" in bad.stdout
    outcome = run("check", "spec.cert", "--model", other, "--region", region)
    assert outcome.code == 1
    assert "rejected: the certificate is for another model file" in outcome.out


def test_a_property_that_fails(run: Run, model: Path, texts, spec, tmp_path: Path) -> None:
    text = texts[1, 2, 0]
    region = spec(fails=" ".join(text))
    outcome = run("verify", model, "--region", region, "--counterexample", "found")
    assert (outcome.code, outcome.err) == (1, "")
    assert "fails: falsified in " in outcome.out
    assert f"output: {' '.join(text)}\n" in outcome.out
    assert not (tmp_path / "spec.cert").exists()
    facts = json.loads((tmp_path / "found.json").read_text())
    prompt = tuple(VOCABULARY.index(name) for name in facts["prompt"])
    assert list(texts[prompt]) == facts["output"] == list(text)
    session = Session(tmp_path / "open.onnx")
    written = list(prompt)
    for step in facts["steps"]:
        *_, second, first = sorted(session.logits(written)[-1].astype(float))
        assert step["margin"] == pytest.approx(first - second, abs=1e-5)
        assert step["real_margin"] == pytest.approx(first - second, abs=1e-4)
        assert step["within_rounding"] is False
        written.append(VOCABULARY.index(step["token"]))
    again = run("replay", "found", "--model", model, "--region", region)
    assert (again.code, again.err) == (1, "")
    assert again.out.startswith("fails: catastrophic again\n")
    assert "output: the one recorded on onnxruntime" in again.out


def test_the_replay_of_a_changed_model(run: Run, model: Path, texts, spec, tmp_path: Path) -> None:
    region = spec(fails=" ".join(texts[1, 2, 0]))
    run("verify", model, "--region", region, "--counterexample", "found.json")
    other = OnnxDecoder(5, seed=2).save(tmp_path / "other.onnx")
    command = ("replay", "found.json", "--model", other, "--region", region)
    refused = run(*command)
    assert refused.code == 2
    assert "is about another model" in refused.err
    document = run(*command, "--changed", "--format", "json").json
    assert document["changed"] == ["model"]
    prompt = [VOCABULARY.index(name) for name in document["prompt"]]
    session = Session(OnnxDecoder(seed=2).save(tmp_path / "open2.onnx"))
    assert document["output"] == [VOCABULARY[t] for t in session.write(prompt, STEPS)]
    same = tuple(document["output"]) == texts[1, 2, 0]
    assert document["exit_code"] == int(same)


@pytest.mark.parametrize("text", ["", "{}", '{"format": "absint-transcript 1"}', "[" * 5000])
def test_a_damaged_counterexample(
    text: str, run: Run, model: Path, texts, spec, tmp_path: Path
) -> None:
    (tmp_path / "found.json").write_text(text)
    region = spec(fails=" ".join(texts[1, 2, 0]))
    outcome = run("replay", "found", "--model", model, "--region", region)
    assert (outcome.code, outcome.err.count("\n")) == (2, 1)
    assert "not a counterexample of decoding" in outcome.err


def test_the_document(run: Run, model: Path, texts, spec, tmp_path: Path) -> None:
    region = spec(holds=absent(texts), fails=" ".join(texts[0, 0, 0]))
    outcome = run("verify", model, "--region", region, "--format", "json")
    document = outcome.json
    assert (outcome.code, outcome.err) == (1, "")
    assert document["exit_code"] == 1
    assert document["decode"] == {"vocabulary": 6, "prompt_lengths": [3], "steps": 3}
    holds, fails = document["properties"]
    assert (holds["verdict"], holds["prompts"], holds["prompts_product"]) == (
        "verified",
        "27",
        "3^3",
    )
    assert holds["open_prompts"] == "0"
    assert holds["certificate"]["accepted"] is True
    assert holds["certificate"]["path"] == "spec-holds.cert"
    assert fails["certificate"] is None
    found = tuple(VOCABULARY.index(name) for name in fails["counterexample"]["prompt"])
    assert texts[found] == tuple(fails["counterexample"]["output"]) == texts[0, 0, 0]


def test_counting_goes_on_after_a_counterexample(
    run: Run, model: Path, texts, spec, tmp_path: Path
) -> None:
    """Enumeration is the truth; the certificate says the same without the model being run."""
    text = texts[1, 2, 0]
    bad = sum(written == text for written in texts.values())
    region = spec(fails=" ".join(text))
    outcome = run("verify", model, "--region", region, "--count")
    assert (outcome.code, outcome.err) == (1, "")
    assert f"output: {' '.join(text)}\n" in outcome.out
    said = f"certified: {27 - bad} of 27 (3^3) prompts, "
    assert said in outcome.out
    assert f" %; open: {bad}, for example\n" in outcome.out
    checked = run("check", "spec.cert", "--model", model, "--region", region)
    assert checked.code == 3
    assert said in checked.out
    document = run("verify", model, "--region", region, "--count", "--format", "json").json
    (facts,) = document["properties"]
    assert (facts["verdict"], facts["open_prompts"]) == ("falsified", str(bad))
    assert facts["certified_prompts"] == str(27 - bad)
    assert facts["counterexample"]["catastrophic"] is True


def test_no_time(run: Run, model: Path, texts, spec, tmp_path: Path) -> None:
    region = spec(holds=absent(texts))
    outcome = run("verify", model, "--region", region, "--timeout", "1e-6")
    assert (outcome.code, outcome.err) == (3, "")
    said = "certified: 0 of 27 (3^3) prompts, 0.0000 %; open: 27"
    assert f"  {said}, for example\n    a a a\n    a a b\n" in outcome.out
    assert "proof so far: spec.cert" in outcome.out
    outcome = run("check", "spec.cert", "--model", model, "--region", region)
    assert outcome.code == 3
    assert f"incomplete: holds: 0 abstract cases hold; {said} (" in outcome.out
    command = ("verify", model, "--region", region, "--resume", "spec.cert")
    assert run(*command).code == 0
    OnnxDecoder(5, seed=2).save(model)
    assert "cannot be resumed: it is about another model" in run(*command).err


def test_prompts_of_several_lengths(run: Run, tmp_path: Path, texts, spec) -> None:
    region = spec(holds=absent(texts))
    region.write_text(region.read_text().replace("{3}'", "{2,3}'"))
    model = OnnxDecoder(seed=1).save(tmp_path / "model.onnx")
    outcome = run("inspect", model, "--region", region, "--graph", "some.graph")
    assert outcome.code == 0
    assert "36 (3^2 + 3^3) prompts" in outcome.out
    outcome = run("verify", model, "--region", region)
    session = Session(model)
    short = {tuple(VOCABULARY[t] for t in session.write(p, 3))
             for p in itertools.product(range(3), repeat=2)}  # fmt: skip
    assert outcome.code == int(tuple(absent(texts).split()) in short)
    if outcome.code == 0:
        command = [sys.executable, "-m", "absint.proofs", "spec.cert"]
        graphs = ["--graph", "some-2.graph", "--graph", "some-3.graph"]
        found = subprocess.run([*command, *graphs], cwd=tmp_path, capture_output=True, text=True)
        assert found.returncode == 0
        short_one = subprocess.run([*command, *graphs[:2]], cwd=tmp_path, capture_output=True)
        assert short_one.returncode == 1


def test_from_python(model: Path, texts, spec, tmp_path: Path) -> None:
    region = spec(holds=absent(texts))
    (result,) = absint.verify(model, region)
    assert result.verdict == "verified"
    assert result.certificate is not None
    assert absint.check(result.certificate, model, region).accepted
    (result,) = absint.verify(model, spec(fails=" ".join(texts[2, 2, 2])))
    assert result.verdict == "falsified"


ERRORS = {
    "a misspelt key": ("steps: 3", "stepz: 3", "spec.yaml:4:3: "),
    "an unknown token": ("[a b c]", "[a b d]", "unknown token 'd'"),
    "a vocabulary that does not fit": (
        "X, Y, END",
        "X, Y, Z, END",
        "model.onnx: 6 logits in output 'logits' of shape [1, 5, 6], but the vocabulary has 7",
    ),
    "too many steps": ("steps: 3", "steps: 4", "it reads 5 tokens, but prompt and"),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors_are_one_line_with_the_place(name: str, run: Run, model: Path, texts, spec) -> None:
    old, new, message = ERRORS[name]
    region = spec(holds=absent(texts))
    text = region.read_text().replace("output: '", "output: {contains: '").replace("'}}", "'}}}")
    assert old in text
    region.write_text(text.replace(old, new))
    for style in ("text", "json"):
        outcome = run("verify", model, "--region", region, "--format", style)
        assert (outcome.code, outcome.err.count("\n")) == (2, 1)
        assert message in outcome.err
        assert "spec.yaml" in outcome.err
        if style == "json":
            assert outcome.json["exit_code"] == 2


def test_certificates_of_another_kind(run: Run, model: Path, texts, spec, tmp_path: Path) -> None:
    region = spec(holds=absent(texts))
    run("verify", model, "--region", region)
    boxes = tmp_path / "boxes.yaml"
    boxes.write_text("region: {all: [0, 1]}\nnever: y[0] >= 4\n")
    outcome = run("check", "spec.cert", "--model", model, "--region", boxes)
    assert outcome.code == 1
    assert "rejected: the certificate is for another spec file" in outcome.out
    command = ("plot", "spec.cert", "--model", model, "--region", region)
    outcome = run(*command, "--output", "x.svg")
    assert outcome.code == 2
    assert "see absint explain" in outcome.err
    outcome = run("inspect", model, "--region", boxes)
    assert outcome.code == 2
    assert "has no 'decode'" in outcome.err


def test_a_batch(run: Run, model: Path, texts, spec, tmp_path: Path) -> None:
    region = spec(holds=absent(texts), fails=" ".join(texts[0, 0, 0]))
    (tmp_path / "instances.csv").write_text(f"{model.name},{region.name},30,falsified\n")
    (tmp_path / "out").mkdir()
    places = ("--certificates", "out", "--counterexamples", "out", "--results", "results.csv")
    outcome = run("verify", "--instances", "instances.csv", *places)
    assert outcome.code == 1
    assert "falsified" in outcome.out
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    holds = "0001-model-spec-holds.cert"
    assert names == ["0001-model-spec-fails.json", holds, f"{holds}.intoto.json"]
    certificate = tmp_path / "out" / names[1]
    assert run("check", certificate, "--model", model, "--region", region).code == 0
    assert (
        run("replay", tmp_path / "out" / names[0], "--model", model, "--region", region).code == 1
    )


def test_only_prompts_are_counted(run: Run, model: Path, tmp_path: Path) -> None:
    (tmp_path / "numbers.yaml").write_text("inputs: {a: [0, 1]}\noutputs: [y]\nnever: y >= 2\n")
    outcome = run("verify", model, "--region", "numbers.yaml", "--count")
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err == "absint: --count: counts prompts: it is for specs with 'decode'\n"


def test_logits(run: Run, model: Path, tmp_path: Path) -> None:
    """Bounds beside the largest logit that onnxruntime gives, at any step of any prompt."""
    session = Session(OnnxDecoder(seed=1).save(tmp_path / "open.onnx"))
    most = -float("inf")
    for prompt in itertools.product(range(3), repeat=3):
        text = list(prompt)
        for _ in range(STEPS):
            logits = session.logits(text)[-1]
            most = max(most, float(logits[3]))
            text.append(int(logits.argmax()))
    region = tmp_path / "spec.yaml"
    properties = (
        f"  above: {{never: {{logits: X > {most + 0.01:.4f}, step: any}}}}\n"
        f"  below: {{never: {{logits: X > {most - 0.01:.4f}, step: any}}}}"
    )
    region.write_text(SPEC.format(properties=properties))
    outcome = run("verify", model, "--region", region, "--counterexample", "found")
    assert (outcome.code, outcome.err) == (1, "")
    assert "above: verified in " in outcome.out
    assert "below: falsified in " in outcome.out
    assert f"X > {most - 0.01:.4f} at step " in outcome.out
    assert ": holds, by " in outcome.out
    certificate = "spec-above.cert"
    assert run("check", certificate, "--model", model, "--region", region).code == 0
    explained = run("explain", certificate)
    assert f"not (X > {most + 0.01:.4f} at step 1)" in explained.out
    assert run("replay", "found-below.json", "--model", model, "--region", region).code == 1


def test_a_loop_that_is_unrolled_already(run: Run, texts, spec, tmp_path: Path) -> None:
    """No margins on the runtime; those of float64 are what the step network's logits say."""
    onnx.save(written_by_hand(OnnxDecoder(seed=1), 3, STEPS), tmp_path / "loop.onnx")
    region = spec(fails=" ".join(texts[1, 2, 0]))
    region.write_text(region.read_text().replace("steps:", "network: {logits: none}\n  steps:"))
    outcome = run("verify", "loop.onnx", "--region", region, "--counterexample", "found")
    assert (outcome.code, outcome.err) == (1, "")
    assert " in float64\n" in outcome.out
    assert "decoded in its own loop on onnxruntime " in outcome.out
    again = run("replay", "found", "--model", "loop.onnx", "--region", region, "--format", "json")
    assert (again.code, again.err) == (1, "")
    prompt, session = again.json["prompt_tokens"], Session(tmp_path / "open.onnx")
    assert tuple(again.json["output"]) == texts[tuple(prompt)] == texts[1, 2, 0]
    for step in again.json["steps"]:
        *_, second, first = sorted(session.logits(prompt)[-1].astype(float))
        assert step["margin"] == "NaN"
        assert step["real_margin"] == pytest.approx(first - second, abs=1e-4)
        prompt.append(VOCABULARY.index(step["token"]))


def test_a_detector(run: Run, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bounds beside the largest value that onnxruntime gives, with each command that follows."""
    monkeypatch.setattr("absint.decode.prove.LEAST", 60.0)  # a busy machine would run the texts
    detector = OnnxDecoder(causal=False, last=True, seed=2).save(tmp_path / "alarm.onnx")
    writer = Session(OnnxDecoder(seed=1).save(tmp_path / "open.onnx"))
    prompts = itertools.product(range(3), repeat=3)
    finished = [[*prompt, *writer.write(prompt, STEPS)] for prompt in prompts]
    most = max(float(Session(detector).logits(text)[4]) for text in finished)
    region = tmp_path / "spec.yaml"
    properties = (
        f"  above: {{never: {{detector: alarm > {most + 0.01:.4f}}}}}\n"
        f"  below: {{never: {{detector: alarm > {most - 0.01:.4f}}}}}"
    )
    named = "  detector: {model: alarm.onnx, outputs: [p, q, r, s, alarm, t]}\n  prompt"
    region.write_text(SPEC.format(properties=properties).replace("  prompt", named, 1))
    outcome = run("verify", model, "--region", region, "--counterexample", "found")
    assert (outcome.code, outcome.err) == (1, "")
    assert "up to 3 steps, detector alarm.onnx; float32 as executed (contract 2)" in outcome.out
    assert "above: verified in " in outcome.out
    assert f"alarm > {most - 0.01:.4f} at the end, by the detector: holds, by " in outcome.out
    certificate = "spec-above.cert"
    assert run("check", certificate, "--model", model, "--region", region).code == 0
    explained = run("explain", certificate)
    assert f"alarm > {most + 0.01:.4f} at the end, by the detector" in explained.out
    assert run("replay", "found-below.json", "--model", model, "--region", region).code == 1
    document = run("verify", model, "--region", region, "--format", "json").json
    assert document["decode"]["detector"]["path"] == str(detector)
    OnnxDecoder(causal=False, last=True, seed=3).save(detector)
    outcome = run("check", certificate, "--model", model, "--region", region)
    assert (outcome.code, "another spec file" in outcome.out) == (1, True)
