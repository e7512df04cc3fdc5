"""The properties of a spec by name, before they are read."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from absint.frontends.spec.files import stem
from absint.frontends.spec.tree import Items, Node
from absint.frontends.spec.values import Leaves

_PROPERTY_NAME = re.compile(r"\w[\w .+=-]{0,99}")


def read_entries(
    node: Node, path: Path, known: Sequence[str], leaves: Leaves
) -> list[tuple[str, Node, dict[str, Node]]]:
    """Name, place and fields of each property of a list or mapping. Raises InputError."""
    entries: list[tuple[str, Node, dict[str, Node]]] = []
    if isinstance(node, Items):
        for item in leaves.items(node, "properties"):
            fields = leaves.fields(item, "a property", known)
            if "name" in fields:
                name = property_name(fields["name"], leaves)
            elif len(node.items) == 1:
                name = stem(path)
            else:
                raise leaves.source.error("a property of several needs a 'name'", item)
            if name in (other for other, _, _ in entries):
                raise leaves.source.error(f"duplicate property {name!r}", fields["name"])
            entries.append((name, item, fields))
        return entries
    mapping = leaves.mapping(node, "properties")
    if not mapping.values:
        raise leaves.source.error("properties: the mapping is empty", node)
    for key, value in mapping.values.items():
        fields = leaves.fields(value, "a property", [k for k in known if k != "name"])
        entries.append((property_name(mapping.keys[key], leaves), value, fields))
    return entries


def property_name(node: Node, leaves: Leaves) -> str:
    name = leaves.text(node, "the name of a property")
    if not _PROPERTY_NAME.fullmatch(name):
        raise leaves.source.error(
            f"{name!r} is not a property's name: letters, digits, and . _ + = - or space after "
            "the first, at most 100",
            node,
        )
    return name
