"""The errors that end a command, each with its documented exit code and one line for people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class AbsintError(Exception):
    """Base of the errors that a user sees: one line, no traceback."""

    exit_code = 2


class InputError(AbsintError):
    """A file, option or spec is wrong. ``str`` starts with the place: ``spec.yaml:3:7: ...``."""

    def __init__(
        self,
        message: str,
        path: str | None = None,
        line: int | None = None,
        column: int | None = None,
    ) -> None:
        place = ":".join(str(p) for p in (path, line, column) if p is not None)
        super().__init__(f"{place}: {message}" if place else message)


@dataclass(frozen=True)
class Unsupported:
    """One construct that is not supported: where it stands, what it is, and a way round."""

    place: str
    what: str
    hint: str = ""

    def __str__(self) -> str:
        return f"{self.place}: {self.what}" + (f" ({self.hint})" if self.hint else "")


class UnsupportedError(AbsintError):
    """Everything in a model or spec that is not supported, all at once."""

    exit_code = 4

    def __init__(self, found: Sequence[Unsupported]) -> None:
        self.found = tuple(found)
        super().__init__("not supported: " + "; ".join(str(item) for item in self.found))
