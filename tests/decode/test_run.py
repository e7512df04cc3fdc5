"""Texts followed one by one, rigorously, against plain decoding."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from enumerated import BINDING, case, violations

from absint.decode.greedy import Decoder
from absint.ir import Graph
from absint.problem.decode import DecodeProblem
from absint.problem.outlook import Outlook
from absint.proofs.decode.check import StepBounds, check_decode, graphs_digest
from absint.proofs.decode.state import Rules
from absint.proofs.decode.stream import Rule, Step, Writer
from absint.proofs.format import Certificate, CertificateError


def run_all(problem: DecodeProblem) -> tuple[bytes, ...]:
    """For each cell the proof that runs every one of its prompts."""
    writer = Writer(len(problem.vocabulary))
    writer.step(Step(Rule.RUN))
    return (writer.to_bytes(),) * len(problem.cells)


def accepted(graph: Graph, problem: DecodeProblem, slots: int) -> bool:
    claim = Certificate(
        BINDING.model, BINDING.spec, graphs_digest({slots: graph}), problem, run_all(problem)
    )
    return check_decode(claim, {slots: graph}).accepted


@pytest.mark.parametrize("seed", range(200, 260))
def test_whole_regions_are_run(seed: int) -> None:
    problem, graph, slots = case(seed)
    assert accepted(graph, problem, slots) == (not any(violations(graph, problem)))


@pytest.mark.parametrize("seed", range(260, 280))
def test_each_text_is_judged_as_it_decodes(seed: int) -> None:
    problem, graph, slots = case(seed)
    decoder = Decoder(graph, problem)
    for cell in problem.cells:
        bounds = StepBounds(problem, graph, slots)
        root = Rules(problem, cell, Outlook(problem)).root()
        for prompts, harmless in bounds.runs.judge(cell, root):
            written = decoder.decode(prompts).tokens.tolist()
            for prompt, text, ok in zip(prompts.tolist(), written, harmless, strict=True):
                bad = problem.admits(cell, prompt) and problem.catastrophic(
                    prompt, [token for token in text if token >= 0]
                )
                assert ok == (not bad)


def test_texts_that_go_on_from_emitted_tokens() -> None:
    """A state in the middle of a text stands for its emitted tokens, whatever the network does."""
    problem, graph, slots = case(203)
    cell = problem.cells[0]
    bounds, rules = StepBounds(problem, graph, slots), Rules(problem, cell, Outlook(problem))
    decoder = Decoder(graph, problem)
    for state in rules.cases(rules.root(), sorted(problem.emitted(0))):
        if state.ended:
            continue
        for texts, _ in bounds.runs.judge(cell, state):
            following = decoder.emits(texts)
            outputs, sure = bounds.runs._write(texts, slots)
            assert sure.all()
            assert (outputs[:, 0] == texts[:, slots]).all()
            assert (outputs[:, 1] == following).all()


def test_a_tie_is_not_decided_unless_the_lower_index_wins() -> None:
    problem, graph, slots = case(204)
    bounds = StepBounds(problem, graph, slots)
    low, high = np.array([[1.0, 2.0, 2.0]]), np.array([[1.5, 2.0, 2.0]])
    chosen, clear = bounds.runs._winner((low, high), [0, 1, 2])
    assert chosen.tolist() == [1]
    assert clear.all()
    _, clear = bounds.runs._winner((low, high + 1e-12), [0, 1, 2])
    assert not clear.any()
    _, clear = bounds.runs._winner((np.full((1, 3), np.nan),) * 2, [0, 1, 2])
    assert not clear.any()


def test_too_many_texts_and_ended_ones_are_refused() -> None:
    problem, graph, slots = case(205)
    wide = replace(problem, name="wide")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("absint.proofs.decode.walk.MAX_RUN", 0)
        with pytest.raises(CertificateError, match="too many"):
            accepted(graph, wide, slots)
