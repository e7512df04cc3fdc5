"""Tokens of the spec's expressions and of its region keys, and a cursor over them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from absint.frontends.spec.names import KEYWORDS, Names, Side, Target, UnknownNameError, element

MAX_LENGTH = 20_000
_TOKEN = re.compile(
    r"\s*(?:(?P<number>(?:\d+(?:\.(?!\.)\d*)?|\.\d+)(?:[eE][+-]?\d+)?(?![^\W\d]))"
    r"|(?P<name>[^\W\d]\w*)"
    r'|"(?P<quoted>(?:[^"\\]|\\["\\])+)"'
    r"|(?P<mark><=|>=|==|!=|\.\.|±|\+-|[-+*/()\[\],<>≤≥≠])"
    r"|(?P<end>$))"
)


class ExpressionError(ValueError):
    """A mistake at character ``offset`` of the text."""

    def __init__(self, message: str, offset: int) -> None:
        super().__init__(message)
        self.offset = offset


@dataclass(frozen=True, slots=True)
class Token:
    kind: str
    text: str
    offset: int

    @property
    def is_name(self) -> bool:
        """Whether it is a name: in double quotes, any text is."""
        return self.kind == "quoted" or (self.kind == "name" and self.text not in KEYWORDS)

    def __str__(self) -> str:
        return repr(self.text) if self.text else "the end"


@dataclass(frozen=True, slots=True)
class Selection:
    """The values that ``name[index]`` means: positions in the flat vector of ``side``."""

    side: Side
    values: range
    token: Token


def tokenize(text: str) -> list[Token]:
    """Raises ExpressionError."""
    if len(text) > MAX_LENGTH:
        raise ExpressionError(f"longer than {MAX_LENGTH} characters", 0)
    tokens: list[Token] = []
    position = 0
    while not tokens or tokens[-1].kind != "end":
        match = _TOKEN.match(text, position)
        if match is None:
            start = position + len(text[position:]) - len(text[position:].lstrip())
            raise ExpressionError(f"unexpected character {text[start]!r}", start)
        kind = match.lastgroup or "end"
        tokens.append(Token(kind, _plain(kind, match.group(kind)), match.start(kind)))
        position = match.end()
    return tokens


def _plain(kind: str, text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text) if kind == "quoted" else text


@dataclass
class Tokens:
    """A cursor over tokens, and the parts of the grammar that need no types."""

    names: Names
    tokens: list[Token]
    position: int = 0

    @property
    def here(self) -> Token:
        return self.tokens[self.position]

    def take(self) -> Token:
        token = self.here
        self.position += token.kind != "end"
        return token

    def accept(self, *texts: str) -> Token | None:
        plain = self.here.kind not in ("end", "quoted")
        return self.take() if plain and self.here.text in texts else None

    def expect(self, text: str) -> Token:
        token = self.accept(text)
        if token is None:
            raise ExpressionError(f"expected {text!r}, found {self.here}", self.here.offset)
        return token

    def end(self) -> None:
        if self.here.kind != "end":
            raise ExpressionError(f"unexpected {self.here}", self.here.offset)

    def integer(self) -> int:
        token = self.take()
        if token.kind != "number" or not token.text.isdecimal() or len(token.text) > 12:
            raise ExpressionError(f"expected an index, found {token}", token.offset)
        return int(token.text)

    def selection(self) -> Selection:
        token = self.take()
        if not token.is_name:
            raise ExpressionError(f"expected a name, found {token}", token.offset)
        try:
            target = self.names.target(token.text)
            values = self._indexed(token, target) if self.accept("[") else target.values
        except UnknownNameError as error:
            raise ExpressionError(str(error), token.offset) from error
        return Selection(target.side, values, token)

    def _indexed(self, token: Token, target: Target) -> range:
        first = self.integer()
        if self.accept(".."):
            last = self.integer()
            self.expect("]")
            if last < first:
                raise UnknownNameError(f"the range {first}..{last} is empty")
            ends = [element(token.text, target, [i]) for i in (first, last)]
            return range(ends[0], ends[1] + 1)
        index = [first]
        while self.accept(","):
            index.append(self.integer())
        self.expect("]")
        flat = element(token.text, target, index)
        return range(flat, flat + 1)
