"""JSON documents: strictly valid, so numbers that are not finite are written as words."""

from __future__ import annotations

import json
import math
from typing import Any

from absint import __version__


def dumps(document: Any) -> str:
    """``document`` as JSON; NaN and infinities become "NaN", "Infinity" and "-Infinity"."""
    return json.dumps(_finite(document), indent=2, allow_nan=False)


def error_document(message: str, exit_code: int) -> str:
    """What stdout gets under ``--format json`` where a command fails."""
    return dumps({"absint": __version__, "error": message, "exit_code": exit_code})


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value
