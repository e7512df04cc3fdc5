"""Branch and bound on one cell: the frontier is the tree's open leaves, and honest leaves hold."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from searchcases import BINDING, hard, runtime, solve

from absint.domains.arrays import numpy_arrays
from absint.ir import Graph, digest
from absint.problem import Problem
from absint.proofs.check import check
from absint.proofs.format import Certificate
from absint.proofs.stream import Rule
from absint.search import bab, steering
from absint.search.bab import CellSearch
from absint.search.options import SearchOptions
from absint.search.result import Verdict
from absint.search.tree import Tree, open_boxes


def started(
    graph: Graph, asked: Problem, batches: int, monkeypatch: pytest.MonkeyPatch
) -> CellSearch:
    """A search of the first cell, stopped after some batches of four boxes."""
    monkeypatch.setattr(bab, "MAX_BATCH", 4)
    search = CellSearch(graph, asked, 0, numpy_arrays(), runtime(graph), SearchOptions())
    with ThreadPoolExecutor(1) as pool:
        while search.workable() and search.batches < batches:
            assert search.step(pool) is None
    return search


@pytest.mark.parametrize("batches", [0, 1, 7, 40])
def test_the_frontier_is_the_open_leaves_of_the_tree(
    batches: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph, asked = hard()
    search = started(graph, asked, batches, monkeypatch)
    tree = open_boxes(search.tree, search.lower, search.upper, search.arity)
    order, others = np.argsort(search.frontier.nodes), np.argsort(tree.nodes)
    for mine, truth in (
        (search.frontier.nodes, tree.nodes),
        (search.frontier.lower, tree.lower),
        (search.frontier.upper, tree.upper),
    ):
        assert np.array_equal(mine[order], truth[others])
    leaves = search.tree.leaves()
    assert search.open_leaves() == len(tree)
    assert search.closed_leaves() == len(leaves) - len(tree)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_closed_leaves_of_an_honest_search_hold(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    graph, asked = hard(seed)
    search = started(graph, asked, 30, monkeypatch)
    certificate = Certificate(
        BINDING.model, BINDING.spec, digest(graph), asked, (search.tree.stream(),)
    )
    report = check(certificate, graph, asked)
    assert not report.rejected
    assert report.open_leaves == search.open_leaves()
    assert not report.accepted or not search.open_leaves()


def test_a_whole_proof_is_accepted_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The slack is enough: the checker's rounding turns no leaf down."""
    reopened: list[object] = []
    monkeypatch.setattr(CellSearch, "reopen", lambda search, leaves: reopened.append(leaves))
    graph, asked = hard(3)
    assert solve(graph, asked, timeout=60).verdict is Verdict.VERIFIED
    assert not reopened


def test_reopening_gives_leaves_back_and_asks_for_more(monkeypatch: pytest.MonkeyPatch) -> None:
    graph, asked = hard(3)
    search = started(graph, asked, 60, monkeypatch)
    leaves = search.tree.leaves()
    closed = [i for i, n in enumerate(leaves) if search.tree.rules[n].rule is not Rule.OPEN]
    assert len(closed) > 3
    before, slack = search.open_leaves(), search.slack
    search.reopen(closed[:3])
    assert search.open_leaves() == before + 3
    assert {leaves[i] for i in closed[:3]} <= set(search.frontier.nodes.tolist())
    assert search.slack > slack


def test_slopes_of_boxes_are_written_and_serve(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chosen for boxes that are due, they are part of the proof, and a proof goes on with them."""
    graph, asked = hard(3)
    plain = started(graph, asked, 10_000, monkeypatch)
    monkeypatch.setattr(steering, "BOXES_FIRST", 0)
    monkeypatch.setattr(steering, "LEAST_AGE", 2)
    half = started(graph, asked, 12, monkeypatch)
    assert half.relaxed
    search = CellSearch(
        graph, asked, 0, numpy_arrays(), runtime(graph), SearchOptions(),
        Tree.from_stream(half.tree.stream(), half.arity),
    )  # fmt: skip
    assert search.relaxed == half.relaxed
    assert (search.open_leaves(), search.closed_leaves()) == (
        half.open_leaves(),
        half.closed_leaves(),
    )
    with ThreadPoolExecutor(1) as pool:
        while search.workable():
            assert search.step(pool) is None
    assert search.closed_leaves() == len(search.tree.leaves()) < plain.closed_leaves()
    stream = search.tree.stream()
    proof = Certificate(BINDING.model, BINDING.spec, digest(graph), asked, (stream,))
    assert check(proof, graph, asked).accepted
