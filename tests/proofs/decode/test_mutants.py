"""Altered and re-sealed proofs of decoding networks: no violating prompt is ever said to be closed.

The problems have prompts that violate them, by enumeration and with a clear margin at each step.
Whatever a mutant claims, a report without a rejection must name all of these as open. Two sources:
the problem's own proof, in which these prompts are open (all but true, so the hardest to refuse),
and proofs of true properties that are put to a property that fails.
"""

from __future__ import annotations

import functools
import itertools
import random
import time
from collections.abc import Callable
from dataclasses import replace

import pytest
from decodeproofs import Case, Proof, Tree, clear, detected, proved

from absint.problem.decode import DecodeProblem, Not
from absint.problem.outlook import NO, UNKNOWN, YES, Outlook
from absint.proofs.decode.remaining import OpenPrompts
from absint.proofs.decode.state import State
from absint.proofs.decode.stream import Rule, Step
from absint.proofs.decode.walk import Walk
from absint.proofs.format import CertificateError

Randomness = random.Random
Change = Callable[[Proof, Case, Randomness], None]
SECONDS = 20.0
"""No mutant of these small proofs may take longer, on a busy machine."""

FALSE = (2, 4, 6, 9, 14, 22, 26, 32, 33, 37, 38, 46)
"""Seeds of problems with violating prompts; ``test_the_violations_are_real`` says so."""
TRUE = (0, 5, 8, 12, 13, 16, 17, 18)
DETECTED = (522, 534, 541, 552)
"""Seeds of such problems with a detector."""


def anywhere(proof: Proof, rng: Randomness, *rules: Rule) -> Tree:
    """A random node, of one of these rules where there is one."""
    nodes = proof.nodes()
    return rng.choice([n for n in nodes if n.step.rule in rules] or nodes)


def closing(proof: Proof, kase: Case, rng: Randomness) -> Tree:
    """A proof of whatever set it may stand at, if it is believed."""
    size, kind = len(kase.problem.vocabulary), rng.randrange(7)
    if kind == 0:
        return Tree(Step(Rule.DONE))
    if kind == 1:
        return Tree(Step(Rule.RUN))
    if kind == 2 and proof.shared:
        return Tree(Step(Rule.GOTO, goal=rng.randrange(len(proof.shared))))
    if kind == 3:
        return Tree(Step(Rule.READ), [Tree(Step(Rule.DONE))])
    if kind == 4 and kase.problem.probes:
        return Tree(answer(kase, rng), [Tree(Step(Rule.DONE))])
    tokens = tuple(sorted(rng.sample(range(size), rng.randint(1, size))))
    beaters = tuple(rng.sample(range(size), rng.randint(0, size)))
    step = Step(Rule.CASES, tokens=tokens, beaters=beaters)
    leaf = Tree(Step(rng.choice([Rule.DONE, Rule.DONE, Rule.RUN, Rule.OPEN])))
    return Tree(step, [leaf.copy() for _ in tokens])


def answer(kase: Case, rng: Randomness) -> Step:
    probe = rng.randrange(len(kase.problem.probes))
    return Step(Rule.PROBE, probe=probe, says=rng.choice([NO, YES]))


def close(proof: Proof, kase: Case, rng: Randomness) -> None:
    anywhere(proof, rng, Rule.OPEN).become(closing(proof, kase, rng))


def close_all(proof: Proof, kase: Case, rng: Randomness) -> None:
    for node in proof.nodes():
        if node.step.rule is Rule.OPEN:
            node.become(closing(proof, kase, rng))


def other_tokens(proof: Proof, kase: Case, rng: Randomness) -> None:
    """A token less, more or another, with the proofs of those that stay."""
    node, size = anywhere(proof, rng, Rule.CASES), len(kase.problem.vocabulary)
    parts = dict(zip(node.step.tokens, node.parts, strict=False))
    token, kind = rng.randrange(size), rng.randrange(3)
    if kind != 0:
        parts.setdefault(token, Tree(Step(Rule.DONE)))
    if kind != 1 and len(parts) > 1:
        del parts[rng.choice(list(parts))]
    node.step = replace(node.step, rule=Rule.CASES, tokens=tuple(sorted(parts)))
    node.parts = [parts[token] for token in sorted(parts)]
    node.fill(Step(Rule.DONE))


def other_beaters(proof: Proof, kase: Case, rng: Randomness) -> None:
    node, size = anywhere(proof, rng, Rule.CASES), len(kase.problem.vocabulary)
    node.step = replace(node.step, beaters=tuple(rng.sample(range(size), rng.randint(0, size))))


def other_answer(proof: Proof, kase: Case, rng: Randomness) -> None:
    """The opposite answer, one of another probe, or one where there was none."""
    node = anywhere(proof, rng, Rule.PROBE)
    if node.step.rule is Rule.PROBE and rng.random() < 0.5:
        node.step = replace(node.step, says=NO + YES - node.step.says)
    elif node.step.rule is Rule.PROBE:
        node.step = answer(kase, rng)
    elif kase.problem.probes:
        node.become(Tree(answer(kase, rng), [node.copy()]))


def drop_part(proof: Proof, kase: Case, rng: Randomness) -> None:
    """A split forgets a part, or says that another covers it."""
    node = anywhere(proof, rng, Rule.SPLIT)
    if node.step.parts:
        parts = list(node.step.parts)
        gone = rng.randrange(len(parts))
        mask = parts.pop(gone)
        del node.parts[gone]
        if parts and rng.random() < 0.5:
            parts[0] |= mask
        node.step = replace(node.step, parts=tuple(parts))


def other_part(proof: Proof, kase: Case, rng: Randomness) -> None:
    node, size = anywhere(proof, rng, Rule.SPLIT), len(kase.problem.vocabulary)
    if node.step.parts:
        parts = list(node.step.parts)
        parts[rng.randrange(len(parts))] ^= rng.choice([1 << rng.randrange(size), 1 << size, 0])
        node.step = replace(node.step, parts=tuple(parts))


def move_token(proof: Proof, kase: Case, rng: Randomness) -> None:
    """From one part of a split to another: still a cover, but the parts' proofs are not theirs."""
    node = anywhere(proof, rng, Rule.SPLIT)
    if len(node.step.parts) > 1:
        parts = list(node.step.parts)
        a, b = rng.sample(range(len(parts)), 2)
        token = parts[a] & -parts[a]
        parts[a], parts[b] = parts[a] & ~token, parts[b] | token
        node.step = replace(node.step, parts=tuple(parts))


def other_slot(proof: Proof, kase: Case, rng: Randomness) -> None:
    node = anywhere(proof, rng, Rule.SPLIT)
    node.step = replace(node.step, slot=rng.randrange(kase.slots + kase.problem.steps + 1))


def other_goal(proof: Proof, kase: Case, rng: Randomness) -> None:
    node = anywhere(proof, rng, Rule.GOTO)
    if node.step.rule is Rule.GOTO:
        node.step = Step(Rule.GOTO, goal=rng.randrange(len(proof.shared) + 1))


def detour(proof: Proof, kase: Case, rng: Randomness) -> None:
    """A state rests on a shared one, perhaps its own or an earlier one."""
    if proof.shared:
        anywhere(proof, rng).become(
            Tree(Step(Rule.GOTO, goal=rng.randrange(len(proof.shared))), [])
        )


def other_state(proof: Proof, kase: Case, rng: Randomness) -> None:
    """A shared state with another set, machine state, number of slots read, end, or answer."""
    if not proof.shared:
        return
    place, size = rng.randrange(len(proof.shared)), len(kase.problem.vocabulary)
    state, kind = proof.shared[place], rng.randrange(7)
    if kind <= 1:
        slot = rng.randrange(len(state.sets))
        mask = rng.choice([state.sets[slot] ^ 1 << rng.randrange(size), (1 << size) - 1])
        state = replace(state, sets=(*state.sets[:slot], mask, *state.sets[slot + 1 :]))
    elif kind == 2:
        state = replace(state, read=max(0, state.read + rng.choice([-1, 1])))
    elif kind == 3:
        state = _moved(state, "prompt", rng)
    elif kind == 4:
        state = _moved(state, "output", rng)
    elif kind == 5:
        state = replace(state, ended=not state.ended)
    else:
        state = replace(state, found=tuple(rng.choice([UNKNOWN, NO, YES]) for _ in state.found))
    proof.shared[place] = state


def _moved(state: State, which: str, rng: Randomness) -> State:
    states = list(getattr(state, which))
    if states:
        states[rng.randrange(len(states))] = rng.randrange(4)
    return replace(state, **{which: tuple(states)})


def swap_states(proof: Proof, kase: Case, rng: Randomness) -> None:
    if len(proof.shared) > 1:
        a, b = rng.sample(range(len(proof.shared)), 2)
        proof.shared[a], proof.shared[b] = proof.shared[b], proof.shared[a]


def swap_trees(proof: Proof, kase: Case, rng: Randomness) -> None:
    if len(proof.trees) > 1:
        a, b = rng.sample(range(len(proof.trees)), 2)
        proof.trees[a], proof.trees[b] = proof.trees[b], proof.trees[a]


def transplant(proof: Proof, kase: Case, rng: Randomness) -> None:
    """A subtree takes the place of another."""
    anywhere(proof, rng).become(anywhere(proof, rng))


def swap_parts(proof: Proof, kase: Case, rng: Randomness) -> None:
    node = anywhere(proof, rng, Rule.SPLIT, Rule.CASES)
    rng.shuffle(node.parts)


def skip(proof: Proof, kase: Case, rng: Randomness) -> None:
    """A rule is left out: one of its parts is said to prove the whole."""
    node = anywhere(proof, rng, Rule.READ, Rule.CASES, Rule.SPLIT, Rule.PROBE)
    if node.parts:
        node.become(rng.choice(node.parts))


CHANGES: list[Change] = [
    close,
    other_tokens,
    other_beaters,
    other_answer,
    drop_part,
    other_part,
    move_token,
    other_slot,
    other_goal,
    detour,
    other_state,
    swap_states,
    swap_trees,
    transplant,
    swap_parts,
    skip,
]


def torn(data: bytes, rng: Randomness) -> bytes:
    """Streams that no tree gives."""
    at, kind = rng.randrange(len(data)), rng.randrange(5)
    if kind == 0:
        return data[:at] + data[at + rng.randrange(1, 4) :]
    if kind == 1:
        return data[:at] + rng.randbytes(rng.randrange(1, 5)) + data[at:]
    if kind == 2:
        return data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1 :]
    if kind == 3:
        return data[:at] + bytes([data[at] | 0x80, 0]) + data[at + 1 :]
    return data[:at] + data[rng.randrange(len(data)) :]


@functools.cache
def retargeted(seed: int) -> Case | None:
    """A proved case put to the opposite property; None where that is violated by no prompt."""
    kase = proved(seed)
    problem: DecodeProblem = replace(kase.problem, catastrophe=Not(kase.problem.catastrophe))
    bad = clear(kase.graph, problem)
    certificate = replace(kase.certificate, problem=problem)
    return replace(kase, problem=problem, certificate=certificate, bad=bad) if any(bad) else None


def cases() -> list[Case]:
    own = [proved(seed) for seed in FALSE] + [detected(seed) for seed in DETECTED]
    return own + [c for c in map(retargeted, TRUE) if c is not None]


def mutate(kase: Case, rng: Randomness) -> list[Proof]:
    proofs = kase.proofs()
    for _ in range(rng.choice([0, 1, 1, 1, 2, 3])):
        rng.choice(CHANGES)(rng.choice(proofs), kase, rng)
    if rng.random() < 0.8:
        for proof in proofs:
            close_all(proof, kase, rng)
    if rng.random() < 0.05:
        rng.shuffle(proofs)
    return proofs


def try_mutants(count: int, start: int = 0) -> int:
    """Tries that many; returns how many the checker did not refuse."""
    every, held = cases(), 0
    for number in range(start, start + count):
        rng = random.Random(number)
        kase = every[number % len(every)]
        try:
            changed = kase.claim(mutate(kase, rng))
        except OverflowError:  # a set beyond what its bytes can hold
            continue
        if number % 4 == 0:
            proofs = list(changed.proofs)
            cell = rng.randrange(len(proofs))
            proofs[cell] = torn(proofs[cell], rng)
            changed = replace(changed, proofs=tuple(proofs))
        started = time.perf_counter()
        report = kase.report(changed)
        assert time.perf_counter() - started < SECONDS, number
        assert kase.closed(report) is None, number
        held += report is not None and not report.rejected
    return held


def test_the_violations_are_real() -> None:
    """The oracle of every test here: for each case, prompts that are open in its own proof."""
    every = cases()
    assert len(every) >= len(FALSE) + len(DETECTED) + 3
    assert all(
        probe.step is None for seed in DETECTED for probe in detected(seed).problem.probes[-1:]
    )
    for kase in [proved(seed) for seed in FALSE] + [detected(seed) for seed in DETECTED]:
        assert any(kase.bad)
        report = kase.report(kase.certificate)
        assert report is not None
        assert not report.rejected
        assert kase.closed(report) is None
        assert kase.claim(kase.proofs()) == kase.certificate
    rules = {node.step.rule for kase in every for p in kase.proofs() for node in p.nodes()}
    assert rules >= {*Rule} - {Rule.RUN}


def leads_to_open(proof: Proof, tree: Tree, prompt: tuple[int, ...]) -> bool:
    """Whether a path through the proof takes ``prompt`` to an open state; any token is emitted."""
    step, parts = tree.step, tree.parts
    if step.rule is Rule.GOTO:
        return leads_to_open(proof, proof.trees[1 + step.goal], prompt)
    if step.rule is Rule.SPLIT and step.slot < len(prompt):
        pairs = zip(step.parts, parts, strict=True)
        parts = [part for mask, part in pairs if mask >> prompt[step.slot] & 1]
    return step.rule is Rule.OPEN or any(leads_to_open(proof, part, prompt) for part in parts)


def test_what_is_open_is_exact() -> None:
    """Prompt by prompt, for altered proofs whose rules fit (their bounds are not asked).

    With too little room for diagrams no open prompt is lost, and what is told says so.
    """
    compared = rough = 0
    for number in range(600):
        rng = random.Random(number)
        kase = proved(FALSE[number % len(FALSE)])
        proof, cell = kase.proofs()[0], kase.problem.cells[0]
        for _ in range(rng.choice([0, 1, 1, 2])):
            rng.choice(CHANGES)(proof, kase, rng)
        walk_of = functools.partial(Walk, kase.problem, cell, outlook=Outlook(kase.problem))
        still_open = OpenPrompts(kase.problem, cell)
        limited = OpenPrompts(kase.problem, cell, limit=rng.randrange(4, 24))
        try:
            for visit in walk_of(data=proof.text(len(kase.problem.vocabulary))).visits():
                still_open.add(visit)
                limited.add(visit)
        except (CertificateError, OverflowError):
            continue
        every = (p for p in itertools.product(*cell.slots) if kase.problem.admits(cell, p))
        truth = {p for p in every if leads_to_open(proof, proof.trees[0], p)}
        found, more = still_open.found(), limited.found()
        assert found.exact
        assert sorted(found) == sorted(truth), number
        assert set(more) >= truth, number
        assert more.count == len(truth) or not more.exact
        compared, rough = compared + 1, rough + (not more.exact)
    assert compared > 100
    assert rough > 20


def test_two_thousand_mutants() -> None:
    assert try_mutants(2_000) > 40


@pytest.mark.full
def test_ten_thousand_mutants() -> None:
    assert try_mutants(10_000, start=100_000) > 200
