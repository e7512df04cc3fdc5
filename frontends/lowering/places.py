"""Where in a model something is wrong."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from absint.frontends.lowering.values import MalformedError
from absint.ir import ShapeError

BAD = (MalformedError, ShapeError, ValueError, IndexError, OverflowError)
"""What a rule, or the code that it calls, raises on a model that is not valid."""


@contextmanager
def at(where: str) -> Iterator[None]:
    """Adds the place to the errors of a model that is not valid."""
    try:
        yield
    except BAD as error:
        text = " ".join(str(error).split()) or type(error).__name__
        raise MalformedError(f"{where}: {text}") from error
