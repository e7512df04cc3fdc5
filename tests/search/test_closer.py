"""Residues that multipliers of a byte leave open, and Farkas certificates that close them."""

from __future__ import annotations

import functools
import itertools

import numpy as np
import pytest
from scipy.optimize import linprog
from search.test_phases import phase_search, work
from searchcases import BINDING, box, integer_network, least, problem

from absint.ir import Graph, digest
from absint.problem import Problem
from absint.proofs.check import check
from absint.proofs.exact.check import recheck
from absint.proofs.format import Certificate, CertificateError
from absint.proofs.stream import Rule, farkas_operands
from absint.search.phases import search as module
from absint.search.tree import Tree

SIZES = (3, 4, 4, 1)
SEEDS = range(5)


def largest(graph: Graph) -> float:
    """The largest output on [-1, 1]^3: a linear programme for each pattern of phases."""
    weights = [node.consts["weight"].value for node in graph.nodes if node.op == "dense"]
    biases = [node.consts["bias"].value for node in graph.nodes if node.op == "dense"]
    best = -np.inf
    for pattern in itertools.product((0.0, 1.0), repeat=8):
        table, offset, rows, ends = np.eye(3), np.zeros(3), [], []
        for layer, (w, b) in enumerate(zip(weights, biases, strict=True)):
            table, offset = table @ w, offset @ w + b
            if layer < 2:
                on = np.array(pattern[4 * layer : 4 * layer + 4])
                rows.append((table * (1 - 2 * on)).T)
                ends.append(-offset * (1 - 2 * on))
                table, offset = table * on, offset * on
        found = linprog(-table[:, 0], np.concatenate(rows), np.concatenate(ends), bounds=(-1, 1))
        if found.status == 0:
            best = max(best, float(offset[0] - found.fun))
    return best


@functools.cache
def network(seed: int) -> tuple[Graph, float]:
    """A network with its largest output."""
    graph = integer_network(np.random.default_rng(seed), SIZES)
    return graph, largest(graph)


def asked_of(seed: int, beyond: float) -> tuple[Graph, Problem]:
    """Whether the largest output is reached, and so much of its size more."""
    graph, top = network(seed)
    bound = top + beyond * (1 + abs(top))
    return graph, problem(graph, box(*[(-1, 1)] * 3), (least(0, bound),))


def certificate(graph: Graph, asked: Problem, tree: Tree) -> Certificate:
    return Certificate(BINDING.model, BINDING.spec, digest(graph), asked, (tree.stream(),))


@pytest.mark.parametrize("seed", SEEDS)
def test_what_bytes_leave_open_is_closed(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    graph, asked = asked_of(seed, 1e-6)
    search = work(phase_search(graph, asked))
    assert not search.open_leaves()
    proof = certificate(graph, asked, search.tree)
    assert check(proof, graph, asked).accepted
    assert not recheck(proof, graph, None, 0).failed
    monkeypatch.setattr(module, "farkas", lambda ground, item, enough: None)
    alone = work(phase_search(graph, asked))
    written = [step.rule for step in search.tree.rules].count(Rule.FARKAS)
    assert len(alone.stuck) == written


def test_some_residue_is_beyond_bytes() -> None:
    trees = [work(phase_search(*asked_of(seed, 1e-6))).tree for seed in SEEDS]
    assert any(step.rule is Rule.FARKAS for tree in trees for step in tree.rules)


@pytest.mark.parametrize("seed", SEEDS)
def test_what_is_false_is_not_closed(seed: int) -> None:
    search = work(phase_search(*asked_of(seed, -1e-6)))
    assert search.open_leaves()


@pytest.mark.parametrize("seed", SEEDS)
def test_a_proof_of_something_false_is_refused(seed: int) -> None:
    """The proof of what holds by a millionth, about what fails by one."""
    tree = work(phase_search(*asked_of(seed, 1e-6))).tree
    graph, false = asked_of(seed, -1e-6)
    report = check(certificate(graph, false, tree), graph, false)
    assert report.rejected


def test_moved_numbers_prove_nothing_more() -> None:
    """Numbers at random: what the checker accepts holds in rationals."""
    rng = np.random.default_rng(0)
    graph, asked = asked_of(0, 1e-6)
    tree = work(phase_search(graph, asked)).tree
    outcomes = set[bool]()
    for _ in range(30):
        moved = Tree(list(tree.rules), list(tree.child))
        for node, step in enumerate(tree.rules):
            if step.rule in (Rule.MIX, Rule.FARKAS) and rng.random() < 0.3:
                count = len(step.choices) // (8 if step.rule is Rule.FARKAS else 1)
                numbers = rng.uniform(0, 2, count) * 10.0 ** rng.integers(-6, 6)
                moved.close(node, Rule.FARKAS, farkas_operands(numbers.tolist()))
        proof = certificate(graph, asked, moved)
        refused = {item.leaf for item in check(proof, graph, asked).rejected}
        assert {leaf for _, leaf in recheck(proof, graph, None, 0).failed} <= refused
        outcomes.add(not refused)
    assert False in outcomes


@pytest.mark.parametrize("number", [-1.0, -0.0, np.nan, np.inf, 2.0**65, 2.0**-65, 5e-324])
def test_numbers_that_are_none_are_refused(number: float) -> None:
    graph, asked = asked_of(0, 1.0)
    tree = Tree()
    tree.close(0, Rule.FARKAS, np.array([number]).tobytes())
    with pytest.raises(CertificateError, match="neither zero nor"):
        check(certificate(graph, asked, tree), graph, asked)


def test_zeros_prove_nothing() -> None:
    graph, asked = asked_of(0, 1.0)
    tree = Tree()
    tree.close(0, Rule.FARKAS, farkas_operands([0.0]))
    assert check(certificate(graph, asked, tree), graph, asked).rejected
