"""The intermediate representation: a small closed set of core ops with exact constants."""

from absint.ir.affine import ShapeError
from absint.ir.evaluate import evaluate
from absint.ir.graph import Constant, Graph, GraphBuilder, Node, Port
from absint.ir.ops import OPS, Op
from absint.ir.serialize import GraphFormatError, digest, from_bytes, to_bytes
from absint.ir.univariate import PiecewiseLinear, SShaped, Univariate

__all__ = [
    "OPS",
    "Constant",
    "Graph",
    "GraphBuilder",
    "GraphFormatError",
    "Node",
    "Op",
    "PiecewiseLinear",
    "Port",
    "SShaped",
    "ShapeError",
    "Univariate",
    "digest",
    "evaluate",
    "from_bytes",
    "to_bytes",
]
