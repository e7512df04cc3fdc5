"""Tokens and texts for people."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from absint.problem import float_text
from absint.problem.decode import DecodeProblem

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


def probe(problem: DecodeProblem, index: int) -> str:
    """``SAFE - ALERT < 0.5 at step 3``, or ``alarm > 0 at the end, by the detector``."""
    asked = problem.probes[index]
    row = asked.row
    flip = bool(row.outputs) and all(coefficient < 0 for _, coefficient in row.outputs)
    sign = -1 if flip else 1
    names = problem.detector if asked.step is None else problem.vocabulary
    place = "at the end, by the detector" if asked.step is None else f"at step {asked.step + 1}"
    terms = "".join(
        _term(token(names[i]), float_text(abs(c)), sign * c < 0) for i, c in row.outputs
    )
    relation = (">" if flip else "<") + ("" if row.strict else "=")
    left = terms.removeprefix(" + ").replace(" - ", "-", 1) if terms[:3] == " - " else terms[3:]
    return f"{left or '0'} {relation} {float_text(sign * row.bound)} {place}"


def _term(name: str, factor: str, negative: bool) -> str:
    return f" {'-' if negative else '+'} " + (name if factor == "1" else f"{factor}*{name}")
