"""The spec's top level: names, units, semantics, region, properties."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from absint.frontends.spec.catastrophe import KEYS as CONDITION_KEYS
from absint.frontends.spec.catastrophe import condition_key, read_catastrophe
from absint.frontends.spec.context import Context
from absint.frontends.spec.dataset import read_dataset
from absint.frontends.spec.dtype import input_dtype, read_meaning
from absint.frontends.spec.entries import property_name, read_entries
from absint.frontends.spec.files import ReferredFiles, stem
from absint.frontends.spec.names import KEYWORDS, Names
from absint.frontends.spec.problems import build_problem
from absint.frontends.spec.region import Part, finish, read_region
from absint.frontends.spec.scale import Scale, read_scale
from absint.frontends.spec.tree import Mapping, Node, Scalar, parse
from absint.frontends.spec.types import DatasetInfo
from absint.frontends.spec.values import Interval, Leaves
from absint.ir import Graph
from absint.problem import Meaning, Problem

TOP = (
    "name",
    "description",
    "inputs",
    "outputs",
    "normalize",
    "semantics",
    "input_values",
    "region",
    "dataset",
    "properties",
    *CONDITION_KEYS,
)
PROPERTY = ("name", "description", "region", *CONDITION_KEYS)
_IDENTIFIER = re.compile(r"[^\W\d]\w*")


@dataclass(frozen=True)
class Document:
    """What a spec says, before its digest is known."""

    properties: tuple[Problem, ...]
    dataset: DatasetInfo | None
    input_names: tuple[str, ...] | None
    output_names: tuple[str, ...] | None
    scale: Scale


def read_document(
    text: str, path: Path, graph: Graph, files: ReferredFiles, asked: Meaning | None = None
) -> Document:
    """Reads a spec in YAML or JSON; ``asked`` as ``absint.frontends.spec.reader.read`` has it.

    Raises:
        InputError: whatever is wrong, with file, line and column.
        UnsupportedError: a construct of the language that is not supported yet.
    """
    source, root = parse(text, path)
    leaves = Leaves(source, files)
    fields = leaves.fields(root, "a spec", TOP, ("decode",))
    for key in ("name", "description"):
        if key in fields:
            leaves.text(fields[key], key)
    inputs, base = _inputs(fields.get("inputs"), leaves, graph)
    outputs = _outputs(fields.get("outputs"), leaves, graph)
    _check_distinct(fields, leaves, inputs, outputs)
    dtype = input_dtype(graph)
    context = Context(
        leaves=leaves,
        graph=graph,
        names=Names.of(graph, inputs or (), outputs or ()),
        input_names=inputs,
        scale=read_scale(fields["normalize"], leaves, graph) if "normalize" in fields else Scale(),
        dtype=dtype,
        input_values="rounded",
        meaning=read_meaning(fields.get("semantics"), leaves, dtype, asked),
    )
    _read_input_values(fields, context)
    if "dataset" in fields:
        _exclude(root, ("name", "region", "properties"), "dataset", context)
        if any(base):
            raise source.error("ranges under 'inputs' do not go with 'dataset'", fields["inputs"])
        problems, info = read_dataset(fields, context)
        return Document(problems, info, inputs, outputs, context.scale)
    problems = _properties(root, fields, path, base, context)
    return Document(problems, None, inputs, outputs, context.scale)


def _inputs(
    node: Node | None, leaves: Leaves, graph: Graph
) -> tuple[tuple[str, ...] | None, list[Interval | None]]:
    """The names of the inputs, and their ranges where ``inputs`` gives some."""
    size = graph.input_size
    if not isinstance(node, Mapping):
        return _names(node, "inputs", size, leaves), [None] * size
    names = _checked_names(list(node.keys.values()), "inputs", size, node, leaves)
    return names, [
        None if _is_null(value) else leaves.interval(value, name)
        for name, value in node.values.items()
    ]


def _is_null(node: Node) -> bool:
    return isinstance(node, Scalar) and not node.style and node.text in ("", "~", "null")


def _outputs(node: Node | None, leaves: Leaves, graph: Graph) -> tuple[str, ...] | None:
    return _names(node, "outputs", graph.output_size, leaves)


def _names(node: Node | None, what: str, size: int, leaves: Leaves) -> tuple[str, ...] | None:
    if node is None:
        return None
    return _checked_names(leaves.items(node, what), what, size, node, leaves)


def _checked_names(
    nodes: Sequence[Node], what: str, size: int, whole: Node, leaves: Leaves
) -> tuple[str, ...]:
    """Distinct identifiers, one for each value of the flat vector."""
    names: list[str] = []
    for node in nodes:
        name = leaves.text(node, f"a name under {what}")
        if not _IDENTIFIER.fullmatch(name):
            raise leaves.source.error(
                f"{name!r} is not a name: letters, digits and underscores, no digit first", node
            )
        if name in KEYWORDS:
            raise leaves.source.error(f"{name!r} is a word of the language, not a name", node)
        if name in names:
            raise leaves.source.error(f"the name {name!r} is used twice", node)
        names.append(name)
    if len(names) != size:
        raise leaves.source.error(
            f"{what}: {len(names)} names, but the network has {size} {what}", whole
        )
    return tuple(names)


def _check_distinct(
    fields: dict[str, Node],
    leaves: Leaves,
    inputs: tuple[str, ...] | None,
    outputs: tuple[str, ...] | None,
) -> None:
    both = set(inputs or ()) & set(outputs or ())
    if both:
        raise leaves.source.error(f"{min(both)!r} names an input and an output", fields["outputs"])


def _read_input_values(fields: dict[str, Node], context: Context) -> None:
    if "input_values" in fields:
        word = context.leaves.choice(
            fields["input_values"], "input_values", ("rounded", "representable")
        )
        context.input_values = "representable" if word == "representable" else "rounded"


def _exclude(root: Node, keys: Collection[str], beside: str, context: Context) -> None:
    mapping = context.leaves.mapping(root, "a spec")
    for key, place in mapping.keys.items():
        if key in keys:
            raise context.source.error(f"'{key}' does not go together with '{beside}'", place)


def _properties(
    root: Node,
    fields: dict[str, Node],
    path: Path,
    base: Sequence[Interval | None],
    context: Context,
) -> tuple[Problem, ...]:
    """All properties of a spec without dataset, each with its own or the common region."""
    common: list[Part] | None = None
    if "region" in fields:
        common = read_region(fields["region"], context, base)
    if "properties" not in fields:
        name = property_name(fields["name"], context.leaves) if "name" in fields else stem(path)
        entries = [(name, root, fields)]
    else:
        _exclude(root, ("name", *CONDITION_KEYS), "properties", context)
        entries = read_entries(fields["properties"], path, PROPERTY, context.leaves)
    problems: list[Problem] = []
    for name, node, entry in entries:
        parts = common
        if "properties" in fields and "region" in entry:
            parts = read_region(entry["region"], context, base)
        if parts is None:
            parts = _ranges_of_inputs(node, context, base)
        if "description" in entry:
            context.leaves.text(entry["description"], "description")
        key = condition_key(node, entry, context)
        catastrophe = read_catastrophe(key, entry[key], context)
        problems.append(build_problem(name, parts, catastrophe, node, context))
    return tuple(problems)


def _ranges_of_inputs(node: Node, context: Context, base: Sequence[Interval | None]) -> list[Part]:
    if not any(base):
        raise context.source.error("no region: give 'region', or ranges under 'inputs'", node)
    return [finish(base, (), node, context)]
