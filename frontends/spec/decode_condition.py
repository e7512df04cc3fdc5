"""Conditions of a decode spec to formulas over machines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice

from absint.frontends.spec.decode_logits import read_detected, read_logits
from absint.frontends.spec.decode_machines import Labelled
from absint.frontends.spec.decode_match import Words, read_match
from absint.frontends.spec.names import unknown
from absint.frontends.spec.tree import Items, Node
from absint.problem.decode import All, Atom, Formula, Machine, Not, Probe, Some

CONDITIONS = (
    "prompt",
    "output",
    "machine",
    "logits",
    "detector",
    "same",
    "differ",
    "all",
    "any",
    "not",
)
_BESIDE = {"is": "machine", "step": "logits"}
"""What stands beside a condition, and which."""


@dataclass
class Conditions:
    """Reads conditions; ``machines`` and ``probes`` grow by those that they need, each once."""

    words: Words
    named: dict[str, Labelled]
    steps: int
    detector: Sequence[str] = ()
    """The names of what the detector gives; none: there is no detector."""
    machines: list[Machine] = field(default_factory=list)
    probes: list[Probe] = field(default_factory=list)

    def read(self, node: Node) -> Formula:
        """Raises InputError, or UnsupportedError."""
        leaves = self.words.leaves
        fields = leaves.fields(node, "a condition", (*CONDITIONS, *_BESIDE))
        kinds = [kind for kind in fields if kind not in _BESIDE]
        if len(kinds) != 1:
            raise leaves.source.error(f"a condition is one of {', '.join(CONDITIONS)}", node)
        kind, value = kinds[0], fields[kinds[0]]
        for key, beside in _BESIDE.items():
            if (key in fields) != (kind == beside):
                raise leaves.source.error(f"'{beside}' goes with '{key}'", node)
        if kind == "machine":
            return self._labelled(value, fields["is"])
        if kind == "logits":
            return read_logits(value, fields["step"], self.words, self.steps, self.probes)
        if kind == "detector":
            return read_detected(value, self.words, self.detector, self.probes)
        if kind == "prompt" or kind == "output":
            machine = read_match(value, "prompt" if kind == "prompt" else "output", self.words)
            return Atom(self._number(machine), frozenset({1}))
        if kind == "same" or kind == "differ":
            same = self._same(value)
            return same if kind == "same" else Not(same)
        if kind == "not":
            return Not(self.read(value))
        parts = tuple(self.read(item) for item in leaves.items(value, kind))
        return All(parts) if kind == "all" else Some(parts)

    def any_of(self, node: Node) -> Formula:
        """A condition, or any of a list of conditions."""
        if not isinstance(node, Items):
            return self.read(node)
        return Some(tuple(self.read(item) for item in self.words.leaves.items(node, "a list")))

    def all_of(self, node: Node) -> Formula:
        """A condition, or all of a list of conditions."""
        if not isinstance(node, Items):
            return self.read(node)
        return All(tuple(self.read(item) for item in self.words.leaves.items(node, "a list")))

    def _number(self, machine: Machine) -> int:
        if machine not in self.machines:
            self.machines.append(machine)
        return self.machines.index(machine)

    def _find(self, node: Node) -> Labelled:
        name = self.words.leaves.text(node, "a machine's name")
        if name not in self.named:
            raise self.words.leaves.source.error(unknown("machine", name, self.named), node)
        return self.named[name]

    def _labelled(self, node: Node, values: Node) -> Formula:
        leaves, found = self.words.leaves, self._find(node)
        items: Sequence[Node] = (
            leaves.items(values, "is") if isinstance(values, Items) else [values]
        )
        labels = set()
        for item in items:
            name = leaves.text(item, "a label")
            if name not in found.names:
                raise leaves.source.error(unknown("label", name, found.names), item)
            labels.add(found.names.index(name))
        return Atom(self._number(found.machine), frozenset(labels))

    def _same(self, node: Node) -> Formula:
        """Both machines end with labels of one name."""
        leaves = self.words.leaves
        items = leaves.items(node, "two machines")
        if len(items) != 2:
            raise leaves.source.error("two machines are compared", node)
        first, second = (self._find(item) for item in items)
        a, b = self._number(first.machine), self._number(second.machine)
        common = [name for name in first.names if name in second.names]
        if not common:
            have = " and ".join(", ".join(islice(m.names, 5)) for m in (first, second))
            raise leaves.source.error(f"no label in common: {have}", node)
        return Some(
            tuple(
                All(
                    (
                        Atom(a, frozenset({first.names.index(name)})),
                        Atom(b, frozenset({second.names.index(name)})),
                    )
                )
                for name in common
            )
        )
