"""The proof tree and the frontier: nothing is lost, renumbered or reordered."""

from __future__ import annotations

import numpy as np
import pytest
from searchcases import F, least

from absint.ir import GraphBuilder
from absint.problem import Box, Cell, Problem, constraint
from absint.proofs.coverage import survey
from absint.proofs.format import Certificate, CertificateError
from absint.proofs.leaves import leaves
from absint.proofs.stream import Arity, Rule, Step, Writer
from absint.search.tree import Frontier, Tree, open_boxes

ARITY = Arity(conjunctions=2, weights=5)
_BUILDER = GraphBuilder()
GRAPH = _BUILDER.build({"y": _BUILDER.input("x", (3,))})
LOWER, UPPER = np.array([-1.0, 0.0, 2.0]), np.array([1.0, 8.0, 2.0])


def random_tree(seed: int, splits: int = 30) -> Tree:
    """Halves open nodes of width at random; then closes some leaves by every rule."""
    rng, tree = np.random.default_rng(seed), Tree()
    for _ in range(splits):
        open_ones = [n for n in tree.leaves() if tree.rules[n].rule is Rule.OPEN]
        tree.halve(int(rng.choice(open_ones)), int(rng.integers(2)))
    for node in tree.leaves():
        kind = rng.integers(4)
        if kind == 0:
            tree.close(node, Rule.SAFE, rng.integers(0, 300, 2).tolist())
        elif kind == 1:
            tree.close(node, Rule.MIX, rng.integers(0, 256, 5).tolist())
        elif kind == 2:
            tree.close(node, Rule.EMPTY, [int(rng.integers(3))])
    return tree


@pytest.mark.parametrize("seed", range(20))
def test_a_tree_comes_back_from_its_stream(seed: int) -> None:
    tree = random_tree(seed)
    again = Tree.from_stream(tree.stream(), ARITY)
    assert again.stream() == tree.stream()
    assert [again.rules[n] for n in again.preorder()] == [tree.rules[n] for n in tree.preorder()]
    again.halve(next(n for n in again.leaves() if again.rules[n].rule is Rule.OPEN), 0)
    assert len(again.rules) == len(tree.rules) + 2


@pytest.mark.parametrize("seed", range(20))
def test_leaves_are_in_the_order_of_the_stream(seed: int) -> None:
    tree = random_tree(seed)
    walked = list(leaves(tree.stream(), LOWER.tolist(), UPPER.tolist(), ARITY))
    assert [leaf.ordinal for leaf in walked] == list(range(len(walked)))
    numbers = tree.leaves()
    assert len(set(numbers)) == len(numbers) == len(walked) == 31
    for number, leaf in zip(numbers, walked, strict=True):
        assert (tree.rules[number].rule, tree.rules[number].choices) == (leaf.rule, leaf.choices)


def test_a_new_tree_is_one_open_leaf() -> None:
    assert Tree().stream() == bytes([Rule.OPEN])
    assert Tree().leaves() == [0]
    assert Tree.from_stream(bytes([Rule.OPEN]), ARITY) == Tree()


def test_trees_do_not_share_their_lists() -> None:
    Tree().halve(0, 0)
    assert Tree().leaves() == [0]


def test_a_split_at_a_point_is_kept() -> None:
    writer = Writer()
    writer.split(1, 0.3)
    writer.open()
    writer.safe([1, 200])
    tree = Tree.from_stream(writer.to_bytes(), ARITY)
    assert tree.rules[0] == Step(Rule.SPLIT, (1,), 0.3)
    assert tree.stream() == writer.to_bytes()
    found = open_boxes(tree, LOWER, UPPER, ARITY)
    assert (found.lower.tolist(), found.upper.tolist()) == ([[-1, 0, 2]], [[1, 0.3, 2]])


@pytest.mark.parametrize("data", [b"", b"\0", b"\0\0", b"\x04\x04", b"\0\0\x04", b"\x09"])
def test_a_broken_stream_is_a_certificate_error(data: bytes) -> None:
    with pytest.raises(CertificateError):
        Tree.from_stream(data, ARITY)


@pytest.mark.parametrize("seed", range(10))
def test_open_boxes_are_the_open_leaves_and_fill_what_is_open(seed: int) -> None:
    tree = random_tree(seed)
    found = open_boxes(tree, LOWER, UPPER, ARITY)
    open_ones = [n for n in tree.leaves() if tree.rules[n].rule is Rule.OPEN]
    assert found.nodes.tolist() == open_ones
    assert (found.score == -np.inf).all()
    walked = leaves(tree.stream(), LOWER.tolist(), UPPER.tolist(), ARITY)
    boxes = [(leaf.lower, leaf.upper) for leaf in walked if leaf.rule is Rule.OPEN]
    assert [(tuple(a), tuple(b)) for a, b in zip(found.lower, found.upper, strict=True)] == boxes


def test_all_leaves_together_have_the_volume_of_the_root() -> None:
    """Halves of [-1, 1] x [0, 8] are dyadic: volumes add up exactly."""
    tree = random_tree(3)
    for leaf in tree.leaves():
        tree.reopen(leaf)
    found = open_boxes(tree, LOWER, UPPER, ARITY)
    assert ((found.upper - found.lower)[:, :2].prod(axis=1)).sum() == 16.0


def test_reopening_a_closed_leaf_is_undone_by_closing_it() -> None:
    tree = random_tree(5)
    before, closed = tree.stream(), tree.leaves()[0]
    tree.close(closed, Rule.SAFE, [0, 1])
    with_it = tree.stream()
    tree.reopen(closed)
    assert closed in open_boxes(tree, LOWER, UPPER, ARITY).nodes
    tree.close(closed, Rule.SAFE, [0, 1])
    assert tree.stream() == with_it
    assert len(tree.stream()) != 0
    assert len(before) > 31


def test_an_empty_frontier_has_the_right_shape() -> None:
    tree = Tree()
    tree.close(0, Rule.SAFE, [0, 0])
    for found in (open_boxes(tree, LOWER, UPPER, ARITY), Frontier.empty(3)):
        assert len(found) == 0
        assert found.lower.shape == found.upper.shape == (0, 3)
        found.push(make(range(4)))
        assert len(found) == 4


def make(nodes: range, seed: int = 0) -> Frontier:
    """A frontier whose arrays all tell the node's number."""
    numbers = np.array(nodes, dtype=np.int64)
    low = np.repeat(numbers[:, None] / 2.0, 3, axis=1)
    score = np.random.default_rng(seed).permutation(len(numbers)).astype(float)
    none = np.full(len(numbers), None)
    return Frontier(numbers, low, low + 1, score, none, 0 * numbers)


def consistent(frontier: Frontier) -> bool:
    low = frontier.nodes[:, None] / 2.0
    return bool((frontier.lower == low).all() and (frontier.upper == low + 1).all())


@pytest.mark.parametrize("newest", [True, False])
@pytest.mark.parametrize("count", [1, 3, 9, 10, 99])
def test_popping_takes_some_and_keeps_the_rest(newest: bool, count: int) -> None:
    frontier = make(range(10))
    scores = dict(zip(frontier.nodes.tolist(), frontier.score.tolist(), strict=True))
    taken = frontier.pop(count, newest)
    assert len(taken) == min(count, 10)
    assert sorted([*taken.nodes, *frontier.nodes]) == list(range(10))
    for part in (taken, frontier):
        assert consistent(part)
        assert part.score.tolist() == [scores[n] for n in part.nodes.tolist()]
    if newest:
        assert taken.nodes.tolist() == list(range(10 - len(taken), 10))
    elif len(frontier):
        assert taken.score.max() <= frontier.score.min()


def test_pushing_appends() -> None:
    frontier = make(range(3))
    frontier.push(make(range(3, 5)))
    assert frontier.nodes.tolist() == [0, 1, 2, 3, 4]
    assert consistent(frontier)
    assert frontier.nbytes == 5 * 8 * (1 + 3 + 3 + 1)


@pytest.mark.parametrize("seed", range(6))
def test_what_is_open_is_measured_exactly(seed: int) -> None:
    """Against products of fractions; the root's width is no power of two."""
    tree = random_tree(seed, splits=60)
    region = Box((F(-1, 10), F(1, 3), F(2)), (F(7, 10), F(5), F(2)))
    cell = Cell(region, ((least(0, 1), least(0, 2)), (least(0, 3),)), (constraint([], [], F(1)),))
    asked = Problem("p", 3, 1, (cell, cell))
    lower, upper = asked.network_box(cell)
    proof = tree.stream()
    coverage = survey(Certificate("", "", "", asked, (proof, Tree().stream())), GRAPH)
    expected, count = F(0), 0
    for leaf in leaves(proof, lower.tolist(), upper.tolist(), Arity.of(cell, GRAPH)):
        if leaf.rule is Rule.OPEN:
            count += 1
            part = F(1)
            for d in range(2):
                part *= F(leaf.upper[d]) - F(leaf.lower[d])
                part /= F(upper[d]) - F(lower[d])
            expected += part
    assert coverage.open_share == [expected, 1]
    assert (coverage.leaves, coverage.open_leaves) == (62, count + 1)


def test_a_region_of_one_point_is_open_as_a_whole() -> None:
    point = Box((F(1), F(2), F(3)), (F(1), F(2), F(3)))
    asked = Problem("p", 3, 1, (Cell(point, ((least(0, 1),),)),))
    assert survey(Certificate("", "", "", asked, (b"\x04",)), GRAPH).open_share == [1]
    assert survey(Certificate("", "", "", asked, (b"\x02\x00",)), GRAPH).open_share == [0]
