"""The exit code of several properties: that of the worst."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from absint.decode.result import DecodeResult
    from absint.search.result import Result

WORST_FIRST = (1, 3, 0)
"""Falsified, unknown, verified."""


def worst_exit_code(results: Iterable[Result | DecodeResult]) -> int:
    codes = {result.verdict.exit_code for result in results}
    return next(code for code in WORST_FIRST if code in codes)
