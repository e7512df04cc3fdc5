"""Leaves that divide neurons by phase, against exact enumeration of linear pieces."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np
import polygons
import pytest
from numpy.typing import NDArray
from proofcases import box, problem

from absint.ir import Constant, Graph, GraphBuilder
from absint.problem import Cell, Problem, constraint
from absint.proofs.blocks import Batch, batches
from absint.proofs.bounds import Bounds
from absint.proofs.claims import Claims
from absint.proofs.leaves import Leaf, leaves, middle
from absint.proofs.regions import Boxes
from absint.proofs.stream import Arity, Rule, Writer, multiplier
from absint.proofs.subsets import Subsets
from absint.proofs.transformers.knots import knots

Rng = np.random.Generator
Ends = list[float]
FloatArray = NDArray[np.float64]
BATCH = 7
"""Leaves at once: batches end inside boxes, and boxes inside batches."""


def network(rng: Rng) -> Graph:
    """Two inputs, three layers of neurons; two functions that read one node; a residual sum."""
    builder = GraphBuilder()

    def dense(operand: int, sizes: tuple[int, int]) -> int:
        weight = Constant(rng.integers(-8, 9, sizes) / 4.0)
        bias = Constant(rng.integers(-4, 5, sizes[1]) / 4.0)
        return builder.add("dense", [operand], consts={"weight": weight, "bias": bias})

    def bent(operand: int) -> int:
        op = str(rng.choice(["relu", "abs", "leaky_relu"]))
        alpha = {"alpha": float(rng.choice([0.25, -0.5, 1.5]))} if op == "leaky_relu" else {}
        return builder.add(op, [operand], attrs=alpha)

    h = dense(builder.input("x", (2,)), (2, 3))
    both = builder.add("sum", [bent(h), bent(h)], attrs={"coefficients": (1, -1)})
    first = bent(dense(both, (3, 2)))
    second = builder.add("sum", [first, bent(dense(first, (2, 2)))], attrs={"coefficients": (1, 1)})
    return builder.build({"y": dense(second, (2, 2))})


@dataclass
class Grown:
    """A random proof of a box: rules of any kind that the grammar allows.

    Neurons are taken from those whose knot lies inside some box.
    """

    rng: Rng
    arity: Arity
    cell: Cell
    neurons: list[tuple[int, int]]
    writer: Writer = field(default_factory=Writer)

    def grow(self, low: Ends, high: Ends, phases: list[tuple[int, int]], depth: int) -> None:
        rng, free = self.rng, [neuron for neuron in self.neurons if neuron not in phases]
        kind = rng.choice(["leaf", "halve", "phase", "phase", "slopes"]) if depth else "leaf"
        if kind == "halve":
            d = int(rng.integers(2))
            cut = middle(low[d], high[d])
            self.writer.halve(d)
            for first in (True, False):
                ends = [[*low], [*high]]
                ends[first][d] = cut
                self.grow(ends[0], ends[1], phases, depth - 1)
        elif kind == "phase" and free:
            neuron = free[rng.integers(len(free))]
            self.writer.phase(*neuron)
            for _ in range(2):
                self.grow(low, high, [*phases, neuron], depth - 1)
        elif kind == "slopes":
            self.writer.slopes(rng.bytes(self.arity.slopes(Rule.SLOPES)))
            if rng.random() < 0.3:
                self.relax()
            self.grow(low, high, phases, depth - 1)
        else:
            self.leaf(len(phases))

    def relax(self) -> None:
        self.writer.relax(self.rng.bytes(self.arity.slopes(Rule.RELAX)))

    def leaf(self, phases: int) -> None:
        rule = self.rng.choice(["safe", "mix", "empty", "open"], p=[0.3, 0.66, 0.02, 0.02])
        if rule == "safe":
            self.writer.safe([int(self.rng.integers(len(rows))) for rows in self.cell.catastrophe])
        elif rule == "mix":
            self.writer.mix(weights(self.rng, self.cell, phases))
        elif rule == "empty":
            self.writer.empty(0)
        else:
            self.writer.open()


def weights(rng: Rng, cell: Cell, phases: int) -> list[int]:
    """Random operands of MIX; about half of the multipliers are not zero."""
    found: list[int] = []
    for rows in cell.catastrophe:
        own = rng.integers(0, 256, len(rows) + len(cell.constraints)) * rng.integers(0, 2)
        own[int(rng.integers(len(rows)))] = 255
        found += own.tolist()
        found += (rng.integers(160, 200, phases) * rng.integers(0, 2, phases)).tolist()
    return found


def claim(rng: Rng, graph: Graph, spare: Fraction) -> Problem:
    """That outputs are large: beyond their largest values by ``spare`` of their range."""
    found = polygons.pieces(graph, (-1.0, -1.0), (1.0, 1.0), {})
    values = [
        [polygons.at(p.values[-1][output], corner) for p in found for corner in p.corners]
        for output in range(2)
    ]
    bounds = [max(own) + spare * (max(own) - min(own)) for own in values]
    strict = bool(rng.integers(2))
    large = [constraint((), [(i, Fraction(-1))], -bound, strict) for i, bound in enumerate(bounds)]
    near = constraint([(0, Fraction(1)), (1, Fraction(1))], (), Fraction(1, 2))
    cut = constraint([(0, Fraction(1)), (1, Fraction(-1))], (), Fraction(3, 2), True)
    cell = Cell(box((-1, 1), (-1, 1)), ((large[0],), (large[1], near)), (cut,))
    return problem(graph, cell)


def grown(rng: Rng, graph: Graph, cell: Cell, depth: int) -> bytes:
    bounds = Bounds(graph, Boxes(graph, np.full((1, 2), -1.0), np.full((1, 2), 1.0))).values
    neurons = []
    for at, knot in knots(graph).items():
        low, high = bounds[knot.operand]
        neurons += [(at, entry) for entry in np.flatnonzero((low < 0) & (high > 0)).tolist()]
    tree = Grown(rng, Arity.of(cell, graph), cell, neurons)
    if rng.random() < 0.5:
        tree.relax()
    tree.grow([-1.0, -1.0], [1.0, 1.0], [], depth)
    return tree.writer.to_bytes()


def pieces_of(graph: Graph, leaf: Leaf) -> list[polygons.Piece]:
    sides = {(phase.node, phase.entry): phase.above for phase in leaf.phases}
    return polygons.pieces(graph, leaf.lower, leaf.upper, sides)


def summed(
    piece: polygons.Piece, graph: Graph, cell: Cell, leaf: Leaf, conjunction: int
) -> polygons.Form:
    """What the leaf claims to be positive for a conjunction, on one piece."""
    if leaf.rule is Rule.EMPTY:
        return polygons.row_form(piece, graph, cell.constraints[leaf.choices[0]])
    if leaf.rule is Rule.SAFE:
        row = cell.catastrophe[conjunction][leaf.choices[conjunction]]
        return polygons.row_form(piece, graph, row)
    sizes = [len(rows) + len(cell.constraints) + len(leaf.phases) for rows in cell.catastrophe]
    begin = sum(sizes[:conjunction])
    weights = leaf.choices[begin : begin + sizes[conjunction]]
    rows = (*cell.catastrophe[conjunction], *cell.constraints)
    own = zip(weights[: len(rows)], rows, strict=True)
    terms = [(Fraction(w), polygons.row_form(piece, graph, row)) for w, row in own]
    for byte, phase in zip(weights[len(rows) :], leaf.phases, strict=True):
        operand = piece.values[graph.nodes[phase.node].inputs[0]][phase.entry]
        terms.append((Fraction(multiplier(byte)) * (-1 if phase.above else 1), operand))
    return polygons.total(terms)


def violated(graph: Graph, cell: Cell, found: list[polygons.Piece]) -> bool:
    """Whether a point of the pieces is in the region and in the catastrophe."""
    return any(
        polygons.meets(piece, graph, (*rows, *cell.constraints))
        for piece in found
        for rows in cell.catastrophe
    )


@dataclass(frozen=True)
class Judged:
    """A closed leaf with the lower bounds of what it claims, (conjunctions,)."""

    leaf: Leaf
    margins: FloatArray
    accepted: bool
    empty: bool


def judged(batch: Batch, claims: Claims, leaf: Leaf, place: int) -> Judged:
    own = Batch(batch.blocks, [leaf], [leaf], [place])
    sets = Subsets(claims.graph, claims.knots, batch.blocks, [leaf], [place])
    margins = sets.minimum(claims.sums([leaf], sets).rows)[0]
    return Judged(leaf, margins, not claims.failures(own), bool(sets.empty()[0]))


def improved(rng: Rng, batch: Batch, claims: Claims, cell: Cell, leaf: Leaf, place: int) -> Leaf:
    """With the best of many random operands: else hardly any leaf would hold by its multipliers."""
    best = leaf
    for _ in range(2):
        tries = [best]
        for _ in range(40):
            fresh = np.array(weights(rng, cell, len(leaf.phases)))
            kept = rng.random(len(fresh)) < rng.choice([0.0, 0.5, 0.8])
            tries.append(leaf._replace(choices=tuple(np.where(kept, best.choices, fresh).tolist())))
        sets = Subsets(claims.graph, claims.knots, batch.blocks, tries, [place] * len(tries))
        margins = sets.minimum(claims.sums(tries, sets).rows)
        best = tries[int(margins.min(axis=1).argmax())]
    return best


def judgements(
    rng: Rng, graph: Graph, spare: Fraction, depth: int
) -> Iterator[tuple[Cell, Judged]]:
    """The leaves of a random tree."""
    (cell,) = claim(rng, graph, spare).cells
    claims, arity = Claims(cell, graph), Arity.of(cell, graph)
    stream = leaves(grown(rng, graph, cell, depth), (-1.0, -1.0), (1.0, 1.0), arity)
    for batch in batches(stream, graph, (BATCH, BATCH)):
        for leaf, place in zip(batch.closed, batch.places, strict=True):
            mixed = leaf.rule is Rule.MIX
            best = improved(rng, batch, claims, cell, leaf, place) if mixed else leaf
            yield cell, judged(batch, claims, best, place)


def hold(seed: int) -> Counter[str]:
    """Holds every leaf of two random trees against exact enumeration; what occurred."""
    rng, seen = np.random.default_rng(seed), Counter[str]()
    graph = network(rng)
    for spare in (Fraction(1, 20), Fraction(-1, 3)):
        for cell, found in judgements(rng, graph, spare, 7):
            pieces = pieces_of(graph, found.leaf)
            truth = violated(graph, cell, pieces)
            assert not (found.accepted and truth), found.leaf
            assert not (found.empty and pieces), found.leaf
            for conjunction, margin in enumerate(found.margins.tolist()):
                for piece in pieces:
                    form = summed(piece, graph, cell, found.leaf, conjunction)
                    least = min(polygons.at(form, corner) for corner in piece.corners)
                    assert Fraction(margin) <= least, found.leaf
            proved = found.accepted and not found.empty
            seen["false"] += truth
            seen["proved with phases"] += proved and bool(found.leaf.phases)
            seen["proved with slopes"] += proved and found.leaf.slopes is not None
            seen["proved with other bounds"] += proved and found.leaf.block.slopes is not None
            seen["empty"] += found.empty
            seen["leaves"] += 1
    return seen


def test_bounds_are_never_above_the_least_value_and_claims_are_true() -> None:
    """Random networks, trees, weights, multipliers and slopes."""
    seen = sum((hold(seed) for seed in range(4)), Counter[str]())
    assert min(seen.values()) > 3, seen


@pytest.mark.full
@pytest.mark.parametrize("first", range(100, 1100, 100))
def test_the_same_on_a_thousand_networks(first: int) -> None:
    seen = sum((hold(seed) for seed in range(first, first + 100)), Counter[str]())
    assert min(seen.values()) > 50, seen
