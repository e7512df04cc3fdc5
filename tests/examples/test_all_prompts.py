"""The examples, cut down to what can be run: verdict and open prompts against every single prompt.

A property that fails is searched on, so what stays open are exactly the prompts that violate it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from enumerated import BINDING, violations

from absint.decode import task
from absint.decode.prove import prove_decode
from absint.problem.decode import DecodeProblem, Tokens
from absint.proofs.decode.check import check_decode
from absint.proofs.format import Certificate
from absint.search.options import SearchOptions
from absint.search.result import Verdict

Cut = Callable[[DecodeProblem], DecodeProblem]

FOLDER = Path(__file__).parents[2] / "examples"
FULL = pytest.mark.full
FREE = [(4, True), pytest.param(5, True, marks=FULL), pytest.param(4, False, marks=FULL)]
"""How many signs are free, and whether only one token of each kind is tried."""


def signs(problem: DecodeProblem, free: int, kinds: Sequence[str], few: bool) -> DecodeProblem:
    """Prompts whose first ``free`` signs are any, or of ``kinds``; the others are its first."""
    some, *_ = sets = [frozenset({problem.vocabulary.index(kind)}) for kind in kinds]
    any_ = frozenset[int]().union(*sets) if few else None
    return slots(problem, [any_] * free + [some] * (len(problem.cells[0].slots) - 1 - free))


def slots(problem: DecodeProblem, sets: Sequence[Tokens | None]) -> DecodeProblem:
    """Only tokens of ``sets`` in the first slots, where these may hold one; None: as they were."""
    cells = []
    for cell in problem.cells:
        rest = [None] * (len(cell.slots) - len(sets))
        pairs = zip([*sets, *rest], cell.slots, strict=True)
        own = tuple((old & new or old) if new else old for new, old in pairs)
        cells.append(replace(cell, slots=own))
    return replace(problem, cells=tuple(cells))


def agrees(model: str, region: str, cut: Cut) -> tuple[int, int]:
    """Proves each property of a spec, cut down; how many prompts, and how many violate one."""
    loaded = task.load(str(FOLDER / model), FOLDER / region)
    every = wrong = 0
    for whole in loaded.spec.problems:
        problem = cut(whole)
        graphs = loaded.graphs_of(problem)
        (graph,) = graphs.values()
        truth = violations(graph, problem)
        runner = loaded.only(problem).runner
        options = SearchOptions(timeout=300, count=True)
        result = prove_decode(graphs, problem, BINDING, lambda _, own=runner: own, options)
        assert result.certificate is not None
        report = check_decode(Certificate.from_bytes(result.certificate), graphs, problem)
        assert not report.rejected
        assert [set(found) for found in report.open_prompts] == truth
        assert report.open_count == sum(map(len, truth))
        violated = any(truth)
        assert result.verdict is (Verdict.FALSIFIED if violated else Verdict.VERIFIED)
        if violated:
            assert result.counterexample is not None
            assert result.counterexample.prompt in set().union(*truth)
        every, wrong = every + report.prompts, wrong + report.open_count
    return every, wrong


@pytest.mark.parametrize(("free", "few"), FREE)
def test_monitor(free: int, few: bool) -> None:
    kinds = ("idle", "slow", "crash")
    every, wrong = agrees(
        "monitor/monitor_8.onnx", "monitor/safe_8.yaml", lambda p: signs(p, free, kinds, few)
    )
    assert (every, wrong) == (2 * (3 if few else 10) ** free, 0)


@pytest.mark.parametrize(("free", "few"), FREE)
def test_monitor_where_one_crash_is_not_enough(free: int, few: bool) -> None:
    """A crash counts two, and three are needed: wrong with one crash and otherwise only zeros."""
    kinds, zeros = ("idle", "slow", "crash"), 1 if few else 5
    every, wrong = agrees(
        "monitor/monitor_8.onnx", "monitor/unsafe.yaml", lambda p: signs(p, free, kinds, few)
    )
    assert every == (3**free - 2**free if few else 10**free - 9**free)
    assert wrong == free * zeros ** (free - 1)


@pytest.mark.parametrize(("free", "few"), FREE)
@pytest.mark.parametrize("region", ["safe", "unsafe"])
def test_misled(free: int, few: bool, region: str) -> None:
    kinds = ("routine", "rumour", "siren")
    _, wrong = agrees(
        "misled/misled.onnx", f"misled/{region}.yaml", lambda p: signs(p, free, kinds, few)
    )
    assert bool(wrong) == (region == "unsafe")


TOKENS = [
    (4, {0, 31, 32, 63}, 0),
    (5, {0, 31, 63}, 0),
    (5, {28, 51, 52}, 3),
    (5, {15, 43, 45}, 1),
    pytest.param(4, set(range(0, 64, 7)), 0, marks=FULL),
    pytest.param(5, {15, 28, 43, 45, 51, 52}, 4, marks=FULL),
]


@pytest.mark.parametrize(("length", "tokens", "wrong"), TOKENS)
def test_the_largest(length: int, tokens: set[int], wrong: int) -> None:
    found = agrees(
        f"max_of_k/max_of_{length}.onnx",
        f"max_of_k/max_of_{length}.yaml",
        lambda p: slots(p, [frozenset(tokens)] * length),
    )
    assert found == (len(tokens) ** length, wrong)
