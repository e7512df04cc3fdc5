"""``never`` and ``always``: conditions to the catastrophe's conjunctions."""

from __future__ import annotations

from absint.frontends.spec.context import Context
from absint.frontends.spec.expression import parse_formula
from absint.frontends.spec.formula import (
    MAX_CONJUNCTIONS,
    Formula,
    FormulaSizeError,
    disjuncts,
    negate,
)
from absint.frontends.spec.tokens import ExpressionError
from absint.frontends.spec.tree import Node, Scalar
from absint.problem import Conjunction

KEYS = ("never", "always")


def condition_key(node: Node, fields: dict[str, Node], context: Context) -> str:
    """``never`` or ``always``, whichever the property at ``node`` has. Raises InputError."""
    keys = [key for key in KEYS if key in fields]
    if len(keys) != 1:
        raise context.source.error("a property needs 'never' or 'always', one of them", node)
    return keys[0]


def read_catastrophe(
    key: str, node: Node, context: Context, label: int | None = None
) -> tuple[Conjunction, ...]:
    """The catastrophe that a condition, or each condition of a list, describes.

    ``never`` forbids each of them; ``always`` demands each, so its catastrophe is the negation.

    Raises:
        InputError: with line and column; also for a condition that is evidently always true or
            never true, or that speaks of no output.
    """
    items = [node] if isinstance(node, Scalar) else context.leaves.items(node, key)
    rows = [row for item in items for row in _conjunctions(item, key, context, label)]
    if len(rows) > MAX_CONJUNCTIONS:
        raise context.source.error(f"more than {MAX_CONJUNCTIONS} alternatives", node)
    return tuple(dict.fromkeys(rows))


def _conjunctions(node: Node, key: str, context: Context, label: int | None) -> list[Conjunction]:
    formula = _condition(node, key, context, label)
    try:
        rows = disjuncts(formula if key == "never" else negate(formula))
    except FormulaSizeError as error:
        raise context.source.error(str(error), node) from error
    if not rows or not all(rows):
        truth = "always" if bool(rows) == (key == "never") else "never"
        raise context.source.error(f"this is {truth} true, whatever the network does", node)
    if not any(row.outputs for conjunction in rows for row in conjunction):
        raise context.source.error("this speaks of no output", node)
    return rows


def _condition(node: Node, key: str, context: Context, label: int | None) -> Formula:
    text = context.leaves.text(node, f"a condition of {key}")
    try:
        return parse_formula(text, context.names, context.scale.variable, label)
    except ExpressionError as error:
        raise context.source.error(str(error), node, error.offset) from error
