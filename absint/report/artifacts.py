"""A certificate and the statement beside it, written together."""

from __future__ import annotations

from pathlib import Path

from absint.proofs.format import MAGIC
from absint.report import files, statement


def paths(certificate: Path) -> tuple[Path, ...]:
    """What is written for a certificate of that name; nothing lies beside a device."""
    if certificate.is_char_device():
        return (certificate,)
    return certificate, statement.path_beside(certificate)


def require_writable(certificate: Path) -> None:
    """Raises InputError."""
    for path, magic in zip(paths(certificate), (MAGIC, statement.MAGIC), strict=False):
        files.require_writable(path, [magic])


def write(path: Path, certificate: bytes, verdict: str, model: str, region: str) -> None:
    """Writes a certificate's bytes, and what they prove of these files. Raises InputError."""
    files.write(path, certificate)
    for beside in paths(path)[1:]:
        said = statement.statement(
            certificate, verdict, Path(model).name, Path(region).name, path.name
        )
        files.write(beside, said)
