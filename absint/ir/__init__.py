"""The intermediate representation: a small closed set of core ops with exact constants."""

from absint.ir.affine import ShapeError
from absint.ir.evaluate import evaluate
from absint.ir.graph import Constant, Graph, GraphBuilder, Node, Port
from absint.ir.ops import OPS, Op
from absint.ir.serialize import GraphFormatError, digest, from_bytes, to_bytes
from absint.ir.univariate import Curved, Facts, PiecewiseLinear, Steps, Univariate, Wave

__all__ = [
    "OPS",
    "Constant",
    "Curved",
    "Facts",
    "Graph",
    "GraphBuilder",
    "GraphFormatError",
    "Node",
    "Op",
    "PiecewiseLinear",
    "Port",
    "ShapeError",
    "Steps",
    "Univariate",
    "Wave",
    "digest",
    "evaluate",
    "from_bytes",
    "to_bytes",
]
