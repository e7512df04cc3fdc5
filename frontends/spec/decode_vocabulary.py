"""The vocabulary of a decode spec: names of tokens, and what each token writes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from absint.frontends.spec.files import decode
from absint.frontends.spec.tree import Items, Mapping, Node, Scalar
from absint.frontends.spec.values import Leaves

MAX_TOKENS = 2_000_000
_KEYS = ("tokens", "special", "size")


@dataclass(frozen=True)
class Vocabulary:
    """``texts[i]``: the bytes that token i writes; None where they are not known, and ``why``."""

    names: tuple[str, ...]
    texts: tuple[bytes, ...] | None
    why: str = ""


def read_vocabulary(node: Node, leaves: Leaves) -> Vocabulary:
    """A number, a list, a file of one token a line, a tokenizer.json, or a mapping around these.

    Raises InputError.
    """
    if not isinstance(node, Mapping):
        return _checked(_tokens(node, leaves), node, leaves)
    fields = leaves.fields(node, "vocabulary", _KEYS)
    if "tokens" not in fields:
        raise leaves.source.error("a vocabulary needs 'tokens'", node)
    vocabulary = _tokens(fields["tokens"], leaves)
    if "size" in fields:
        vocabulary = _padded(vocabulary, fields["size"], leaves)
    vocabulary = _checked(vocabulary, fields["tokens"], leaves)
    if "special" in fields:
        vocabulary = _silenced(vocabulary, fields["special"], leaves)
    return vocabulary


def _checked(vocabulary: Vocabulary, node: Node, leaves: Leaves) -> Vocabulary:
    seen: set[str] = set()
    for name in vocabulary.names:
        if name in seen:
            raise leaves.source.error(f"the token {name!r} is there twice", node)
        seen.add(name)
    return vocabulary


def _silenced(vocabulary: Vocabulary, node: Node, leaves: Leaves) -> Vocabulary:
    """With no text for the special tokens."""
    names = [_plain(item, leaves) for item in leaves.items(node, "special")]
    for name, item in zip(names, leaves.items(node, "special"), strict=True):
        if name not in vocabulary.names:
            raise leaves.source.error(f"special: no token {name!r}", item)
    if vocabulary.texts is None:
        return vocabulary
    pairs = zip(vocabulary.names, vocabulary.texts, strict=True)
    texts = tuple(b"" if name in names else text for name, text in pairs)
    return Vocabulary(vocabulary.names, texts)


def _padded(vocabulary: Vocabulary, node: Node, leaves: Leaves) -> Vocabulary:
    size = leaves.integer(node, "size")
    known = len(vocabulary.names)
    if not known <= size <= MAX_TOKENS:
        raise leaves.source.error(f"size: there are {known} tokens, at most {MAX_TOKENS}", node)
    names = vocabulary.names + tuple(f"#{i}" for i in range(known, size))
    texts = vocabulary.texts
    return Vocabulary(
        names, None if texts is None else texts + (b"",) * (size - known), vocabulary.why
    )


def _tokens(node: Node, leaves: Leaves) -> Vocabulary:
    if isinstance(node, Items):
        return _named([_plain(item, leaves) for item in leaves.items(node, "vocabulary")])
    text = leaves.text(node, "vocabulary").strip()
    if text.isdecimal():
        size = leaves.integer(node, "vocabulary")
        if not 0 < size <= MAX_TOKENS:
            raise leaves.source.error(f"a vocabulary has 1 to {MAX_TOKENS} tokens", node)
        return _named([str(i) for i in range(size)])
    try:
        data = leaves.files.read(text)
        content = decode(data, leaves.files.folder / text)
        return _tokenizer(content) if text.endswith(".json") else _lines(content)
    except (ValueError, RecursionError) as error:
        raise leaves.source.error(str(error), node) from error


def _plain(node: Node, leaves: Leaves) -> str:
    """A token as it is written: white space counts, and nothing is an escape."""
    if not isinstance(node, Scalar) or not node.text:
        raise leaves.source.error("a token is a text that is not empty", node)
    return node.text


def _named(names: list[str]) -> Vocabulary:
    return Vocabulary(tuple(names), tuple(name.encode("utf-8") for name in names))


def _lines(content: str) -> Vocabulary:
    names = content.removesuffix("\n").split("\n")
    for number, name in enumerate(names, 1):
        if not name:
            raise ValueError(f"line {number} of the vocabulary is empty")
    if len(names) > MAX_TOKENS:
        raise ValueError(f"more than {MAX_TOKENS} tokens")
    return _named(names)


def _tokenizer(content: str) -> Vocabulary:
    """The tokens of a tokenizer.json, with the bytes of byte-level tokens."""
    try:
        data = json.loads(content)
        names = _numbered(data)
        special = {added["content"] for added in data.get("added_tokens") or () if added["special"]}
        decoder = _decoder(data.get("decoder"))
    except (KeyError, TypeError, AttributeError, json.JSONDecodeError) as error:
        raise ValueError(f"not a tokenizer.json: {error}") from error
    size = max(names) + 1
    listed = tuple(names.get(i, f"#{i}") for i in range(size))
    if decoder != "ByteLevel":
        return Vocabulary(listed, None, f"a tokenizer whose decoder is {decoder}")
    letters = _byte_letters()
    texts = tuple(
        b"" if i not in names or listed[i] in special else _bytes(listed[i], letters)
        for i in range(size)
    )
    return Vocabulary(listed, texts)


def _numbered(data: dict[str, Any]) -> dict[int, str]:
    """The name of each token's number."""
    model = data["model"]["vocab"]
    pairs = model.items() if isinstance(model, dict) else ((p[0], i) for i, p in enumerate(model))
    names: dict[int, str] = {}
    for name, number in [
        *pairs,
        *((added["content"], added["id"]) for added in data.get("added_tokens") or ()),
    ]:
        if type(number) is not int or not 0 <= number < MAX_TOKENS or not isinstance(name, str):
            raise TypeError(f"token {str(name)[:20]!r} has the number {str(number)[:20]}")
        if names.setdefault(number, name) != name:
            raise TypeError(f"token {number} has two names")
    if not names:
        raise TypeError("no tokens")
    return names


def _decoder(data: dict[str, Any] | None) -> str:
    if data is None:
        return "none"
    parts = data.get("decoders") or () if data["type"] == "Sequence" else [data]
    return " + ".join(str(part["type"]) for part in parts)


def _byte_letters() -> dict[str, int]:
    """The letters that byte-level tokenizers write for bytes (as GPT-2 has them)."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    letters = {chr(byte): byte for byte in printable}
    return letters | {chr(256 + number): byte for number, byte in enumerate(others)}


def _bytes(name: str, letters: dict[str, int]) -> bytes:
    """What a token writes; as it stands where some character is no byte's letter."""
    if all(letter in letters for letter in name):
        return bytes(letters[letter] for letter in name)
    return name.encode("utf-8", "replace")
