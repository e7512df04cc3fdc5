"""Splitting neurons: bounds against linear programmes, sets against points, proofs against the
checker."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import linprog
from searchcases import BINDING, box, hard, integer_network, least, network, problem, runtime

from absint.domains.arrays import numpy_arrays
from absint.domains.dual import Lines, Rows
from absint.domains.hinges import Frame, frame
from absint.domains.product import Query
from absint.ir import Graph, digest, evaluate
from absint.ir.evaluate import run
from absint.problem import Problem
from absint.proofs.check import check
from absint.proofs.format import Certificate
from absint.proofs.stream import Arity, Rule, nearest_multiplier
from absint.search.cell import CellProof
from absint.search.options import SearchOptions
from absint.search.phases import search as module
from absint.search.phases.ascent import climb, default_slopes, first_pairs
from absint.search.phases.branching import choose_neurons, first_multipliers
from absint.search.phases.ground import Task
from absint.search.phases.pairs import MULTIPLIERS, Pairs, nearest_bytes
from absint.search.phases.search import PhaseSearch
from absint.search.query import CellQuery, cell_query
from absint.search.tree import Tree

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
FLOAT64 = numpy_arrays()


def pairs_of(found: Frame, entries: IntArray, sides: NDArray[np.int8]) -> Pairs:
    """One set with its phases, (1, depth), and one conjunction of one row."""
    none = np.zeros(entries.shape, dtype=np.int64)
    chosen = default_slopes(found)[None]
    return Pairs(np.zeros(1, dtype=np.int64), np.array([[255]]), chosen, entries, sides, none)


def shallow(seed: int) -> tuple[Graph, Frame, CellQuery]:
    """One hidden layer, for which a linear programme has the least value of each phase pattern."""
    rng = np.random.default_rng(seed)
    graph = network(
        [rng.normal(size=(3, 8)), rng.normal(size=(8, 1))], [rng.normal(size=8) / 4, np.zeros(1)]
    )
    asked = problem(graph, box(*[(-1, 1)] * 3), (least(0, 0),))
    found = frame(graph, -np.ones(3), np.ones(3), FLOAT64)
    return graph, found, cell_query(asked.cells[0], 3, 1)


def least_output(graph: Graph, side: NDArray[np.int8]) -> float:
    """The least value of minus the output where all neurons have their phases; inf where no point
    has them."""
    first, second = (node for node in graph.nodes if node.op == "dense")
    w, b = first.consts["weight"].value, first.consts["bias"].value
    out = np.where(side > 0, second.consts["weight"].value[:, 0], 0.0)
    found = linprog(-(w @ out), A_ub=(-side * w).T, b_ub=side * b, bounds=[(-1, 1)] * 3)
    return np.inf if found.status == 2 else float(found.fun - b @ out)


@pytest.mark.parametrize("seed", range(5))
def test_multipliers_come_near_to_a_linear_programme_and_never_pass_it(seed: int) -> None:
    graph, found, query = shallow(seed)
    rng = np.random.default_rng(seed)
    x = rng.uniform(-1, 1, (3, 3))
    before = run(graph, x)[1]
    for row in before:
        side = np.sign(row).astype(np.int8)
        entries = np.flatnonzero(found.unstable)[None]
        sides = side[entries]
        pairs = pairs_of(found, entries, sides)
        climbed = climb(found, query, pairs, 400, np.inf)
        truth = least_output(graph, side)
        plain = climb(found, query, pairs, 0, np.inf).value[0]
        assert plain <= climbed.value[0] <= truth + 1e-9
        assert climbed.value[0] >= truth - 0.25 * (1 + truth - plain)


def test_phases_that_no_point_has_are_refuted() -> None:
    """x <= 0 and x - 1/4 >= 0, whatever the output; the other sides have y = 1/4 at x = 1/4."""
    graph = network([np.ones((1, 2)), np.ones((2, 1))], [np.array([0.0, -0.25]), np.zeros(1)])
    asked = problem(graph, box((-1, 1)), (least(0, 0.25),))
    query = cell_query(asked.cells[0], 1, 1)
    found = frame(graph, -np.ones(1), np.ones(1), FLOAT64)
    sides = np.array([[-1, 1]], dtype=np.int8)
    pairs = pairs_of(found, np.array([[0, 1]]), sides)
    assert climb(found, query, pairs, 400, 0.0).value[0] > 0
    pairs = replace(pairs, sides=-sides)
    assert climb(found, query, pairs, 400, 0.0).value[0] <= 1e-9


@pytest.mark.parametrize("seed", range(6))
def test_a_split_of_a_neuron_on_its_free_line_starts_no_worse(seed: int) -> None:
    rng = np.random.default_rng(seed)
    graph = integer_network(rng, (3, 6, 6, 2), "leaky_relu")
    found = frame(graph, -np.ones(3), np.ones(3), FLOAT64)
    count = found.size
    rows = Rows(np.zeros((1, 1, 3)), rng.normal(size=(1, 1, 2)), np.zeros((1, 1)))
    side = np.zeros((1, count), dtype=np.int8)
    here = Lines.of(found, found.slope[None], side).bound(rows, np.zeros((1, count)))
    every = np.arange(count)
    start = first_multipliers(found, found.slope, here.coefficients[0], every)
    free = found.unstable & (here.coefficients[0] > 0)
    for entry in np.flatnonzero(free):
        for direction, force in ((-1, start.below[entry]), (1, start.above[entry])):
            part, pull = side.copy(), np.zeros((1, count))
            part[0, entry], pull[0, entry] = direction, -direction * force
            value = Lines.of(found, found.slope[None], part).bound(rows, pull).value[0]
            assert np.isclose(value, here.value[0], rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("seed", range(6))
def test_chosen_slopes_are_no_worse_than_the_default_and_are_what_is_written(seed: int) -> None:
    graph, asked = hard(seed, inputs=6)
    query = cell_query(asked.cells[0], 6, 1)
    found = frame(graph, -np.ones(6), np.ones(6), FLOAT64)
    plain = first_pairs(query, default_slopes(found))
    before = climb(found, query, plain, 0, np.inf)
    after = climb(found, query, plain, 30, np.inf, steer=True)
    assert (after.value > before.value).all()
    read = np.frombuffer(after.slopes.tobytes(), dtype=np.uint8).reshape((1, -1))
    again = climb(found, query, replace(plain, slopes=read), 0, np.inf)
    assert np.array_equal(again.value, after.value)
    assert np.array_equal(climb(found, query, plain, 30, -np.inf, steer=True).slopes, plain.slopes)


def test_several_constraints_are_weighed() -> None:
    """x - 1/4 <= 0 and 1/4 - x < 0 hold nowhere at once, and each holds somewhere."""
    graph = network([np.ones((1, 1)), np.ones((1, 1))], [np.zeros(1), np.zeros(1)])
    query = CellQuery(
        Query(np.zeros((2, 1)), np.array([[1.0], [-1.0]]), np.array([0.2, -0.3])),
        [np.array([0, 1])],
        np.empty(0, dtype=np.int64),
    )
    found = frame(graph, np.zeros(1), np.ones(1), FLOAT64)
    pairs = replace(first_pairs(query, default_slopes(found)), weights=np.array([[255, 10]]))
    assert climb(found, query, pairs, 40, 0.0).value[0] > 0


def test_neurons_that_are_stable_or_split_are_not_chosen() -> None:
    _, found, _ = shallow(3)
    live = np.flatnonzero(found.unstable)
    assert len(live) > 1
    one = np.ones((1, found.size))
    for count in range(len(live) + 1):
        done = live[:count][None]
        ones = np.ones(done.shape, dtype=np.int8)
        pairs = pairs_of(found, done, ones)
        (chosen,) = choose_neurons(found, pairs, found.slope[None], -one, 0 * one)
        assert chosen in live[count:] if count < len(live) else chosen == -1


def test_bytes_are_those_of_the_nearest_multipliers() -> None:
    rng = np.random.default_rng(0)
    values = np.concatenate([2.0 ** rng.uniform(-22, 18, 2000), MULTIPLIERS, [0.0]])
    for value, byte in zip(values, nearest_bytes(values), strict=True):
        nearest = nearest_multiplier(float(value))
        assert abs(MULTIPLIERS[byte] - value) == abs(MULTIPLIERS[nearest] - value)


def phase_search(graph: Graph, asked: Problem, tree: Tree | None = None) -> PhaseSearch:
    cell = asked.cells[0]
    query = cell_query(cell, asked.input_size, asked.output_size)
    task = Task(graph, asked.network_box(cell), query, FLOAT64, lambda x, sets: None)
    return PhaseSearch(task, Tree() if tree is None else tree, 1e-9)


def work(search: PhaseSearch, steps: int = 10_000) -> PhaseSearch:
    with ThreadPoolExecutor(1) as pool:
        while search.workable() and steps > 0:
            search.step(pool)
            steps -= 1
    return search


def accepted(graph: Graph, asked: Problem, tree: Tree) -> bool:
    proof = Certificate(BINDING.model, BINDING.spec, digest(graph), asked, (tree.stream(),))
    return check(proof, graph, asked).accepted


def bounded(seed: int, activation: str, margin: float) -> tuple[Graph, Problem]:
    """A property that has a counterexample where ``margin`` is below zero."""
    rng = np.random.default_rng(seed)
    graph = integer_network(rng, (4, 6, 6, 2), activation)
    y = evaluate(graph, rng.uniform(-1, 1, (4000, 4)))
    top, low = y[:, 0].max(), y[:, 1].min()
    size = 1 + abs(top)
    conjunctions = ((least(0, top + margin * size),), (least(0, top + 2 * size), least(1, low)))
    return graph, problem(graph, box(*[(-1, 1)] * 4), *conjunctions)


@pytest.mark.parametrize("activation", ["relu", "leaky_relu", "abs"])
@pytest.mark.parametrize("seed", [0, 2, 3])
def test_proofs_are_accepted(seed: int, activation: str) -> None:
    graph, asked = bounded(seed, activation, 0.5)
    search = work(phase_search(graph, asked))
    assert not search.open_leaves()
    assert accepted(graph, asked, search.tree)


@pytest.mark.parametrize("activation", ["relu", "leaky_relu", "abs"])
@pytest.mark.parametrize("seed", [0, 2, 3])
def test_what_is_false_stays_open(seed: int, activation: str) -> None:
    graph, asked = bounded(seed, activation, -0.01)
    search = work(phase_search(graph, asked), 12)
    assert search.open_leaves()


def test_leaves_that_are_turned_down_are_proved_again() -> None:
    graph, asked = hard(1, 1.0, inputs=12)
    search = work(phase_search(graph, asked))
    count, rules = search.closed_leaves(), len(search.tree.rules)
    assert count > 3
    search.reopen([0, 2])
    assert (search.open_leaves(), search.closed_leaves()) == (2, count - 2)
    assert search.slack == 1e-8
    work(search)
    assert not search.open_leaves()
    assert len(search.tree.rules) >= rules
    assert accepted(graph, asked, search.tree)


def test_a_proof_goes_on_from_its_stream() -> None:
    graph, asked = hard(1, 1.0, inputs=12)
    half = work(phase_search(graph, asked), 14)
    assert half.open_leaves()
    assert half.closed_leaves()
    tree = Tree.from_stream(half.tree.stream(), Arity.of(asked.cells[0], graph))
    assert tree.by_phases()
    assert tree.relaxed
    rest = phase_search(graph, asked, tree)
    assert (rest.open_leaves(), rest.closed_leaves()) == (half.open_leaves(), half.closed_leaves())
    work(rest)
    assert accepted(graph, asked, rest.tree)


def test_a_proof_that_is_done_gets_smaller_and_stays_one() -> None:
    graph, asked = hard(1, 0.8, inputs=12)
    search = work(phase_search(graph, asked))
    before = len(search.tree.leaves())
    search.merge()
    assert len(search.tree.leaves()) == search.closed_leaves() < before
    assert accepted(graph, asked, search.tree)


def test_slopes_for_all_bounds_of_a_box_are_chosen_where_much_is_left_to_do() -> None:
    """The tree starts again with the better bounds; without them it would be larger."""
    graph, asked = hard(1, 1.0, inputs=12)
    plain, search = phase_search(graph, asked), phase_search(graph, asked)
    plain._steered = True
    work(plain)
    root = plain.root
    work(search)
    assert plain.tree.relaxed is None
    assert search.tree.relaxed is not None
    assert search.root > root
    assert search.closed_leaves() < plain.closed_leaves()
    assert accepted(graph, asked, search.tree)


def test_slopes_are_chosen_again_further_down(monkeypatch: pytest.MonkeyPatch) -> None:
    graph, asked = hard(1, 0.8, inputs=12)
    monkeypatch.setattr(module, "STEER_EVERY", 3)
    search = work(phase_search(graph, asked))
    rules = [step.rule for step in search.tree.rules]
    assert rules.count(Rule.SLOPES) > 3
    assert accepted(graph, asked, search.tree)


class TestChoice:
    def proof(self, graph: Graph, asked: Problem, tree: Tree | None = None) -> CellProof:
        return CellProof(graph, asked, 0, FLOAT64, runtime(graph), SearchOptions(), tree)

    def steps(self, proof: CellProof, count: int) -> CellProof:
        with ThreadPoolExecutor(1) as pool:
            while proof.unfinished() and count > 0:
                proof._next().step(pool)
                count -= 1
        return proof

    def test_few_inputs_are_split_and_many_are_not(self) -> None:
        for inputs, rule in ((2, Rule.HALVE), (16, Rule.RELAX)):
            graph, asked = hard(1, 1.5, inputs=inputs)
            proof = self.steps(self.proof(graph, asked), 60)
            assert not proof.open_leaves()
            assert proof.tree.rules[0].rule is rule
            assert accepted(graph, asked, proof.tree)

    def test_the_same_seed_gives_the_same_proof(self) -> None:
        graph, asked = hard(1, 1.5, inputs=16)
        first, second = (self.steps(self.proof(graph, asked), 60).tree for _ in range(2))
        assert first.stream() == second.stream()

    def test_neither_search_is_left_without_work(self) -> None:
        graph, asked = hard(2, 0.05, inputs=6)
        proof = self.steps(self.proof(graph, asked), 60)
        assert proof.phases is not None
        assert proof.boxes.work > 0
        assert proof.phases.work > 0

    def test_boxes_around_phases_that_are_not_proved_are_open_again(self) -> None:
        graph, asked = bounded(1, "relu", 0.2)
        tree = Tree()
        first = tree.halve(0, 0)
        tree.phase(first, *(1, 0))
        proof = self.proof(graph, asked, tree)
        assert proof.boxes.open_leaves() == 2
        assert not tree.by_phases()
