"""Neurons that a proof may divide by phase: elementwise functions with one knot."""

from __future__ import annotations

from absint.ir import Graph, Node
from absint.proofs.transformers.piecewise import PiecewiseLinear
from absint.proofs.transformers.univariate import UNIVARIATE_OPS


def neurons(graph: Graph) -> dict[int, int]:
    """The positions of those nodes, in order, each with how many entries it has."""
    return {at: node.size for at, node in enumerate(graph.nodes) if one_knot(node) is not None}


def one_knot(node: Node) -> PiecewiseLinear | None:
    """The node's function, if it is elementwise and piecewise linear with one knot."""
    if node.op not in UNIVARIATE_OPS:
        return None
    function = UNIVARIATE_OPS[node.op](node)
    single = isinstance(function, PiecewiseLinear) and len(function.knots) == 1
    return function if single and isinstance(function, PiecewiseLinear) else None
