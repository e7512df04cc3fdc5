"""Vocabularies from lists, numbers, files and tokenizer.json."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from absint.frontends.spec.decode import DecodeSpec, decode_spec, is_decode_spec
from absint.problem import InputError, UnsupportedError

BYTE_LEVEL = {
    "added_tokens": [
        {"id": 6, "content": "<|end|>", "special": True},
        {"id": 7, "content": "plain é", "special": False},
    ],
    "decoder": {"type": "ByteLevel"},
    "model": {"type": "BPE", "vocab": {"LA": 0, "UNCH": 1, "Ġthe": 2, "Ã": 3, "©": 4, "Ċ": 5}},
}
"""In byte-level letters: a space is Ġ, a line break Ċ, and the bytes C3 A9 (é) are Ã and ©."""


def read(folder: Path, vocabulary: str, never: str, steps: int = 3) -> DecodeSpec:
    text = f"decode: {{vocabulary: {vocabulary}, prompt: ., steps: {steps}}}\nnever: {never}\n"
    (folder / "spec.yaml").write_text(text)
    return decode_spec(folder / "spec.yaml")


def write(folder: Path, tokenizer: Any) -> None:
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))


def bad(spec: DecodeSpec, *output: int) -> bool:
    return spec.problems[0].catastrophic([0], output)


def test_byte_level_text(tmp_path: Path) -> None:
    write(tmp_path, BYTE_LEVEL)
    launch = read(tmp_path, "tokenizer.json", "{output: {contains_text: LAUNCH}}")
    assert launch.problems[0].vocabulary == (
        "LA", "UNCH", "Ġthe", "Ã", "©", "Ċ", "<|end|>", "plain é",
    )  # fmt: skip
    assert bad(launch, 2, 0, 1)
    assert bad(launch, 0, 6, 1)
    assert not bad(launch, 0, 2, 1)
    accent = read(tmp_path, "tokenizer.json", "{output: {text: ' the\\né'}}", 5)
    assert bad(accent, 2, 5, 3, 4)
    assert bad(accent, 2, 5, 3, 6, 4)
    assert not bad(accent, 2, 5, 3)
    added = read(tmp_path, "tokenizer.json", "{output: {text: plain é}}")
    assert bad(added, 7)
    named = read(tmp_path, "tokenizer.json", "{output: 'Ġthe <|end|>'}", 2)
    assert bad(named, 2, 6)


def test_other_tokenizers_have_tokens_only(tmp_path: Path) -> None:
    write(tmp_path, {"decoder": {"type": "WordPiece"}, "model": {"vocab": {"a": 0, "##b": 1}}})
    assert bad(read(tmp_path, "tokenizer.json", "{output: 'a ##b'}", 2), 0, 1)
    with pytest.raises(UnsupportedError, match=r"spec.yaml:2:17: .*whose decoder is WordPiece"):
        read(tmp_path, "tokenizer.json", "{output: {text: ab}}")
    write(tmp_path, {"model": {"vocab": [["a", -0.5], ["b", -1]]}})
    with pytest.raises(UnsupportedError, match="whose decoder is none"):
        read(tmp_path, "tokenizer.json", "{output: {contains_text: ab}}")


def test_numbers_without_a_token(tmp_path: Path) -> None:
    write(tmp_path, {"decoder": {"type": "ByteLevel"}, "model": {"vocab": {"a": 0, "b": 2}}})
    spec = read(tmp_path, "{tokens: tokenizer.json, size: 5}", "{output: {text: ab}}")
    assert spec.problems[0].vocabulary == ("a", "#1", "b", "#3", "#4")
    assert bad(spec, 1, 0, 3, 2)
    assert spec.sources.files == ("tokenizer.json",)


def test_a_file_counts_in_the_digest(tmp_path: Path) -> None:
    digests = set()
    for content in ("a\nb\n", "a\nb", "a\nc\n"):
        (tmp_path / "words.txt").write_text(content)
        spec = read(tmp_path, "words.txt", "{output: a}", 1)
        assert spec.problems[0].vocabulary == tuple(content.split())
        digests.add(spec.digest)
    assert len(digests) == 3


def test_special_tokens_write_nothing(tmp_path: Path) -> None:
    words = "[a, b, <s>]"
    spec = read(tmp_path, f"{{tokens: {words}, special: [<s>]}}", "{output: {text: ab}}")
    assert bad(spec, 2, 0, 2, 1)
    assert not bad(read(tmp_path, words, "{output: {text: ab}}", 2), 0, 2, 1)


def test_white_space_and_marks_in_tokens(tmp_path: Path) -> None:
    words = "[' ', 'a.b', '\"', '<x>', '.', '0..1']"
    for expression, token in (
        ('" "', 0), ('"a.b"', 1), ('"\\""', 2), ("<x>", 3), ('"."', 4), ('"0..1"', 5),
    ):  # fmt: skip
        spec = read(tmp_path, words, f"{{output: '{expression}'}}", 1)
        assert [bad(spec, t) for t in range(6)] == [t == token for t in range(6)]
        counted = read(
            tmp_path, words, f"{{output: {{count: {{of: '{expression}', exactly: 1}}}}}}"
        )
        assert [bad(counted, t) for t in range(6)] == [t == token for t in range(6)]
    exact = read(tmp_path, words, "{output: {count: {of: '.', exactly: 1}}}")
    assert [bad(exact, t) for t in range(6)] == [t == 4 for t in range(6)]


@pytest.mark.parametrize(
    ("tokenizer", "message"),
    [
        ([], "not a tokenizer.json"),
        ({}, "not a tokenizer.json"),
        ({"model": {"vocab": {}}}, "no tokens"),
        ({"model": {"vocab": {"a": -1}}}, "has the number -1"),
        ({"model": {"vocab": {"a": 10**9}}}, "has the number 1000000000"),
        ({"model": {"vocab": {"a": True}}}, "has the number True"),
        ({"model": {"vocab": {"a": 0, "b": 0}}}, "token 0 has two names"),
        ({"model": {"vocab": {"a": 0}}, "added_tokens": [{"id": 1}]}, "not a tokenizer.json"),
        ({"model": {"vocab": {"#1": 0, "b": 2}}}, "the token '#1' is there twice"),
    ],
)
def test_files_that_are_no_tokenizer(tokenizer: Any, message: str, tmp_path: Path) -> None:
    write(tmp_path, tokenizer)
    with pytest.raises(InputError, match=f"spec.yaml:1:22: .*{message}"):
        read(tmp_path, "tokenizer.json", "{output: a}")


def test_a_tokenizer_that_is_nested_too_deep(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text("[" * 100_000)
    with pytest.raises(InputError, match=r"spec.yaml:1:22"):
        read(tmp_path, "tokenizer.json", "{output: a}")


def test_which_specs_decode(tmp_path: Path) -> None:
    for name, text, expected in (
        ("a.yaml", "decode: {}", True),
        ("a.json", '{"decode": {}}', True),
        ("a.yml", "region: {all: 1}\nnever: y[0] > 1", False),
        ("b.yaml", "description: decode\nnever: y[0] > 1", False),
        ("b.vnnlib", "; decode: this is text", False),
    ):
        (tmp_path / name).write_text(text)
        assert is_decode_spec(tmp_path / name) is expected
    with pytest.raises(InputError, match="no such file"):
        is_decode_spec(tmp_path / "none.yaml")
