"""Whole proofs of small decoding networks against enumeration of every prompt."""

from __future__ import annotations

import itertools
import random

import numpy as np
import pytest
from decodecases import random_problem
from decoders import Decoder as Model

from absint.decode.greedy import Decoder
from absint.decode.network import decode_graph
from absint.decode.prove import prove_decode
from absint.decode.result import DecodeResult
from absint.ir import Graph
from absint.problem.decode import DecodeProblem
from absint.proofs.decode.check import check_decode
from absint.proofs.format import Certificate
from absint.search.options import SearchOptions
from absint.search.prove import Binding
from absint.search.result import Verdict

BINDING = Binding("0" * 64, "1" * 64)


def prove(graph: Graph, problem: DecodeProblem, slots: int, timeout: float = 60) -> DecodeResult:
    options = SearchOptions(timeout=timeout)
    decoder = Decoder(graph, problem)
    return prove_decode({slots: graph}, problem, BINDING, lambda _: decoder.decode, options)


def violations(graph: Graph, problem: DecodeProblem) -> list[set[tuple[int, ...]]]:
    """For each cell, the prompts that end in the catastrophe, by running every one of them."""
    decoder, found = Decoder(graph, problem), []
    for cell in problem.cells:
        prompts = [
            prompt
            for prompt in itertools.product(*map(sorted, cell.slots))
            if problem.admits(cell, prompt)
        ]
        bad = set()
        if prompts:
            written = decoder.decode(np.array(prompts)).tokens.tolist()
            for prompt, text in zip(prompts, written, strict=True):
                if problem.catastrophic(prompt, [t for t in text if t >= 0]):
                    bad.add(prompt)
        found.append(bad)
    return found


MODELS = (
    {"layers": 1},
    {"layers": 1, "activation": ""},
    {"layers": 1, "kv_heads": 1},
    {"layers": 2},
)


def case(seed: int) -> tuple[DecodeProblem, Graph, int]:
    """A problem, a decode graph and the length of its prompts, at random."""
    rng = random.Random(seed)
    size, slots, steps = rng.randint(3, 5), rng.randint(2, 4), rng.randint(1, 3)
    problem = random_problem(rng, size, slots, steps)
    model = Model(vocabulary=size, seed=seed, **MODELS[seed % len(MODELS)])
    return problem, decode_graph(model.graph(slots + steps - 1), steps), slots


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
    monkeypatch.setattr("absint.decode.remainder.SMALL", 0)
    problem, graph, slots = case(seed)
    truth = violations(graph, problem)
    report = prove(graph, problem, slots).report
    assert report is not None
    for found, bad in zip(report.open_prompts, truth, strict=True):
        assert bad <= set(found)
