"""Tokens and texts for people."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

MAX_TOKENS = 40


def token(name: str) -> str:
    """A token's name; quoted where white space or something that cannot be seen is in it."""
    plain = name.isprintable() and not any(c.isspace() or c == '"' for c in name)
    return name if plain and name else json.dumps(name, ensure_ascii=not name.isprintable())


def text(vocabulary: Sequence[str], tokens: Iterable[int]) -> str:
    """Tokens with spaces between."""
    shown = [token(vocabulary[index]) for index in tokens]
    if len(shown) > MAX_TOKENS:
        half = MAX_TOKENS // 2
        shown = [*shown[:half], f"... ({len(shown) - 2 * half} more) ...", *shown[-half:]]
    return " ".join(shown)
