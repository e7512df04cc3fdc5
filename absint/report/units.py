"""Names and units of a task's values, as the user's spec has them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal, localcontext
from fractions import Fraction
from pathlib import PurePath

import numpy as np
from numpy.typing import NDArray

from absint.api import Task
from absint.ir import Port
from absint.problem import LinearConstraint, constraint, float_text

FloatArray = NDArray[np.float64]
EXACT_DIGITS = 18


@dataclass(frozen=True)
class Units:
    """A name for each input and output value, and the inputs' scale: raw = x * std + mean.

    ``mean`` and ``std`` are empty where the spec speaks in the network's own units.
    """

    inputs: Sequence[str]
    outputs: Sequence[str]
    mean: Sequence[Fraction] = ()
    std: Sequence[Fraction] = ()

    @staticmethod
    def of(task: Task) -> Units:
        sources, graph = task.spec.sources, task.model.graph
        inputs, outputs = sources.input_names, sources.output_names
        if ".vnnlib" in PurePath(sources.path).suffixes:
            inputs = tuple(f"X_{i}" for i in range(graph.input_size))
            outputs = tuple(f"Y_{i}" for i in range(graph.output_size))
        scale = sources.scale
        return Units(
            inputs or _indexed(graph.inputs, sources.output_names or ()),
            outputs or _indexed(graph.outputs, sources.input_names or ()),
            scale.mean if scale is not None else (),
            scale.std if scale is not None else (),
        )

    def raw(self, x: FloatArray) -> FloatArray:
        """Inputs (..., input_size) of the network in the spec's units."""
        if not self.mean:
            return x
        mean, std = (np.array([float(v) for v in values]) for values in (self.mean, self.std))
        scaled: FloatArray = x * std + mean
        return scaled

    def to_network(self, index: int, raw: Fraction) -> Fraction:
        """One input's value in the network's units, exactly."""
        return (raw - self.mean[index]) / self.std[index] if self.mean else raw

    def phrase(self, row: LinearConstraint) -> str:
        """A constraint as a person would write it: ``WEAK_LEFT <= CLEAR``, ``COC >= 1500``."""
        row = self._raw_row(row)
        terms = [(self.inputs[i], c) for i, c in row.inputs]
        terms += [(self.outputs[i], c) for i, c in row.outputs]
        left = [(name, c) for name, c in terms if c > 0]
        right = [(name, -c) for name, c in terms if c < 0]
        relation = "<" if row.strict else "<="
        if not left:
            left, right, relation = right, [], relation.replace("<", ">")
            return f"{_sum(left)} {relation} {number(-row.bound)}"
        if not right:
            return f"{_sum(left)} {relation} {number(row.bound)}"
        return f"{_sum(left)} {relation} {_sum(right)}{_offset(row.bound)}"

    def _raw_row(self, row: LinearConstraint) -> LinearConstraint:
        """The same constraint on the spec's units."""
        if not self.mean:
            return row
        inputs = [(i, c / self.std[i]) for i, c in row.inputs]
        bound = row.bound + sum(c * self.mean[i] / self.std[i] for i, c in row.inputs)
        return constraint(inputs, row.outputs, Fraction(bound), row.strict)


def number(value: Fraction) -> str:
    """A number as a spec would have it: exact where that takes few digits, otherwise rounded."""
    with localcontext(prec=EXACT_DIGITS):
        decimal = Decimal(value.numerator) / Decimal(value.denominator)
    return (
        f"{decimal:f}" if Fraction(decimal) == value and abs(value) < 10**12 else float_text(value)
    )


def _sum(terms: Iterable[tuple[str, Fraction]]) -> str:
    written = [name if c == 1 else f"{number(c)}*{name}" for name, c in terms]
    return " + ".join(written) or "0"


def _offset(bound: Fraction) -> str:
    if not bound:
        return ""
    return f" {'+' if bound > 0 else '-'} {number(abs(bound))}"


def _indexed(ports: Sequence[Port], taken: Sequence[str]) -> list[str]:
    names = []
    for port in ports:
        clean = "".join(c if c.isprintable() else "?" for c in port.name)  # it is a file's text
        name = clean if port.name not in taken else f"'{clean}'"
        names += [name] if port.size == 1 else [f"{name}[{i}]" for i in range(port.size)]
    return names
