"""YAML text to a tree of strings in which every node knows its line and column.

Nothing is guessed from the text of a scalar: ``on``, ``012`` and ``1e-3`` stay strings (PyYAML's
resolvers read them as True, 10 and a string). JSON is read by the same parser.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from absint.problem import InputError, Unsupported, UnsupportedError

MAX_DEPTH = 32
MAX_NODES = 1_000_000
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_CONTROL = re.compile("[^\t\n\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_PROPERTY = re.compile(r"[&!]\S*\s+")


@dataclass(frozen=True, slots=True, eq=False)
class Scalar:
    """A string. ``start`` is its first character's position in the text, quotes included."""

    start: int
    text: str
    style: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Items:
    """A list."""

    start: int
    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Mapping:
    """A mapping; ``keys`` holds the place of each key."""

    start: int
    keys: dict[str, Scalar]
    values: dict[str, Node]


Node = Scalar | Items | Mapping


@dataclass(frozen=True)
class Source:
    """The text of a spec, for errors that name file, line and column."""

    path: str
    text: str

    def error(self, message: str, node: Node, offset: int = 0) -> InputError:
        """An error at ``node``, or at character ``offset`` of a scalar's value."""
        return InputError(message, self.path, *self.place(node, offset))

    def unsupported(self, what: str, node: Node, hint: str = "") -> UnsupportedError:
        line, column = self.place(node)
        return UnsupportedError([Unsupported(f"{self.path}:{line}:{column}", what, hint)])

    def place(self, node: Node, offset: int = 0) -> tuple[int, int]:
        """Line and column, counted from 1."""
        position = node.start
        if isinstance(node, Scalar) and (offset or node.style in ("|", ">")):
            position = self._position(node, offset)
        return self.line_column(position)

    def line_column(self, position: int) -> tuple[int, int]:
        line_start = self.text.rfind("\n", 0, position) + 1
        return self.text.count("\n", 0, position) + 1, position - line_start + 1

    def _position(self, node: Scalar, offset: int) -> int:
        """Where character ``offset`` of the value stands in the text.

        Folding, indentation and quoting change white space only (and double a single quote), so
        the other characters are matched one by one; the node's start where that fails (escapes).
        """
        position = node.start
        if node.style in ("|", ">"):
            position = self.text.find("\n", position) + 1
        elif node.style:
            position += 1
        for char in "".join(node.text[:offset].split()):
            position = self._skip_space(position)
            if not self.text.startswith(char, position):
                return node.start
            position += 2 if node.style == char == "'" else 1
        if offset < len(node.text) and not node.text[offset].isspace():
            position = self._skip_space(position)
        return position

    def _skip_space(self, position: int) -> int:
        while position < len(self.text) and self.text[position].isspace():
            position += 1
        return position


def parse(text: str, path: Path) -> tuple[Source, Node]:
    """Reads one YAML or JSON document.

    Raises:
        InputError: not one well-formed document, a duplicate key, a tag, or nested or expanded
            (by aliases) beyond MAX_DEPTH or MAX_NODES.
    """
    source = Source(str(path), text)
    control = _CONTROL.search(text)
    if control is not None:
        place = source.line_column(control.start())
        raise InputError(f"the character {control.group()!r} is not allowed", str(path), *place)
    if path.name.removesuffix(".gz").endswith(".json"):
        text = text.replace("\t", " ")  # white space in JSON, which YAML forbids in indentation
    try:
        return source, _Builder(source, iter(yaml.parse(text, Loader=_LOADER))).document()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        problem = " ".join(str(error.problem or error.context).split())
        if mark and text.startswith("\t", mark.index):
            problem = "a tab where only spaces may stand"
        elif mark and _in_flow(text, mark.index):
            problem += "; inside [...] and {...}, text with brackets or commas needs quotes"
        raise InputError(f"not well-formed: {problem}", str(path), *place) from error


def _in_flow(text: str, position: int) -> bool:
    """Some bracket of the line is open before ``position``."""
    before = text[text.rfind("\n", 0, position) + 1 : position]
    return "[" in before or "{" in before


@dataclass
class _Builder:
    source: Source
    events: Iterator[Any]
    anchors: dict[str, tuple[Node, int]] = field(default_factory=dict)

    def document(self) -> Node:
        self._next(yaml.StreamStartEvent)
        start = next(self.events)
        if not isinstance(start, yaml.DocumentStartEvent):
            raise InputError("the file is empty", self.source.path)
        root, _ = self._node(next(self.events), 0)
        self._next(yaml.DocumentEndEvent)
        end = next(self.events)
        if not isinstance(end, yaml.StreamEndEvent):
            raise self._error("a second document: a spec is one document", end)
        return root

    def _next(self, kind: type) -> None:
        event = next(self.events)
        if not isinstance(event, kind):
            raise self._error("unexpected content", event)

    def _error(self, message: str, event: Any) -> InputError:
        mark = event.start_mark
        return InputError(message, self.source.path, mark.line + 1, mark.column + 1)

    def _node(self, event: Any, depth: int) -> tuple[Node, int]:
        """The node that starts with ``event``, and its size with aliases expanded."""
        if isinstance(event, yaml.AliasEvent):
            if event.anchor not in self.anchors:
                raise self._error(f"no complete node has the anchor '&{event.anchor}'", event)
            return self.anchors[event.anchor]
        if event.tag not in (None, "!"):
            raise self._error("tags are not used in specs", event)
        if depth >= MAX_DEPTH:
            raise self._error(f"nested more than {MAX_DEPTH} deep", event)
        start = self._start(event)
        node: Node
        if isinstance(event, yaml.ScalarEvent):
            node, size = Scalar(start, event.value, event.style or ""), 1
        elif isinstance(event, yaml.SequenceStartEvent):
            node, size = self._items(start, depth)
        else:
            node, size = self._mapping(start, depth)
        if size > MAX_NODES:
            raise self._error(f"more than {MAX_NODES} nodes after expanding aliases", event)
        if event.anchor:
            self.anchors[event.anchor] = (node, size)
        return node, size

    def _start(self, event: Any) -> int:
        """The position of the node's own first character, past an anchor."""
        start: int = event.start_mark.index
        if event.anchor or event.tag:
            match = _PROPERTY.match(self.source.text, start)
            start = match.end() if match else start
        return start

    def _items(self, start: int, depth: int) -> tuple[Items, int]:
        items: list[Node] = []
        total = 1
        while not isinstance(event := next(self.events), yaml.SequenceEndEvent):
            node, size = self._node(event, depth + 1)
            items.append(node)
            total += size
        return Items(start, tuple(items)), total

    def _mapping(self, start: int, depth: int) -> tuple[Mapping, int]:
        keys: dict[str, Scalar] = {}
        values: dict[str, Node] = {}
        total = 1
        while not isinstance(event := next(self.events), yaml.MappingEndEvent):
            key, _ = self._node(event, depth + 1)
            if not isinstance(key, Scalar):
                raise self._error("a key must be a plain word", event)
            if key.text in keys:
                raise self._error(f"duplicate key {key.text!r}", event)
            keys[key.text] = key
            values[key.text], size = self._node(next(self.events), depth + 1)
            total += 1 + size
        return Mapping(start, keys, values), total
