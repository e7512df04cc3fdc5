"""Decode specs against plain Python predicates, on every prompt and every output."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from itertools import product
from pathlib import Path

import pytest

from absint.frontends.spec.decode import decode_spec
from absint.frontends.spec.decode_text import parse_text
from absint.frontends.spec.tokens import ExpressionError
from absint.problem.automata import text_machine
from absint.problem.decode import DecodeProblem

WORDS = ["a", "b", "ab", "c"]
Text = tuple[str, ...]
Predicate = Callable[[Text, Text], bool]
HEAD = "decode: {vocabulary: [a, b, ab, c], prompt: '.{2}', steps: 3, machines: {%s}}\n"
MACHINES = """
  largest: {reads: prompt, largest: [a, ab]}, last: {reads: output, last: [a, ab]},
  first: {reads: output, first: '. '}, fails: {reads: prompt, count: b, up_to: 2},
  cases: {reads: output, cases: {x: '. .', y: {contains: a b}, z: {count: {of: c, at_least: 1}}}},
  door: {reads: output, states: {s: {a: t, otherwise: s}, t: {'b c': s, '[a ab]': t, label: u}}}
"""


def joined(text: Text) -> str:
    return "".join(text)


def whole(pattern: str, text: Text) -> bool:
    """The words, each followed by a comma, match a pattern of Python."""
    return re.fullmatch(pattern, "".join(word + "," for word in text)) is not None


def last(text: Text) -> str:
    return next((word for word in reversed(text) if word in ("a", "ab")), "none")


def largest(text: Text) -> str:
    return "ab" if "ab" in text else "a" if "a" in text else "none"


def door(text: Text) -> str:
    state = "s"
    for word in text:
        state = ("t" if word == "a" else "s") if state == "s" else ("s" if word in "bc" else "t")
    return "u" if state == "t" else "s"


def case(text: Text) -> str:
    if len(text) == 2:
        return "x"
    if any(text[i : i + 2] == ("a", "b") for i in range(len(text))):
        return "y"
    return "z" if "c" in text else "none"


CONDITIONS: dict[str, Predicate] = {
    "output: a b* (ab | c)?": lambda p, o: whole("a,(b,)*(ab,|c,)?", o),
    "output: '[^a b]{2,3}'": lambda p, o: whole("(ab,|c,){2,3}", o),
    "output: '[a..ab]+ .'": lambda p, o: whole("(a,|b,|ab,)+(a,|b,|ab,|c,)", o),
    'output: \'"a" "ab"{1}.*\'': lambda p, o: whole("a,ab,.*", o),
    "output: {contains: ab (a | b)}": lambda p, o: whole("(.*,)?ab,(a|b),.*", o),
    "output: {text: 'a+b?c*'}": lambda p, o: re.fullmatch("a+b?c*", joined(o)) is not None,
    "output: {text: '[^a].|(ab){2}'}": lambda p, o: bool(re.fullmatch("[^a].|(ab){2}", joined(o))),
    "output: {contains_text: aba}": lambda p, o: "aba" in joined(o),
    "output: {count: {of: [a, ab], at_least: 1, at_most: 2}}": lambda p, o: (
        1 <= sum(w in ("a", "ab") for w in o) <= 2
    ),
    "output: {count: {of: c, exactly: 0}}": lambda p, o: "c" not in o,
    "output: {count: {of: {not: a}, at_most: 1}}": lambda p, o: sum(w != "a" for w in o) <= 1,
    "not: {output: {count: {of: a b, at_least: 2}}}": lambda p, o: (
        sum(w in "ab" for w in o) < 2 if "ab" not in o else sum(w in ("a", "b") for w in o) < 2
    ),
    "all: [prompt: {contains: b}, output: {contains: a}]": lambda p, o: "b" in p and "a" in o,
    "any: [prompt: {text: abb}, output: {contains: b}, output: .]": lambda p, o: (
        joined(p) == "abb" or "b" in o or len(o) == 1
    ),
    "same: [largest, last]": lambda p, o: largest(p) == last(o),
    "differ: [last, largest]": lambda p, o: largest(p) != last(o),
    "all: [{machine: largest, is: [ab, none]}, {machine: last, is: a}]": lambda p, o: (
        largest(p) in ("ab", "none") and last(o) == "a"
    ),
    "{machine: first, is: c}": lambda p, o: o[:1] == ("c",),
    "any: [{machine: fails, is: 2}, {machine: cases, is: y}]": lambda p, o: (
        p == ("b", "b") or case(o) == "y"
    ),
    "{machine: cases, is: [x, none]}": lambda p, o: case(o) in ("x", "none"),
    "{machine: door, is: u}": lambda p, o: door(o) == "u",
    "all: [{not: {any: [output: .* c, {machine: door, is: s}]}}, {machine: cases, is: [x, z]}]": (
        lambda p, o: not (o[-1:] == ("c",) or door(o) == "s") and case(o) in ("x", "z")
    ),
    "any: [all: [prompt: a ., output: . .*], all: [prompt: b ., output: .* a .*]]": lambda p, o: (
        (p[0] == "a" and len(o) > 0) or (p[0] == "b" and "a" in o)
    ),
}


def read(folder: Path, text: str) -> DecodeProblem:
    (folder / "spec.yaml").write_text(text)
    (problem,) = decode_spec(folder / "spec.yaml").problems
    return problem


@pytest.mark.parametrize("kind", ["never", "always"])
@pytest.mark.parametrize("condition", CONDITIONS)
def test_a_condition_means_what_it_says(condition: str, kind: str, tmp_path: Path) -> None:
    body = f"\n  {condition}\n" if not condition.startswith("{") else condition
    problem = read(tmp_path, HEAD % MACHINES + f"{kind}: {body}")
    for prompt in product(range(4), repeat=2):
        for output in (o for n in range(1, 5) for o in product(range(4), repeat=n)):
            texts = [tuple(WORDS[t] for t in text) for text in (prompt, output)]
            expected = CONDITIONS[condition](*texts) == (kind == "never")
            assert problem.catastrophic(prompt, output) == expected, texts


def test_parts_that_read_one_text_become_one_machine(tmp_path: Path) -> None:
    text = (
        "never: {all: [prompt: {contains: b}, prompt: {contains: a}, output: .* a, output: . . .]}"
    )
    problem = read(tmp_path, HEAD % "" + text)
    assert [m.reads for m in problem.machines] == ["prompt", "output"]


TEMPLATES = {
    "a b": ["a,b"],
    "[a b] c?": ["a", "b", "a,c", "b,c"],
    "(a | b c){1,2}": ["a", "b,c", "a,a", "a,b,c", "b,c,a", "b,c,b,c"],
    "[a, {any: [b, c], repeat: 1..2}]": ["a,b", "a,c", "a,b,b", "a,b,c", "a,c,b", "a,c,c"],
    "[{any: {not: [a, ab]}, repeat: 2}, ab]": ["b,b,ab", "b,c,ab", "c,b,ab", "c,c,ab"],
    "[a, 'b{2}', '.']": ["a,b,b,a", "a,b,b,b", "a,b,b,ab", "a,b,b,c"],
}


@pytest.mark.parametrize("template", TEMPLATES)
def test_the_prompts_of_a_template(template: str, tmp_path: Path) -> None:
    quoted = template if "," in template and "{1" not in template else json.dumps(template)
    text = (
        f"decode: {{vocabulary: [a, b, ab, c], steps: 1, prompt: {quoted}}}\nnever: {{output: a}}"
    )
    problem = read(tmp_path, text)
    found = [
        ",".join(WORDS[t] for t in prompt)
        for length in range(1, 6)
        for prompt in product(range(4), repeat=length)
        if any(problem.admits(cell, prompt) for cell in problem.cells)
    ]
    assert sorted(found) == sorted(TEMPLATES[template])


PIECES = ["a", "b", "-", ".", "[ab]", "[^a]", "[a-c]", r"\.", r"\d", "[-b]", "(a|b)", "x", r"[\]a]"]


@pytest.mark.parametrize("seed", range(60))
def test_text_expressions_are_those_of_python(seed: int) -> None:
    rng = random.Random(seed)
    parts = [
        rng.choice(PIECES) + rng.choice(["", "", "*", "+", "?", "{2}", "{1,}", "{0,2}", "|"])
        for _ in range(rng.randint(1, 5))
    ]
    pattern = "".join(parts)
    letters = ["a", "b", "-", "1", "]"]
    machine = text_machine(parse_text(pattern), [c.encode() for c in letters], "output")
    compiled = re.compile(pattern, re.DOTALL)
    for text in (t for n in range(5) for t in product(range(5), repeat=n)):
        matched = compiled.fullmatch("".join(letters[i] for i in text)) is not None
        assert machine.labels[machine.run(text)] == matched, pattern


@pytest.mark.parametrize(
    "pattern",
    ["*a", "a**", "a{", "a{2,1}", "(", ")", "a)", "[", "[]", "[^]", "]", "}", "^a", "a$", "\\q",
     "\\", "[b-a]", r"[a-\d]", "a{99999}", "(" * 200, "a" * 30_000, "(?:a)", "a+?", r"\x41"],
)  # fmt: skip
def test_expressions_that_are_wrong(pattern: str) -> None:
    with pytest.raises(ExpressionError):
        parse_text(pattern)
