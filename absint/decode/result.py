"""What the verification of a decoding network says: the verdict and everything that backs it."""

from __future__ import annotations

from dataclasses import dataclass

from absint.problem.decode import DecodeProblem
from absint.proofs.decode.check import DecodeReport
from absint.search.result import Effort, Verdict


@dataclass(frozen=True)
class DecodeCounterexample:
    """A prompt of the region whose real continuation is the catastrophe.

    ``output`` is what the runtime emitted, replayed token by token; ``margins`` holds by how much
    each emitted token's logit exceeded the next best (NaN where the network gives tokens only).
    """

    prompt: tuple[int, ...]
    output: tuple[int, ...]
    margins: tuple[float, ...]


@dataclass(frozen=True)
class DecodeResult:
    """The answer for one property.

    ``certificate`` holds the bytes of the whole proof (verified) or of the proof so far (unknown;
    falsified, where the search went on to count); ``report`` is the checker's, with the set of
    prompts that are open.
    """

    problem: DecodeProblem
    verdict: Verdict
    effort: Effort
    certificate: bytes | None = None
    report: DecodeReport | None = None
    counterexample: DecodeCounterexample | None = None
    reason: str = ""

    @property
    def name(self) -> str:
        return self.problem.name
