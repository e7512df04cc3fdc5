"""Starting from the proof of another network: what holds is kept, and nothing is believed."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from searchcases import BINDING, hard, least, runtime, solve

from absint.ir import Graph, evaluate
from absint.problem import InputError, Problem
from absint.proofs.check import check
from absint.proofs.format import Certificate
from absint.search.options import SearchOptions
from absint.search.result import Result
from absint.search.warm import prove_from


def changed(graph: Graph, relative: float, seed: int = 0) -> Graph:
    """The network after a little more training: every weight moved by about so much."""
    rng, nodes = np.random.default_rng(seed), []
    for node in graph.nodes:
        consts = {
            name: replace(c, value=c.value * (1 + relative * rng.normal(size=c.value.shape)))
            for name, c in node.consts.items()
        }
        nodes.append(replace(node, consts=consts))
    return replace(graph, nodes=tuple(nodes))


def warm(before: Result, graph: Graph, asked: Problem, timeout: float = 60.0) -> Result:
    assert before.certificate is not None
    earlier = Certificate.from_bytes(before.certificate)
    options = SearchOptions(timeout=timeout)
    return prove_from(earlier, graph, asked, BINDING, runtime(graph), options)


@pytest.fixture(scope="module")
def proved() -> tuple[Graph, Problem, Result]:
    graph, asked = hard(margin=0.3, inputs=3)
    result = solve(graph, asked, timeout=60)
    assert result.verdict.value == "verified"
    return graph, asked, result


def test_an_unchanged_network_is_checked_and_not_searched(
    proved: tuple[Graph, Problem, Result],
) -> None:
    graph, asked, before = proved
    again = warm(before, graph, asked)
    assert (again.verdict.value, again.effort.search_seconds) == ("verified", 0.0)
    assert again.certificate == before.certificate


@pytest.mark.parametrize("relative", [1e-4, 1e-2, 3e-2])
def test_a_changed_network_is_proved_in_full(
    proved: tuple[Graph, Problem, Result], relative: float
) -> None:
    graph, asked, before = proved
    other = changed(graph, relative)
    result = warm(before, other, asked)
    assert result.verdict.value == "verified"
    assert result.certificate is not None
    certificate = Certificate.from_bytes(result.certificate)
    assert check(certificate, other, asked).accepted
    assert result.certificate != before.certificate


def test_what_does_not_hold_any_more_is_found(proved: tuple[Graph, Problem, Result]) -> None:
    """The same proof, about a bound that some inputs break."""
    graph, asked, before = proved
    rng = np.random.default_rng(0)
    top = float(evaluate(graph, rng.uniform(-1, 1, (5000, 3))).max())
    (cell,) = asked.cells
    bound = Fraction(top) - Fraction(1, 100)
    broken = replace(asked, cells=(replace(cell, catastrophe=((least(0, bound),),)),))
    result = warm(before, graph, broken)
    assert result.verdict.value == "falsified"


def test_a_proof_that_does_not_fit_is_an_input_error(
    proved: tuple[Graph, Problem, Result],
) -> None:
    _, _, before = proved
    small, asked = hard(inputs=2)
    with pytest.raises(InputError, match="cannot be started from"):
        warm(before, small, asked)
