"""A VNN-LIB query to a problem: its assertions describe the unsafe set.

Bounds on single inputs become boxes, whose ends are rounded to the network's floats before it
runs; everything else speaks of the values that the network receives and computes.
"""

from __future__ import annotations

import re
from fractions import Fraction

from absint.frontends.spec.affine import Affine, compare
from absint.frontends.spec.dtype import input_dtype, meaning
from absint.frontends.spec.formula import And, Formula, Or, negate
from absint.frontends.vnnlib.cells import build_cells
from absint.frontends.vnnlib.sexp import Atom, Form, Sexp, Text
from absint.frontends.vnnlib.variables import Variables, head
from absint.ir import Graph
from absint.problem import Meaning, Problem, Semantics, parse_number

_VERSION = re.compile(r"<?(\d+)\.(\d+)>?")
_COMPARISONS = {
    "<=": "<=",
    ">=": ">=",
    "<": "<",
    ">": ">",
    "=": "==",
    "==": "==",
    "!=": "!=",
}


def read_problem(
    text: str, path: str, name: str, graph: Graph, asked: Meaning | None = None
) -> Problem:
    """Reads a query of VNN-LIB 1.0 or 2.0, which does not say what the network means.

    Raises:
        InputError: with line and column.
        UnsupportedError: valid VNN-LIB that is not supported, with line and column.
    """
    reader = _Reader(Text(path, text), graph)
    dtype = input_dtype(graph)
    formulas = reader.assertions()
    cells = build_cells(formulas, reader.variables, dtype)
    semantics = Semantics(meaning(dtype, asked), dtype)
    return Problem(name, graph.input_size, graph.output_size, cells, semantics)


class _Reader:
    def __init__(self, text: Text, graph: Graph) -> None:
        self.text = text
        self.variables = Variables(text, graph)

    def assertions(self) -> list[tuple[Formula, int]]:
        """The asserted formulas, with the position of each."""
        formulas: list[tuple[Formula, int]] = []
        for number, form in enumerate(self.text.forms()):
            command = head(form)
            if command == "assert":
                if len(form) != 2:
                    raise self.text.error("assert takes one formula", form)
                formulas.append((self._formula(form[1]), form.start))
            elif command == "declare-const":
                self.variables.declare_const(form)
            elif command == "declare-network":
                self.variables.declare_network(form)
            elif command == "vnnlib-version" and number == 0:
                self._check_version(form)
            else:
                raise self.text.unsupported(f"command {command!r}", form)
        self.variables.check_sizes()
        if not formulas:
            raise self.text.error("no assertion", 0)
        return formulas

    def _check_version(self, form: Form) -> None:
        part = form[1] if len(form) == 2 else None
        match = _VERSION.fullmatch(part[0]) if isinstance(part, tuple) else None
        if match is None:
            raise self.text.error("expected (vnnlib-version <2.0>)", form)
        if match[1] not in ("1", "2"):
            raise self.text.unsupported(f"VNN-LIB {match[1]}.{match[2]}", form, "1.0 and 2.x are")

    def _formula(self, node: Sexp) -> Formula:
        word = head(node)
        if not isinstance(node, Form) or not word:
            raise self.text.error("expected a formula", node)
        if word in _COMPARISONS:
            if len(node) != 3:
                raise self.text.error(f"{word} compares two values, not {len(node) - 1}", node)
            try:
                return compare(self._affine(node[1]), _COMPARISONS[word], self._affine(node[2]))
            except ValueError as error:
                raise self.text.error(str(error), node) from error
        if word not in ("and", "or", "not"):
            raise self.text.unsupported(f"connective {word!r}", node)
        parts = tuple(self._formula(part) for part in node[1:])
        if not parts or (word == "not" and len(parts) != 1):
            raise self.text.error(f"{word} of {len(parts)} formulas", node)
        if word == "not":
            return negate(parts[0])
        return And(parts) if word == "and" else Or(parts)

    def _affine(self, node: Sexp) -> Affine:
        if isinstance(node, tuple):
            return self._atom(node)
        word = head(node)
        if word not in ("+", "-", "*"):
            what = f"function {word!r}" if word else "a list"
            raise self.text.unsupported(what, node, "+, - and * are")
        parts = [self._affine(part) for part in node[1:]]
        if not parts:
            raise self.text.error(f"{word} of no values", node)
        if word == "*":
            return self._product(parts, node)
        if word == "-":
            negated = [part.times(Fraction(-1)) for part in parts]
            parts = negated if len(parts) == 1 else [parts[0], *negated[1:]]
        return _sum(parts)

    def _atom(self, atom: Atom) -> Affine:
        if atom[0][0] not in "+-.0123456789":
            return self.variables.variable(atom)
        try:
            if "/" in atom[0]:
                raise ValueError(f"not a number: {atom[0]!r}")
            return Affine(constant=parse_number(atom[0]))
        except ValueError as error:
            raise self.text.error(str(error), atom) from error

    def _product(self, parts: list[Affine], node: Sexp) -> Affine:
        variable = [part for part in parts if not part.is_constant]
        if len(variable) > 1:
            raise self.text.unsupported("a product of variables", node, "linear terms are")
        product = variable[0] if variable else Affine(constant=Fraction(1))
        for part in parts:
            if part.is_constant:
                product = product.times(part.constant)
        return product


def _sum(parts: list[Affine]) -> Affine:
    inputs: dict[int, Fraction] = {}
    outputs: dict[int, Fraction] = {}
    constant = Fraction(0)
    for part in parts:
        for total, terms in ((inputs, part.inputs), (outputs, part.outputs)):
            for index, coefficient in terms.items():
                total[index] = total.get(index, Fraction(0)) + coefficient
        constant += part.constant
    return Affine(inputs, outputs, constant)
