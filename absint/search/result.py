"""What a verification says: the verdict and everything that backs it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from absint.problem import Problem
from absint.proofs.check import CheckReport
from absint.proofs.coverage import Coverage
from absint.search.attack import Counterexample


class Verdict(StrEnum):
    """The three answers. ``verified`` exists only after the checker accepted a certificate."""

    VERIFIED = "verified"
    FALSIFIED = "falsified"
    UNKNOWN = "unknown"

    @property
    def exit_code(self) -> int:
        return {"verified": 0, "falsified": 1, "unknown": 3}[self.value]


@dataclass(frozen=True)
class Effort:
    """What it took. Seconds are wall clock."""

    search_seconds: float
    check_seconds: float
    nodes: int
    """Boxes in the proof tree, splits included."""


@dataclass(frozen=True)
class Result:
    """The answer for one property.

    ``certificate`` holds the bytes of the whole proof (verified) or of the proof so far (unknown),
    and ``coverage`` what of the region it covers. ``check`` is the checker's report on a whole
    proof; a partial one is checked when it is complete. ``reason`` says why an unknown is one.
    """

    problem: Problem
    verdict: Verdict
    effort: Effort
    certificate: bytes | None = None
    coverage: Coverage | None = None
    check: CheckReport | None = None
    counterexample: Counterexample | None = None
    reason: str = ""

    @property
    def name(self) -> str:
        return self.problem.name
