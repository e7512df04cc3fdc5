"""An in-toto Statement beside a certificate: what is claimed of which files, ready to be signed.

The attestation framework's Statement v1 (github.com/in-toto/attestation). Its subjects are the
model and the spec; the predicate says what was found, and names the certificate that proves it. A
statement is never trusted: ``require`` holds it against a certificate that was checked.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from absint import __version__
from absint.problem.canonical import write_semantics
from absint.proofs.format import FORMAT, Certificate, digest

TYPE = "https://in-toto.io/Statement/v1"
PREDICATE = "urn:absint:verification:v1"
MAGIC = b'{"_type":"https://in-toto.io/Statement'
MAX_SIZE = 1 << 20
TRUSTED = ("absint/proofs", "absint/ir", "absint/problem", "absint/frontends")
"""What has to be right for the claim to be: the checker, and the readers of model and spec."""


class StatementError(Exception):
    """A statement does not say what the checked certificate proves."""


def path_beside(certificate: Path) -> Path:
    """Where the statement about a certificate lies."""
    return certificate.with_name(f"{certificate.name}.intoto.json")


def statement(certificate: bytes, verdict: str, model: str, region: str, name: str) -> bytes:
    """Canonical JSON about a certificate file called ``name``, of files called as given."""
    claim = Certificate.from_bytes(certificate)
    return _canonical(_facts(claim, digest(certificate), verdict, [model, region, name]))


def require(data: bytes, certificate: bytes, verdict: str) -> None:
    """Raises StatementError unless ``data`` says just this of a certificate's bytes.

    The files' names, and the version that wrote it, may be any.
    """
    try:
        found: dict[str, Any] = json.loads(data)
        names = [subject["name"] for subject in found["subject"]]
        names.append(found["predicate"]["certificate"]["name"])
        version = found["predicate"]["checker"]["version"]
        well_formed = all(isinstance(text, str) for text in (*names, version)) and len(names) == 3
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise StatementError(f"it is not well-formed: {error}") from error
    if not well_formed:
        raise StatementError("it is not well-formed")
    right = _facts(Certificate.from_bytes(certificate), digest(certificate), verdict, names)
    right["predicate"]["checker"]["version"] = version
    if found != right:
        raise StatementError(f"its {_difference(found, right)} is not what the certificate proves")


def _facts(claim: Certificate, sha256: str, verdict: str, names: list[str]) -> dict[str, Any]:
    model, region, name = names
    return {
        "_type": TYPE,
        "subject": [
            {"name": model, "digest": {"sha256": claim.model}},
            {"name": region, "digest": {"sha256": claim.spec}},
        ],
        "predicateType": PREDICATE,
        "predicate": {
            "property": claim.problem.name,
            "verdict": verdict,
            "semantics": write_semantics(claim.problem.semantics),
            "checker": {"name": "absint", "version": __version__, "format": FORMAT},
            "certificate": {"name": name, "digest": {"sha256": sha256}},
            "graph": {"sha256": claim.graph},
            "trusted": list(TRUSTED),
        },
    }


def _difference(found: Any, right: Any, place: str = "content") -> str:
    """The first place where two documents differ."""
    if isinstance(found, dict) and isinstance(right, dict) and found.keys() == right.keys():
        for key in right:
            if found[key] != right[key]:
                return _difference(found[key], right[key], key)
    return place


def _canonical(document: dict[str, Any]) -> bytes:
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode() + b"\n"
