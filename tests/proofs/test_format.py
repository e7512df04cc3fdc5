"""The certificate file: golden bytes, every flipped byte and truncation, every header field."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from proofcases import certificate, far_apart, plateau, plateau_stream

from absint.problem import from_json, to_json
from absint.proofs.check import check
from absint.proofs.format import DIGEST_SIZE, MAGIC, Certificate, CertificateError, digest

GOOD = Path(__file__).parents[1] / "certificates" / "good"


def golden() -> Certificate:
    graph = plateau()
    return certificate(graph, far_apart(graph, Fraction(6, 5)), [plateau_stream()])


def sealed(header: Any, sections: list[bytes], length: int | None = None) -> bytes:
    """A file with any header and sections, and valid digests of its own."""
    text = (
        header
        if isinstance(header, bytes)
        else json.dumps(header, sort_keys=True, separators=(",", ":")).encode()
    )
    body = MAGIC + (len(text) if length is None else length).to_bytes(8, "little") + text
    body += b"".join(sections)
    return body + hashlib.sha256(body).digest()


def parts(data: bytes) -> tuple[dict[str, Any], list[bytes]]:
    start = len(MAGIC) + 8
    end = start + int.from_bytes(data[len(MAGIC) : start], "little")
    header = json.loads(data[start:end])
    sections, cursor = [], end
    for size in header["sizes"]:
        sections.append(data[cursor : cursor + size])
        cursor += size
    return header, sections


def test_the_same_proof_gives_the_same_bytes() -> None:
    """The format has not changed: these bytes were written once and are kept."""
    data = golden().to_bytes()
    assert data == (GOOD / "plateau.cert").read_bytes()
    assert digest(data) == hashlib.sha256(data).hexdigest()


def test_every_good_certificate_is_still_accepted() -> None:
    """Written by this format's first version; a newer checker reads older formats."""
    found = sorted(GOOD.glob("*.cert"))
    assert found
    for path in found:
        read = Certificate.from_bytes(path.read_bytes())
        assert read.to_bytes() == path.read_bytes()
        assert read == golden() or path.name != "plateau.cert"
        assert check(read, plateau(), read.problem).accepted


def test_reads_what_it_wrote() -> None:
    assert Certificate.from_bytes(golden().to_bytes()) == golden()


def test_every_flipped_byte_is_caught() -> None:
    data = golden().to_bytes()
    for position in range(len(data)):
        for flip in (0x01, 0x80, 0xFF):
            bad = bytearray(data)
            bad[position] ^= flip
            with pytest.raises(CertificateError):
                Certificate.from_bytes(bytes(bad))


def test_every_truncation_and_extension_is_caught() -> None:
    data = golden().to_bytes()
    for end in range(len(data)):
        with pytest.raises(CertificateError):
            Certificate.from_bytes(data[:end])
    for more in (b"\0", b"\n", data, bytes(32)):
        with pytest.raises(CertificateError):
            Certificate.from_bytes(data + more)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200), st.booleans())
def test_random_bytes(data: bytes, magic: bool) -> None:
    body = MAGIC + data if magic else data
    for text in (body, body + hashlib.sha256(body).digest()):
        with pytest.raises(CertificateError):
            Certificate.from_bytes(text)


HEADERS: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "format of the future": (lambda h: {**h, "format": 2}, "not well-formed"),
    "format as text": (lambda h: {**h, "format": "1"}, "not well-formed"),
    "format true": (lambda h: {**h, "format": True}, "not well-formed"),
    "format 1.0": (lambda h: {**h, "format": 1.0}, "not well-formed"),
    "a field too many": (lambda h: {**h, "verdict": "verified"}, "not well-formed"),
    "a field too few": (lambda h: {k: v for k, v in h.items() if k != "spec"}, "not well-formed"),
    "a short digest": (lambda h: {**h, "model": h["model"][:-1]}, "not well-formed"),
    "a digest in capitals": (lambda h: {**h, "graph": h["graph"].upper()}, "not well-formed"),
    "a digest that is a number": (lambda h: {**h, "spec": 1}, "not well-formed"),
    "another problem's digest": (lambda h: {**h, "problem": "0" * 64}, "digest does not match"),
    "negative sizes": (lambda h: {**h, "sizes": [h["sizes"][0], -1, 1]}, "not well-formed"),
    "sizes as numbers with a point": (lambda h: {**h, "sizes": [1.0]}, "not well-formed"),
    "sizes as a word": (lambda h: {**h, "sizes": "11"}, "not well-formed"),
    "sizes as a number": (lambda h: {**h, "sizes": 3}, "cannot be read"),
    "no proof": (lambda h: {**h, "sizes": [sum(h["sizes"])]}, "not well-formed"),
    "sizes too small": (lambda h: {**h, "sizes": [h["sizes"][0], 1]}, "do not add up"),
    "sizes too large": (lambda h: {**h, "sizes": [h["sizes"][0], 10**30]}, "do not add up"),
    "two proofs for one cell": (
        lambda h: {**h, "sizes": [h["sizes"][0], 5, h["sizes"][1] - 5]},
        "2 proofs for 1 cells",
    ),
    "an empty proof beside the real one": (lambda h: {**h, "sizes": [*h["sizes"], 0]}, "2 proofs"),
    "a list": (lambda h: [h], "not well-formed|cannot be read"),
    "null": (lambda h: None, "not well-formed|cannot be read"),
    "spaces": (lambda h: json.dumps(h, sort_keys=True).encode(), "not well-formed"),
    "another order": (lambda h: json.dumps(dict(reversed(h.items()))).encode(), "not well-formed"),
    "not JSON": (lambda h: b"{", "cannot be read"),
    "not text": (lambda h: b"\xff\xfe{}", "cannot be read"),
    "nothing": (lambda h: b"", "cannot be read"),
    "deeply nested": (lambda h: b"[" * 200_000, "cannot be read"),
    "a number too long": (lambda h: b"1" * 5000, "cannot be read|not well-formed"),
    "a key twice": (
        lambda h: (
            json.dumps(h, sort_keys=True, separators=(",", ":")).encode()[:-1]
            + b',"spec":"'
            + b"2" * 64
            + b'"}'
        ),
        "not well-formed",
    ),
}


@pytest.mark.parametrize("name", HEADERS)
def test_altered_headers(name: str) -> None:
    alter, message = HEADERS[name]
    header, sections = parts(golden().to_bytes())
    with pytest.raises(CertificateError, match=message):
        Certificate.from_bytes(sealed(alter(header), sections))


@pytest.mark.parametrize("length", [0, 1, 2**20 + 1, 2**40, 2**64 - 1])
def test_a_wrong_header_length(length: int) -> None:
    header, sections = parts(golden().to_bytes())
    with pytest.raises(CertificateError):
        Certificate.from_bytes(sealed(header, sections, length))


def problem_text(change: Callable[[dict[str, Any]], object]) -> bytes:
    data = json.loads(to_json(golden().problem))
    change(data)
    return json.dumps(data, sort_keys=True, separators=(",", ":")).encode()


def _set(*path: Any, to: Any) -> Callable[[dict[str, Any]], object]:
    def change(data: Any) -> None:
        for step in path[:-1]:
            data = data[step]
        data[path[-1]] = to

    return change


ROW = ("cells", 0, "catastrophe", 0, 0)
PROBLEMS: dict[str, Callable[[dict[str, Any]], object]] = {
    "no cells": _set("cells", to=[]),
    "no conjunctions": _set("cells", 0, "catastrophe", to=[]),
    "an empty conjunction": _set("cells", 0, "catastrophe", 0, to=[]),
    "cells as a number": _set("cells", to=7),
    "NaN in a box": _set("cells", 0, "lower", 0, to=float("nan")),
    "infinity in a box": _set("cells", 0, "upper", 0, to=float("inf")),
    "the word nan in a box": _set("cells", 0, "lower", 0, to="nan"),
    "a number as a number": _set("cells", 0, "lower", 0, to=0),
    "an exponent that would take gigabytes": _set("cells", 0, "upper", 0, to="1e999999999"),
    "a tiny exponent": _set("cells", 0, "lower", 0, to="1e-999999999"),
    "a number of 5000 digits": _set("cells", 0, "upper", 0, to="9" * 5000),
    "division by zero": _set("cells", 0, "upper", 0, to="1/0"),
    "not in lowest terms": _set("cells", 0, "upper", 0, to="4/2"),
    "other digits": _set("cells", 0, "upper", 0, to="٢"),
    "lower above upper": _set("cells", 0, "lower", 0, to="3"),
    "a dimension missing": _set("cells", 0, "lower", to=["0"]),
    "an index beyond the outputs": _set(*ROW, 1, to=[[2, "1"]]),
    "an index below zero": _set(*ROW, 1, to=[[-1, "1"]]),
    "indices out of order, one beyond": _set(*ROW, 1, to=[[5, "1"], [0, "1"]]),
    "the same index twice": _set(*ROW, 1, to=[[0, "1"], [0, "1"]]),
    "an index as text": _set(*ROW, 1, to=[["0", "1"]]),
    "an index that is no integer": _set(*ROW, 1, to=[[0.5, "1"]]),
    "terms as a word": _set(*ROW, 1, to="01"),
    "strict as a number": _set(*ROW, 3, to=0),
    "a row too short": _set(*ROW, to=[[], []]),
    "outputs in the region": _set("cells", 0, "constraints", to=[[[], [[0, "1"]], "0", False]]),
    "unknown semantics": _set("semantics", "name", to="float32"),
    "an unknown type": _set("semantics", "dtype", to="float16"),
    "a list as a type": _set("semantics", "dtype", to=["float32"]),
    "more semantics": _set("semantics", "tolerance", to=1e-6),
    "a name that is no text": _set("name", to=3),
    "a size that is true": _set("input_size", to=True),
    "another size": _set("input_size", to=3),
    "a field too many": _set("tolerance", to=1),
}


@pytest.mark.parametrize("name", PROBLEMS)
def test_altered_problems(name: str) -> None:
    """With all digests valid, what is not exactly a canonical problem is refused, and at once."""
    text = problem_text(PROBLEMS[name])
    header, sections = parts(golden().to_bytes())
    header = {
        **header,
        "problem": hashlib.sha256(text).hexdigest(),
        "sizes": [len(text), len(sections[1])],
    }
    with pytest.raises(CertificateError):
        Certificate.from_bytes(sealed(header, [text, sections[1]]))


@pytest.mark.parametrize("text", [b"null", b"[]", b"3", b"{}", b"[" * 100_000, b"\xff", b""])
def test_problems_that_are_none(text: bytes) -> None:
    header, sections = parts(golden().to_bytes())
    header = {
        **header,
        "problem": hashlib.sha256(text).hexdigest(),
        "sizes": [len(text), len(sections[1])],
    }
    with pytest.raises(CertificateError):
        Certificate.from_bytes(sealed(header, [text, sections[1]]))


def test_the_test_helpers_can_also_make_a_good_file() -> None:
    """Otherwise the refusals above would say nothing."""
    header, sections = parts(golden().to_bytes())
    assert sealed(header, sections) == golden().to_bytes()
    text = problem_text(lambda data: None)
    assert from_json(text) == golden().problem
    assert len(golden().to_bytes()) - DIGEST_SIZE > len(MAGIC)
