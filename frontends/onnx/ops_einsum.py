"""Einsum as transpositions and matrix products, two operands at a time."""

from __future__ import annotations

import math
import string
from dataclasses import dataclass

import numpy as np

from absint.frontends.lowering.emit import Emitter
from absint.frontends.lowering.linear import average, product
from absint.frontends.lowering.values import Array, Shape, Value, broadcast, require
from absint.frontends.onnx.call import Call


@dataclass(frozen=True)
class Term:
    """A value with a letter for each axis, none twice."""

    value: Value
    letters: str

    def extent(self, letter: str) -> int:
        return self.value.shape[self.letters.index(letter)]


def einsum(call: Call) -> Value:
    values = [call.value(i) for i in range(len(call.inputs))]
    require(len({v.dtype for v in values}) == 1, "operands of different types")
    inputs, output = _letters(call.text("equation", ""), values)
    if len(values) > 2:
        call.emit.real_only("an einsum of more than two operands, which may be taken in any order")
    terms = [_diagonal(call.emit, v, t) for v, t in zip(values, inputs, strict=True)]
    while len(terms) > 1:
        first, second, *rest = terms
        kept = set(output) | {letter for term in rest for letter in term.letters}
        terms = [_pair(call.emit, first, second, kept), *rest]
    term = _summed(call.emit, terms[0], set(output))
    require(sorted(term.letters) == sorted(output), f"the output {output!r}")
    order = [term.letters.index(letter) for letter in output]
    return call.emit.rearrange(term.value, lambda a: a.transpose(order))


def _letters(equation: str, values: list[Value]) -> tuple[list[str], str]:
    """A letter for each axis of each operand and of the output; an ellipsis gets upper-case ones.

    Raises MalformedError where they do not fit.
    """
    left, arrow, right = equation.replace(" ", "").partition("->")
    inputs = left.split(",")
    require(len(inputs) == len(values), f"{len(values)} operands for {equation!r}")
    used = set(equation)
    spare = [letter for letter in string.ascii_letters if letter not in used]
    widths = [
        len(v.shape) - len(t.replace("...", "")) if "..." in t else 0
        for v, t in zip(values, inputs, strict=True)
    ]
    require(min(widths) >= 0 and max(widths) <= len(spare), f"operands for {equation!r}")
    dots = "".join(spare[: max(widths)])
    full = [t.replace("...", dots[len(dots) - w :]) for t, w in zip(inputs, widths, strict=True)]
    for value, letters in zip(values, full, strict=True):
        good = len(letters) == len(value.shape) and letters.isalpha() | (letters == "")
        require(bool(good), f"a tensor of shape {value.shape} for {letters!r}")
    if not arrow:
        once = sorted(x for x in set(left) if x.isalpha() and left.count(x) == 1)
        return full, dots + "".join(once)
    output = right.replace("...", dots)
    require(len(set(output)) == len(output), f"the output {right!r} repeats a letter")
    return full, output


def _diagonal(emit: Emitter, value: Value, letters: str) -> Term:
    """Axes of one letter as one axis, along the diagonal."""
    distinct = "".join(dict.fromkeys(letters))
    if distinct == letters:
        return Term(value, letters)

    def move(a: Array) -> Array:
        return np.asarray(
            np.einsum(a, [distinct.index(x) for x in letters], list(range(len(distinct))))
        )

    return Term(emit.rearrange(value, move), distinct)


def _summed(emit: Emitter, term: Term, kept: set[str]) -> Term:
    """Without the letters that nothing else has."""
    axes = tuple(i for i, letter in enumerate(term.letters) if letter not in kept)
    if not axes:
        return term
    value = average(emit, term.value, axes, keep=False, mean=False)
    return Term(value, "".join(x for x in term.letters if x in kept))


def _pair(emit: Emitter, a: Term, b: Term, kept: set[str]) -> Term:
    """A product over the letters that only these two share."""
    a = _summed(emit, a, kept | set(b.letters))
    b = _summed(emit, b, kept | set(a.letters))
    both = [x for x in a.letters if x in b.letters]
    batch = [x for x in both if x in kept]
    inner = [x for x in both if x not in kept]
    left = [x for x in a.letters if x not in both]
    right = [x for x in b.letters if x not in both]
    for letter in inner:
        require(a.extent(letter) == b.extent(letter), f"extents of {letter!r} differ")
    sizes = {x: a.extent(x) if x in a.letters else b.extent(x) for x in (*a.letters, *b.letters)}
    for letter in batch:
        (sizes[letter],) = broadcast((a.extent(letter),), (b.extent(letter),))
    lead: Shape = tuple(sizes[x] for x in batch)
    rows, columns = (math.prod(sizes[x] for x in part) for part in (left, right))
    middle = math.prod(sizes[x] for x in inner)
    y = product(
        emit,
        _matrix(emit, a, [batch, left, inner], (len(batch), rows, middle)),
        _matrix(emit, b, [batch, inner, right], (len(batch), middle, columns)),
    )
    shape = (*lead, *(sizes[x] for x in left), *(sizes[x] for x in right))
    return Term(emit.rearrange(y, lambda v: v.reshape(shape)), "".join((*batch, *left, *right)))


def _matrix(emit: Emitter, term: Term, parts: list[list[str]], shape: Shape) -> Value:
    """(*batch, rows, columns)."""
    order = [term.letters.index(x) for part in parts for x in part]
    count, rows, columns = shape
    lead = [term.value.shape[i] for i in order[:count]]
    return emit.rearrange(term.value, lambda a: a.transpose(order).reshape((*lead, rows, columns)))
