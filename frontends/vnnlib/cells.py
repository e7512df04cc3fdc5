"""Assertions to cells: bounds on single inputs become boxes, the rest the catastrophe.

Disjuncts with one and the same box share a cell. A disjunct with an empty box, or one that
contradicts itself, is dropped: no input satisfies it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction

from absint.frontends.spec.dtype import FLOAT_MAX
from absint.frontends.spec.formula import (
    And,
    Formula,
    FormulaSizeError,
    disjuncts,
    simplified,
)
from absint.frontends.vnnlib.variables import Variables
from absint.problem import (
    Box,
    Cell,
    Conjunction,
    LinearConstraint,
    constraint,
    float_text,
    round_to,
)
from absint.problem.exact import Dtype

_TINY = Fraction(1, 2**1200)
"""Smaller than any distance between two floats or between a float and a rounding tie."""

_End = tuple[Fraction, bool]
"""A bound, and whether it is strict."""


@dataclass
class _Bounds:
    """Bounds on single inputs, by input."""

    lower: dict[int, _End] = field(default_factory=dict)
    upper: dict[int, _End] = field(default_factory=dict)

    def add(self, row: LinearConstraint) -> int:
        """Tightens by a constraint on one input, which is returned."""
        index, coefficient = row.inputs[0]
        end = (row.bound if coefficient == 1 else row.bound / coefficient, row.strict)
        if coefficient > 0:
            self.upper[index] = min(self.upper.get(index, end), end, key=_as_upper)
        else:
            self.lower[index] = max(self.lower.get(index, end), end)
        return index

    def over(self, base: _Bounds) -> _Bounds:
        """Only what is tighter than ``base``."""
        return _Bounds(
            {i: e for i, e in self.lower.items() if i not in base.lower or e > base.lower[i]},
            {
                i: e
                for i, e in self.upper.items()
                if i not in base.upper or _as_upper(e) < _as_upper(base.upper[i])
            },
        )

    def crossed(self, base: _Bounds, indices: Iterable[int]) -> int | None:
        """The first of ``indices`` whose range, with ``base``, is empty."""
        for index in indices:
            low = self.lower.get(index) or base.lower.get(index)
            high = self.upper.get(index) or base.upper.get(index)
            if low and high and (low[0] > high[0] or (low[0] == high[0] and (low[1] or high[1]))):
                return index
        return None

    def key(self) -> object:
        return tuple(sorted(self.lower.items())), tuple(sorted(self.upper.items()))


def _as_upper(end: _End) -> tuple[Fraction, bool]:
    return end[0], not end[1]


@dataclass
class _Common:
    """What every disjunct shares."""

    bounds: _Bounds = field(default_factory=_Bounds)
    region: list[LinearConstraint] = field(default_factory=list)
    rows: list[LinearConstraint] = field(default_factory=list)
    rest: list[Formula] = field(default_factory=list)


def build_cells(
    formulas: Iterable[tuple[Formula, int]], variables: Variables, dtype: Dtype
) -> tuple[Cell, ...]:
    """The cells of the conjunction of ``formulas``, each with its position in the file.

    Raises:
        InputError: an input without both bounds, an empty region, a catastrophe that cannot
            happen, or a disjunctive normal form beyond the limits.
    """
    common = _Common()
    for formula, position in formulas:
        _collect(formula, position, common, variables)
    text = variables.text
    region = simplified(common.region)
    if region is None:
        raise text.error("empty region: the constraints on inputs contradict each other", 0)
    groups: dict[object, tuple[_Bounds, list[Conjunction]]] = {}
    inhabited = speaks = False
    for disjunct in _expanded(common.rest, variables):
        bounds, rows = _split(disjunct)
        speaks |= any(row.outputs for row in (*rows, *common.rows))
        bounds = bounds.over(common.bounds)
        if bounds.crossed(common.bounds, {*bounds.lower, *bounds.upper}) is not None:
            continue
        inhabited = True
        conjunction = simplified([*common.rows, *rows])
        if conjunction is not None:
            group = groups.setdefault(bounds.key(), (bounds, []))[1]
            group.append(conjunction or (constraint((), (), Fraction(0)),))
    if not inhabited:
        raise text.error("empty region: the bounds of every disjunct contradict each other", 0)
    if not speaks:
        raise text.error("no assertion speaks of an output", 0)
    if not groups:
        raise text.error("the catastrophe cannot happen: the assertions contradict each other", 0)
    return tuple(
        Cell(_box(bounds, common.bounds, variables, dtype), tuple(dict.fromkeys(rows)), region)
        for bounds, rows in groups.values()
    )


def _collect(formula: Formula, position: int, common: _Common, variables: Variables) -> None:
    """Takes the top-level conjuncts apart."""
    for part in _conjuncts(formula):
        if not isinstance(part, LinearConstraint):
            common.rest.append(part)
        elif part.outputs or not part.inputs:
            common.rows.append(part)
        elif len(part.inputs) > 1:
            common.region.append(part)
        else:
            index = common.bounds.add(part)
            if common.bounds.crossed(common.bounds, [index]) is not None:
                low, high = common.bounds.lower[index][0], common.bounds.upper[index][0]
                name, _ = variables.input_place(index)
                raise variables.text.error(
                    f"empty region: {name} has lower bound {float_text(low)} and upper bound "
                    f"{float_text(high)}",
                    position,
                )


def _conjuncts(formula: Formula) -> Iterator[Formula]:
    if isinstance(formula, And):
        for part in formula.parts:
            yield from _conjuncts(part)
    else:
        yield formula


def _expanded(rest: list[Formula], variables: Variables) -> list[Conjunction]:
    try:
        return disjuncts(And(tuple(rest)), prune=False)
    except FormulaSizeError as error:
        raise variables.text.error(str(error), 0) from error


def _split(disjunct: Conjunction) -> tuple[_Bounds, list[LinearConstraint]]:
    bounds = _Bounds()
    rows: list[LinearConstraint] = []
    for row in disjunct:
        if len(row.inputs) == 1 and not row.outputs:
            bounds.add(row)
        else:
            rows.append(row)
    return bounds, rows


def _box(bounds: _Bounds, base: _Bounds, variables: Variables, dtype: Dtype) -> Box:
    lower: list[Fraction] = []
    upper: list[Fraction] = []
    for index in range(variables.graph.input_size):
        low = bounds.lower.get(index) or base.lower.get(index)
        high = bounds.upper.get(index) or base.upper.get(index)
        if low is None or high is None:
            name, place = variables.input_place(index)
            missing = "lower" if low is None else "upper"
            raise variables.text.error(f"{name} has no {missing} bound", place)
        if max(low[0], high[0], -low[0], -high[0]) > FLOAT_MAX[dtype]:
            name, place = variables.input_place(index)
            raise variables.text.error(f"{name}: a bound does not fit {dtype}", place)
        lower.append(_closed(low, high[0], 1, dtype))
        upper.append(_closed(high, low[0], -1, dtype))
    return Box(tuple(lower), tuple(upper))


def _closed(end: _End, other: Fraction, inward: int, dtype: Dtype) -> Fraction:
    """A closed end with the same floats: the reals up to it, rounded, are those up to ``end``.

    A strict bound loses a float only where it stands on a tie that rounds outwards. (Values of
    ``other`` closer than _TINY round like everything between.)
    """
    value, strict = end
    if not strict:
        return value
    inside = value + inward * _TINY
    if round_to(inside, dtype) == round_to(value, dtype):
        return value
    return min(inside, other) if inward > 0 else max(inside, other)
