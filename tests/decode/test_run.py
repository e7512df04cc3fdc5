"""Texts followed one by one, rigorously, against plain decoding."""

from __future__ import annotations

import itertools
import random
from dataclasses import replace

import numpy as np
import pytest
from decodecases import random_problem
from enumerated import BINDING, case, violations
from flint import arb, ctx

from absint.decode.greedy import Decoder
from absint.ir import Constant, Graph, GraphBuilder
from absint.problem.decode import DecodeProblem
from absint.problem.outlook import Outlook
from absint.proofs.decode.arithmetics import Digits, Floats
from absint.proofs.decode.check import StepBounds, check_decode, graphs_digest
from absint.proofs.decode.state import Rules
from absint.proofs.decode.stream import Rule, Step, Writer
from absint.proofs.format import Certificate, CertificateError
from absint.proofs.tokens import Tables


def recurrent(seed: int) -> tuple[DecodeProblem, Graph, int]:
    """A problem and a gated network with one state, at random."""
    rng, draw = random.Random(seed), np.random.default_rng(seed)
    size, slots, steps, width = rng.randint(3, 5), rng.randint(2, 4), rng.randint(1, 4), 5
    builder = GraphBuilder()
    tokens = [builder.input(f"token_{i}", (), "int64") for i in range(slots + steps - 1)]
    table = Constant(draw.normal(size=(size, width)))
    parts = {
        name: {
            "weight": Constant(draw.normal(size=(width, out)), draw.random((width, out)) * 1e-14),
            "bias": Constant(draw.normal(size=out)),
        }
        for name, out in (("gate", 2 * width), ("logits", size))
    }
    plus = {"coefficients": (1, 1)}
    state, outputs = None, {}
    for i, token in enumerate(tokens):
        x = builder.add("embedding", [token], consts={"weight": table})
        x = x if state is None else builder.add("sum", [x, state], attrs=plus)
        both = builder.add("dense", [x], consts=parts["gate"])
        halves = [
            builder.add("gather", [both], consts={"index": Constant(np.arange(start, start + 5))})
            for start in (0, width)
        ]
        gate, new = builder.add("sigmoid", halves[:1]), builder.add("tanh", halves[1:])
        mixed = builder.add("mul", [gate, new])
        state = builder.add("sum", [builder.add("relu", [mixed]), x], attrs=plus)
        if i >= slots - 1:
            logits = builder.add("dense", [state], consts=parts["logits"])
            outputs[f"logits_{i - slots + 2}"] = logits
    return random_problem(rng, size, slots, steps), builder.build(outputs), slots


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
            outputs, sure, _ = bounds.runs.write(texts, slots)
            assert sure.all()
            assert (outputs[:, 0] == texts[:, slots]).all()
            assert (outputs[:, 1] == following).all()


def test_a_tie_is_not_decided_unless_the_lower_index_wins() -> None:
    problem, graph, _ = case(204)
    arithmetic = Floats(Tables(graph, len(problem.vocabulary)))
    logits, tight = np.array([[1.0, 2.0, 2.0]]), np.zeros((1, 3))
    _, clear = arithmetic.winner((logits, tight), [0, 1, 2])
    assert not clear.any()  # a ball's ends are rounded outward
    _, clear = arithmetic.winner((np.full((1, 3), np.nan), tight), [0, 1, 2])
    assert not clear.any()
    chosen, clear = arithmetic.winner((logits, np.array([[0.25, 0.0, 0.0]])), [0, 1])
    assert chosen.tolist() == [1]
    assert clear.all()


def test_digits_decide_what_floats_leave_open() -> None:
    digits = Digits(case(204)[1])
    with ctx.workprec(128):
        near = [arb(2), arb(2), arb(2) - arb(2) ** -100]
    for order, winner, clear in (
        ([0, 1, 2], 0, True),
        ([2, 0, 1], 1, True),
        ([0, 2], 0, True),
    ):
        row = np.array([[near[i] for i in order]], dtype=object)
        chosen, sure = digits.winner(row, list(range(len(order))))
        assert (chosen.tolist(), sure.tolist()) == ([winner], [clear])
    vague = np.array([[arb(2, 1e-30), arb(2)]], dtype=object)
    assert not digits.winner(vague, [0, 1])[1].any()


@pytest.mark.parametrize("seed", range(12))
def test_digits_and_floats_write_what_decoding_writes(seed: int) -> None:
    problem, graph, slots = recurrent(seed)
    assert Digits.fits(graph, len(problem.vocabulary))
    runs = StepBounds(problem, graph, slots).runs
    texts = np.array(list(itertools.product(*map(sorted, problem.cells[0].slots))))
    expected = Decoder(graph, problem).decode(texts).tokens
    for program in (runs._floats, runs._digits):
        assert program is not None
        written, sure, _ = runs._write(program, texts, slots)
        assert sure.all()
        assert (written == expected).all()


_NEVER = np.zeros(2, dtype=np.bool_)


def test_what_floats_leave_open_is_run_with_digits(monkeypatch: pytest.MonkeyPatch) -> None:
    problem, graph, slots = recurrent(3)
    runs = StepBounds(problem, graph, slots).runs
    texts = np.array([[0] * slots, [1] * slots])
    expected = runs.write(texts, slots)[0]
    monkeypatch.setattr(Floats, "winner", lambda self, x, allowed: (np.array([0] * 2), _NEVER))
    assert not runs._write(runs._floats, texts, slots)[1].all()
    written, sure, _ = runs.write(texts, slots)
    assert sure.all()
    assert (written == expected).all()


def test_digits_need_a_row_for_every_token() -> None:
    problem, graph, _ = recurrent(0)
    size = len(problem.vocabulary)
    assert not Digits.fits(graph, size + 1)
    assert not Digits.fits(case(204)[1], size)  # attention


def test_too_many_texts_and_ended_ones_are_refused() -> None:
    problem, graph, slots = case(205)
    wide = replace(problem, name="wide")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("absint.proofs.decode.walk.MAX_RUN", 0)
        with pytest.raises(CertificateError, match="too many"):
            accepted(graph, wide, slots)
