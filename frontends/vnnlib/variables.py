"""The declared variables of a query: names to positions in the flat input and output vectors."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from absint.frontends.spec.affine import Affine
from absint.frontends.vnnlib.sexp import Atom, Form, Sexp, Text
from absint.ir import Graph, Port

_SCALAR = re.compile(r"([XY])_(0|[1-9]\d{0,11})")
_TYPED = re.compile(r"(\w+)\[((?:\d{1,12}(?:,\d{1,12})*)?)\]")
_ELEMENT = re.compile(r"([A-Za-z]\w*)(?:\[(\d{1,12}(?:,\d{1,12})*)\])?")
_IDENTIFIER = re.compile(r"[A-Za-z]\w*")
_FLOATS = ("real", "float32", "float64")
_ONE = Fraction(1)


@dataclass(frozen=True, slots=True)
class _Tensor:
    side: str
    start: int
    shape: tuple[int, ...]
    place: int


@dataclass
class Variables:
    """Declarations as they are read, and the variables by their text."""

    text: Text
    graph: Graph
    known: dict[str, Affine] = field(default_factory=dict)
    tensors: dict[str, _Tensor] = field(default_factory=dict)
    scalars: dict[str, dict[int, int]] = field(default_factory=lambda: {"X": {}, "Y": {}})
    network: Form | None = None

    def declare_const(self, form: Form) -> None:
        """``(declare-const X_0 Real)`` of VNN-LIB 1.0. Raises InputError, UnsupportedError."""
        if self.network is not None:
            raise self.text.error("declare-const beside declare-network", form)
        name, kind = self._atoms(form, 3, "(declare-const NAME Real)")[1:]
        match = _SCALAR.fullmatch(name[0])
        if match is None:
            raise self.text.unsupported(f"variable {name[0]}", name, "X_i and Y_j are")
        if kind[0] != "Real":
            raise self.text.unsupported(f"type {kind[0]}", kind, "Real is")
        side, index = match[1], int(match[2])
        if index in self.scalars[side]:
            raise self.text.error(f"{name[0]} is declared twice", name)
        self.scalars[side][index] = name[1]
        terms = {index: _ONE}
        self.known[name[0]] = Affine(inputs=terms) if side == "X" else Affine(outputs=terms)

    def declare_network(self, form: Form) -> None:
        """``(declare-network NAME ...)`` of VNN-LIB 2.0. Raises InputError, UnsupportedError."""
        if self.network is not None:
            raise self.text.unsupported("several networks", form, "one is")
        if self.known:
            raise self.text.error("declare-network beside declare-const", form)
        self.network = form
        if len(form) < 2 or not isinstance(form[1], tuple) or not _IDENTIFIER.fullmatch(form[1][0]):
            raise self.text.error("expected (declare-network NAME ...)", form)
        declared: dict[str, list[tuple[Atom, Atom]]] = {"declare-input": [], "declare-output": []}
        for part in form[2:]:
            word = head(part)
            if word in ("declare-hidden", "isomorphic-to", "equal-to"):
                raise self.text.unsupported(word, part)
            if word not in declared:
                raise self.text.error(f"expected a declaration, found {word or 'a value'!r}", part)
            if word == "declare-input" and declared["declare-output"]:
                raise self.text.error("inputs are declared before outputs", part)
            declared[word].append(self._tensor(part))
        self._match(declared["declare-input"], self.graph.inputs, "input")
        self._match(declared["declare-output"], self.graph.outputs, "output")

    def _tensor(self, form: Sexp) -> tuple[Atom, Atom]:
        if isinstance(form, Form) and len(form) == 4 and form[3][0] == "initialized":
            raise self.text.unsupported("initialized", form[3])
        name, kind = self._atoms(form, 3, "(declare-... NAME TYPE [SHAPE])")[1:]
        if not _IDENTIFIER.fullmatch(name[0]):
            raise self.text.error(f"{name[0]!r} is not a name", name)
        return name, kind

    def _match(
        self, declared: Sequence[tuple[Atom, Atom]], ports: Sequence[Port], side: str
    ) -> None:
        """Ties the declarations to the network's tensors, in order."""
        if len(declared) != len(ports):
            raise self.text.error(
                f"{len(declared)} {side}s declared, but the network has {len(ports)}",
                self.network or 0,
            )
        start = 0
        for (name, kind), port in zip(declared, ports, strict=True):
            shape = self._shape(kind, port, side)
            if name[0] in self.tensors:
                raise self.text.error(f"{name[0]} is declared twice", name)
            self.tensors[name[0]] = _Tensor(side, start, shape, name[1])
            start += port.size

    def _shape(self, kind: Atom, port: Port, side: str) -> tuple[int, ...]:
        """The declared shape: the network's, up to dimensions of size one."""
        match = _TYPED.fullmatch(kind[0])
        if match is None:
            raise self.text.error("expected a type and a shape, such as float32 [1,5]", kind)
        dtype = match[1].lower()
        if dtype not in _FLOATS:
            raise self.text.unsupported(f"type {match[1]}", kind, "Real, float32 and float64 are")
        if dtype not in ("real", port.dtype):
            raise self.text.error(f"{side} {port.name} is {port.dtype}, not {match[1]}", kind)
        shape = tuple(int(extent) for extent in match[2].split(",")) if match[2] else ()
        if [n for n in shape if n != 1] != [n for n in port.shape if n != 1]:
            raise self.text.error(
                f"{side} {port.name} has the shape {list(port.shape)}, not {list(shape)}", kind
            )
        return shape

    def _atoms(self, form: Sexp, count: int, usage: str) -> list[Atom]:
        if not isinstance(form, Form) or len(form) != count:
            raise self.text.error(f"expected {usage}", form)
        atoms = [part for part in form if isinstance(part, tuple)]
        if len(atoms) != count:
            raise self.text.error(f"expected {usage}", form)
        return atoms

    def check_sizes(self) -> None:
        """Every value of the network is declared. Raises InputError."""
        if self.network is not None:
            return
        for letter, size, what in (
            ("X", self.graph.input_size, "inputs"),
            ("Y", self.graph.output_size, "outputs"),
        ):
            declared = self.scalars[letter]
            if len(declared) != size or (declared and max(declared) >= size):
                last = max(declared, key=declared.__getitem__, default=None)
                raise self.text.error(
                    f"{len(declared)} variables {letter}_i declared, "
                    f"but the network has {size} {what}",
                    0 if last is None else declared[last],
                )

    def variable(self, atom: Atom) -> Affine:
        """Raises InputError for a variable that is not declared or an index out of range."""
        name = atom[0]
        if name not in self.known:
            self.known[name] = self._element(atom)
        return self.known[name]

    def _element(self, atom: Atom) -> Affine:
        match = _ELEMENT.fullmatch(atom[0])
        if match is None:
            raise self.text.error(f"{atom[0]!r} is neither a number nor a variable", atom)
        tensor = self.tensors.get(match[1])
        if tensor is None:
            raise self.text.error(f"{match[1]} is not declared", atom)
        index = tuple(int(i) for i in match[2].split(",")) if match[2] else ()
        if len(index) != len(tensor.shape):
            raise self.text.error(
                f"{match[1]} has {len(tensor.shape)} dimensions, not {len(index)}", atom
            )
        flat = 0
        for position, extent in zip(index, tensor.shape, strict=True):
            if position >= extent:
                raise self.text.error(f"index {position} is not in 0..{extent - 1}", atom)
            flat = flat * extent + position
        terms = {tensor.start + flat: _ONE}
        return Affine(inputs=terms) if tensor.side == "input" else Affine(outputs=terms)

    def input_place(self, index: int) -> tuple[str, int]:
        """The name of an input and the position of its declaration."""
        if index in self.scalars["X"]:
            return f"X_{index}", self.scalars["X"][index]
        for name, tensor in self.tensors.items():
            inside = index - tensor.start
            if tensor.side == "input" and 0 <= inside < math.prod(tensor.shape):
                digits: list[str] = []
                for extent in reversed(tensor.shape):
                    inside, digit = divmod(inside, extent)
                    digits.append(str(digit))
                return f"{name}[{','.join(reversed(digits))}]", tensor.place
        return f"input {index}", 0


def head(node: Sexp) -> str:
    """The first word of a form; empty where there is none."""
    first = node[0] if isinstance(node, Form) and node else None
    return first[0] if isinstance(first, tuple) else ""
