"""A small proof whose open prompts have no small diagram: exact where there is room, else more."""

from __future__ import annotations

import itertools
import tracemalloc

import pytest

from absint.problem.decode import Atom, DecodeProblem, Machine, PromptCell
from absint.problem.outlook import Outlook
from absint.problem.pieces import Pieces
from absint.proofs.decode.remaining import OpenPrompts
from absint.proofs.decode.state import State
from absint.proofs.decode.stream import Rule, Step, Writer
from absint.proofs.decode.walk import Walk

CLOSED = [Step(Rule.CASES, tokens=(1,)), Step(Rule.DONE)]


def repeats(half: int) -> tuple[DecodeProblem, bytes]:
    """A proof that leaves open where the second half of the prompt is the first again.

    Tree i asks whether slots i and half + i agree, and if so leads to the next: a diagram has to
    know the whole first half at the middle.
    """
    wrote = Machine("output", ((1, 0), (1, 1)), (0, 1))
    cell = PromptCell((frozenset({0, 1}),) * (2 * half))
    problem = DecodeProblem(
        "p", ("a", "b"), (cell,), 1, frozenset(), (wrote,), Atom(0, frozenset({1}))
    )
    writer = Writer(2)
    for _ in range(half):
        writer.shared(State((3,) * (2 * half), 0, (), (0,), False))
    for slot in range(half):
        on = [Step(Rule.GOTO, goal=slot)]
        same = Step(Rule.SPLIT, slot=half + slot, parts=(1, 2))
        steps = [Step(Rule.SPLIT, slot=slot, parts=(1, 2)), same, *on, *CLOSED, same, *CLOSED, *on]
        for step in steps:
            writer.step(step)
    writer.step(Step(Rule.OPEN))
    return problem, writer.to_bytes()


def still_open(half: int, limit: int) -> tuple[Pieces, int]:
    problem, proof = repeats(half)
    (cell,) = problem.cells
    found = OpenPrompts(problem, cell, limit)
    for visit in Walk(problem, cell, proof, Outlook(problem)).visits():
        found.add(visit)
    return found.found(), len(proof)


@pytest.mark.parametrize("half", range(1, 6))
def test_what_is_open_is_told_exactly(half: int) -> None:
    found, _ = still_open(half, 10_000)
    assert found.exact
    assert set(found) == {own * 2 for own in itertools.product((0, 1), repeat=half)}
    assert found.count == 2**half


def test_a_small_proof_costs_no_unbounded_memory() -> None:
    half, limit = 40, 2_000
    tracemalloc.start()
    found, size = still_open(half, limit)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert size < 2_000
    assert peak < 20 << 20
    assert not found.exact
    assert 2**half <= found.count <= 4**half
    assert (0,) * (2 * half) in found
