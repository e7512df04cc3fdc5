"""Each rule of decoding proofs refuses what does not fit, with its reason; streams are one tree."""

from __future__ import annotations

import random
import time
import tracemalloc
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from absint.problem import ProblemError
from absint.problem.decode import All, Atom, DecodeProblem, Machine, Not, PromptCell
from absint.problem.outlook import Outlook
from absint.proofs.decode.remaining import OpenPrompts
from absint.proofs.decode.state import State
from absint.proofs.decode.stream import Rule, Step, Writer
from absint.proofs.decode.walk import Walk
from absint.proofs.format import CertificateError
from absint.proofs.stream import write_varint

SIZE = 10
EVERY = (1 << SIZE) - 1
LOW, HIGH = 0b0000011111, 0b1111100000
PARITY = Machine("prompt", ((1, 0) * 5, (0, 1) * 5), (0, 1))
"""Whether an odd number of even tokens was read."""
SEEN = Machine("output", ((0,) * 9 + (1,), (1,) * 10), (0, 1))
"""Whether token 9 was emitted."""
PROBLEM = DecodeProblem(
    name="p",
    vocabulary=tuple(f"t{i}" for i in range(SIZE)),
    cells=(PromptCell((frozenset(range(SIZE)),) * 2),),
    steps=2,
    stop=frozenset({8}),
    machines=(PARITY, SEEN),
    catastrophe=All((Atom(0, frozenset({1})), Atom(1, frozenset({1})))),
    allowed=(frozenset(range(SIZE)), frozenset(range(1, SIZE))),
)
DONE, OPEN, READ = Step(Rule.DONE), Step(Rule.OPEN), Step(Rule.READ)
ODDS, EVENS = 0b1010101010, 0b0101010101
START = State((EVERY, EVERY), 0, (0,), (0,), False)


def split(slot: int, *parts: int) -> Step:
    return Step(Rule.SPLIT, slot=slot, parts=parts)


def cases(*tokens: int) -> Step:
    return Step(Rule.CASES, tokens=tokens)


def goto(goal: int) -> Step:
    return Step(Rule.GOTO, goal=goal)


def stream(*steps: Step, shared: Sequence[State] = ()) -> bytes:
    writer = Writer(SIZE)
    for state in shared:
        writer.shared(state)
    for step in steps:
        writer.step(step)
    return writer.to_bytes()


def walked(data: bytes, problem: DecodeProblem = PROBLEM) -> int:
    """How many prompts the proof leaves open, bounds apart. Raises CertificateError."""
    walk = Walk(problem, problem.cells[0], data, Outlook(problem))
    still_open = OpenPrompts(problem, problem.cells[0])
    for visit in walk.visits():
        still_open.add(visit)
    return still_open.found().count


GOOD = (
    split(0, ODDS, EVENS),
    READ,
    cases(3, 8, 9),
    OPEN,
    DONE,
    OPEN,
    READ,
    split(1, ODDS, EVENS),
    OPEN,
    READ,
    cases(3),
    DONE,
)


def test_what_fits_passes() -> None:
    """Without this, a walk that refuses everything would pass the tests below."""
    assert walked(stream(OPEN)) == 100
    assert walked(stream(*GOOD)) == 50 + 25


BAD: dict[str, tuple[Sequence[Step], Sequence[State], str]] = {
    "an empty part": ([split(0, EVERY, 0), OPEN, OPEN], [], "without parts"),
    "one part": ([split(0, EVERY), OPEN], [], "without parts"),
    "no part": ([split(0)], [], "without parts"),
    "no such slot": ([split(2, LOW, HIGH), OPEN, OPEN], [], "slot that does not exist"),
    "a part left out": ([split(0, LOW, HIGH & ~512), OPEN, OPEN], [], "not its set"),
    "parts that overlap": ([split(0, LOW, HIGH | 1), OPEN, OPEN], [], "overlap"),
    "a part twice": ([split(0, LOW, HIGH, LOW), OPEN, OPEN, OPEN], [], "overlap"),
    "a token that is not there": ([split(0, LOW, HIGH | 1 << 10), OPEN, OPEN], [], "not its set"),
    "a part that is split as the whole": (
        [split(0, LOW, HIGH), split(0, LOW, HIGH), OPEN, OPEN, OPEN], [], "not its set",
    ),
    "read where they disagree": ([READ, OPEN], [], "do not agree"),
    "read beyond the prompt": (
        [split(0, ODDS, EVENS), READ, split(1, ODDS, EVENS), READ, READ, OPEN], [], "no further",
    ),
    "a token that may not be emitted": ([cases(1), cases(0, 1), DONE, DONE], [], "may be emitted"),
    "no case": ([cases()], [], "may be emitted"),
    "cases out of order": ([cases(3, 1), OPEN, OPEN], [], "may be emitted"),
    "a case twice": ([cases(3, 3), OPEN, OPEN], [], "may be emitted"),
    "a token beyond the vocabulary": ([cases(10), OPEN], [], "may be emitted"),
    "a case after a stop": ([cases(8), cases(1), DONE], [], "after the end"),
    "a case after the last step": ([cases(1), cases(1), cases(1), DONE], [], "after the end"),
    "a beater twice": (
        [Step(Rule.CASES, tokens=(1,), beaters=(1, 1)), OPEN], [], "twice",
    ),
    "done too early": ([DONE], [], "can still happen"),
    "done before the last token": ([cases(1), DONE], [], "can still happen"),
    "a run of what has ended": ([cases(8), Step(Rule.RUN)], [], "have ended"),
    "a goal that is not": ([goto(0)], [], "does not exist"),
    "a state that rests on itself": ([goto(0), goto(0)], [START], "rest on itself"),
    "a state that rests on an earlier": (
        [goto(1), goto(0), goto(0)], [START, START], "rest on itself",
    ),
    "a goal with a smaller set": (
        [goto(0), OPEN], [replace(START, sets=(EVERY, LOW))], "not contained",
    ),
    "a goal of another step": (
        [goto(0), OPEN], [replace(START, sets=(EVERY, EVERY, EVERY))], "not contained",
    ),
    "a goal with another machine": ([goto(0), OPEN], [replace(START, prompt=(1,))], "contained"),
    "a goal with another output": ([goto(0), OPEN], [replace(START, output=(1,))], "contained"),
    "a goal that has read more": ([goto(0), OPEN], [replace(START, read=1)], "not contained"),
    "a goal that has ended": ([goto(0), DONE], [replace(START, ended=True)], "not contained"),
    "a state without a token": ([OPEN, OPEN], [replace(START, sets=(EVERY, 0))], "does not fit"),
    "a state beyond the vocabulary": (
        [OPEN, OPEN], [replace(START, sets=(EVERY, 1 << 10))], "does not fit",
    ),
    "a state of too few slots": ([OPEN, OPEN], [replace(START, sets=(EVERY,))], "does not fit"),
    "a state of too many slots": (
        [OPEN, OPEN], [replace(START, sets=(EVERY,) * 5)], "more slots than its problem",
    ),
    "a state that has read too much": ([OPEN, OPEN], [replace(START, read=3)], "does not fit"),
    "no such machine state": ([OPEN, OPEN], [replace(START, prompt=(2,))], "does not fit"),
    "no such output state": ([OPEN, OPEN], [replace(START, output=(2,))], "does not fit"),
    "a tree too few": ([OPEN], [START], "before all of its parts"),
    "a tree too many": ([OPEN, OPEN], [], "bytes follow"),
    "a part without its proof": ([split(0, LOW, HIGH), OPEN], [], "before all of its parts"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_what_does_not_fit_is_refused(name: str) -> None:
    steps, shared, reason = BAD[name]
    with pytest.raises(CertificateError, match=reason):
        walked(stream(*steps, shared=shared))


def number(value: int) -> bytes:
    out = bytearray()
    write_varint(out, value)
    return bytes(out)


TORN = {
    "nothing": (b"", "inside a number"),
    "sets that are not there": (number(2**34), "inside its sets"),
    "more sets than bytes": (number(3) + b"\1\0\2\0", "inside its sets"),
    "a set twice": (number(2) + b"\1\0\1\0" + number(0) + b"\5", "written twice"),
    "shared states that are not there": (number(0) + number(2**23), "inside a number"),
    "too many shared states": (number(0) + number(2**25), "too many shared"),
    "a state of huge size": (number(0) + number(1) + number(2**34) + number(0), "more slots"),
    "more parts than bytes": (number(0) + number(0) + b"\0\0" + number(2**34), "inside a number"),
    "more cases than bytes": (number(0) + number(0) + b"\2" + number(2**34), "inside a number"),
    "a set that is not listed": (number(0) + number(0) + b"\0\0\2\0\1", "not in the proof's list"),
    "an unknown rule": (number(0) + number(0) + b"\x7f", "unknown rule"),
    "a number in long form": (number(0) + b"\x80\0" + b"\5", "shortest form"),
    "a number without end": (b"\xff" * 20, "too long"),
    "an end that is neither": (
        number(1) + b"\xff\3" + number(1) + b"\2\2\0\0\1\0\0\0\0\2" + b"\5\5", "1 or 0",
    ),
    "a state's slots out of order": (
        number(1) + b"\xff\3" + number(1) + b"\2\2\1\0\0\0\0\0\0\0" + b"\5\5", "in order",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", TORN)
def test_streams_that_no_proof_has(name: str) -> None:
    data, reason = TORN[name]
    with pytest.raises(CertificateError, match=reason):
        walked(data)


def test_every_prefix_is_refused() -> None:
    data = stream(*GOOD)
    for end in range(len(data)):
        with pytest.raises(CertificateError):
            walked(data[:end])


def test_random_bytes_end_in_an_answer() -> None:
    """Nothing but CertificateError, in bounded time."""
    rng, good, started = random.Random(0), stream(*GOOD), time.perf_counter()
    for _ in range(3_000):
        data = bytearray(good)
        for _ in range(rng.randint(1, 3)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        try:
            walked(bytes(data))
        except CertificateError:
            continue
    assert time.perf_counter() - started < 30


def test_states_cost_no_more_than_their_problem() -> None:
    """A few bytes a state do not repeat a huge one: slots are limited by the problem's."""
    data = bytearray(number(1) + b"\xff\3" + number(50_001) + number(100_000) + number(100_000))
    for slot in range(100_000):
        data += number(slot) + number(0)
    data += bytes([0, 0, 0, 0])
    for _ in range(50_000):
        data += number(100_000) + bytes(5)
    tracemalloc.start()
    with pytest.raises(CertificateError, match="more slots"):
        walked(bytes(data) + b"\5")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 50 * 2**20


def test_deep_proofs_need_no_recursion() -> None:
    """A split for each token but one, of a large vocabulary."""
    size = 3_000
    every = (1 << size) - 1
    problem = replace(
        PROBLEM,
        vocabulary=tuple(map(str, range(size))),
        cells=(PromptCell((frozenset(range(size)),)),),
        machines=(Machine("output", ((0,) * size,), (0,)),),
        catastrophe=Not(Atom(0, frozenset({1}))),
        allowed=(),
    )
    writer = Writer(size)
    for token in range(size - 1):
        writer.step(Step(Rule.SPLIT, slot=0, parts=(1 << token, every & -2 << token)))
        writer.step(OPEN)
    writer.step(OPEN)
    assert walked(writer.to_bytes(), problem) == size


@pytest.mark.parametrize("changes", [{"vocabulary": ()}, {"steps": 0}, {"cells": ()}])
def test_problems_of_nothing(changes: dict[str, Any]) -> None:
    with pytest.raises(ProblemError):
        replace(
            PROBLEM,
            **{"machines": (), "catastrophe": All(()), "allowed": (), "stop": frozenset()}
            | changes,
        )
