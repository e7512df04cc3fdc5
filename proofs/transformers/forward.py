"""One node forward: its interval image, of whatever kind its op is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from absint.ir import Node
from absint.problem.contract import Contract
from absint.proofs.transformers import affine, joint
from absint.proofs.transformers.affine import AFFINE_OPS, Interval
from absint.proofs.transformers.joint import JOINT_OPS
from absint.proofs.transformers.univariate import UNIVARIATE_OPS


def interval(node: Node, xs: Sequence[Interval], contract: Contract | None = None) -> Interval:
    """Bounds of the node's value over the operands' intervals, each (batch, *shape).

    Under a ``contract`` an attention's are those of means with any exponentials that it allows.

    NaN in all of a batch entry where the node, or an operand, may have no value. So nothing that
    is not defined is ever lost, as when an affine map makes infinity of it and a sigmoid makes
    that finite.
    """
    with np.errstate(all="ignore"):
        lower, upper = _image(node, xs, contract)
        lost = np.logical_or.reduce([undefined(x) for x in (*xs, (lower, upper))])
        lost = lost.reshape((-1, *(1 for _ in node.shape)))
        return np.where(lost, np.nan, lower), np.where(lost, np.nan, upper)


def _image(node: Node, xs: Sequence[Interval], contract: Contract | None) -> Interval:
    if node.op in AFFINE_OPS:
        return affine.interval(node, xs)
    if node.op in JOINT_OPS:
        return joint.interval(node, xs, contract)
    return UNIVARIATE_OPS[node.op](node).image(xs[0])


def undefined(x: Interval) -> NDArray[np.bool_]:
    """(batch,): whether an end is NaN somewhere."""
    lower, upper = (np.isnan(end.reshape((end.shape[0], -1))) for end in x)
    found: NDArray[np.bool_] = np.any(lower | upper, axis=1)
    return found
