"""A batch's rows: what is asked, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from absint.search.result import Verdict

KNOWN = {
    "verified": Verdict.VERIFIED, "unsat": Verdict.VERIFIED, "holds": Verdict.VERIFIED,
    "falsified": Verdict.FALSIFIED, "sat": Verdict.FALSIFIED, "violated": Verdict.FALSIFIED,
}  # fmt: skip


@dataclass(frozen=True)
class Instance:
    """One row. ``onnx`` and ``vnnlib`` are as written; ``folder`` is the CSV's."""

    number: int
    onnx: str
    vnnlib: str
    timeout: float
    expected: str
    folder: Path

    @property
    def model(self) -> Path:
        return self.folder / self.onnx

    @property
    def region(self) -> Path:
        return self.folder / self.vnnlib

    def agrees(self, verdict: str) -> bool | None:
        """Whether a verdict is the expected one; None where one of them says nothing."""
        known = KNOWN.get(self.expected.lower())
        if known is None or verdict not in (Verdict.VERIFIED.value, Verdict.FALSIFIED.value):
            return None
        return verdict == known.value


@dataclass(frozen=True)
class RowResult:
    """One row's outcome. ``verdict`` is that of its worst property, or ``error``."""

    verdict: str
    exit_code: int
    reason: str = ""
    seconds: float = 0.0
    search_seconds: float = 0.0
    check_seconds: float = 0.0
    nodes: int = 0
    leaves: int = 0
    certificate_bytes: int = 0
