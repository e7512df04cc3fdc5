"""Tokens and sets of tokens by name, alone and in regular expressions over tokens."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from absint.frontends.spec.decode_syntax import parse_expression
from absint.frontends.spec.names import unknown
from absint.frontends.spec.tokens import ExpressionError
from absint.problem.decode import Tokens
from absint.problem.regular import Expression, Ranges, complement, symbols

_WORD = r"""(?:[^\s.\[\](){}|*+?<>"^])+"""
_ITEM = re.compile(
    rf"""(?P<quoted>"(?:[^"\\]|\\.)*")|(?P<named><[^<>\s]+>)|(?P<dots>\.\.)|(?P<word>{_WORD})"""
)
_CLOSE = re.compile(r"""(?:[^\]"]|"(?:[^"\\]|\\.)*")*\]""", re.DOTALL)


@dataclass(frozen=True)
class TokenNames:
    """``index[name]`` is a token; ``sets[name]`` is what ``<name>`` means."""

    index: dict[str, int]
    size: int
    sets: dict[str, Tokens]

    def expression(self, text: str) -> Expression:
        """Symbols are tokens. Raises ExpressionError."""
        return parse_expression(text, self._symbol, spaces=True)

    def tokens(self, text: str) -> Tokens:
        """A single token's exact name, or a set: ``<name>``, ``.``, ``[^a b]``, or ``a b 0..9``.

        Raises ExpressionError.
        """
        if text in self.index:
            return frozenset({self.index[text]})
        whole = text.strip()
        start = len(text) - len(text.lstrip())
        if whole == ".":
            return frozenset(range(self.size))
        if whole.startswith("["):
            ranges, end = self._class(text, start)
            if text[end:].strip():
                raise ExpressionError("a set ends at its ']'", end)
            return frozenset(t for first, last in ranges for t in range(first, last + 1))
        return self._items(text, start, len(text))

    def _symbol(self, text: str, position: int) -> tuple[Ranges, int] | None:
        if text.startswith("..", position):
            raise ExpressionError(
                "a range stands in brackets, [first..last]; any two tokens are '. .'", position
            )
        if text[position] == ".":
            return ((0, self.size - 1),), position + 1
        if text[position] == "[":
            return self._class(text, position)
        match = _ITEM.match(text, position)
        if match is None:
            return None
        return symbols(self._named(match)).ranges, match.end()

    def _class(self, text: str, position: int) -> tuple[Ranges, int]:
        match = _CLOSE.match(text, position + 1)
        if match is None:
            raise ExpressionError("a '[' without its ']'", position)
        negated = text.startswith("^", position + 1)
        tokens = self._items(text, position + 1 + negated, match.end() - 1)
        ranges = symbols(tokens).ranges
        ranges = complement(ranges, self.size) if negated else ranges
        if not ranges:
            raise ExpressionError("an empty set", position)
        return ranges, match.end()

    def _items(self, text: str, position: int, end: int) -> Tokens:
        """The union of the items between ``position`` and ``end``, of which ``a..b`` is a range."""
        tokens: set[int] = set()
        first: int | None = None
        dots = -1
        while position < end:
            if text[position].isspace():
                position += 1
                continue
            match = _ITEM.match(text, position, end)
            if match is None:
                raise ExpressionError(f"unexpected character {text[position]!r}", position)
            if match.lastgroup == "dots":
                if first is None or dots >= 0:
                    raise ExpressionError("a range is written first..last", position)
                dots = position
            else:
                named = self._named(match)
                only = next(iter(named)) if len(named) == 1 else None
                if dots >= 0:
                    if first is None or only is None or only < first:
                        raise ExpressionError("a range goes up from one token to another", dots)
                    named = frozenset(range(first, only + 1))
                tokens |= named
                first, dots = (None if dots >= 0 else only), -1
            position = match.end()
        if dots >= 0:
            raise ExpressionError("a range is written first..last", dots)
        if not tokens:
            raise ExpressionError("an empty set", position)
        return frozenset(tokens)

    def _named(self, match: re.Match[str]) -> Tokens:
        name = match.group()
        if match.lastgroup == "quoted":
            try:
                name = json.loads(name)
            except ValueError as error:
                raise ExpressionError(f"not a quoted token: {name}", match.start()) from error
        elif match.lastgroup == "named" and name[1:-1] in self.sets:
            return self.sets[name[1:-1]]
        if name in self.index:
            return frozenset({self.index[name]})
        if match.lastgroup == "named":
            raise ExpressionError(unknown("set", name[1:-1], self.sets), match.start())
        raise ExpressionError(unknown("token", name, self.index), match.start())
