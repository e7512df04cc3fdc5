"""One character, or a set of characters, in a regular expression over text."""

from __future__ import annotations

import re

from absint.frontends.spec.decode_syntax import parse_expression
from absint.frontends.spec.tokens import ExpressionError
from absint.problem.regular import Chain, Expression, Ranges, Repeat, Symbols, complement, united

CODE_POINTS = 0x110000
_ESCAPES: dict[str, Ranges] = {
    "n": ((10, 10),),
    "r": ((13, 13),),
    "t": ((9, 9),),
    "d": ((48, 57),),
    "s": ((9, 10), (13, 13), (32, 32)),
    "w": ((48, 57), (65, 90), (95, 95), (97, 122)),
}
_ANY: Ranges = ((0, CODE_POINTS - 1),)
_CLASS = re.compile(r"\[(\^?)((?:[^\]\\]|\\.)*)\]", re.DOTALL)


def parse_text(text: str) -> Expression:
    """A regular expression over code points, which the whole text must match.

    Raises ExpressionError.
    """
    return parse_expression(text, _symbol, spaces=False)


def containing(text: str) -> Expression:
    """Any text in which the characters of ``text`` stand one after the other."""
    many = Repeat(Symbols(_ANY), 0, None)
    return Chain((many, *(Symbols(((ord(c), ord(c)),)) for c in text), many))


def _symbol(text: str, position: int) -> tuple[Ranges, int] | None:
    char = text[position]
    if char == ".":
        return _ANY, position + 1
    if char in "^$":
        raise ExpressionError(
            f"{char!r}: the whole text is matched anyway; write '\\{char}' for the character",
            position,
        )
    if char == "[":
        return _class(text, position)
    if char in "]}":
        return None
    return _character(text, position)


def _character(text: str, position: int) -> tuple[Ranges, int]:
    """A character, or what an escape stands for."""
    char = text[position]
    if char != "\\":
        return ((ord(char), ord(char)),), position + 1
    escaped = text[position + 1 : position + 2]
    if escaped in _ESCAPES and escaped:
        return _ESCAPES[escaped], position + 2
    if not escaped or escaped.isalnum():
        raise ExpressionError(f"unknown escape '\\{escaped}'", position)
    return ((ord(escaped), ord(escaped)),), position + 2


def _class(text: str, position: int) -> tuple[Ranges, int]:
    match = _CLASS.match(text, position)
    if match is None:
        raise ExpressionError("a '[' without its ']'", position)
    chosen: list[tuple[int, int]] = []
    place = match.start(2)
    while place < match.end(2):
        ranges, place = _character(text, place)
        if text[place] == "-" and place + 1 < match.end(2) and len(ranges) == 1:
            last, after = _character(text, place + 1)
            if ranges[0][0] != ranges[0][1] or len(last) > 1 or last[0][0] != last[0][1]:
                raise ExpressionError("a range goes from one character to another", place)
            if last[0][0] < ranges[0][0]:
                raise ExpressionError("the range is empty", place)
            ranges, place = ((ranges[0][0], last[0][0]),), after
        chosen += ranges
    if not chosen:
        raise ExpressionError("an empty set", position)
    inside = united(chosen)
    return (complement(inside, CODE_POINTS) if match.group(1) else inside), match.end()
