"""Pieces of a proof, given to workers that answer, are lost, or lie."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from searchcases import BINDING, box, hard, least, one_relu, problem, runtime

from absint.domains.arrays import numpy_arrays
from absint.ir import Graph
from absint.problem import Problem
from absint.proofs.check import check
from absint.proofs.format import Certificate
from absint.proofs.stream import Arity, Rule
from absint.search import prove as proving
from absint.search.attack import Attack, Counterexample
from absint.search.cell import CellProof
from absint.search.farm import MAX_LOST, Lost, farm_out
from absint.search.options import SearchOptions
from absint.search.pieces import Answer, Piece, SharedTree, groups
from absint.search.piecework import PieceWorker
from absint.search.prove import prove
from absint.search.result import Result, Verdict
from absint.search.tree import Tree

OPTIONS = SearchOptions(timeout=60.0)
ARITY = Arity(conjunctions=2, weights=5)
Reply = Callable[[Piece, Answer], Answer | Lost]


@dataclass
class Desk:
    """A crew in this process: works on one piece a look, and answers what ``reply`` makes of it."""

    graph: Graph
    asked: Problem
    reply: Reply = lambda _, answer: answer
    size: int = 3
    given: dict[int, Piece] = field(default_factory=dict)
    pieces: int = 0

    def __post_init__(self) -> None:
        shared = (numpy_arrays(), runtime(self.graph), OPTIONS)
        self.worker = PieceWorker(self.graph, self.asked, *shared)

    def give(self, number: int, piece: Piece, seconds: float) -> None:
        assert len(self.given) < self.size
        assert seconds > 0
        self.given[number] = piece

    def answers(self) -> list[tuple[int, Answer | Lost]]:
        number = next(iter(self.given))
        piece = self.given.pop(number)
        self.pieces += 1
        return [(number, self.reply(piece, self.worker.work(piece, 0.02)))]

    def drop(self) -> None:
        self.given = {}


def farmed(graph: Graph, asked: Problem, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Result:
    """A run in which all work is the desk's."""
    monkeypatch.setattr(proving, "SLICE", 0.0)
    monkeypatch.setattr(Attack, "descend", lambda *_: None)
    return prove(graph, asked, BINDING, runtime(graph), OPTIONS, crew=desk)


def test_a_proof_in_pieces_is_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    graph, asked = hard()
    desk = Desk(graph, asked)
    result = farmed(graph, asked, desk, monkeypatch)
    assert result.verdict is Verdict.VERIFIED
    assert desk.pieces > 5
    assert result.certificate is not None
    assert check(Certificate.from_bytes(result.certificate), graph, asked).accepted


def test_lost_pieces_are_worked_on_by_others(monkeypatch: pytest.MonkeyPatch) -> None:
    graph, asked = hard()
    rng = np.random.default_rng(0)
    lose: Reply = lambda _, answer: Lost("gone") if rng.random() < 0.1 else answer  # noqa: E731
    result = farmed(graph, asked, Desk(graph, asked, lose), monkeypatch)
    assert result.verdict is Verdict.VERIFIED


def test_a_piece_that_kills_workers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    graph, asked = hard()
    desk = Desk(graph, asked, lambda *_: Lost("SIGKILL"))
    result = farmed(graph, asked, desk, monkeypatch)
    assert result.verdict is Verdict.UNKNOWN
    assert f"{MAX_LOST} workers were lost on one piece: SIGKILL" in result.reason
    assert desk.pieces == MAX_LOST
    assert result.certificate is not None  # and can be gone on from
    earlier = Certificate.from_bytes(result.certificate)
    again = prove(graph, asked, BINDING, runtime(graph), OPTIONS, earlier, crew=Desk(graph, asked))
    assert again.verdict is Verdict.VERIFIED


def test_a_counterexample_ends_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = one_relu()
    asked = problem(graph, box((-1, 4)), (least(0, 3.5),))
    desk = Desk(graph, asked)
    result = farmed(graph, asked, desk, monkeypatch)
    assert result.verdict is Verdict.FALSIFIED
    assert result.counterexample is not None
    assert result.counterexample.y[0] >= 3.5
    assert not desk.given


def test_a_worker_that_lies_proves_and_refutes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """It says that its piece holds, or names a point that is no counterexample."""
    graph = one_relu()
    asked = problem(graph, box((-1, 4)), (least(0, 3.5),))

    def closed(piece: Piece, _: Answer) -> Answer:
        tree = Tree.from_stream(piece.stream, Arity.of(asked.cells[0], graph))
        for node in tree.leaves():
            tree.close(node, Rule.SAFE, [0])
        return Answer(tree.stream(), (), None)

    options = replace(OPTIONS, timeout=2.0)
    monkeypatch.setattr(proving, "SLICE", 0.0)
    monkeypatch.setattr(Attack, "descend", lambda *_: None)
    lying = Desk(graph, asked, closed)
    result = prove(graph, asked, BINDING, runtime(graph), options, crew=lying)
    assert result.verdict is Verdict.UNKNOWN

    true = problem(graph, box((-1, 4)), (least(0, 4.5),))
    point = np.array([4.0])
    named: Reply = lambda _, answer: replace(  # noqa: E731
        answer, counterexample=Counterexample(0, 0, point, np.array([5.0]))
    )
    assert farmed(graph, true, Desk(graph, true, named), monkeypatch).verdict is Verdict.VERIFIED


def test_pieces_of_a_proof_by_phases(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Attack, "descend", lambda *_: None)
    graph, asked = hard(2, 0.3)
    cell = CellProof(graph, asked, 0, numpy_arrays(), runtime(graph), OPTIONS)
    assert cell.phases is not None
    with ThreadPoolExecutor(1) as pool:
        for _ in range(2):
            cell.phases.step(pool)
    monkeypatch.setattr(CellProof, "best", property(lambda cell: cell.phases))
    desk, before = Desk(graph, asked), cell.closed_leaves()
    found = farm_out(cell, desk, lambda closed: 1.0 if closed < before + 40 else 0.0)
    assert found is None
    assert all(rule.rule in (Rule.PHASE, Rule.SLOPES, Rule.MIX, Rule.OPEN)
               for rule in cell.tree.rules)  # fmt: skip
    assert cell.closed_leaves() >= before + 40 or not cell.open_leaves()
    certificate = Certificate(
        BINDING.model, BINDING.spec, "", asked, (cell.tree.stream(),)
    )  # fmt: skip
    report = check(replace(certificate, graph=_digest(graph)), graph, asked)
    assert not report.rejected


def _digest(graph: Graph) -> str:
    from absint.ir import digest

    return digest(graph)


class TestSharedTree:
    @pytest.mark.parametrize("seed", range(20))
    def test_what_comes_back_takes_the_leaves_places(self, seed: int) -> None:
        """Against one tree that was grown in one piece: same leaves, same rules, same boxes."""
        rng, whole = np.random.default_rng(seed), Tree()
        _grow(whole, [0], rng, 12)
        shared = SharedTree(Tree.from_stream(whole.stream(), ARITY), ARITY, ())
        while shared.open:
            leaves = shared.in_order()
            group = groups(leaves, 3)[int(rng.integers(min(3, len(leaves))))]
            piece = Tree.from_stream(shared.piece(group), ARITY)
            nodes = [n for n in piece.leaves() if piece.rules[n].rule is Rule.OPEN]
            assert len(nodes) == len(group)
            _grow(piece, nodes, rng, 3 if len(shared.tree.rules) < 300 else 0)
            others = {n: shared.tree.rules[n] for n in leaves if n not in group}
            answer = Answer(piece.stream(), _places(piece, rng), None)
            shared.merge(group, answer)
            assert all(shared.tree.rules[n] == rule for n, rule in others.items())
            rules = [shared.tree.rules[n].rule for n in shared.tree.leaves()]
            assert shared.closed == sum(rule is not Rule.OPEN for rule in rules)
            assert len(shared.open) + len(shared.stuck) == rules.count(Rule.OPEN)
        assert shared.stuck

    def test_a_piece_folds_what_is_done(self) -> None:
        tree = Tree()
        node = 0
        for depth in range(50):
            first = tree.halve(node, depth % 3)
            below = tree.halve(first, 0)
            tree.close(below, Rule.EMPTY, [0])
            tree.close(below + 1, Rule.EMPTY, [0])
            node = first + 1
        piece = SharedTree(tree, ARITY, ()).piece([node])
        assert len(Tree.from_stream(piece, ARITY).rules) == 101

    def test_groups_are_neighbours_and_all(self) -> None:
        for size in range(8):
            for count in range(1, 10):
                found = groups(list(range(size)), count)
                assert [leaf for group in found for leaf in group] == list(range(size))
                assert all(found)
                assert len(found) == min(size, count)


def _grow(tree: Tree, nodes: list[int], rng: np.random.Generator, splits: int) -> None:
    """Splits open nodes at random, and closes about half of the leaves that come of it."""
    nodes = list(nodes)
    for _ in range(splits):
        node = nodes.pop(int(rng.integers(len(nodes))))
        if rng.random() < 0.3:
            point = (np.array([0.0, 0.0, 0.0]), np.array([1.0, 1.0, 1.0]))
            first = tree.split(node, int(rng.integers(3)), float(rng.random()), point)
        else:
            first = tree.halve(node, int(rng.integers(3)))
        nodes += [first, first + 1]
    for node in nodes:
        if rng.random() < 0.5:
            tree.close(node, Rule.SAFE, rng.integers(0, 300, 2).tolist())


def _places(tree: Tree, rng: np.random.Generator) -> tuple[int, ...]:
    """Some of the open leaves, as stuck."""
    leaves = enumerate(tree.leaves())
    return tuple(
        i for i, n in leaves if tree.rules[n].rule is Rule.OPEN and rng.random() < 0.4
    )  # fmt: skip
