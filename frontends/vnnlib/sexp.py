"""S-expressions with their places, read one top-level form at a time."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from absint.problem import InputError, Unsupported, UnsupportedError

MAX_DEPTH = 100
_TOKEN = re.compile(r'[()]|[^\s()\[\]";]+|\[[^\[\]()";]*\]|;[^\n]*|"[^"\n]*"|\S')
_MARKS = frozenset('()[]";')

Atom = tuple[str, int]
"""The text, and its position in the file. ``X [0, 1]`` is the one atom ``X[0,1]``."""


class Form(list["Atom | Form"]):
    """A parenthesised list; ``start`` is the position of its parenthesis."""

    __slots__ = ("start",)

    def __init__(self, start: int) -> None:
        super().__init__()
        self.start = start


Sexp = Atom | Form


@dataclass(frozen=True)
class Text:
    """The file's text, for errors that name line and column."""

    path: str
    text: str

    def error(self, message: str, at: Sexp | int) -> InputError:
        return InputError(message, self.path, *self._place(at))

    def unsupported(self, what: str, at: Sexp | int, hint: str = "") -> UnsupportedError:
        line, column = self._place(at)
        return UnsupportedError([Unsupported(f"{self.path}:{line}:{column}", what, hint)])

    def _place(self, at: Sexp | int) -> tuple[int, int]:
        position = at if isinstance(at, int) else start_of(at)
        line_start = self.text.rfind("\n", 0, position) + 1
        return self.text.count("\n", 0, position) + 1, position - line_start + 1

    def forms(self) -> Iterator[Form]:
        """The top-level forms. Raises InputError."""
        stack: list[Form] = []
        for match in _TOKEN.finditer(self.text):
            token, start = match[0], match.start()
            if stack and token[0] not in _MARKS:
                stack[-1].append((token, start))
            elif token == "(":
                if len(stack) >= MAX_DEPTH:
                    raise self.error(f"nested more than {MAX_DEPTH} deep", start)
                stack.append(Form(start))
            elif token == ")":
                if not stack:
                    raise self.error("unmatched ')'", start)
                form = stack.pop()
                if stack:
                    stack[-1].append(form)
                else:
                    yield form
            elif token[0] == ";":
                continue
            elif not stack:
                raise self.error(f"expected '(', found {token!r}", start)
            elif token[0] == "[" and len(token) > 1:
                self._attach(stack[-1], token, start)
            elif len(token) == 1:
                raise self.error(f"unmatched {token!r}", start)
            else:
                raise self.unsupported(f"string {token}", start)
        if stack:
            raise self.error("this '(' is not closed", stack[-1])

    def _attach(self, form: Form, index: str, start: int) -> None:
        """Joins an index to the name before it."""
        last = form[-1] if form else None
        if not isinstance(last, tuple) or last[0].endswith("]") or not last[0][0].isalpha():
            raise self.error("an index without a name", start)
        form[-1] = (last[0] + "".join(index.split()), last[1])


def start_of(node: Sexp) -> int:
    return node.start if isinstance(node, Form) else node[1]
