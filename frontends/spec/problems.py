"""A region and a catastrophe to a problem."""

from __future__ import annotations

from collections.abc import Iterable

from absint.frontends.spec.context import Context
from absint.frontends.spec.region import Part
from absint.frontends.spec.tree import Node
from absint.problem import Cell, Conjunction, Problem, ProblemError


def build_problem(
    name: str,
    parts: Iterable[Part],
    catastrophe: tuple[Conjunction, ...],
    node: Node,
    context: Context,
) -> Problem:
    """Raises InputError, also where ``representable`` is asked for and a box holds no float."""
    cells = tuple(Cell(part.box, catastrophe, part.constraints) for part in parts)
    graph = context.graph
    problem = Problem(name, graph.input_size, graph.output_size, cells, context.semantics)
    if context.input_values == "representable":
        for cell in cells:
            try:
                problem.network_box(cell)
            except ProblemError as error:
                raise context.source.error(f"empty region: {error}", node) from error
    return problem
