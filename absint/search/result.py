"""What a verification says: the verdict and everything that backs it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from absint.problem import Problem
from absint.proofs.check import CheckReport
from absint.search.attack import Counterexample


class Verdict(str, Enum):
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

    ``certificate`` holds the bytes of the whole proof (verified) or of the proof so far (unknown).
    ``check`` is the checker's report on it. ``reason`` says why an unknown is one.
    """

    problem: Problem
    verdict: Verdict
    effort: Effort
    certificate: bytes | None = None
    check: CheckReport | None = None
    counterexample: Counterexample | None = None
    reason: str = ""

    @property
    def name(self) -> str:
        return self.problem.name

    def open_share(self) -> float:
        """The mean share of the cells' volume that is open (1 before any check)."""
        if self.check is None or not self.check.open_share:
            return 1.0
        shares = self.check.open_share
        return float(sum(shares) / len(shares))
