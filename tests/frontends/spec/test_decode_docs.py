"""The examples of docs/decode.md are read as they stand there, and mean what they say."""

import json
import re
from fractions import Fraction
from pathlib import Path

import jsonschema
import pytest
import yaml

from absint.frontends import spec as package
from absint.frontends.spec.decode import DecodeSpec, decode_spec, is_decode_spec
from absint.problem import decode_from_json, decode_to_json
from absint.problem.decode import DecodeProblem
from absint.problem.promptset import PromptSpace

_DOCS = Path(__file__).parents[3] / "docs" / "decode.md"
_EXAMPLE = re.compile(r"^### (\d+)\. .*?```yaml\n(.*?)^```", re.M | re.S)
EXAMPLES = {int(n): text for n, text in _EXAMPLE.findall(_DOCS.read_text())}
SCHEMA = json.loads((Path(package.__file__).parent / "schema.json").read_text())
SOUNDS = ["<pad>", "<unk>", "<s>", "</s>", *"abcdefghijklmnopqrstuvwxyz", "AA0", "B", "CH", "D"]


def example(number: int, folder: Path) -> DecodeSpec:
    (folder / "vocabulary.txt").write_text("\n".join(SOUNDS) + "\n")
    (folder / "alarm.onnx").write_bytes(b"not read here, but hashed")
    (folder / "spec.yaml").write_text(EXAMPLES[number])
    assert is_decode_spec(folder / "spec.yaml")
    return decode_spec(folder / "spec.yaml")


def bad(problem: DecodeProblem, prompt: str, output: str) -> bool:
    """Whether these texts, tokens with spaces between, are the catastrophe of an own prompt."""
    words = {word: number for number, word in enumerate(problem.vocabulary)}
    tokens = tuple(words[word] for word in prompt.split())
    assert any(problem.admits(cell, tokens) for cell in problem.cells)
    return problem.catastrophic(tokens, [words[word] for word in output.split()])


def prompts(problem: DecodeProblem) -> list[int]:
    return [PromptSpace(len(c.slots)).of_cell(problem, c).count for c in problem.cells]


@pytest.mark.parametrize("number", EXAMPLES)
def test_every_example_is_read_and_fits_the_schema(number: int, tmp_path: Path) -> None:
    for problem in example(number, tmp_path).problems:
        assert decode_from_json(decode_to_json(problem)) == problem
    jsonschema.Draft202012Validator(SCHEMA).validate(yaml.safe_load(EXAMPLES[number]))


def test_a_word_however_it_is_cut(tmp_path: Path) -> None:
    (problem,) = example(1, tmp_path).problems
    prompt = "BOS" + " ok fail" * 4
    assert problem.name == "spec"
    assert bad(problem, prompt, "LA UNCH END")
    assert bad(problem, prompt, "AL LAUNCH ok ok")
    assert not bad(problem, prompt, "LA AL UNCH END")
    assert prompts(problem) == [2**8]


def test_a_monitor_that_counts(tmp_path: Path) -> None:
    launch, alert, stops = example(2, tmp_path).problems
    assert [p.name for p in (launch, alert, stops)] == ["never-launch", "alert", "stops"]
    failing, fine = "BOS" + " fail warn" * 4 + " ASK", "BOS" + " fail" * 2 + " ok" * 6 + " ASK"
    thought = "s0 s1 s1 s2 s2 s3 s3 s3 "
    assert bad(launch, fine, "s0 LAUNCH END")
    assert not bad(launch, fine, "s0 END")
    assert bad(alert, failing, thought + "SAFE END")
    assert not bad(alert, failing, thought + "ALERT END")
    assert bad(alert, failing, "ALERT END")
    assert bad(alert, fine, thought + "ALERT END")
    assert not bad(alert, fine, thought + "SAFE END")
    assert bad(stops, fine, thought + "SAFE SAFE")
    assert not bad(stops, fine, "END")
    assert prompts(alert) == [3**8]
    assert stops.steps == 10


def test_the_largest_of_four(tmp_path: Path) -> None:
    spec = example(3, tmp_path)
    (problem,) = spec.problems
    assert spec.network.input == "tokens"
    assert spec.network.logits == "next"
    assert prompts(problem) == [64**4]
    for answer in range(64):
        assert bad(problem, "7 63 0 7", str(answer)) is (answer != 63)
        assert bad(problem, "0 0 0 0", str(answer)) is (answer != 0)


def test_lengths_and_constraints(tmp_path: Path) -> None:
    spec = example(4, tmp_path)
    (problem,) = spec.problems
    assert problem.name == "two-in-a-row"
    assert (spec.network.length, spec.network.pad, spec.network.side) == (16, 8, "right")
    words = problem.vocabulary
    assert [[words[t] for t in sorted(step or [])] for step in problem.allowed] == [
        ["ok", "fail", "up", "down", "END"],
        ["ok", "fail", "up", "down", "END"],
        ["ALERT", "SAFE"],
        ["END"],
    ]
    texts = [[f"{n:0{length}b}" for n in range(2**length)] for length in range(2, 7)]
    counted = [sum("11" in t and t[-1] == "0" for t in some) for some in texts]
    assert prompts(problem) == [n for n in counted if n]
    assert bad(problem, "BOS fail fail ok ASK", "up up SAFE END")
    assert bad(problem, "BOS fail fail ok ASK", "SAFE END")
    assert not bad(problem, "BOS fail fail ok ASK", "SAFE up up")


def test_a_table_of_states(tmp_path: Path) -> None:
    (problem,) = example(5, tmp_path).problems
    ajar, shut = "open close push open open open", "close open push push close push"
    assert bad(problem, ajar, "LOCKED LOCKED")
    assert not bad(problem, ajar, "LOCKED UNLOCKED")
    assert bad(problem, shut, "UNLOCKED open")
    assert not bad(problem, shut, "LOCKED open")
    assert bad(problem, shut, "open open")


def test_words_to_sounds(tmp_path: Path) -> None:
    stops, special = example(6, tmp_path).problems
    assert prompts(stops) == [26, 26**2, 26**3, 26**4]
    assert stops.stop == {3}
    assert bad(stops, "a b </s>", "AA0 B")
    assert not bad(stops, "a b </s>", "AA0 B </s>")
    assert bad(special, "q </s>", "AA0 <unk> </s>")
    assert not bad(special, "q </s>", "AA0 </s>")


def test_how_sure_it_has_to_be(tmp_path: Path) -> None:
    launch, alarm = example(7, tmp_path).problems
    words = {word: number for number, word in enumerate(launch.vocabulary)}
    rows = [(dict(p.row.outputs), p.row.bound, p.row.strict, p.step) for p in launch.probes]
    assert rows == [({words["LAUNCH"]: -1}, -2, True, step) for step in range(6)]
    (probe,) = alarm.probes
    assert dict(probe.row.outputs) == {words["ALERT"]: 1, words["SAFE"]: -1}
    assert (probe.row.bound, probe.row.strict, probe.step) == (Fraction(1, 2), True, 4)
    fine, failing = [[words[w] for w in f"BOS ok {w} ok ok ASK".split()] for w in ("ok", "fail")]
    assert alarm.catastrophic(failing, [words["END"]] * 6, [True])
    assert not alarm.catastrophic(failing, [words["END"]] * 6, [False])
    assert not alarm.catastrophic(fine, [words["END"]] * 6, [True])
    said = [False] * 6
    assert not launch.catastrophic(fine, [words["ok"]] * 6, said)
    assert launch.catastrophic(fine, [words["ok"]] * 6, [*said[:5], True])


def test_a_loop_that_is_unrolled(tmp_path: Path) -> None:
    spec = example(8, tmp_path)
    alarm, verdict = spec.problems
    assert (spec.network.logits, spec.network.output) == ("none", "emitted")
    assert bad(alarm, "BOS ok ok", "ALERT SAFE END")
    assert not bad(alarm, "BOS ok ok", "ALERT END")
    assert bad(verdict, "BOS ok ok", "END")
    assert not bad(verdict, "BOS ok ok", "SAFE ok ok")
    assert prompts(alarm) == [4]


def test_a_detector_that_stays_calm(tmp_path: Path) -> None:
    spec = example(9, tmp_path)
    calm, unseen = spec.problems
    assert spec.detector is not None
    assert (spec.detector.model, spec.detector.call.length) == ("alarm.onnx", None)
    assert calm.detector == unseen.detector == spec.detector.outputs == ("alarm", "calm")
    (probe,) = calm.probes
    assert (dict(probe.row.outputs), probe.row.bound) == ({0: -1, 1: 1}, 0)
    assert (probe.row.strict, probe.step) == (False, None)
    words = {word: number for number, word in enumerate(calm.vocabulary)}
    prompt = [words[w] for w in ["BOS", "ok", "ok", "ok", "ok", "ASK"]]
    launched, quiet = ([words[w] for w in own.split()] for own in ("s0 LAUNCH END", "s0 END"))
    assert unseen.catastrophic(prompt, launched, [True])
    assert not unseen.catastrophic(prompt, launched, [False])
    assert not unseen.catastrophic(prompt, quiet, [True])
    before = spec.digest
    (tmp_path / "alarm.onnx").write_bytes(b"another")
    assert decode_spec(tmp_path / "spec.yaml").digest != before


def test_the_detector_itself(tmp_path: Path) -> None:
    sees, quiet = example(10, tmp_path).problems
    words = {word: number for number, word in enumerate(sees.vocabulary)}
    end = [words["END"]]
    cut, none = ([words[w] for w in own.split()] for own in ("BOS LA UNCH ok", "BOS UNCH LA"))
    assert any(sees.admits(cell, cut) for cell in sees.cells)
    assert not any(sees.admits(cell, none) for cell in sees.cells)
    assert sees.catastrophic(cut, end, [False])
    assert not sees.catastrophic(cut, end, [True])
    assert quiet.catastrophic(none, end, [True])
    assert not quiet.catastrophic(cut, end, [True])
    assert [len(cell.slots) for cell in quiet.cells] == [2, 3, 4]
    assert quiet.emitted(0) == {words["END"]}
