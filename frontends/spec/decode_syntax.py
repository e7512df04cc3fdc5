"""Regular expressions as specs write them: over tokens, and over the characters of a text.

Both know ``|``, ``( )``, ``*``, ``+``, ``?``, ``{n}``, ``{n,}``, ``{n,m}``, ``.`` and sets in
brackets. They differ in what stands for one symbol, which is what a lexer says.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from absint.frontends.spec.tokens import MAX_LENGTH, ExpressionError
from absint.problem.regular import Chain, Choice, Expression, Ranges, Repeat, Symbols

MAX_DEPTH = 100
MAX_REPEAT = 10_000
_COUNT = re.compile(r"\{(\d{1,9})(,(\d{1,9})?)?\}")
_REPEATS: dict[str, tuple[int, int | None]] = {"*": (0, None), "+": (1, None), "?": (0, 1)}


@dataclass(frozen=True)
class Lexeme:
    """``kind``: a mark (``(``, ``)``, ``|``), ``symbols``, ``repeat`` or ``end``."""

    kind: str
    offset: int
    ranges: Ranges = ()
    least: int = 0
    most: int | None = None


Symbol = Callable[[str, int], tuple[Ranges, int] | None]
"""``symbol(text, position)``: the set of symbols there, and the position after it."""


def parse_expression(text: str, symbol: Symbol, spaces: bool) -> Expression:
    """Reads ``text``, in which white space between symbols means nothing where ``spaces``.

    Raises ExpressionError.
    """
    if len(text) > MAX_LENGTH:
        raise ExpressionError(f"longer than {MAX_LENGTH} characters", 0)
    parser = _Parser(_lex(text, symbol, spaces))
    expression = parser.choice(0)
    if parser.here.kind != "end":
        raise ExpressionError("a ')' without its '('", parser.here.offset)
    return expression


def _lex(text: str, symbol: Symbol, spaces: bool) -> list[Lexeme]:
    lexemes: list[Lexeme] = []
    position = 0
    while position < len(text):
        char = text[position]
        if spaces and char.isspace():
            position += 1
        elif char in "()|":
            lexemes.append(Lexeme(char, position))
            position += 1
        elif char in "*+?{":
            lexeme, position = _repeat(text, position)
            lexemes.append(lexeme)
        else:
            found = symbol(text, position)
            if found is None:
                raise ExpressionError(f"unexpected character {char!r}", position)
            lexemes.append(Lexeme("symbols", position, found[0]))
            position = found[1]
    return [*lexemes, Lexeme("end", len(text))]


def _repeat(text: str, position: int) -> tuple[Lexeme, int]:
    if text[position] != "{":
        least, most = _REPEATS[text[position]]
        return Lexeme("repeat", position, (), least, most), position + 1
    match = _COUNT.match(text, position)
    if match is None:
        raise ExpressionError("expected a count: {3}, {1,} or {1,4}", position)
    least = int(match.group(1))
    most = least if match.group(2) is None else int(match.group(3)) if match.group(3) else None
    if max(least, most or 0) > MAX_REPEAT:
        raise ExpressionError(f"more than {MAX_REPEAT} times", position)
    if most is not None and most < least:
        raise ExpressionError(f"the range {least},{most} is empty", position)
    return Lexeme("repeat", position, (), least, most), match.end()


@dataclass
class _Parser:
    lexemes: list[Lexeme]
    position: int = 0

    @property
    def here(self) -> Lexeme:
        return self.lexemes[self.position]

    def choice(self, depth: int) -> Expression:
        parts = [self.chain(depth)]
        while self.here.kind == "|":
            self.position += 1
            parts.append(self.chain(depth))
        return parts[0] if len(parts) == 1 else Choice(tuple(parts))

    def chain(self, depth: int) -> Expression:
        parts: list[Expression] = []
        while self.here.kind not in ("|", ")", "end"):
            parts.append(self.repeated(depth))
        return parts[0] if len(parts) == 1 else Chain(tuple(parts))

    def repeated(self, depth: int) -> Expression:
        lexeme = self.here
        self.position += 1
        if lexeme.kind == "repeat":
            raise ExpressionError("nothing to repeat", lexeme.offset)
        part: Expression = Symbols(lexeme.ranges)
        if lexeme.kind == "(":
            if depth >= MAX_DEPTH:
                raise ExpressionError(f"nested more than {MAX_DEPTH} deep", lexeme.offset)
            part = self.choice(depth + 1)
            if self.here.kind != ")":
                raise ExpressionError("a '(' without its ')'", lexeme.offset)
            self.position += 1
        if self.here.kind == "repeat":
            count = self.here
            part = Repeat(part, count.least, count.most)
            self.position += 1
            if self.here.kind == "repeat":
                raise ExpressionError("two repeats in a row; use ( )", self.here.offset)
        return part
