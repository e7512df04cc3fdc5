"""Branch and bound over one cell: bounds, splits and attacks, until proved, refuted or out of time.

Everything here only proposes. What it leaves behind is a tree whose leaves the checker recomputes;
a leaf that the checker turns down comes back through ``reopen`` as open work.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from absint.domains.arrays import Arrays
from absint.domains.hinges import hinges
from absint.ir import Graph, evaluate
from absint.problem import Problem
from absint.proofs.stream import Arity, Rule
from absint.search.attack import Attack, Counterexample, Runtime
from absint.search.backend import analysis_by
from absint.search.branching import choose_dimensions
from absint.search.mix import Forms
from absint.search.options import BACKENDS, SearchOptions
from absint.search.outlook import outlook
from absint.search.query import CellQuery, cell_query
from absint.search.steering import Steering
from absint.search.tree import Frontier, Tree, open_boxes
from absint.search.verdicts import Verdicts, join

FloatArray = NDArray[np.float64]

MAX_BATCH = 512
TILE_ELEMENTS = 1 << 19
"""Coefficients of one analysis, over the widest layer's rows: fewer boxes cost more Python each."""
STEERED = 8
"""Slopes are chosen for so many times fewer boxes at once: the passes back are all kept for it."""
SLACK = 1e-9
"""A leaf is emitted only when its bound clears zero by this share of the outputs' scale: many times
what the checker's rigorous arithmetic gives away, so that the check does not fail for rounding."""
REPLAY_REACH = 1e-4
"""Points this near to the catastrophe, as a share of the outputs' scale, run on the runtime."""
DIVE_EVERY = 768
"""Gradient descents, from the most promising boxes and from fresh points, run once in so many
boxes."""
OUTLOOK_SAMPLE = 1024
"""Open boxes by which the outlook is judged."""
ROW_SHARE = 0.5
"""The part of the network that a row for an intermediate neuron passes, on average."""
TINY = float(np.finfo(np.float64).tiny)
DIVE_STARTS = 16
FRESH_STARTS = 256


class CellSearch:
    """The open and closed parts of one cell's proof by boxes.

    ``analysed`` counts boxes, and ``work`` rows pushed back all the way. ``root`` is the score of
    the whole cell.
    """

    def __init__(
        self,
        graph: Graph,
        problem: Problem,
        index: int,
        arrays: Arrays,
        runtime: Runtime,
        options: SearchOptions,
        tree: Tree | None = None,
    ) -> None:
        cell = problem.cells[index]
        self.index = index
        self.graph, self.arrays, self.options = graph, arrays, options
        self.lower, self.upper = problem.network_box(cell)
        self.query: CellQuery = cell_query(cell, problem.input_size, problem.output_size)
        contract = problem.semantics.contract
        self.analyse = analysis_by(options.backend, graph, self.query.query, arrays, contract)
        own = hinges(graph) if options.backend == BACKENDS[0] else ()
        self.steering = Steering(graph, own, self.query, arrays, contract)
        self.arity = Arity.of(cell, graph)
        self.take_up(Tree() if tree is None else tree)
        scale = self._scale()
        self.slack = SLACK * scale
        self.rng = np.random.default_rng([options.seed, index])
        self.attack = Attack(
            graph,
            cell,
            index,
            self.query,
            arrays,
            runtime,
            problem.semantics.dtype,
            REPLAY_REACH * scale,
        )
        self.batches = self.analysed = self.since_dive = 0
        self.work, self.root = 0.0, -np.inf
        widest = max(node.size for node in graph.nodes)
        self.tile = max(1, TILE_ELEMENTS // widest**2) if arrays.on_cpu else MAX_BATCH

    def take_up(self, tree: Tree, stuck: Collection[int] = ()) -> None:
        """Goes on from a tree; its open leaves are worked on, but for those that are ``stuck``."""
        self.tree = tree.without_open_phases()
        self.frontier = open_boxes(self.tree, self.lower, self.upper, self.arity)
        if stuck:
            self.frontier = self.frontier.without(stuck)
        self.stuck = sorted(stuck)
        self.relaxed = sum(step.rule is Rule.RELAX for step in self.tree.rules)

    def _scale(self) -> float:
        """The size of the query's rows at the box's centre and of their constants."""
        centre = ((self.lower + self.upper) / 2)[None]
        y = np.abs(evaluate(self.graph, centre))[0]
        query = self.query.query
        rows = np.abs(query.outputs) @ y + np.abs(query.inputs) @ np.abs(centre[0])
        return float(np.max(rows + np.abs(query.bound), initial=1e-6))

    def open_leaves(self) -> int:
        return len(self.frontier) + len(self.stuck)

    def closed_leaves(self) -> int:
        return (len(self.tree.rules) - self.relaxed + 1) // 2 - self.open_leaves()

    def checks(self) -> float:
        """What the check of the closed leaves will cost, in boxes bounded."""
        return self.closed_leaves()

    def lowest(self) -> float:
        """The lowest bound of an open box: how far the loosest is from being proved."""
        return float(self.frontier.score.min(initial=np.inf))

    def falsify(self) -> Counterexample | None:
        """The attack before any proof: gradient descent over the whole cell."""
        return self.attack.descend(self.lower, self.upper, self.rng)

    def workable(self) -> bool:
        """Whether there are open boxes that can be split."""
        return len(self.frontier) > 0

    def outlook(self) -> float:
        """How many splits are still needed, in doublings (``absint.search.outlook``)."""
        some = self.frontier.every(max(1, len(self.frontier) // OUTLOOK_SAMPLE))
        levels = outlook(some.score, self._depth(some) - 1, self.root)
        return levels + float(np.log2(max(1, len(self.frontier)) / max(1, len(some))))

    def _depth(self, boxes: Frontier) -> FloatArray:
        """How many halvings lie above each box, (n,)."""
        width, root = boxes.upper - boxes.lower, self.upper - self.lower
        halvings = np.where(root > 0, np.log2(np.maximum(root, TINY) / np.maximum(width, TINY)), 0)
        depth: FloatArray = halvings.sum(axis=1)
        return depth

    def step(self, pool: ThreadPoolExecutor) -> Counterexample | None:
        """Bounds a batch of the open boxes, and splits what is not proved."""
        batch = self._take()
        verdicts = self._analyse(batch, pool)
        if not self.batches:
            self.root = float(verdicts.decision.score.min())
        self._steer(batch, verdicts, pool)
        found = self._settle(batch, verdicts)
        self.batches += 1
        self.analysed += len(batch)
        self.work += ROW_SHARE * verdicts.rows
        return found

    def reopen(self, leaves: Iterable[int]) -> None:
        """Takes back leaves (by their place in the proof stream) that the checker turned down."""
        numbers = self.tree.leaves()
        for leaf in leaves:
            self.tree.reopen(numbers[leaf])
        self.take_up(self.tree)
        self.slack *= 10

    def _take(self) -> Frontier:
        size = min(MAX_BATCH, 4 * self.tile) * self.options.jobs
        crowded = self.frontier.nbytes > self.options.memory // 4
        return self.frontier.pop(size, newest=crowded)

    def _steer(self, batch: Frontier, verdicts: Verdicts, pool: ThreadPoolExecutor) -> None:
        """Better slopes for the bounds of boxes that are not closed, where they serve."""
        decision = verdicts.decision
        due = self.steering.worth(self.analysed, batch.age)
        where = np.flatnonzero(due & (decision.score <= self.slack))
        if not len(where):
            return
        some, focus = batch.select(where), decision.focus[where]
        pieces = self._pieces(len(where), max(1, self.tile // STEERED))
        parts = [np.array_split(part, pieces) for part in (some.lower, some.upper, some.slopes)]
        found = list(pool.map(self.steering.better, *parts, np.array_split(focus, pieces)))
        some.slopes = np.concatenate([slopes for slopes, _ in found])
        self.work += ROW_SHARE * sum(rows for _, rows in found)
        better = self._analyse(some, pool)
        before, batch.age[where] = decision.score[where], 0
        gained = better.decision.score > before
        self.steering.learn(before, better.decision.score)
        kept = np.flatnonzero(gained)
        for place in where[kept]:
            slopes = some.slopes[np.searchsorted(where, place)]
            batch.nodes[place] = self.tree.relax(int(batch.nodes[place]), slopes)
            batch.slopes[place] = slopes
        self.relaxed += len(kept)
        verdicts.replace(where[kept], better.take(kept))

    def _analyse(self, batch: Frontier, pool: ThreadPoolExecutor) -> Verdicts:
        pieces = self._pieces(len(batch), self.tile)
        parts = list(
            pool.map(
                self._analyse_part,
                np.array_split(batch.lower, pieces),
                np.array_split(batch.upper, pieces),
                np.array_split(batch.slopes, pieces),
            )
        )
        return Verdicts(
            join([part.decision for part in parts]),
            np.concatenate([part.coefficients for part in parts]),
            np.concatenate([part.influence for part in parts]),
            sum(part.rows for part in parts),
        )

    def _pieces(self, boxes: int, most: int) -> int:
        """How many to divide boxes into: one for each thread at least, of ``most`` boxes each."""
        return max(-(-boxes // most), min(self.options.jobs, boxes))

    def _analyse_part(
        self, lower: FloatArray, upper: FloatArray, slopes: NDArray[np.object_]
    ) -> Verdicts:
        arrays = self.arrays
        box = (arrays.asarray(lower), arrays.asarray(upper))
        with np.errstate(all="ignore"):
            analysis = self.analyse(box, self.steering.named(slopes))
        shape = (len(lower), *analysis.coefficients.shape[1:])
        coefficients = np.broadcast_to(arrays.numpy(analysis.coefficients), shape)
        influence = np.broadcast_to(arrays.numpy(analysis.influence), shape)
        forms = Forms(
            coefficients,
            np.broadcast_to(arrays.numpy(analysis.centre), shape[:2]),
            (upper - lower) / 2,
        )
        decision = self.query.decide(forms, self.slack)
        focus = decision.focus[:, None]
        rows = analysis.rows * len(lower)
        return Verdicts(decision, (focus @ coefficients)[:, 0], (focus @ influence)[:, 0], rows)

    def _settle(self, batch: Frontier, verdicts: Verdicts) -> Counterexample | None:
        """Closes what the bounds decide, looks for counterexamples in the rest, and splits it."""
        decision = verdicts.decision
        closed = decision.score > self.slack
        for i in np.flatnonzero(closed):
            self.tree.close(int(batch.nodes[i]), decision.rules[i], decision.operands[i])
        rest = np.flatnonzero(~closed)
        if not len(rest):
            return None
        found = self._probe(batch, verdicts, rest)
        self._split(batch, verdicts, rest)
        return found

    def _probe(
        self, batch: Frontier, verdicts: Verdicts, rest: NDArray[np.int64]
    ) -> Counterexample | None:
        """Tries the corner where each box's linear bound is least, and its centre."""
        lower, upper = batch.lower[rest], batch.upper[rest]
        corner = np.where(verdicts.coefficients[rest] > 0, lower, upper)
        return self.try_points(np.concatenate([corner, (lower + upper) / 2]), len(rest))

    def try_points(self, points: FloatArray, sets: int) -> Counterexample | None:
        """Tries points of so many open sets, and now and then descends from the nearest."""
        distance, found = self.attack.probe(points)
        self.since_dive += sets
        if found is None and self.since_dive >= DIVE_EVERY:
            self.since_dive = 0
            near = np.argsort(distance, kind="stable")[:DIVE_STARTS]
            found = self.attack.descend_from(points[near], self.lower, self.upper)
            found = found or self.attack.descend(self.lower, self.upper, self.rng, FRESH_STARTS)
        return found

    def _split(self, batch: Frontier, verdicts: Verdicts, rest: NDArray[np.int64]) -> None:
        lower, upper = batch.lower[rest], batch.upper[rest]
        dimensions = choose_dimensions(verdicts.influence[rest], lower, upper)
        stuck = dimensions < 0
        self.stuck += batch.nodes[rest[stuck]].tolist()
        rest, dimensions = rest[~stuck], dimensions[~stuck]
        first = np.array(
            [
                self.tree.halve(int(node), int(dimension))
                for node, dimension in zip(batch.nodes[rest], dimensions, strict=True)
            ],
            dtype=np.int64,
        )
        parts = batch.select(rest)
        parts.score = verdicts.decision.score[rest]
        self.frontier.push(_halves(parts, dimensions, first))


def _halves(boxes: Frontier, dimensions: NDArray[np.int64], first: NDArray[np.int64]) -> Frontier:
    """Both halves of boxes, cut where the proof's HALVE cuts."""
    rows = np.arange(len(boxes))
    lower, upper = boxes.lower, boxes.upper
    cut = 0.5 * lower[rows, dimensions] + 0.5 * upper[rows, dimensions]
    below, above = upper.copy(), lower.copy()
    below[rows, dimensions] = cut
    above[rows, dimensions] = cut
    return Frontier(
        np.concatenate([first, first + 1]),
        np.concatenate([lower, above]),
        np.concatenate([below, upper]),
        np.concatenate([boxes.score, boxes.score]),
        np.concatenate([boxes.slopes, boxes.slopes]),
        np.concatenate([boxes.age, boxes.age]) + 1,
    )
