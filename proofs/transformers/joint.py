"""Ops that mix several variable values: rigorous interval images."""

from __future__ import annotations

from collections.abc import Sequence

from absint.ir import Node
from absint.proofs.transformers.affine import Interval

JOINT_OPS: frozenset[str] = frozenset()


def interval(node: Node, xs: Sequence[Interval]) -> Interval:
    """Bounds of the node's value over the operands' intervals, each (batch, *shape)."""
    raise KeyError(node.op)
