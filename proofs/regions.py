"""Sets of inputs in batches, and linear rows whose least values over them are wanted."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np

from absint.ir import Graph
from absint.proofs.arithmetic import FloatArray, without_subnormals
from absint.proofs.terms import Terms
from absint.proofs.transformers.affine import Interval
from absint.proofs.transformers.steps import Which, among, box_minimum


@dataclass(frozen=True)
class Rows:
    """Linear rows ``inputs . x + outputs . y - bound``, as floats with what each is off by.

    ``inputs`` and ``inputs_off`` are (batch or 1, rows, input_size), ``outputs`` and
    ``outputs_off`` (batch or 1, rows, output_size), ``bound`` (batch or 1, rows) is rounded up.
    No row has input terms where ``inputs`` has no columns. ``terms`` belong to other nodes.
    """

    inputs: FloatArray
    inputs_off: FloatArray
    outputs: FloatArray
    outputs_off: FloatArray
    bound: FloatArray
    terms: Mapping[int, Terms] = field(default_factory=dict)

    def take(self, which: slice | list[int]) -> Rows:
        """Some of the rows."""
        terms = {position: term.take(which) for position, term in self.terms.items()}
        return replace(self.each(lambda part: part[:, which]), terms=terms)

    def each(self, change: Callable[[FloatArray], FloatArray]) -> Rows:
        """The rows of changed arrays."""
        return Rows(
            change(self.inputs),
            change(self.inputs_off),
            change(self.outputs),
            change(self.outputs_off),
            change(self.bound),
        )


class Region(Protocol):
    """A batch of sets of inputs: what is known of some nodes, by other means than their operands.

    Backward bounds end at the given nodes.
    """

    batch: int
    order: Sequence[int]
    """The nodes to be bounded, in topological order."""

    def given(self, position: int, values: Mapping[int, Interval]) -> Interval | None:
        """Bounds (batch, *shape) of a given node; None where it is not one.

        ``values`` holds the bounds of the nodes before it in ``order``.
        """

    def minimum(
        self, parts: Mapping[int, FloatArray], enough: FloatArray | None = None
    ) -> FloatArray:
        """At most the least value, (batch, rows), of ``sum_v parts[v] . v`` over given nodes v.

        ``parts`` holds exact coefficients (batch or 1, rows, *shape). Where the value is known to
        be ``enough`` (batch, rows), it need not be close.
        """


class Boxes:
    """The boxes [lower, upper], each (batch, input_size)."""

    def __init__(self, graph: Graph, lower: FloatArray, upper: FloatArray) -> None:
        self.batch = lower.shape[0]
        self.order: Sequence[int] = range(len(graph.nodes))
        box, self._values = without_subnormals(lower, upper), dict[int, Interval]()
        for position, place in graph.input_slices().items():
            shape = (-1, *graph.nodes[position].shape)
            self._values[position] = (
                box[0][:, place].reshape(shape),
                box[1][:, place].reshape(shape),
            )

    def take(self, which: Which, count: int) -> Boxes:
        """Of ``count`` sets, the boxes that they lie in."""
        part = copy.copy(self)
        part.batch = count
        part._values = {at: among(value, which) for at, value in self._values.items()}
        return part

    def given(self, position: int, values: Mapping[int, Interval]) -> Interval | None:
        return self._values.get(position)

    def minimum(
        self, parts: Mapping[int, FloatArray], enough: FloatArray | None = None
    ) -> FloatArray:
        total: FloatArray = np.zeros((1, 1))
        for position, c in parts.items():
            total = np.nextafter(total + box_minimum(c, self._values[position]), -np.inf)
        return total
