"""One node of an exported program, as its lowering rule sees it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from absint.frontends.lowering import masks
from absint.frontends.lowering.emit import Emitter
from absint.frontends.lowering.values import (
    FLOATS,
    Const,
    NotLoweredError,
    Shape,
    Value,
    Var,
    require,
)
from absint.frontends.torch.tensors import dtype_name, tensor


@dataclass
class Call:
    """A node with its arguments by name, tensors as their values.

    Every argument that is given and is not its default must be read by the rule (or named to
    ``ignore``): one that was not is reported as unsupported, so that none can be overlooked.
    """

    node: Any
    arguments: Mapping[str, Any]
    defaults: Mapping[str, Any]
    emit: Emitter
    uses: Mapping[str, int]
    """How often each argument that is a tensor is read in the whole program."""
    seen: set[str] = field(default_factory=set)

    @property
    def target(self) -> Any:
        """The op that PyTorch would run."""
        return self.node.target

    @property
    def shape(self) -> Shape:
        """The result's shape (the first one's where there are several)."""
        return tuple(int(extent) for extent in self._meta.shape)

    @property
    def dtype(self) -> str:
        """The result's element type (the first one's where there are several)."""
        return dtype_name(self._meta.dtype)

    @property
    def _meta(self) -> Any:
        found = self.node.meta["val"]
        return found[0] if isinstance(found, tuple | list) else found

    def read(self, name: str) -> Any:
        """An argument as it stands: a Value, a list, a number, None."""
        self.seen.add(name)
        return self.arguments[name] if name in self.arguments else self.defaults.get(name)

    def given(self, name: str) -> bool:
        return self.read(name) is not None

    def raw(self, name: str = "self") -> Value:
        """A tensor, which may be masked."""
        value = self.read(name)
        require(isinstance(value, Const | Var), f"argument {name} is no tensor")
        result: Value = value
        return result

    def value(self, name: str = "self") -> Value:
        """A tensor. Raises NotLoweredError where entries are masked by -inf."""
        return masks.plain(self.raw(name))

    def var(self, name: str = "self") -> Var:
        """A tensor that depends on the input. Raises NotLoweredError for a constant."""
        value = self.value(name)
        if isinstance(value, Const):
            raise NotLoweredError("a constant operand", "compute the constant in __init__")
        return value

    def const(self, name: str) -> Const:
        """A tensor that must be constant. Raises NotLoweredError for a variable."""
        value = self.value(name)
        if isinstance(value, Var):
            raise NotLoweredError(f"{name} that depends on the input")
        return value

    def optional(self, name: str) -> Const | None:
        return self.const(name) if self.given(name) else None

    def tensors(self, name: str = "tensors") -> list[Value]:
        """A list of tensors."""
        return [masks.plain(value) for value in self.read(name)]

    def number(self, name: str) -> float:
        """A number, rounded to the result's element type as PyTorch's kernels round it."""
        return rounded(self._number(name), self.dtype)

    def integer(self, name: str) -> int:
        value = self.read(name)
        require(isinstance(value, int), f"argument {name} is no integer")
        return int(value)

    def integers(self, name: str) -> tuple[int, ...]:
        """A list of integers; one integer counts as a list."""
        value = self.read(name)
        found = (value,) if isinstance(value, int) else tuple(value or ())
        require(all(isinstance(v, int) for v in found), f"argument {name} is not integers")
        return found

    def flag(self, name: str) -> bool:
        return bool(self.read(name))

    def text(self, name: str) -> str:
        return str(self.read(name))

    def _number(self, name: str) -> float:
        value = self.read(name)
        if isinstance(value, Const) and value.value.size == 1 and value.radius is None:
            return float(value.value.reshape(-1)[0])
        require(isinstance(value, int | float), f"argument {name} is no number")
        return float(value)

    def ignore(self, *names: str) -> None:
        """Arguments that do not change the result."""
        self.seen.update(names)

    def unread(self) -> list[str]:
        """Arguments that the rule did not read and that are not their defaults."""
        return [
            name
            for name, value in self.arguments.items()
            if name not in self.seen and name not in _NEVER and not self._default(name, value)
        ]

    def _default(self, name: str, value: Any) -> bool:
        if isinstance(value, Const | Var):
            return False
        default = self.defaults.get(name)
        absent = value is None or value is False or value == []
        if absent:
            return not default
        return type(value) is type(default) and bool(value == default)

    def execute(self, own: Any = None, **changed: Any) -> Any:
        """What PyTorch's op gives on these arguments as tensors; ``own`` stands for ``self``."""
        kept = {name: v for name, v in self.arguments.items() if own is None or name != "self"}
        arguments = {name: _concrete(value) for name, value in kept.items()}
        if own is not None:
            arguments["self"] = own
        arguments.update(changed)
        self.seen.update(self.arguments)
        positional, named, gap = [], {}, False
        for argument in self.target._schema.arguments:
            if argument.name not in arguments:
                gap = True
            elif argument.kwarg_only or gap:
                named[argument.name] = arguments[argument.name]
            else:
                positional.append(arguments[argument.name])
        try:
            return self.target(*positional, **named)
        except (NotImplementedError, RuntimeError, TypeError) as error:
            text = " ".join(str(error).split())[:200]
            raise NotLoweredError(f"PyTorch cannot run it on positions: {text}") from error


Rule = Callable[[Call], Value | tuple[Value, ...]]

_NEVER = frozenset({"device", "layout", "pin_memory", "memory_format", "non_blocking", "copy"})
"""Arguments about where and how a tensor is stored."""


def rounded(value: float, dtype: str) -> float:
    """``value`` in the element type ``dtype``, where that is a float type."""
    return float(np.dtype(dtype).type(value)) if dtype in FLOATS else value


def _concrete(value: Any) -> Any:
    if isinstance(value, Const):
        return tensor(value)
    if isinstance(value, list | tuple):
        return [_concrete(item) for item in value]
    return value
