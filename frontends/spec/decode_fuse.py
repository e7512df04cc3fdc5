"""Fewer machines for the same formulas: parts that read one text become one machine."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from absint.problem.automata import minimal, product
from absint.problem.decode import (
    All,
    Atom,
    Formula,
    Machine,
    Not,
    Probed,
    Reads,
    Some,
    holds,
    probed,
)
from absint.problem.regular import MachineSizeError


def simplify(
    machines: Sequence[Machine], formulas: tuple[Formula | None, Formula]
) -> tuple[tuple[Machine, ...], tuple[Formula | None, Formula]]:
    """The machines that the formulas need, and formulas over them of the same meaning."""
    fusion = _Fusion(machines)
    first = None if formulas[0] is None else fusion.rewrite(formulas[0])
    second = fusion.rewrite(formulas[1])
    asked: list[set[frozenset[int]]] = [set() for _ in fusion.used]
    for formula in (first, second):
        for atom in () if formula is None else _atoms(formula):
            asked[atom.machine].add(atom.labels)
    kinds = [_kinds(m, sets) for m, sets in zip(fusion.used, asked, strict=True)]
    coarse = tuple(
        minimal(Machine(m.reads, m.table, tuple(kind[label] for label in m.labels)))
        for m, kind in zip(fusion.used, kinds, strict=True)
    )
    first = None if first is None else _relabelled(first, kinds)
    return coarse, (first, _relabelled(second, kinds))


def _kinds(machine: Machine, asked: set[frozenset[int]]) -> dict[int, int]:
    """One number for labels that no question tells apart; 0 for those in none of them."""
    sets = sorted(asked, key=sorted)
    numbers = {(False,) * len(sets): 0}
    return {
        label: numbers.setdefault(tuple(label in one for one in sets), len(numbers))
        for label in sorted(set(machine.labels))
    }


def _relabelled(formula: Formula, kinds: Sequence[dict[int, int]]) -> Formula:
    if isinstance(formula, Atom):
        kind = kinds[formula.machine]
        labels = frozenset(kind[label] for label in formula.labels if label in kind)
        return Atom(formula.machine, labels)
    if isinstance(formula, Probed):
        return formula
    if isinstance(formula, Not):
        return Not(_relabelled(formula.of, kinds))
    return type(formula)(tuple(_relabelled(part, kinds) for part in formula.of))


@dataclass
class _Fusion:
    """Rewrites formulas over ``machines`` to formulas over ``used``."""

    machines: Sequence[Machine]
    used: list[Machine] = field(default_factory=list)

    def rewrite(self, formula: Formula) -> Formula:
        """A formula over ``used`` that holds for the same texts.

        A product in place of its parts has no more states than the parts together reach.
        """
        numbers = atoms(formula)
        if isinstance(formula, Probed):
            return formula
        one = len({self.machines[i].reads for i in numbers}) == 1 and not probed(formula)
        if len(numbers) > 1 and one:
            fused = self._fused(formula, sorted(numbers))
            if fused is not None:
                return Atom(self._number(fused), frozenset({1}))
        if isinstance(formula, Atom):
            return Atom(self._number(self.machines[formula.machine]), formula.labels)
        if isinstance(formula, Not):
            return Not(self.rewrite(formula.of))
        kind = type(formula)
        parts = [self.rewrite(part) for part in self._grouped(formula)]
        return parts[0] if len(parts) == 1 else kind(tuple(parts))

    def _grouped(self, formula: All | Some) -> Iterable[Formula]:
        """The parts, with those that read the prompt alone as one, and those of the output."""
        kind = type(formula)
        groups: dict[Reads, list[Formula]] = {}
        mixed: list[Formula] = []
        for part in formula.of:
            reads = {self.machines[i].reads for i in atoms(part)}
            if len(reads) == 1 and not probed(part):
                groups.setdefault(reads.pop(), []).append(part)
            else:
                mixed.append(part)
        if not mixed and len(groups) < 2:
            return formula.of
        joined = [kind(tuple(parts)) if len(parts) > 1 else parts[0] for parts in groups.values()]
        return [*joined, *mixed]

    def _fused(self, formula: Formula, numbers: list[int]) -> Machine | None:
        def label(labels: tuple[int, ...]) -> int:
            return int(holds(formula, dict(zip(numbers, labels, strict=True)).__getitem__))

        try:
            return product([self.machines[i] for i in numbers], label)
        except MachineSizeError:
            return None

    def _number(self, machine: Machine) -> int:
        if machine not in self.used:
            self.used.append(machine)
        return self.used.index(machine)


def atoms(formula: Formula) -> set[int]:
    """The machines that a formula speaks of."""
    return {atom.machine for atom in _atoms(formula)}


def _atoms(formula: Formula) -> Iterator[Atom]:
    if isinstance(formula, Atom):
        yield formula
    elif not isinstance(formula, Probed):
        for part in (formula.of,) if isinstance(formula, Not) else formula.of:
            yield from _atoms(part)
