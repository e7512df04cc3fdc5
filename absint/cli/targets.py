"""Where the results of a spec's properties are written."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from absint.problem import InputError
from absint.report import files


def per_property(names: Sequence[str], base: Path) -> dict[str, Path]:
    """A path for each property: ``base``, or with the properties' names where there are several.

    Raises InputError.
    """
    if len(names) == 1:
        return {names[0]: base}
    if not base.name:
        raise InputError("is not a file's name", str(base))
    return {
        name: base.with_name(f"{base.stem}-{safe}{base.suffix}")
        for name, safe in zip(names, files.safe_names(names), strict=True)
    }
