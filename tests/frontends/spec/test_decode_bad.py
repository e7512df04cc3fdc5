"""Every mistake in a decode spec is one line that names file, line and column."""

import json
from pathlib import Path

import jsonschema
import pytest
import yaml

from absint.frontends import spec as package
from absint.frontends.spec.decode import decode_spec
from absint.problem import AbsintError, InputError

SCHEMA = json.loads((Path(package.__file__).parent / "schema.json").read_text())
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)
GOOD = """\
decode:
  vocabulary: [a, b, c]
  prompt: a b
  steps: 2
never:
  output: c .
"""

BAD = {  # what is replaced, by what, the place and the message
    "logits without a step": (
        "output: c .", "logits: a > 1", "6:3: 'logits' goes with 'step'",
    ),
    "a step without logits": ("output: c .", "output: c .\n  step: 1", "6:3: 'logits' goes with"),
    "a step beyond the last": (
        "output: c .", "{logits: a > 1, step: 3}", "6:25: step: from 1 to 2, or any, or each",
    ),
    "a step called otherwise": (
        "output: c .", "{logits: a > 1, step: some}", "6:25: step is an integer",
    ),
    "logits of no token": (
        "output: c .", "{logits: a > 1 + dd, step: 1}", "6:20: unknown name 'dd'",
    ),
    "logits that are compared to nothing": (
        "output: c .", "{logits: a + b, step: 1}", "6:12: a comparison is expected here",
    ),
    "logits that are multiplied": (
        "output: c .", "{logits: a * b > 1, step: 1}", "6:14: not linear",
    ),
    "a logit beyond the vocabulary": (
        "output: c .", "{logits: 'logits[3] > 0', step: 1}", "6:12: 'logits': index 3 is not in",
    ),
    "numbers for logits": ("output: c .", "{logits: 1 > 0, step: 1}", "6:12: this speaks of no"),
    "a detector that is not there": (
        "output: c .", "{detector: a > 1}", "6:14: there is no detector: 'detector' under 'decode'",
    ),
    "a detector without a file": (
        "steps: 2", "steps: 2\n  detector: {outputs: [x]}", "5:13: detector needs 'model'",
    ),
    "a detector that is a program": (
        "steps: 2", "steps: 2\n  detector: {model: d.pt2, outputs: [x]}", "5:21: a detector is an",
    ),
    "a detector that is a factory": (
        "steps: 2", "steps: 2\n  detector: {model: 'a.b:c', outputs: [x]}",
        "5:21: a detector is an",
    ),
    "a detector outside of the folder": (
        "steps: 2", "steps: 2\n  detector: {model: ../d, outputs: [x]}",
        "5:21: '../d' is not a path",
    ),
    "a detector that is missing": (
        "steps: 2", "steps: 2\n  detector: {model: d.onnx, outputs: [x]}", "no such file",
    ),
    "an output of a detector that is a word of comparisons": (
        "steps: 2", "steps: 2\n  detector: {model: spec.yaml, outputs: [x, is]}",
        "5:45: 'is' is no",
    ),
    "an output of a detector twice": (
        "steps: 2", "steps: 2\n  detector: {model: spec.yaml, outputs: [x, x]}",
        "5:45: 'x' is there",
    ),
    "a detector that says nothing": (
        "steps: 2", "steps: 2\n  detector: {model: spec.yaml, outputs: []}",
        "5:41: outputs: the list is",
    ),
    "a detector that is padded to nothing": (
        "steps: 2", "steps: 2\n  detector: {model: spec.yaml, outputs: [x], pad: a}",
        "5:13: 'length' and 'pad' go together",
    ),
    "a detector that is too short": (
        "steps: 2", "steps: 2\n  detector: {model: spec.yaml, outputs: [x], length: 3, pad: a}",
        "3:11: the detector reads 3 tokens; prompt and output have up to 4",
    ),
    "logits in a where": (
        "steps: 2", "steps: 2\n  where: {logits: a > 1, step: 1}", "5:10: 'where' speaks of",
    ),
    "no vocabulary": ("  vocabulary: [a, b, c]\n", "", "2:3: decode needs 'vocabulary'"),
    "no steps": ("  steps: 2\n", "", "2:3: decode needs 'steps'"),
    "no prompt": ("  prompt: a b\n", "", "1:1: no prompt"),
    "an unknown key": ("steps: 2", "stepz: 2", "4:3: unknown key 'stepz'; did you mean 'steps'?"),
    "an unknown key above": ("never:", "region: 1\nnever:", "5:1: unknown key 'region'"),
    "a decode that is a list": (GOOD, "decode: [a]\nnever: {output: a}", "1:9: decode is a map"),
    "a vocabulary that is empty": ("[a, b, c]", "[]", "2:15: vocabulary: the list is empty"),
    "a vocabulary of nothing": ("[a, b, c]", "0", "2:15: a vocabulary has 1 to"),
    "a token twice": ("[a, b, c]", "[a, b, a, c]", "2:15: the token 'a' is there twice"),
    "a token that is a list": ("[a, b, c]", "[a, [b], c]", "2:19: a token is a text"),
    "a file that is not there": ("[a, b, c]", "words.txt", "words.txt: no such file"),
    "a file outside": ("[a, b, c]", "../words.txt", "2:15: '../words.txt' is not a path inside"),
    "a special token that is not there": (
        "[a, b, c]", "{tokens: [a, b, c], special: [d]}", "2:45: special: no token 'd'",
    ),
    "fewer tokens than there are": (
        "[a, b, c]", "{tokens: [a, b, c], size: 2}", "2:41: size: there are 3 tokens",
    ),
    "no steps at all": ("steps: 2", "steps: 0", "4:10: steps: from 1 to"),
    "half a step": ("steps: 2", "steps: 0.5", "4:10: steps is an integer"),
    "an unknown token": ("prompt: a b", "prompt: a bb", "3:13: unknown token 'bb'"),
    "an unknown set": ("prompt: a b", "prompt: a <b>", "3:13: unknown set 'b'"),
    "an endless prompt": ("prompt: a b", "prompt: a b*", "3:11: a prompt has a greatest length"),
    "an empty prompt": ("prompt: a b", "prompt: a?", "3:11: a prompt has at least one token"),
    "a prompt that is a number of sets": (
        "prompt: a b", "prompt: '([a b] | [b c] | c){20}'", "3:11: more than 10000 alternatives",
    ),
    "a part without a set": ("prompt: a b", "prompt: [a, {repeat: 2}]", "3:15: a part of"),
    "a repeat upside down": (
        "prompt: a b", "prompt: [{any: a, repeat: 3..2}]", "3:29: repeat is a number, or first",
    ),
    "a set that is empty": (
        "prompt: a b", "prompt: [{any: {not: '.'}}]", "3:18: a set of tokens is empty",
    ),
    "a set that excludes everything": ("prompt: a b", "prompt: '[^a b c]'", "3:11: an empty set"),
    "a range upside down": ("prompt: a b", "prompt: '[c..a]'", "3:14: a range goes up"),
    "a range without an end": ("prompt: a b", "prompt: '[a..]'", "3:14: a range is written"),
    "a range of ranges": ("prompt: a b", "prompt: '[a..b..c]'", "3:17: a range is written"),
    "a range that is repeated": (
        "output: c .", "output: a..c{8} a", "6:12: a range stands in brackets, [first..last]",
    ),
    "a range without brackets": ("prompt: a b", "prompt: a..c", "3:12: a range stands in"),
    "a range with spaces": ("prompt: a b", "prompt: a .. c", "3:13: a range stands in"),
    "a set that is not closed": ("prompt: a b", "prompt: '[a b'", "3:11: a '[' without"),
    "text after a set": (
        "prompt: a b", "prompt: [{any: '[a] b'}]", "3:22: a set ends at its ']'",
    ),
    "a quote that is not closed": ("prompt: a b", "prompt: a \"b", "3:13: unexpected character"),
    "a set's name with a space": ("steps: 2", "steps: 2\n  sets: {a b: a}", "5:10: 'a b' is"),
    "a set called like a token": (
        "[a, b, c]", "[a, b, c, <x>]\n  sets: {x: a}", "3:10: there is a token '<x>'",
    ),
    "a stop that is no token": ("steps: 2", "steps: 2\n  stop: d", "5:9: unknown token 'd'"),
    "allowed for too few steps": (
        "steps: 2", "steps: 2\n  allowed: a", "5:12: allowed: one set of tokens for each of the 2",
    ),
    "allowed with alternatives": (
        "steps: 2", "steps: 2\n  allowed: a b | b", "5:12: allowed: a template without",
    ),
    "a length without padding": (
        "steps: 2", "steps: 2\n  network: {length: 4}", "5:12: 'length' and 'pad' go together",
    ),
    "padding with several": (
        "steps: 2", "steps: 2\n  network: {length: 4, pad: '[a b]'}", "5:29: pad: one token",
    ),
    "a length too short": (
        "steps: 2", "steps: 2\n  network: {length: 2, pad: a}", "3:11: the network reads 2 tokens",
    ),
    "unknown logits": (
        "steps: 2", "steps: 2\n  network: {logits: all}", "5:21: unknown value 'all'",
    ),
    "a length of a network that emits": (
        "steps: 2", "steps: 2\n  network: {logits: none, length: 4, pad: a}",
        "5:35: 'length' does not go with 'logits: none'",
    ),
    "allowed tokens of a network that emits": (
        "steps: 2", "steps: 2\n  network: {logits: none}\n  allowed: . .",
        "6:12: 'allowed' does not go with 'logits: none'",
    ),
    "logits of a network that emits": (
        "steps: 2\nnever:\n  output: c .",
        "steps: 2\n  network: {logits: none}\nnever:\n  {logits: a > 1, step: 1}",
        "7:3: conditions on logits of a network that gives tokens",
    ),
    "a detector of a network that emits": (
        "steps: 2", "steps: 2\n  network: {logits: none}\n  detector: {model: d, outputs: [x]}",
        "6:13: a detector of a network that gives tokens (logits: none)",
    ),
    "no condition": ("never:\n  output: c .\n", "", "1:1: a property needs 'never' or 'always'"),
    "both conditions": ("never:", "always: {output: a}\nnever:", "1:1: a property needs"),
    "a condition that is a text": ("\n  output: c .", " c", "5:8: a condition is a mapping"),
    "two conditions in one": ("output: c .", "output: c\n  prompt: a", "6:3: a condition is one"),
    "an unknown condition": ("output: c .", "outputs: c", "6:3: unknown key 'outputs'"),
    "an empty all": ("output: c .", "all: []", "6:8: all: the list is empty"),
    "an expression that is wrong": ("output: c .", "output: c (a | b", "6:13: a '(' without"),
    "a token that is not there": ("output: c .", "output: c a d", "6:15: unknown token 'd'"),
    "a text expression that is wrong": (
        "output: c .", "output: {text: ab**}", "6:21: two repeats in a row",
    ),
    "two questions in one": (
        "output: c .", "output: {text: a, contains: b}", "6:11: one of contains, text",
    ),
    "a count of nothing": ("output: c .", "output: {count: {of: a}}", "6:19: count needs 'of'"),
    "a count upside down": (
        "output: c .", "output: {count: {of: a, at_least: 2, at_most: 1}}", "6:19: count: at least",
    ),
    "a count of too many": (
        "output: c .", "output: {count: {of: a, at_least: 99999}}", "6:37: count: at most",
    ),
    "a machine that is too large": (
        "output: c .", "output: .* a .{18}", "6:11: too large: more than 20000 states",
    ),
    "an unknown machine": (
        "output: c .", "machine: m\n  is: x", "6:12: unknown machine 'm'",
    ),
    "a machine without a label": ("output: c .", "machine: m", "6:3: 'machine' goes with 'is'"),
    "the prompt alone": ("output: c .", "prompt: a b", "6:3: this speaks of no output"),
    "what is never true": ("output: c .", "output: a a a", "6:3: this is never true"),
    "what is always true": ("output: c .", "output: .{1,2}", "6:3: this is always true"),
    "a prompt that does not exist": (
        "steps: 2", "steps: 2\n  where: {prompt: b b}", "5:10: no prompt satisfies this",
    ),
    "a where about the output": (
        "steps: 2", "steps: 2\n  where: {output: b .}", "5:10: spec: a prompt's condition",
    ),
    "one property of two without a name": (
        "never:\n  output: c .", "properties: [{never: {output: c}}, {never: {output: a}}]",
        "5:14: a property of several needs a 'name'",
    ),
    "a name beside properties": (
        "never:\n  output: c .", "name: n\nproperties: {p: {never: {output: c}}}",
        "5:1: 'name' does not go together with 'properties'",
    ),
}  # fmt: skip

MACHINES = {
    "{reads: prompt}": "7:8: a machine needs 'reads' and one of",
    "{count: a, up_to: 1}": "7:8: a machine needs 'reads' and one of",
    "{reads: input, last: a}": "7:16: unknown value 'input'",
    "{reads: prompt, count: a}": "7:8: 'count' goes with 'up_to'",
    "{reads: prompt, last: a, up_to: 2}": "7:8: 'count' goes with 'up_to'",
    "{reads: prompt, count: a, up_to: 0}": "7:41: up_to: from 1 to",
    "{reads: prompt, cases: {}}": "7:31: cases: labels with conditions",
    "{reads: prompt, cases: {none: a}}": "7:31: cases: labels with conditions",
    "{reads: prompt, states: {}}": "7:32: states: the mapping is empty",
    "{reads: prompt, states: {s: {a: s}}}": "7:36: 's' has no next state for 'b'",
    "{reads: prompt, states: {s: {a: t, otherwise: s}}}": "7:40: unknown state 't'",
    "{reads: prompt, states: {s: {d: s, otherwise: s}}}": "7:37: unknown token 'd'",
    "{reads: prompt, states: {s: {a: s, a b: t, otherwise: s}, t: {otherwise: s}}}": (
        "7:43: 's': two next states for 'a'"
    ),
    "{reads: prompt, last: d}": "7:30: unknown token 'd'",
}


def check(text: str, folder: Path, message: str) -> None:
    (folder / "spec.yaml").write_text(text)
    with pytest.raises(AbsintError) as caught:
        decode_spec(folder / "spec.yaml")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert str(folder) in str(caught.value)


def test_the_good_one_is_good(tmp_path: Path) -> None:
    (tmp_path / "spec.yaml").write_text(GOOD)
    assert decode_spec(tmp_path / "spec.yaml").problems
    VALIDATOR.validate(yaml.safe_load(GOOD))


@pytest.mark.parametrize("name", BAD)
def test_a_mistake_is_named_with_its_place(name: str, tmp_path: Path) -> None:
    old, new, message = BAD[name]
    assert old in GOOD
    place = message if "no such file" in message else f"spec.yaml:{message}"
    check(GOOD.replace(old, new), tmp_path, place)


@pytest.mark.parametrize("machine", MACHINES)
def test_a_mistake_in_a_machine(machine: str, tmp_path: Path) -> None:
    text = GOOD.replace("steps: 2", f"steps: 2\n  machines:\n    # one\n    m: {machine}")
    check(text.replace("    # one\n", "").replace("machines:\n", "machines:\n\n"), tmp_path,
          "spec.yaml:" + MACHINES[machine])  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        GOOD.replace("steps: 2", "stepz: 2"),
        GOOD.replace("  steps: 2\n", ""),
        GOOD.replace("  vocabulary: [a, b, c]\n", ""),
        GOOD.replace("[a, b, c]", "[]"),
        GOOD.replace("never:", "always: {output: a}\nnever:"),
        GOOD.replace("never:\n  output: c .\n", ""),
        GOOD.replace("output: c .", "outputs: c"),
        GOOD.replace("output: c .", "output: {text: a, contains: b}"),
        GOOD.replace("output: c .", "output: {count: {of: a}}"),
        GOOD.replace("output: c .", "all: []"),
        GOOD.replace("output: c .", "machine: m"),
        GOOD.replace("steps: 2", "steps: 2\n  network: {length: 4}"),
        GOOD.replace("steps: 2", "steps: 2\n  machines: {m: {reads: prompt}}"),
        GOOD.replace("steps: 2", "steps: 2\n  machines: {m: {reads: prompt, count: a}}"),
        GOOD.replace("prompt: a b", "prompt: [a, {repeat: 2}]"),
        GOOD.replace("steps: 2", "steps: 2\n  detector: {model: d}"),
        GOOD.replace("steps: 2", "steps: 2\n  detector: {model: d, outputs: []}"),
        GOOD.replace("steps: 2", "steps: 2\n  detector: {model: d, outputs: [a], pad: b}"),
        GOOD.replace("output: c .", "detector: a > 0\n  step: 1"),
        GOOD + "region: {all: 1}\n",
        GOOD + "properties: {p: {never: {output: c}}}\n",
    ],
)
def test_the_schema_refuses_too(text: str, tmp_path: Path) -> None:
    (tmp_path / "spec.yaml").write_text(text)
    with pytest.raises(InputError):
        decode_spec(tmp_path / "spec.yaml")
    assert not VALIDATOR.is_valid(yaml.safe_load(text))
