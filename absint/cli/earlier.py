"""Certificates that a search begins with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from absint.problem import InputError, Problem
from absint.problem.decode import DecodeProblem
from absint.proofs.format import Certificate, CertificateError
from absint.report import files


def read_earlier(
    path: Path, bound: Mapping[str, str], problems: Sequence[Problem] | Sequence[DecodeProblem]
) -> Certificate:
    """A certificate to go on from. Raises InputError unless it is about one of the ``problems``.

    ``bound`` holds the digests that it must have, of the ``model`` and the ``spec``.
    """
    certificate = _read(path)
    for part, found in (("model", certificate.model), ("spec", certificate.spec)):
        if bound[part] != found:
            raise InputError(f"cannot be resumed: it is about another {part}", str(path))
    if certificate.problem not in problems:
        raise InputError("cannot be resumed: it is about another property", str(path))
    return certificate


def read_warm(path: Path, problems: Sequence[Problem]) -> Certificate:
    """A certificate to start from. Raises InputError unless one of the ``problems`` is its."""
    certificate, names = _read(path), [problem.name for problem in problems]
    if certificate.problem.name not in names or isinstance(certificate.problem, DecodeProblem):
        raise InputError(f"cannot be started from: the spec has only {', '.join(names)}", str(path))
    return certificate


def _read(path: Path) -> Certificate:
    """Raises InputError."""
    try:
        return Certificate.from_bytes(files.read(path, "certificate"))
    except CertificateError as error:
        raise InputError(str(error), str(path)) from error
