"""Whether a saved counterexample is about the model and the spec at hand."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from absint.problem import InputError


def changed_parts(
    facts: Mapping[str, Any], digests: Mapping[str, str], path: Path, changed: bool
) -> tuple[str, ...]:
    """Which of the parts in ``digests`` are not those that the file's ``facts`` record.

    Raises InputError where there is one, unless ``changed`` says that this is meant.
    """
    other = tuple(part for part, found in digests.items() if facts[part]["sha256"] != found)
    if other and not changed:
        part = other[0]
        raise InputError(
            f"is about another {part} (sha256 {facts[part]['sha256'][:12]}…, not "
            f"{digests[part][:12]}…); --changed replays it all the same",
            str(path),
        )
    return other
