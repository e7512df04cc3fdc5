"""One node of the model, as its lowering rule sees it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from onnx import defs, helper

from absint.frontends.lowering.emit import Emitter
from absint.frontends.lowering.values import (
    FLOATS,
    Array,
    Const,
    MalformedError,
    NotLoweredError,
    Value,
    Var,
    require,
)
from absint.frontends.onnx.names import printable
from absint.frontends.onnx.scopes import Scope

A = onnx.AttributeProto


@dataclass
class Call:
    """A node with its operands' values; rules read it, and emit what it lowers to.

    Every attribute that is present must be read by the rule (or named to ``ignore``): one that was
    not is reported as unsupported, so that none can be overlooked.
    """

    node: onnx.NodeProto
    opset: int
    inputs: Sequence[Value | None]
    emit: Emitter
    single_use: Sequence[bool]
    """Whether nothing else reads the operand."""
    scope: Scope
    """Lowers the sub-graphs of the node."""
    seen: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._attributes = {a.name: a for a in self.node.attribute}

    @property
    def arity(self) -> int:
        """How many operands are given."""
        return sum(value is not None for value in self.inputs)

    def has(self, index: int) -> bool:
        return index < len(self.inputs) and self.inputs[index] is not None

    def value(self, index: int = 0) -> Value:
        """An operand. Raises MalformedError when it is left out."""
        if not self.has(index):
            raise MalformedError(f"operand {index} is missing")
        value = self.inputs[index]
        assert value is not None
        return value

    def var(self, index: int = 0) -> Var:
        """An operand that depends on the input. Raises NotLoweredError for a constant."""
        value = self.value(index)
        if isinstance(value, Const):
            raise NotLoweredError("a constant operand", "fold the constant part of the model")
        return value

    def const(self, index: int, what: str) -> Const:
        """An operand that must be constant. Raises NotLoweredError for a variable."""
        value = self.value(index)
        if isinstance(value, Var):
            raise NotLoweredError(f"{what} that depends on the input")
        return value

    def float_const(self, index: int, what: str) -> Const:
        """A constant operand of a float type."""
        const = self.const(index, what)
        require(const.dtype in FLOATS, f"{what} must be of a float type, not {const.dtype}")
        return const

    def integer_list(self, index: int, what: str) -> tuple[int, ...]:
        """A constant operand of integers (a scalar counts as one)."""
        const = self.const(index, what)
        require(const.value.dtype.kind == "i", f"{what} must be integers, not {const.dtype}")
        require(const.value.ndim <= 1, f"{what} must be a list, not of shape {const.shape}")
        return tuple(int(v) for v in const.value.reshape(-1))

    def scalar(self, index: int, what: str) -> Any:
        """The one entry of an exact constant operand."""
        const = self.const(index, what)
        require(const.value.size == 1, f"{what} must be one number, not of shape {const.shape}")
        if const.radius is not None:
            raise NotLoweredError(f"{what} that is the result of rounding arithmetic")
        return const.value.reshape(-1)[0]

    def integer(self, name: str, default: int | None = None) -> int:
        found = self._read(name, A.INT)
        return self._default(name, default) if found is None else int(found)

    def number(self, name: str, default: float | None = None) -> float:
        """A float attribute's exact value; a default is rounded to float32, as in the schema."""
        found = self._read(name, A.FLOAT)
        value = float(np.float32(self._default(name, default) if found is None else found))
        require(bool(np.isfinite(value)), f"attribute {name} is NaN or infinite")
        return value

    def text(self, name: str, default: str) -> str:
        found = self._read(name, A.STRING)
        return default if found is None else found.decode("utf-8", "replace")

    def integers(self, name: str) -> tuple[int, ...] | None:
        found = self._read(name, A.INTS)
        return None if found is None else tuple(found)

    def floats(self, name: str) -> Array | None:
        found = self._read(name, A.FLOATS)
        return None if found is None else np.asarray(found, dtype=np.float32)

    def tensor(self, name: str) -> onnx.TensorProto | None:
        found: onnx.TensorProto | None = self._read(name, A.TENSOR)
        return found

    def subgraph(self, name: str) -> onnx.GraphProto:
        found: onnx.GraphProto | None = self._read(name, A.GRAPH)
        if found is None:
            raise MalformedError(f"attribute {name} is missing")
        return found

    def strings(self, name: str) -> tuple[str, ...] | None:
        found = self._read(name, A.STRINGS)
        return None if found is None else tuple(text.decode("utf-8", "replace") for text in found)

    def present(self, name: str) -> bool:
        return name in self._attributes

    def ignore(self, *names: str) -> None:
        """Attributes that do not change the result."""
        self.seen.update(names)

    def unread(self) -> list[str]:
        return sorted(set(self._attributes) - self.seen)

    def _read(self, name: str, kind: int) -> Any:
        self.seen.add(name)
        if name not in self._attributes:
            return None
        attribute = self._attributes[name]
        require(
            attribute.type == kind and not attribute.ref_attr_name,
            f"attribute {name} is not of type {A.AttributeType.Name(kind).lower()}",
        )
        return helper.get_attribute_value(attribute)

    @staticmethod
    def _default(name: str, default: Any) -> Any:
        require(default is not None, f"attribute {name} is missing")
        return default


def check_schema(node: onnx.NodeProto, opset: int) -> None:
    """Raises MalformedError when the node does not fit its op's schema in this opset."""
    try:
        schema = defs.get_schema(node.op_type, opset, "")
    except defs.SchemaError as error:
        raise MalformedError(f"there is no such op in opset {opset}") from error
    require(
        schema.min_input <= len(node.input) <= schema.max_input,
        f"{len(node.input)} operands, where {schema.min_input} to {schema.max_input} are allowed",
    )
    require(
        schema.min_output <= len(node.output) <= schema.max_output,
        f"{len(node.output)} outputs, where {schema.min_output} to {schema.max_output} are allowed",
    )
    names = [attribute.name for attribute in node.attribute]
    require(len(set(names)) == len(names), "an attribute is given twice")
    for name in names:
        require(
            name in schema.attributes,
            f"there is no attribute {printable(name)!r} in opset {opset}",
        )
