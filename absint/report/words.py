"""Numbers and verdicts in words, for people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from absint.decode.result import DecodeResult
    from absint.problem.contract import Contract
    from absint.search.result import Result


def share(value: float) -> str:
    """A share of a region for people: never ``0 %`` or ``100 %`` where it is not that."""
    if value in (0.0, 1.0):
        return f"{value:.0%}"
    if value > 1 - 1e-5:
        return "more than 99.999%"
    return f"{value:.3%}" if value >= 1e-5 else f"{100 * value:.3g}%"


def count(number: int, one: str, many: str = "") -> str:
    """``1 box``, ``2 boxes``."""
    return f"{number} {one if number == 1 else many or one + 's'}"


def headline(result: Result | DecodeResult) -> str:
    """What is said of a property, and how long it took."""
    seconds = result.effort.search_seconds + result.effort.check_seconds
    return f"{result.name}: {result.verdict.value} in {seconds:.2f} s"


def tally(results: Sequence[Result | DecodeResult]) -> str:
    """How many properties have which verdict."""
    from absint.search.result import Verdict

    found = {v: sum(r.verdict is v for r in results) for v in Verdict}
    return ", ".join(f"{number} {verdict.value}" for verdict, number in found.items())


def meaning(contract: Contract | None) -> str:
    """What the network's numbers mean."""
    if contract is None:
        return "real arithmetic"
    return f"float32 as executed (contract {contract.version})"
