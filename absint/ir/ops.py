"""The op table: the closed set of core ops, one row each.

Domains and the checker dispatch on an op's *kind* and read its rule or facts; nothing else in the
project may know an op by name, apart from the front-ends that produce it and the checker's own
rows (``absint.proofs.transformers``), which a test compares with these.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from absint.ir import smooth
from absint.ir import univariate as uni
from absint.ir.affine import (
    AffineRule,
    Concat,
    Conv,
    Dense,
    Gather,
    Reshape,
    Scale,
    Shape,
    ShapeError,
    Sum,
)
from absint.ir.graph import Node
from absint.ir.joint import (
    ArgMax,
    Attend,
    Embedding,
    JointRule,
    MatMul,
    Mul,
    Normalize,
    Softmax,
)


@dataclass(frozen=True)
class Op:
    """A row of the table: one of ``affine``, ``univariate`` and ``joint`` is set (input: none)."""

    name: str
    operands: int | None
    """How many operands; None for one or more."""
    affine: AffineRule | None = None
    univariate: uni.Univariate | None = None
    joint: JointRule | None = None
    attributes: tuple[str, ...] = ()
    constants: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    """Constants that may be left out."""

    def infer(self, node: Node) -> Shape:
        """The output's shape. Raises ShapeError when the node does not fit this row."""
        if (self.operands is not None and len(node.inputs) != self.operands) or not node.inputs:
            raise ShapeError(f"{self.name} takes {self.operands or 'one or more'} operands")
        if set(node.attrs) != set(self.attributes):
            raise ShapeError(f"{self.name} has attributes {self.attributes}, not {set(node.attrs)}")
        missing = set(self.constants) - set(node.consts)
        extra = set(node.consts) - set(self.constants) - set(self.optional)
        if missing or extra:
            raise ShapeError(f"{self.name}: constants missing {missing}, not known {extra}")
        for name, const in node.consts.items():
            if (const.value.dtype.kind == "i") is not (name in ("index", "mask")):
                raise ShapeError(f"{self.name}: {name} cannot hold {const.value.dtype}")
        rule = self.affine or self.univariate or self.joint
        if rule is None:
            raise ShapeError(f"{self.name} is not an operation")
        shape = rule.shape(node)
        if min(shape, default=1) < 1:
            raise ShapeError(f"{self.name}: the result has the empty shape {shape}")
        if "bias" in node.consts:
            _fits("bias", node.consts["bias"].value.shape, shape)
        return shape


def _fits(name: str, const: Shape, shape: Shape) -> None:
    trailing = shape[len(shape) - len(const) :]
    if len(const) > len(shape) or any(
        a not in (1, b) for a, b in zip(const, trailing, strict=True)
    ):
        raise ShapeError(f"{name} of shape {const} does not broadcast to {shape}")


def _rows() -> dict[str, Op]:
    rows = [
        Op("input", 0),
        Op("dense", 1, Dense(), constants=("weight",), optional=("bias",)),
        Op(
            "conv",
            1,
            Conv(),
            attributes=("strides", "pads", "dilations", "groups"),
            constants=("weight",),
            optional=("bias",),
        ),
        Op("scale", 1, Scale(), optional=("weight", "bias")),
        Op("reshape", 1, Reshape(), attributes=("shape",)),
        Op("gather", 1, Gather(), constants=("index",), optional=("bias",)),
        Op("sum", None, Sum(), attributes=("coefficients",)),
        Op("concat", None, Concat(), attributes=("axis",)),
        Op("relu", 1, univariate=uni.RELU),
        Op("leaky_relu", 1, univariate=uni.LEAKY_RELU, attributes=("alpha",)),
        Op("abs", 1, univariate=uni.ABS),
        Op("clip", 1, univariate=uni.CLIP, attributes=("lower", "upper")),
        *(
            Op(name, 1, univariate=row, attributes=row.attributes)
            for name, row in smooth.ROWS.items()
        ),
        Op("embedding", 1, joint=Embedding(), constants=("weight",)),
        Op("mul", 2, joint=Mul()),
        Op("matmul", 2, joint=MatMul()),
        Op("softmax", 1, joint=Softmax(), optional=("mask",)),
        Op("normalize", 1, joint=Normalize(), attributes=("axes", "centered", "epsilon")),
        Op("attend", None, joint=Attend(), attributes=("heads", "kv_heads", "scale")),
        Op("argmax", 1, joint=ArgMax()),
    ]
    return {row.name: row for row in rows}


OPS: Mapping[str, Op] = MappingProxyType(_rows())
