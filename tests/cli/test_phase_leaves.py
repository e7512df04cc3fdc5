"""`check --leaves` with patterns of phases: confirmed or not, and what none of them covers."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from search.test_phases import hard, phase_search, work
from searchcases import BINDING, box, integer_network, least, problem

from absint.cli.leaves import read_leaves
from absint.ir import Graph
from absint.problem import InputError, Problem
from absint.proofs.check import check
from absint.proofs.leaves import leaves
from absint.proofs.stream import Arity, Rule
from absint.search.listed_phases import Pattern, confirm_phases
from absint.search.tree import Tree


def patterns(graph: Graph, asked: Problem, tree: Tree) -> list[Pattern]:
    """The leaves of a proof, as another tool might list them."""
    box = (end.tolist() for end in asked.network_box(asked.cells[0]))
    found = leaves(tree.stream(), *box, Arity.of(asked.cells[0], graph))
    return [{(p.node, p.entry): p.above for p in leaf.phases} for leaf in found]


def proved() -> tuple[Graph, Problem, list[Pattern]]:
    graph, asked = hard(1, 1.0, inputs=12)
    search = work(phase_search(graph, asked))
    assert not search.open_leaves()
    return graph, asked, patterns(graph, asked, search.tree)


def test_leaves_of_a_proof_are_confirmed_in_any_order() -> None:
    graph, asked, listed = proved()
    listed = [listed[i] for i in np.random.default_rng(0).permutation(len(listed))]
    found = confirm_phases(graph, asked, BINDING, listed)
    assert found.report.accepted
    assert (found.listed, found.refused) == (len(listed), ())
    assert check(found.certificate, graph, asked).accepted


def test_a_leaf_that_is_missing_is_open() -> None:
    graph, asked, listed = proved()
    found = confirm_phases(graph, asked, BINDING, listed[1:])
    assert not found.report.rejected
    assert found.report.open_leaves == 1
    assert not found.report.accepted


def test_leaves_that_do_not_hold_are_named() -> None:
    graph, asked = hard(1, -0.01, inputs=12)
    listed: list[Pattern] = [{(2, 0): False}, {(2, 0): True}]
    found = confirm_phases(graph, asked, BINDING, listed)
    assert found.refused
    assert not found.report.accepted
    assert check(found.certificate, graph, asked).open_leaves


@pytest.mark.parametrize("seed", range(20))
def test_what_no_pattern_holds_is_exact(seed: int) -> None:
    """Patterns that overlap as they like, against all patterns of the neurons."""
    rng = np.random.default_rng(seed)
    graph = integer_network(rng, (2, 4, 1))
    asked = problem(graph, box((-1, 1), (-1, 1)), (least(0, 10**6),))
    listed: list[Pattern] = []
    for _ in range(rng.integers(1, 8)):
        chosen = rng.choice(4, rng.integers(1, 4), replace=False)
        listed.append({(2, int(i)): bool(rng.integers(2)) for i in chosen})
    uncovered = sum(
        not any(all(sides[i] == above for (_, i), above in own.items()) for own in listed)
        for sides in itertools.product((False, True), repeat=4)
    )
    found = confirm_phases(graph, asked, BINDING, listed)
    (proof,), arity = found.certificate.proofs, Arity.of(asked.cells[0], graph)
    ends = (end.tolist() for end in asked.network_box(asked.cells[0]))
    left = [leaf for leaf in leaves(proof, *ends, arity) if leaf.rule is Rule.OPEN]
    assert sum(2 ** (4 - len(leaf.phases)) for leaf in left) == uncovered
    assert found.report.accepted == (uncovered == 0)


def test_a_file_is_read_by_its_columns(tmp_path: Path) -> None:
    path = tmp_path / "leaves.csv"
    path.write_text("leaf,node,entry,side\na,1,0,<=\nb,1,0,>=\nb,3,2,<=\n")
    assert read_leaves(path, 5) == [{(1, 0): False}, {(1, 0): True, (3, 2): False}]


@pytest.mark.parametrize("row", ["a,1,0", "a,1,0,<", "a,x,0,<=", "a,1,0,<=\na,1,0,>="])
def test_a_bad_row_is_an_error_with_its_line(tmp_path: Path, row: str) -> None:
    path = tmp_path / "leaves.csv"
    path.write_text(f"leaf,node,entry,side\n{row}\n")
    line = 2 + row.count("\n")
    with pytest.raises(InputError, match=rf"leaves.csv, line {line}"):
        read_leaves(path, 5)


@pytest.mark.parametrize("phase", [(0, 0), (2, 99), (2, -1), (77, 0)])
def test_a_neuron_that_is_not_is_an_error(phase: tuple[int, int]) -> None:
    graph, asked = hard(1, 1.0, inputs=12)
    with pytest.raises(InputError, match="no neuron"):
        confirm_phases(graph, asked, BINDING, [{phase: True}])
