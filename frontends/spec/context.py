"""What every part of a spec's reader needs: the text, the network, names and units."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from absint.frontends.spec.names import Names
from absint.frontends.spec.scale import Scale
from absint.frontends.spec.tree import Node, Source
from absint.frontends.spec.values import Leaves
from absint.ir import Graph
from absint.problem import Meaning, Semantics
from absint.problem.exact import Dtype

MAX_VALUES = 8_000_000


@dataclass
class Context:
    leaves: Leaves
    graph: Graph
    names: Names
    input_names: tuple[str, ...] | None
    scale: Scale
    dtype: Dtype
    input_values: Literal["rounded", "representable"]
    meaning: Meaning
    counted: int = field(default=0)

    @property
    def source(self) -> Source:
        return self.leaves.source

    @property
    def semantics(self) -> Semantics:
        return Semantics(self.meaning, self.dtype, self.input_values)

    def input_name(self, index: int) -> str:
        """For messages: ``input 3`` or ``input 3 ('rho')``."""
        return f"input {index}" + (f" ({self.input_names[index]!r})" if self.input_names else "")

    def count_values(self, node: Node) -> None:
        """Counts one more box. Raises InputError beyond MAX_VALUES bounds in one spec."""
        self.counted += 2 * self.graph.input_size
        if self.counted > MAX_VALUES:
            raise self.source.error(
                f"more than {MAX_VALUES} bounds in one spec; verify it in several", node
            )
