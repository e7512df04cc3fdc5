"""Whole proofs of small decoding networks against enumeration of every prompt."""

from __future__ import annotations

import itertools

import pytest
from decoders import Decoder as Model
from enumerated import BINDING, case, violations

from absint.decode.greedy import Decoder
from absint.decode.network import decode_graph
from absint.decode.prove import prove_decode
from absint.decode.result import DecodeResult
from absint.ir import Graph
from absint.problem.decode import Atom, DecodeProblem, Machine, PromptCell
from absint.proofs.decode.check import check_decode
from absint.proofs.format import Certificate
from absint.search.options import SearchOptions
from absint.search.result import Verdict


def prove(graph: Graph, problem: DecodeProblem, slots: int, timeout: float = 60) -> DecodeResult:
    options = SearchOptions(timeout=timeout)
    decoder = Decoder(graph, problem)
    return prove_decode({slots: graph}, problem, BINDING, lambda _: decoder.decode, options)


@pytest.mark.parametrize("seed", range(60))
def test_verdicts_are_those_of_enumeration(seed: int) -> None:
    problem, graph, slots = case(seed)
    truth = violations(graph, problem)
    result = prove(graph, problem, slots)
    if any(truth):
        assert result.verdict is Verdict.FALSIFIED
        assert result.counterexample is not None
        assert result.counterexample.prompt in set().union(*truth)
    else:
        assert result.verdict is Verdict.VERIFIED
        assert result.certificate is not None
        again = check_decode(Certificate.from_bytes(result.certificate), {slots: graph}, problem)
        assert again.accepted
        assert again.prompts == sum(
            problem.admits(cell, prompt)
            for cell in problem.cells
            for prompt in itertools.product(*cell.slots)
        )


@pytest.mark.parametrize("seed", range(60, 120))
def test_what_stays_open_is_what_violates(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without attacks: the open prompts are exactly the violating ones, of which no one is lost."""
    monkeypatch.setattr("absint.decode.prove.ATTACKS", 0)
    monkeypatch.setattr("absint.decode.prove.SUSPECTS", 0)
    problem, graph, slots = case(seed)
    truth = violations(graph, problem)
    result = prove(graph, problem, slots)
    assert result.report is not None
    assert [set(found) for found in result.report.open_prompts] == truth
    assert (result.verdict is Verdict.VERIFIED) == (not any(truth))


@pytest.mark.parametrize("seed", range(120, 150))
def test_no_violation_is_closed(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without attacks and without following single texts: abstraction alone."""
    monkeypatch.setattr("absint.decode.prove.ATTACKS", 0)
    monkeypatch.setattr("absint.decode.prove.SUSPECTS", 0)
    monkeypatch.setattr("absint.decode.prove.SMALL", 0)
    problem, graph, slots = case(seed)
    truth = violations(graph, problem)
    report = prove(graph, problem, slots).report
    assert report is not None
    for found, bad in zip(report.open_prompts, truth, strict=True):
        assert bad <= set(found)


def test_more_prompts_than_a_float_can_count() -> None:
    """10^330 of them: the time that running all would take is not even estimated."""
    slots, every = 330, frozenset(range(10))
    model = Model(vocabulary=10, width=4, heads=1, kv_heads=1, hidden=4, activation="")
    graph = decode_graph(model.graph(slots), 1)
    said = Machine("output", ((1,) * 10, (1,) * 10), (0, 1))
    problem = DecodeProblem(
        name="p",
        vocabulary=tuple("0123456789"),
        cells=(PromptCell((every,) * slots),),
        steps=1,
        stop=frozenset(),
        machines=(said,),
        catastrophe=Atom(0, frozenset({0})),
    )
    result = prove(graph, problem, slots)
    assert result.verdict is Verdict.VERIFIED
    assert result.report is not None
    assert result.report.prompts == 10**slots
