"""The leaves of a spec: keys, words, numbers, ranges and vectors."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from fractions import Fraction

from absint.frontends.spec.arrays import Reference, exact, read_array
from absint.frontends.spec.files import ReferredFiles
from absint.frontends.spec.names import unknown
from absint.frontends.spec.tree import Items, Mapping, Node, Scalar, Source
from absint.problem import float_text, parse_number

_MAX_NUMBER = 1_000


@dataclass(frozen=True)
class Interval:
    """A closed range, as written."""

    lower: Fraction
    upper: Fraction


@dataclass(frozen=True)
class Leaves:
    """Reads the leaves of one spec. Every method raises InputError with line and column."""

    source: Source
    files: ReferredFiles

    def mapping(self, node: Node, what: str) -> Mapping:
        if not isinstance(node, Mapping):
            raise self.source.error(f"{what} is a mapping of keys to values", node)
        return node

    def fields(
        self, node: Node, what: str, known: Collection[str], elsewhere: Collection[str] = ()
    ) -> dict[str, Node]:
        """The values of a mapping whose keys are all in ``known``.

        ``elsewhere`` are keys of other documents, which a misspelt key may have meant.
        """
        mapping = self.mapping(node, what)
        for key, place in mapping.keys.items():
            if key not in known:
                raise self.source.error(unknown("key", key, (*known, *elsewhere)), place)
        return mapping.values

    def items(self, node: Node, what: str) -> tuple[Node, ...]:
        """The entries of a list that is not empty."""
        if not isinstance(node, Items):
            raise self.source.error(f"{what} is a list", node)
        if not node.items:
            raise self.source.error(f"{what}: the list is empty", node)
        return node.items

    def text(self, node: Node, what: str) -> str:
        if not isinstance(node, Scalar) or not node.text.strip():
            raise self.source.error(f"{what} is a text", node)
        return node.text

    def choice(self, node: Node, what: str, known: Collection[str]) -> str:
        word = self.text(node, what)
        if word not in known:
            listed = " or ".join(known)
            raise self.source.error(f"{unknown('value', word, known)} ({what} is {listed})", node)
        return word

    def number(self, node: Node, what: str = "this") -> Fraction:
        text = self.text(node, f"{what}: a number")
        try:
            if len(text) > _MAX_NUMBER:
                raise ValueError(f"longer than {_MAX_NUMBER} characters")
            return parse_number(text)
        except ValueError as error:
            raise self.source.error(str(error), node) from error

    def integer(self, node: Node, what: str) -> int:
        text = self.text(node, what).strip()
        if not text.isdecimal() or len(text) > 12:
            raise self.source.error(f"{what} is an integer from 0 up", node)
        return int(text)

    def interval(self, node: Node, what: str) -> Interval:
        """``[lower, upper]``, one number, or ``center ± radius``."""
        if isinstance(node, Items):
            if len(node.items) != 2:
                raise self.source.error(f"{what}: a range is [lower, upper]", node)
            lower, upper = (self.number(item, what) for item in node.items)
        elif isinstance(node, Scalar):
            lower, upper = self._around(node, what)
        else:
            raise self.source.error(f"{what}: a range is [lower, upper] or one number", node)
        if lower > upper:
            raise self.source.error(
                f"{what}: lower bound {float_text(lower)} above upper bound {float_text(upper)}",
                node,
            )
        return Interval(lower, upper)

    def _around(self, node: Scalar, what: str) -> tuple[Fraction, Fraction]:
        for sign in ("±", "+-"):
            head, found, tail = node.text.partition(sign)
            if found:
                parts = (Scalar(node.start, part.strip()) for part in (head, tail))
                center, radius = (self.number(part, what) for part in parts)
                if radius < 0:
                    raise self.source.error(f"{what}: the radius is negative", node)
                return center - radius, center + radius
        value = self.number(node, what)
        return value, value

    def reference(self, node: Node) -> Reference | None:
        """The array file that a scalar names, if it names one."""
        return Reference.parse(node.text) if isinstance(node, Scalar) else None

    def vector(self, node: Node, what: str, size: int) -> list[Fraction]:
        """One number for all, a list of numbers, or an array file; ``size`` numbers in the end."""
        values = self.numbers(node, what)
        if not isinstance(node, Items) and self.reference(node) is None:
            return values * size
        if len(values) != size:
            raise self.source.error(f"{what} has {len(values)} values where {size} belong", node)
        return values

    def numbers(self, node: Node, what: str) -> list[Fraction]:
        """A number, a list of numbers, or the entries of an array file row by row."""
        reference = self.reference(node)
        if reference is not None:
            try:
                return exact(read_array(reference, self.files))
            except ValueError as error:
                raise self.source.error(str(error), node) from error
        if isinstance(node, Items):
            return [self.number(item, what) for item in self.items(node, what)]
        if isinstance(node, Scalar):
            return [self.number(node, what)]
        raise self.source.error(f"{what} is a number, a list of numbers or an array file", node)
