"""Recognises layer and RMS normalisation written out as means, squares and roots.

Exporters write ``(x - mean(x)) / sqrt(mean((x - mean(x))^2) + eps)`` in many orders. Rules note
here what each node is a moment of; the product that completes the formula is then one
``normalize`` node, and what led to it is dropped with the other unused nodes. In real arithmetic
the two are equal.
"""

from __future__ import annotations

from typing import Literal

from absint.frontends.lowering.emit import Emitter, Moment
from absint.frontends.lowering.values import Const, Value, Var

Kind = Literal["mean", "centred", "square", "variance", "root", "inverse"]


def _find(emit: Emitter, x: Value, *kinds: Kind) -> Moment | None:
    moment = emit.moments.get(x.node) if isinstance(x, Var) else None
    return moment if moment is not None and moment.kind in kinds else None


def averaged(emit: Emitter, x: Value, y: Value, axes: tuple[int, ...]) -> None:
    """``y`` is the mean of ``x`` over ``axes`` (sorted), which are kept."""
    if not (isinstance(x, Var) and isinstance(y, Var)) or not axes:
        return
    if axes != tuple(range(len(x.shape) - len(axes), len(x.shape))):
        return
    square = _find(emit, x, "square")
    kind, base = ("variance", square.base) if square is not None else ("mean", x)
    emit.moments[y.node] = Moment(kind, base, len(axes))


def subtracted(emit: Emitter, x: Value, mean: Value, y: Value) -> None:
    """``y`` is ``x - mean``."""
    moment = _find(emit, mean, "mean")
    if moment is not None and moment.base == x and isinstance(y, Var):
        emit.moments[y.node] = Moment("centred", moment.base, moment.axes)


def squared(emit: Emitter, x: Var, y: Var) -> None:
    emit.moments[y.node] = Moment("square", x, 0)


def shifted(emit: Emitter, x: Value, by: Const, y: Value) -> None:
    """``y`` is ``x + by``: a mean of squares with its epsilon."""
    moment, epsilon = _find(emit, x, "variance"), by.common()
    if moment is None or epsilon is None or epsilon < 0 or y.shape != x.shape:
        return
    if moment.epsilon == 0 and isinstance(y, Var):
        emit.moments[y.node] = Moment("variance", moment.base, moment.axes, epsilon)


def rooted(emit: Emitter, x: Var, y: Var) -> None:
    moment = _find(emit, x, "variance")
    if moment is not None:
        emit.moments[y.node] = Moment("root", moment.base, moment.axes, moment.epsilon)


def inverted(emit: Emitter, x: Var, y: Var) -> None:
    moment = _find(emit, x, "root")
    if moment is not None:
        emit.moments[y.node] = Moment("inverse", moment.base, moment.axes, moment.epsilon)


def normalised(emit: Emitter, x: Var, y: Var) -> Var | None:
    """``x * y`` as one normalisation, where ``y`` is one over the root mean square of ``x``."""
    moment = _find(emit, y, "inverse")
    if moment is None or (moment.base.node, moment.base.shape) != (x.node, x.shape):
        return None
    centred = _find(emit, x, "centred")
    if centred is not None and centred.axes == moment.axes:
        return normalize(emit, centred.base, moment.axes, True, moment.epsilon)
    return normalize(emit, x, moment.axes, False, moment.epsilon)


def normalize(emit: Emitter, x: Var, axes: int, centered: bool, epsilon: float) -> Var:
    """The core's ``normalize`` over the last ``axes`` axes."""
    attrs: dict[str, int | float | tuple[int, ...]] = {
        "axes": axes,
        "centered": int(centered),
        "epsilon": float(epsilon),
    }
    return emit.add("normalize", [x], attrs)
