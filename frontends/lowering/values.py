"""What a tensor of the model is during lowering: a known constant, or a variable of the graph."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from absint.ir import Constant

Array = NDArray[Any]
FloatArray = NDArray[np.float64]
Shape = tuple[int, ...]

FLOATS = ("float16", "float32", "float64")
MAX_ELEMENTS = 1 << 27
"""No tensor that lowering makes is larger (1 GiB of float64)."""
MAX_TOTAL = 1 << 28
"""Nor are all that a model's nodes give, together: a small file may not fill the memory."""


class MalformedError(ValueError):
    """The model is wrong here. The walker adds the node, the loader the file."""


class NotLoweredError(Exception):
    """What stands here is valid in the model, but not supported."""

    def __init__(self, what: str, hint: str = "") -> None:
        super().__init__(what)
        self.what, self.hint = what, hint


@dataclass(frozen=True, eq=False)
class Const:
    """A known tensor: ``value`` is float64, int64 or bool; ``dtype`` is its type in the model.

    Each entry lies within ``radius`` of ``value``; a radius of None means that all are exact.
    """

    value: Array
    dtype: str
    radius: FloatArray | None = None

    @property
    def shape(self) -> Shape:
        return tuple(self.value.shape)

    def common(self) -> float | None:
        """The number that all entries are, if they are one and exact."""
        flat = self.value.reshape(-1)
        uniform = flat.size > 0 and self.radius is None and bool((flat == flat[0]).all())
        return float(flat[0]) if uniform else None

    def ir(self) -> Constant:
        """The constant that a node of the graph holds. Raises MalformedError for an infinite one.

        Integers become floats: what they are added to holds integers as floats, too.
        """
        value = self.value.astype(np.float64)
        require(bool(np.isfinite(value).all()), "an infinite constant outside of a softmax's mask")
        return Constant(value, self.radius)


@dataclass(frozen=True)
class Var:
    """A tensor that depends on the network's input: a node of the graph under construction."""

    node: int
    shape: Shape
    dtype: str


@dataclass(frozen=True, eq=False)
class Masked(Var):
    """Scores of which a constant such as -inf takes some out of the softmax that follows.

    The node holds them without that constant; ``keep`` (of the scores' shape) says which take part.
    ``plain`` is the sum as written, for readers other than a softmax; None where it is infinite.
    """

    keep: Array
    plain: Var | None


MASKING = -1e30
"""An added constant at or below this takes an entry out of a softmax."""


@dataclass(frozen=True)
class Unknown:
    """The output of an unsupported node of which not even the shape is known."""


Value = Const | Var


def integers(value: Array | list[int] | tuple[int, ...], dtype: str = "int64") -> Const:
    """An integer constant."""
    return Const(np.asarray(value, dtype=np.int64), dtype)


def number(value: float, dtype: str) -> Const:
    """A float constant without axes."""
    return Const(np.array(value, dtype=np.float64), dtype)


def require(condition: bool, message: str) -> None:
    """Raises MalformedError with ``message`` unless ``condition`` holds."""
    if not condition:
        raise MalformedError(message)


def check_size(shape: Shape) -> Shape:
    """``shape``. Raises MalformedError where a tensor of it is too large or impossible."""
    size = 1
    for extent in shape:
        require(extent >= 0, f"shape {shape} has a negative extent")
        size *= extent
    require(size <= MAX_ELEMENTS, f"a tensor of shape {shape} exceeds {MAX_ELEMENTS} elements")
    return shape


def broadcast(*shapes: Shape) -> Shape:
    """The shape to which all broadcast. Raises MalformedError."""
    try:
        return check_size(tuple(np.broadcast_shapes(*shapes)))
    except MalformedError:
        raise
    except ValueError as error:
        listed = " and ".join(str(shape) for shape in shapes)
        raise MalformedError(f"shapes {listed} do not broadcast") from error


def axis_of(axis: int, rank: int) -> int:
    """``axis`` counted from the front. Raises MalformedError when it lies outside."""
    require(-rank <= axis < rank, f"axis {axis} lies outside a tensor of {rank} axes")
    return axis % rank


def axes_of(axes: tuple[int, ...], rank: int) -> tuple[int, ...]:
    """``axes`` counted from the front, sorted. Raises MalformedError for a repeated one."""
    normal = sorted(axis_of(axis, rank) for axis in axes)
    require(len(set(normal)) == len(normal), f"axes {axes} repeat an axis")
    return tuple(normal)
