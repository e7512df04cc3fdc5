"""The certificate file: a header that binds digests, the problem, and one proof a cell.

Layout (docs/certificate.md): the magic line; the header's length (8 bytes, little endian) and the
header, canonical JSON; the sections that it measures (the canonical problem, then a proof stream a
cell); the SHA-256 of everything before it. The same proof gives the same bytes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from absint.problem import (
    Problem,
    ProblemError,
    decode_from_json,
    decode_to_json,
    from_json,
    to_json,
)
from absint.problem.decode import DecodeProblem

MAGIC = b"ABSINT-CERTIFICATE 1\n"
FORMAT = 1
DIGEST_SIZE = 32
MAX_HEADER = 1 << 20
DIGESTS = ("graph", "model", "problem", "spec")


class CertificateError(Exception):
    """The bytes are not a well-formed certificate."""


@dataclass(frozen=True)
class Certificate:
    """A claim about one problem, with its proof. Nothing in it is trusted.

    ``model``, ``spec`` and ``graph`` are SHA-256 digests in hexadecimal; ``proofs`` holds one proof
    stream (``absint.proofs.stream``, ``absint.proofs.decode.stream``) for each cell of the problem.
    """

    model: str
    spec: str
    graph: str
    problem: Problem | DecodeProblem
    proofs: tuple[bytes, ...]

    def to_bytes(self) -> bytes:
        problem = _problem_bytes(self.problem)
        header = {
            "format": FORMAT,
            "graph": self.graph,
            "model": self.model,
            "problem": hashlib.sha256(problem).hexdigest(),
            "sizes": [len(problem), *(len(proof) for proof in self.proofs)],
            "spec": self.spec,
        }
        text = _canonical(header)
        body = MAGIC + len(text).to_bytes(8, "little") + text + problem + b"".join(self.proofs)
        return body + hashlib.sha256(body).digest()

    @staticmethod
    def from_bytes(data: bytes) -> Certificate:
        """Reads a certificate. Raises CertificateError, also when a byte is not canonical."""
        if not data.startswith(MAGIC):
            raise CertificateError("not a certificate of a format that this version reads")
        body, seal = data[:-DIGEST_SIZE], data[-DIGEST_SIZE:]
        if hashlib.sha256(body).digest() != seal:
            raise CertificateError("the file is damaged: its own digest does not match")
        start = len(MAGIC) + 8
        length = int.from_bytes(body[len(MAGIC) : start], "little")
        if length > min(MAX_HEADER, len(body) - start):
            raise CertificateError("the header's length is wrong")
        header = _header(body[start : start + length])
        sections = _sections(body[start + length :], header["sizes"])
        if hashlib.sha256(sections[0]).hexdigest() != header["problem"]:
            raise CertificateError("the problem's digest does not match")
        try:
            problem = _read_problem(sections[0])
        except ProblemError as error:
            raise CertificateError(f"the problem cannot be read: {error}") from error
        if len(sections) - 1 != len(problem.cells):
            raise CertificateError(
                f"{len(sections) - 1} proofs for {len(problem.cells)} cells of the region"
            )
        return Certificate(
            header["model"], header["spec"], header["graph"], problem, tuple(sections[1:])
        )


def _problem_bytes(problem: Problem | DecodeProblem) -> bytes:
    return decode_to_json(problem) if isinstance(problem, DecodeProblem) else to_json(problem)


def _read_problem(data: bytes) -> Problem | DecodeProblem:
    """Raises ProblemError. Decoding problems say what they are; canonical bytes have one form."""
    return decode_from_json(data) if b'"kind":"decode"' in data else from_json(data)


def digest(data: bytes) -> str:
    """SHA-256 of a certificate file's bytes, in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def _canonical(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def _header(text: bytes) -> dict[str, Any]:
    try:
        header = json.loads(text)
        well_formed = (
            _canonical(header) == text
            and set(header) == {*DIGESTS, "format", "sizes"}
            and type(header["format"]) is int
            and header["format"] == FORMAT
            and all(_is_digest(header[name]) for name in DIGESTS)
            and all(type(size) is int and size >= 0 for size in header["sizes"])
            and len(header["sizes"]) >= 2
        )
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise CertificateError(f"the header cannot be read: {error}") from error
    if not well_formed:
        raise CertificateError("the header is not well-formed")
    result: dict[str, Any] = header
    return result


def _is_digest(value: Any) -> bool:
    return isinstance(value, str) and len(value) == 64 and set(value) <= set("0123456789abcdef")


def _sections(body: bytes, sizes: Sequence[int]) -> list[bytes]:
    if sum(sizes) != len(body):
        raise CertificateError("the sections' sizes do not add up to the file")
    sections, cursor = [], 0
    for size in sizes:
        sections.append(body[cursor : cursor + size])
        cursor += size
    return sections
