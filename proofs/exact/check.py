"""Leaves again, in rationals: each claim is decided with the numbers as they are."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from absint.ir import Graph
from absint.problem import Cell, LinearConstraint, Problem
from absint.problem.contract import Contract
from absint.proofs.coverage import root_box
from absint.proofs.exact.bounds import ExactBounds, Interval, Lines, function_of, lines_of, refused
from absint.proofs.exact.numbers import Array, chosen, exact, exact_all, zeros
from absint.proofs.format import Certificate, CertificateError
from absint.proofs.leaves import Leaf, leaves
from absint.proofs.stream import SUMS, Arity, Rule, farkas_numbers, multiplier
from absint.proofs.transformers.knots import named_slopes
from absint.proofs.transformers.piecewise import PiecewiseLinear

Terms = dict[int, Array]
"""By node, coefficients of its entries."""


@dataclass
class ExactReport:
    """How many closed leaves there are, how many were computed again, and which do not hold."""

    leaves: int = 0
    checked: int = 0
    failed: list[tuple[int, int]] = field(default_factory=list)
    """(cell, leaf)."""


def recheck(
    certificate: Certificate,
    graph: Graph,
    sample: int | None = None,
    seed: int = 0,
    progress: Callable[[int], None] | None = None,
) -> ExactReport:
    """Computes the bounds of all closed leaves, or of a random sample, in rationals.

    For a certificate about ``graph`` that ``absint.proofs.check`` has read: what it binds, and what
    the splits cover, is not asked again.

    Raises:
        CertificateError: it is about a network that is not piecewise linear, or that decodes.
    """
    problem = certificate.problem
    if not isinstance(problem, Problem):
        raise CertificateError("rationals are for networks that do not decode")
    if missing := refused(graph):
        raise CertificateError(f"rationals do not do {', '.join(missing)}")
    closed = sum(1 for _ in _closed(certificate, problem, graph))
    places: Sequence[int] = range(closed)
    if sample is not None and sample < closed:
        places = sorted(random.Random(seed).sample(places, sample))
    report, wanted = ExactReport(closed), iter(places)
    following = next(wanted, None)
    for place, (index, claims, leaf) in enumerate(_closed(certificate, problem, graph)):
        if place != following:
            continue
        following = next(wanted, None)
        report.checked += 1
        if not claims.hold(leaf):
            report.failed.append((index, leaf.ordinal))
        if progress is not None:
            progress(report.checked)
    return report


def _closed(
    certificate: Certificate, problem: Problem, graph: Graph
) -> Iterator[tuple[int, ExactClaims, Leaf]]:
    for index, cell in enumerate(problem.cells):
        lower, upper = (end.tolist() for end in root_box(problem, cell))
        claims = ExactClaims(cell, graph, problem.semantics.contract)
        arity = Arity.of(cell, graph)
        for leaf in leaves(certificate.proofs[index], lower, upper, arity):
            if leaf.rule is not Rule.OPEN:
                yield index, claims, leaf


class ExactClaims:
    """What the leaves of one cell claim."""

    def __init__(self, cell: Cell, graph: Graph, contract: Contract | None = None) -> None:
        self.cell, self.graph, self.contract = cell, graph, contract
        functions = ((at, function_of(node)) for at, node in enumerate(graph.nodes))
        self.knots = {at: f for at, f in functions if f is not None and len(f.knots) == 1}
        self._bounds: tuple[int, ExactBounds] | None = None

    def hold(self, leaf: Leaf) -> bool:
        """Whether each conjunction fails on the whole of the leaf's set."""
        bounds = self._box(leaf)
        if not bounds.defined:
            return False
        if self._empty(leaf, bounds):
            return True
        parts = [self._parts(leaf, i) for i in range(len(self.cell.catastrophe))]
        if any(part is None for part in parts):
            return False
        sums = [self._sum(leaf, *part) for part in parts if part is not None]
        start: Terms = {}
        for row, (terms, _, _) in enumerate(sums):
            for position, c in terms.items():
                shape = (len(sums), *self.graph.nodes[position].shape)
                start.setdefault(position, zeros(*shape))[row] = c
        least = bounds.minimum(start, self._lines(leaf, bounds, len(sums))) if start else zeros(1)
        return all(
            margin - bound >= 0 if strict else margin - bound > 0
            for margin, (_, bound, strict) in zip(least, sums, strict=True)
        )

    def _box(self, leaf: Leaf) -> ExactBounds:
        if self._bounds is None or self._bounds[0] != leaf.block.number:
            named = named_slopes(self.graph, [leaf.block.slopes])
            bounds = ExactBounds(self.graph, leaf.lower, leaf.upper, self.contract, named)
            self._bounds = leaf.block.number, bounds
        return self._bounds[1]

    def _empty(self, leaf: Leaf, bounds: ExactBounds) -> bool:
        """Whether a phase has no point in the bounds of its neuron."""
        for node, entry, above in leaf.phases:
            low, high = (end.reshape(-1)[entry] for end in self._operand(node, bounds))
            knot = exact(self.knots[node].knots[0])
            if (high < knot) if above else (low > knot):
                return True
        return False

    def _operand(self, node: int, bounds: ExactBounds) -> Interval:
        return bounds.values[self.graph.nodes[node].inputs[0]]

    def _parts(
        self, leaf: Leaf, conjunction: int
    ) -> tuple[list[tuple[float, LinearConstraint]], list[float]] | None:
        """Constraints with their weights, and the phases' multipliers; None where it names none."""
        own, region = self.cell.catastrophe[conjunction], self.cell.constraints
        if leaf.rule in SUMS:
            mixed = leaf.rule is Rule.MIX
            numbers = leaf.choices if mixed else farkas_numbers(leaf.choices).tolist()
            width = [len(c) + len(region) + len(leaf.phases) for c in self.cell.catastrophe]
            begin = sum(width[:conjunction])
            given = numbers[begin : begin + width[conjunction]]
            rows = [*own, *region]
            if not any(given):
                return None
            weighed = [(w, row) for w, row in zip(given, rows, strict=False) if w]
            pulls = given[len(rows) :]
            return weighed, [multiplier(int(x)) for x in pulls] if mixed else list(pulls)
        rows = list(region) if leaf.rule is Rule.EMPTY else list(own)
        chosen = leaf.choices[0 if leaf.rule is Rule.EMPTY else conjunction]
        return ([(1, rows[chosen])], []) if chosen < len(rows) else None

    def _sum(
        self,
        leaf: Leaf,
        weighed: Sequence[tuple[float, LinearConstraint]],
        multipliers: list[float],
    ) -> tuple[Terms, object, bool]:
        """Coefficients, bound and strictness of a weighted sum of constraints and phases."""
        total = _Sum(self.graph)
        for weight, row in weighed:
            total.add(weight, row)
        for (node, entry, above), value in zip(leaf.phases, multipliers, strict=False):
            beta = -exact(value) if above else exact(value)
            total.at(self.graph.nodes[node].inputs[0])[entry] += beta
            total.bound += beta * exact(self.knots[node].knots[0])
        strict = any(row.strict for _, row in weighed)
        return total.shaped(), total.bound, strict

    def _lines(self, leaf: Leaf, bounds: ExactBounds, rows: int) -> Mapping[int, Lines]:
        """Of the neurons whose phase is known, and those whose slopes the proof names."""
        begin, found = 0, dict[int, Lines]()
        for position, function in self.knots.items():
            node = self.graph.nodes[position]
            phases = [(entry, above) for at, entry, above in leaf.phases if at == position]
            named = None
            if leaf.slopes is not None:
                table = np.frombuffer(leaf.slopes, dtype=np.uint8).reshape((rows, -1))
                named = table[:, begin : begin + node.size].reshape((rows, *node.shape))
            begin += node.size
            if phases or named is not None:
                base = bounds.lines[position]
                interval = self._operand(position, bounds)
                if named is not None:
                    base = _named(function, interval, base, named)
                found[position] = _phased(function, base, phases)
        return found


class _Sum:
    """A weighted sum of constraints ``row - bound``, by nodes."""

    def __init__(self, graph: Graph) -> None:
        self.graph, self.bound = graph, exact(0.0)
        self._flat: Terms = {}

    def at(self, position: int) -> Array:
        """The coefficients of a node's entries, flat."""
        return self._flat.setdefault(position, zeros(self.graph.nodes[position].size))

    def add(self, factor: float, row: LinearConstraint) -> None:
        weight = exact(float(factor))
        places = [(n, p, row.inputs) for n, p in self.graph.input_slices().items()]
        places += [(n, p, row.outputs) for n, p in self.graph.output_slices()]
        for position, place, terms in places:
            for index, coefficient in terms:
                if place.start <= index < place.stop:
                    self.at(position)[index - place.start] += weight * exact(coefficient)
        self.bound += weight * exact(row.bound)

    def shaped(self) -> Terms:
        return {at: c.reshape(self.graph.nodes[at].shape) for at, c in self._flat.items()}


def _named(
    function: PiecewiseLinear,
    x: tuple[Array, Array],
    base: Lines,
    named: NDArray[np.uint8],
) -> Lines:
    """With slopes named by bytes on the side where the function has a corner, inside ``x``."""
    left, right = function.slopes
    least, most = sorted((left, right))
    steps = np.clip(left + (right - left) * (np.arange(256) / 255), least, most)
    slopes = exact_all(steps[named])
    knot = exact(function.knots[0])
    free = (x[0] < knot) & (knot < x[1])
    if left <= right:
        lower = chosen(free, slopes, base.lower_slope)
        return lines_of(function, x, lower, np.broadcast_to(base.upper_slope, lower.shape))
    upper = chosen(free, slopes, base.upper_slope)
    return lines_of(function, x, np.broadcast_to(base.lower_slope, upper.shape), upper)


def _phased(function: PiecewiseLinear, base: Lines, phases: Sequence[tuple[int, bool]]) -> Lines:
    """With the one piece that neurons of known phase lie on."""
    parts = [base.lower_slope, base.lower_offset, base.upper_slope, base.upper_offset]
    flat = [np.array(part.reshape((len(part), -1))) for part in parts]
    knot, start = exact(function.knots[0]), exact(function.values[0])
    for entry, above in phases:
        slope = exact(function.slopes[1 if above else 0])
        for place in (0, 2):
            flat[place][:, entry] = slope
            flat[place + 1][:, entry] = start - slope * knot
    return Lines(*(f.reshape(p.shape) for f, p in zip(flat, parts, strict=True)))
