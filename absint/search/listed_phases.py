"""Patterns of phases that somebody else's proof consists of, turned into a proof of ours.

Nothing about the list is trusted. It only says which neurons to divide; multipliers and slopes are
sought here, and the checker recomputes every bound and that the leaves cover the region.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from absint.domains.arrays import numpy_arrays
from absint.domains.hinges import hinges
from absint.ir import Graph
from absint.ir import digest as graph_digest
from absint.problem import Cell, InputError, Problem
from absint.proofs.check import check
from absint.proofs.format import Certificate
from absint.proofs.stream import Arity, Rule
from absint.search.listed import Confirmation
from absint.search.phases.closer import farkas
from absint.search.phases.ground import Ground, Task
from absint.search.phases.merge import operands
from absint.search.phases.sets import OpenSet
from absint.search.phases.steer import better_slopes
from absint.search.prove import Binding
from absint.search.query import cell_query
from absint.search.tree import Tree

Phase = tuple[int, int]
Pattern = dict[Phase, bool]
"""(node, entry) of neurons, and whether their operands are at least the knot; else at most."""
MOST_NODES = 1 << 21
FEW_STEPS, STEPS = 16, 200
"""Of ascent for each leaf, and for those that these do not prove, with slopes of their own."""


def confirm_phases(
    graph: Graph,
    problem: Problem,
    binding: Binding,
    patterns: Sequence[Pattern],
    jobs: int = 1,
    progress: Callable[[int], None] | None = None,
) -> Confirmation:
    """Recomputes every bound below the phases of a list, and whether they cover the region.

    Raises InputError: a phase is not of a neuron of the network, or the patterns overlap so much
    that dividing them takes more than MOST_NODES sets.
    """
    _require(patterns, graph, problem)
    cells = [_Cell(graph, problem, cell, patterns) for cell in problem.cells]
    binds = (binding.model, binding.spec, graph_digest(graph), problem)
    whole = Certificate(*binds, tuple(cell.tree.stream() for cell in cells))
    report = check(whole, graph, problem, progress, jobs)
    refused = {cells[item.cell].reopen(item.leaf) for item in report.rejected}
    proofs = tuple(cell.tree.stream() for cell in cells)
    return Confirmation(
        Certificate(*binds, proofs), report, len(patterns), tuple(sorted(refused)), 0, boxes=False
    )


def _require(patterns: Sequence[Pattern], graph: Graph, problem: Problem) -> None:
    if not hinges(graph):
        raise InputError("the network is not one of neurons with one knot alone", "phases")
    neurons = Arity.of(problem.cells[0], graph).neurons
    for number, pattern in enumerate(patterns, start=1):
        for node, entry in pattern:
            if not 0 <= entry < neurons.get(node, 0):
                place = f"leaf {number}"
                raise InputError(f"node {node} has no neuron {entry} with one knot", place)


@dataclass(frozen=True)
class _Place:
    """A node of the tree with its phases, oldest first, and what patterns still ask for there."""

    node: int
    phases: tuple[tuple[Phase, bool], ...]
    left: tuple[tuple[int, Pattern], ...]
    """The numbers of the patterns that meet the set, with the phases that are not known there."""


class _Cell:
    """One cell's tree: divided by phases until each set lies in a pattern, or in none."""

    def __init__(
        self, graph: Graph, problem: Problem, cell: Cell, patterns: Sequence[Pattern]
    ) -> None:
        query = cell_query(cell, problem.input_size, problem.output_size)
        box, contract = problem.network_box(cell), problem.semantics.contract
        task = Task(graph, box, query, numpy_arrays(), lambda x, sets: None, contract)
        self.tree, self._origin = Tree(), dict[int, int]()
        relaxed = better_slopes(Ground.of(task, 0.0), contract, 0.0)
        self._ground = Ground.of(task, 0.0, relaxed)
        root = self.tree.relax(0, relaxed)
        if (self._ground.root.slopes != self._ground.default).any():
            root = self.tree.slopes(root, self._ground.root.slopes.tobytes())
        self._close(self._divide(root, patterns))
        self._leaves = self.tree.leaves()

    def reopen(self, leaf: int) -> int:
        """The pattern that a leaf, by its place in the stream, is of; it is open now."""
        node = self._leaves[leaf]
        self.tree.reopen(node)
        return self._origin[node]

    def _divide(self, root: int, patterns: Sequence[Pattern]) -> list[OpenSet]:
        """The sets that lie in a pattern, each the first that holds it."""
        done, todo = list[OpenSet](), [_Place(root, (), tuple(enumerate(patterns)))]
        while todo:
            place = todo.pop()
            own = next((number for number, pattern in place.left if not pattern), None)
            if own is not None:
                self._origin[place.node] = own
                done.append(self._set(place))
            elif place.left:
                todo += self._split(place)
        return done

    def _split(self, place: _Place) -> list[_Place]:
        """By the neuron that the most patterns ask for: the root of the tree that they are of."""
        if len(self.tree.rules) > MOST_NODES:
            raise InputError("the patterns overlap too much to be divided", "phases")
        asked = Counter(phase for _, pattern in place.left for phase in pattern)
        chosen = max(asked, key=lambda phase: (asked[phase], (-phase[0], -phase[1])))
        first = self.tree.phase(place.node, *chosen)
        return [
            _Place(
                first + above,
                (*place.phases, (chosen, above)),
                tuple(
                    (number, {phase: side for phase, side in pattern.items() if phase != chosen})
                    for number, pattern in place.left
                    if pattern.get(chosen, above) == above
                ),
            )
            for above in (False, True)
        ]

    def _set(self, place: _Place) -> OpenSet:
        ground = self._ground
        entries = tuple(ground.entry(*phase) for phase, _ in place.phases)
        sides = tuple(1 if above else -1 for _, above in place.phases)
        return OpenSet(place.node, entries, sides, ground.root.slopes, ground.root_sums(), 0)

    def _close(self, sets: Sequence[OpenSet]) -> None:
        """Says of each set why it is safe; where the bounds do not, the checker will refuse it."""
        ground = self._ground
        for steps, steer in ((FEW_STEPS, False), (STEPS, True)):
            sets = self._climbed(sets, steps, steer)
            for item in sets:
                self.tree.close(item.number, Rule.MIX, operands(ground, item))
            sets = [item for item in sets if not min(x.value for x in item.sums) > 0.0]
        for item in sets:
            with np.errstate(all="ignore"):
                numbers = farkas(ground, item, 0.0)
            if numbers is not None:
                self.tree.close(item.number, Rule.FARKAS, numbers)

    def _climbed(self, sets: Sequence[OpenSet], steps: int, steer: bool) -> list[OpenSet]:
        """With better sums against each conjunction, and where asked with slopes of their own."""
        found = list(sets)
        for conjunction in range(len(self._ground.query.members)):
            wanted = [(item, conjunction) for item in found]
            for place, better in enumerate(self._ground.sums(wanted, steps, 0.0, steer)):
                item = replace(found[place], focus=conjunction)
                item = item.steered(item.number, better.slopes)
                found[place] = item.with_sum(conjunction, better.sum)
        return [self._below_slopes(item) for item in found] if steer else found

    def _below_slopes(self, item: OpenSet) -> OpenSet:
        self.tree.reopen(item.number)
        number = self.tree.slopes(item.number, item.slopes.tobytes())
        self._origin[number] = self._origin[item.number]
        return replace(item, number=number)
