"""Numbers in words, for people."""

from __future__ import annotations


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
