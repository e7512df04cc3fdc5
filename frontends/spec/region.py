"""Regions: ranges by name, ``center ± eps``, unions and linear constraints, in network units."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from absint.frontends.spec.context import Context
from absint.frontends.spec.dtype import FLOAT_MAX
from absint.frontends.spec.expression import parse_formula
from absint.frontends.spec.formula import And, Formula, simplified
from absint.frontends.spec.names import unknown
from absint.frontends.spec.tokens import ExpressionError, Tokens, tokenize
from absint.frontends.spec.tree import Mapping, Node, Scalar
from absint.frontends.spec.values import Interval
from absint.problem import Box, LinearConstraint, float_text, round_to

WHOLE = ("all", "center", "eps", "norm", "clip", "lower", "upper")
KEYS = (*WHOLE, "where", "any_of")
NORMS = ("linf",)
_OTHER_NORMS = ("l0", "l1", "l2")


@dataclass(frozen=True)
class Part:
    """One box of a union, in the network's units, with the constraints that cut it."""

    box: Box
    constraints: tuple[LinearConstraint, ...] = ()


@dataclass
class _Draft:
    """Ranges in the units of the spec, filled layer by layer; None: no range yet."""

    ranges: list[Interval | None]
    constraints: list[LinearConstraint] = field(default_factory=list)

    def copy(self) -> _Draft:
        return _Draft(list(self.ranges), list(self.constraints))


def read_region(node: Node, context: Context, base: Sequence[Interval | None]) -> list[Part]:
    """Reads a region: later layers take the place of earlier ones, dimension by dimension.

    The layers are ``base``, what speaks of all inputs (``all``, ``center`` with ``eps``, ``lower``
    with ``upper``), ranges of tensors, and ranges of values. Each alternative of ``any_of`` goes on
    top of these.

    Raises:
        InputError: with line and column; also where the region is evidently empty.
    """
    mapping = context.leaves.mapping(node, "region")
    draft = _Draft(list(base))
    _apply(mapping, context, draft)
    if "any_of" not in mapping.values:
        return [finish(draft.ranges, draft.constraints, node, context)]
    parts: list[Part] = []
    for item in context.leaves.items(mapping.values["any_of"], "any_of"):
        alternative = context.leaves.mapping(item, "an alternative of any_of")
        if "any_of" in alternative.values:
            raise context.source.error(
                "any_of inside any_of; list all alternatives in one", alternative.keys["any_of"]
            )
        layered = draft.copy()
        _apply(alternative, context, layered)
        parts.append(finish(layered.ranges, layered.constraints, item, context))
        context.count_values(item)
    return parts


def around(
    center: Sequence[Fraction], fields: dict[str, Node], node: Node, context: Context
) -> list[Interval]:
    """The ranges of ``center ± eps``, cut by ``clip``. Raises InputError."""
    if "eps" not in fields:
        raise context.source.error("center needs 'eps'", node)
    size = context.graph.input_size
    radius = context.leaves.vector(fields["eps"], "eps", size)
    if min(radius) < 0:
        raise context.source.error("eps is negative", fields["eps"])
    if "norm" in fields:
        _check_norm(fields["norm"], context)
    clip = context.leaves.interval(fields["clip"], "clip") if "clip" in fields else None
    known: dict[tuple[Fraction, Fraction], Interval] = {}
    for index, key in enumerate(zip(center, radius, strict=True)):
        if key in known:
            continue
        lower, upper = key[0] - key[1], key[0] + key[1]
        if clip is not None:
            lower, upper = max(lower, clip.lower), min(upper, clip.upper)
        if lower > upper:
            raise context.source.error(
                f"empty region: center ± eps of {context.input_name(index)} lies outside clip",
                node,
            )
        known[key] = Interval(lower, upper)
    return [known[key] for key in zip(center, radius, strict=True)]


def _check_norm(node: Node, context: Context) -> None:
    norm = context.leaves.choice(node, "norm", (*NORMS, *_OTHER_NORMS))
    if norm not in NORMS:
        raise context.source.unsupported(f"norm {norm}", node, "linf is")


def _apply(mapping: Mapping, context: Context, draft: _Draft) -> None:
    named = [
        (key, _inputs(mapping.keys[key], context), context.leaves.interval(value, key))
        for key, value in mapping.values.items()
        if key not in KEYS
    ]
    _apply_whole(mapping, context, draft)
    _apply_names(named, mapping, context, draft)
    if "where" in mapping.values:
        node = mapping.values["where"]
        items = [node] if isinstance(node, Scalar) else context.leaves.items(node, "where")
        for item in items:
            draft.constraints += _linear(item, context)


def _apply_whole(mapping: Mapping, context: Context, draft: _Draft) -> None:
    """The layer that speaks of every input at once: at most one of its three forms."""
    values, leaves = mapping.values, context.leaves
    forms = [key for key in ("all", "center", "lower", "upper") if key in values]
    if len(forms) > 1 and forms != ["lower", "upper"]:
        raise context.source.error(
            f"'{forms[1]}' and '{forms[0]}' both give all inputs a range", mapping.keys[forms[1]]
        )
    for key in ("eps", "norm", "clip"):
        if key in values and "center" not in values:
            raise context.source.error(f"'{key}' needs 'center'", mapping.keys[key])
    size = context.graph.input_size
    if "all" in values:
        draft.ranges[:] = [leaves.interval(values["all"], "all")] * size
    elif "center" in values:
        center = leaves.vector(values["center"], "center", size)
        draft.ranges[:] = around(center, values, mapping.keys["center"], context)
    elif forms:
        for key, other in (("lower", "upper"), ("upper", "lower")):
            if key not in values:
                raise context.source.error(f"'{other}' needs '{key}'", mapping.keys[other])
        draft.ranges[:] = _between(mapping, context)


def _between(mapping: Mapping, context: Context) -> list[Interval]:
    size = context.graph.input_size
    lower, upper = (
        context.leaves.vector(mapping.values[key], key, size) for key in ("lower", "upper")
    )
    for index, (low, high) in enumerate(zip(lower, upper, strict=True)):
        if low > high:
            raise context.source.error(
                f"{context.input_name(index)}: lower bound {float_text(low)} "
                f"above upper bound {float_text(high)}",
                mapping.keys["lower"],
            )
    return [Interval(low, high) for low, high in zip(lower, upper, strict=True)]


def _apply_names(
    named: Iterable[tuple[str, range, Interval]], mapping: Mapping, context: Context, draft: _Draft
) -> None:
    """Ranges by name: those of whole tensors first, so that single values may differ from them."""
    tensors: dict[int, str] = {}
    values: dict[int, str] = {}
    for key, chosen, interval in named:
        layer = tensors if len(chosen) > 1 and key.isidentifier() else values
        for index in chosen:
            if index in layer:
                raise context.source.error(
                    f"{context.input_name(index)} has a range already, by {layer[index]!r}",
                    mapping.keys[key],
                )
            layer[index] = key
            if layer is values or index not in values:
                draft.ranges[index] = interval


def _inputs(key: Scalar, context: Context) -> range:
    """The inputs that a key such as ``rho``, ``x[3]`` or ``x[0..3]`` names."""
    if key.text.isidentifier() and key.text not in context.names.targets:
        known = [*KEYS, *context.names.targets]
        raise context.source.error(unknown("key", key.text, known), key)
    try:
        tokens = Tokens(context.names, tokenize(key.text))
        chosen = tokens.selection()
        tokens.end()
        if chosen.side != "input":
            raise ExpressionError(f"{key.text!r} is an output, not an input", 0)
    except ExpressionError as error:
        raise context.source.error(str(error), key, error.offset) from error
    return chosen.values


def _linear(node: Node, context: Context) -> list[LinearConstraint]:
    """A condition of ``where``: linear comparisons of inputs, joined by ``and``."""
    text = context.leaves.text(node, "a condition of where")
    try:
        formula = parse_formula(text, context.names, context.scale.variable)
    except ExpressionError as error:
        raise context.source.error(str(error), node, error.offset) from error
    rows = _conjuncts(formula)
    if rows is None:
        raise context.source.error("where takes no 'or'; list the alternatives in any_of", node)
    if any(row.outputs for row in rows):
        raise context.source.error("where speaks of inputs only, not of outputs", node)
    return rows


def _conjuncts(formula: Formula) -> list[LinearConstraint] | None:
    if isinstance(formula, LinearConstraint):
        return [formula]
    if not isinstance(formula, And):
        return None
    rows: list[LinearConstraint] = []
    for part in formula.parts:
        inner = _conjuncts(part)
        if inner is None:
            return None
        rows += inner
    return rows


def finish(
    ranges: Sequence[Interval | None],
    where: Iterable[LinearConstraint],
    node: Node,
    context: Context,
) -> Part:
    """The part in the network's units. Raises InputError at ``node``."""
    known: list[Interval] = []
    for index, interval in enumerate(ranges):
        if interval is None:
            raise context.source.error(f"{context.input_name(index)} has no range", node)
        known.append(interval)
    lower = context.scale.to_network([r.lower for r in known])
    upper = context.scale.to_network([r.upper for r in known])
    largest = FLOAT_MAX[context.dtype]
    for index, (low, high) in enumerate(zip(lower, upper, strict=True)):
        if high > largest or low < -largest:
            raise context.source.error(
                f"{context.input_name(index)}: a bound does not fit {context.dtype}", node
            )
    constraints = simplified(where)
    box = Box(lower, upper)
    if constraints is None or any(_excludes_all(row, box, context) for row in constraints):
        raise context.source.error("empty region: no input satisfies 'where'", node)
    return Part(box, constraints)


def _excludes_all(row: LinearConstraint, box: Box, context: Context) -> bool:
    """No value that the network may receive from the box satisfies the constraint."""
    inward = context.input_values == "representable"
    least = Fraction(0)
    for index, coefficient in row.inputs:
        if coefficient > 0:
            end = round_to(box.lower[index], context.dtype, "up" if inward else "nearest")
        else:
            end = round_to(box.upper[index], context.dtype, "down" if inward else "nearest")
        least += coefficient * Fraction(end)
    return least >= row.bound if row.strict else least > row.bound
