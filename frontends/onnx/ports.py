"""What the model declares of its tensors: inputs, outputs, and inferred shapes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import onnx

from absint.frontends.lowering.tensors import Extent
from absint.frontends.lowering.values import (
    MalformedError,
    NotLoweredError,
    Shape,
    Value,
    check_size,
    require,
)
from absint.frontends.onnx.names import printable
from absint.frontends.onnx.tensors import dtype_name


@dataclass(frozen=True)
class Declared:
    """A tensor's declaration; ``extents`` is None where even the rank is open."""

    name: str
    dtype: str
    extents: tuple[Extent, ...] | None


def declared(info: onnx.ValueInfoProto) -> Declared:
    """Raises NotLoweredError for what is no tensor, or of an element type that is not supported."""
    if info.type.WhichOneof("value") != "tensor_type":
        kind = info.type.WhichOneof("value") or "no type"
        raise NotLoweredError(f"a value that is no tensor ({kind})")
    tensor = info.type.tensor_type
    if not tensor.HasField("shape"):
        return Declared(info.name, dtype_name(tensor.elem_type), None)
    extents = tuple(_extent(dim) for dim in tensor.shape.dim)
    return Declared(info.name, dtype_name(tensor.elem_type), extents)


def _extent(dim: onnx.TensorShapeProto.Dimension) -> Extent:
    if dim.HasField("dim_value") and dim.dim_value >= 0:
        return int(dim.dim_value)
    return dim.dim_param


def pinned(port: Declared, dims: Mapping[str, int]) -> Declared:
    """``port`` with symbolic dimensions that ``dims`` names in their place.

    A dimension is named by its symbol, or (above all one without a symbol) by "input:axis".
    """
    if port.extents is None:
        return port
    extents = tuple(
        extent
        if isinstance(extent, int)
        else dims.get(f"{port.name}:{axis}", dims.get(extent, extent) if extent else extent)
        for axis, extent in enumerate(port.extents)
    )
    return Declared(port.name, port.dtype, extents)


def check_dims(infos: Iterable[onnx.ValueInfoProto], dims: Mapping[str, int]) -> None:
    """Raises MalformedError where ``dims`` names no symbolic dimension, or gives it no size."""
    names: set[str] = set()
    for info in infos:
        for axis, dim in enumerate(info.type.tensor_type.shape.dim):
            if isinstance(_extent(dim), str):
                names |= {f"{info.name}:{axis}", dim.dim_param}
    for name, extent in dims.items():
        require(bool(name) and name in names, f"no input has a dimension {printable(name)!r}")
        require(extent >= 1, f"dimension {printable(name)!r} cannot be {extent}")


def input_shape(port: Declared) -> Shape:
    """The input's shape, with 1 for a symbolic leading extent. Raises MalformedError."""
    extents = port.extents
    if extents is None:
        raise MalformedError("the shape of the input is not given")
    for axis, extent in enumerate(extents[1:], start=1):
        require(
            not isinstance(extent, str),
            f"dimension {axis} is symbolic ({printable(str(extent))!r}); only the first may be, "
            "unless it is given a size",
        )
    shape = tuple(1 if isinstance(extent, str) else extent for extent in extents)
    require(min(shape, default=1) > 0, f"the input's shape {shape} is empty")
    return check_size(shape)


def check(port: Declared, value: Value) -> None:
    """Raises MalformedError where ``value`` is not what the model declares."""
    name = printable(port.name)
    require(port.dtype == value.dtype, f"{name!r} is declared {port.dtype} but is {value.dtype}")
    if port.extents is None:
        return
    fits = len(port.extents) == len(value.shape) and all(
        isinstance(a, str) or a == b for a, b in zip(port.extents, value.shape, strict=True)
    )
    shown = printable(str(tuple(port.extents)))
    require(fits, f"{name!r} is declared with shape {shown} but has {value.shape}")
