"""Prompts as templates: fixed tokens, sets of tokens, repeats and alternatives to cells."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import product
from typing import TypeVar

from absint.frontends.spec.decode_tokens import TokenNames
from absint.frontends.spec.tokens import ExpressionError
from absint.frontends.spec.tree import Items, Mapping, Node, Scalar
from absint.frontends.spec.values import Leaves
from absint.problem.decode import Tokens
from absint.problem.regular import Chain, Choice, Expression, Repeat, Symbols, symbols

MAX_TEMPLATES = 10_000
MAX_SLOTS = 1_000_000
"""Of all templates together."""

Slots = tuple[Tokens, ...]
Result = TypeVar("Result")


def at_node(node: Node, leaves: Leaves, read: Callable[[str], Result]) -> Result:
    """``read`` of the node's text. Raises InputError at the place of its ExpressionError."""
    if not isinstance(node, Scalar) or not node.text:
        raise leaves.source.error("a text is needed", node)
    try:
        return read(node.text)
    except ExpressionError as error:
        raise leaves.source.error(str(error), node, error.offset) from error


def read_tokens(node: Node, names: TokenNames, leaves: Leaves) -> Tokens:
    """A set of tokens: a text, a list of such, or ``{not: set}``. Raises InputError."""
    if isinstance(node, Items):
        parts = [read_tokens(item, names, leaves) for item in leaves.items(node, "a set of tokens")]
        return frozenset[int]().union(*parts)
    if isinstance(node, Mapping):
        fields = leaves.fields(node, "a set of tokens", ("not",))
        if "not" not in fields:
            raise leaves.source.error("a set of tokens is empty", node)
        rest = frozenset(range(names.size)) - read_tokens(fields["not"], names, leaves)
        if not rest:
            raise leaves.source.error("a set of tokens is empty", node)
        return rest
    return at_node(node, leaves, names.tokens)


def read_sets(node: Node, names: TokenNames, leaves: Leaves) -> TokenNames:
    """``names`` with the sets that a mapping defines, each from those before it."""
    for key, value in leaves.mapping(node, "sets").values.items():
        place = leaves.mapping(node, "sets").keys[key]
        if not key or any(char.isspace() or char in "<>" for char in key):
            raise leaves.source.error(f"{key!r} is not a set's name", place)
        if f"<{key}>" in names.index:
            raise leaves.source.error(f"there is a token '<{key}>'", place)
        names = TokenNames(
            names.index, names.size, names.sets | {key: read_tokens(value, names, leaves)}
        )
    return names


def read_template(node: Node, names: TokenNames, leaves: Leaves) -> tuple[Slots, ...]:
    """The template's sets of tokens, slot by slot, for each of its lengths and alternatives.

    A text is a regular expression without ``*``, ``+`` and ``{n,}``; a list is one part after the
    other, each a text or ``{any: set, repeat: 1..4}``. Raises InputError.
    """
    parts: Iterable[Node] = leaves.items(node, "a template") if isinstance(node, Items) else [node]
    expression = Chain(tuple(_part(part, names, leaves) for part in parts))
    try:
        return tuple(dict.fromkeys(_expand(expression)))
    except ValueError as error:
        raise leaves.source.error(str(error), node) from error


def _part(node: Node, names: TokenNames, leaves: Leaves) -> Expression:
    if not isinstance(node, Mapping):
        return at_node(node, leaves, lambda text: _one_or_more(text, names))
    fields = leaves.fields(node, "a part of a template", ("any", "repeat"))
    if "any" not in fields:
        raise leaves.source.error("a part of a template needs 'any'", node)
    tokens = read_tokens(fields["any"], names, leaves)
    least, most = _count(fields["repeat"], leaves) if "repeat" in fields else (1, 1)
    return Repeat(symbols(tokens), least, most)


def _one_or_more(text: str, names: TokenNames) -> Expression:
    return symbols(names.tokens(text)) if text in names.index else names.expression(text)


def _count(node: Node, leaves: Leaves) -> tuple[int, int]:
    text = leaves.text(node, "repeat")
    first, dots, last = (part.strip() for part in text.partition(".."))
    ends = [first, last if dots else first]
    if not all(end.isdecimal() and len(end) <= 6 for end in ends) or int(ends[0]) > int(ends[1]):
        raise leaves.source.error("repeat is a number, or first..last", node)
    return int(ends[0]), int(ends[1])


def _expand(expression: Expression) -> list[Slots]:
    """All templates without repeats or alternatives. Raises ValueError."""
    if isinstance(expression, Symbols):
        tokens = (range(first, last + 1) for first, last in expression.ranges)
        return [(frozenset(token for part in tokens for token in part),)]
    if isinstance(expression, Choice):
        return _checked(slots for part in expression.of for slots in _expand(part))
    if isinstance(expression, Chain):
        result: list[Slots] = [()]
        for part in expression.of:
            result = _checked(a + b for a, b in product(result, _expand(part)))
        return result
    if expression.most is None:
        raise ValueError("a prompt has a greatest length: write {1,4} for * and +")
    once = _expand(expression.of)
    current = _times(once, expression.least)
    result = list(current)
    for _ in range(expression.most - expression.least):
        current = _checked(a + b for a, b in product(current, once))
        result = _checked([*result, *current])
    return result


def _times(once: list[Slots], count: int) -> list[Slots]:
    result: list[Slots] = [()]
    if len(once) == 1 and len(once[0]) * count <= MAX_SLOTS:
        return [once[0] * count]
    for _ in range(count):
        result = _checked(a + b for a, b in product(result, once))
    return result


def _checked(templates: Iterable[Slots]) -> list[Slots]:
    result: dict[Slots, None] = {}
    slots = 0
    for one in templates:
        result[one] = None
        slots += len(one)
        if len(result) > MAX_TEMPLATES or slots > MAX_SLOTS:
            raise ValueError(
                f"more than {MAX_TEMPLATES} alternatives, or {MAX_SLOTS} slots in all of them"
            )
    return list(result)


def read_allowed(
    node: Node, steps: int, names: TokenNames, leaves: Leaves
) -> tuple[Tokens | None, ...]:
    """A template with one set of tokens for each step; None where that is every token."""
    found = read_template(node, names, leaves)
    if len(found) != 1 or len(found[0]) != steps:
        lengths = sorted({len(slots) for slots in found})
        raise leaves.source.error(
            f"allowed: one set of tokens for each of the {steps} steps, not {lengths}"
            if len(found) == 1
            else "allowed: a template without alternatives",
            node,
        )
    return tuple(None if len(tokens) == names.size else tokens for tokens in found[0])


def check_steps(node: Node, leaves: Leaves) -> int:
    """The number of steps. Raises InputError."""
    steps = leaves.integer(node, "steps")
    if not 1 <= steps <= 10_000:
        raise leaves.source.error("steps: from 1 to 10000", node)
    return steps
