"""Altered proofs by phases, re-targeted at properties that fail: none is ever accepted."""

from __future__ import annotations

import random
from fractions import Fraction

import pytest
from proofcases import certificate, far_apart, plateau

from absint.problem import Problem
from absint.proofs.check import check
from absint.proofs.format import CertificateError
from absint.proofs.stream import Arity, Rule, Step, Writer, nearest_multiplier, steps

GRAPH = plateau()
TRUE = far_apart(GRAPH, Fraction(6, 5))
RELU = 2
SOME = nearest_multiplier(1)


def proof() -> bytes:
    """Of TRUE: both operands on one side, so no distance; or 1.2 - distance + total - 1 >= 0.2."""
    writer = Writer()
    writer.relax(bytes([0, 64]))
    writer.slopes(bytes(range(4)))
    writer.phase(RELU, 0)
    writer.phase(RELU, 1)
    writer.safe([0, 0])
    writer.mix([64, 64, SOME, 0, 3, 0, 0])
    writer.halve(0)
    for _ in range(2):
        writer.phase(RELU, 1)
        writer.mix([64, 64, SOME, SOME, 3, 0, 0])
        writer.safe([0, 0])
    return writer.to_bytes()


def end_of(found: list[Step], start: int) -> int:
    """The place after the subtree that starts at a step, as far as there is one."""
    missing = 1
    while missing and start < len(found):
        missing += found[start].rule.parts - 1
        start += 1
    return start


def altered(rng: random.Random, found: list[Step]) -> list[Step]:
    """One change: of operands, or of the parts of a rule."""
    at = rng.randrange(len(found))
    step, end = found[at], end_of(found, at)
    kind = rng.choice(
        ["operand", "operand", "drop", "swap", "transplant", "skip", "slopes", "relax"]
    )
    if kind == "skip" and step.rule.parts:
        first = end_of(found, at + 1)
        kept = found[at + 1 : first] if rng.random() < 0.5 else found[first:end]
        return [*found[:at], *(kept or found[at + 1 : end]), *found[end:]]
    if kind == "swap" and step.rule.parts == 2:
        first = end_of(found, at + 1)
        return [*found[: at + 1], *found[first:end], *found[at + 1 : first], *found[end:]]
    if kind == "drop" and step.rule.parts == 2:
        return [*found[: at + 1], *found[end_of(found, at + 1) :]]
    if kind == "transplant":
        source = rng.randrange(len(found))
        return [*found[:at], *found[source : end_of(found, source)], *found[end:]]
    if kind == "slopes":
        fresh = Step(Rule.SLOPES, slopes=rng.randbytes(4))
        return [*found[:at], fresh, *found[at:]]
    if kind == "relax":
        return [*found[:at], Step(Rule.RELAX, slopes=rng.randbytes(2)), *found[at:]]
    if step.choices:
        choices, place = list(step.choices), rng.randrange(len(step.choices))
        small = step.rule is not Rule.MIX
        choices[place] = rng.randrange(3) if small else rng.choice([0, 64, 152, rng.randrange(256)])
        return [
            *found[:at],
            Step(step.rule, tuple(choices), step.point, step.slopes),
            *found[at + 1 :],
        ]
    return found


def text(found: list[Step]) -> bytes:
    writer = Writer()
    for step in found:
        writer.step(step)
    return writer.to_bytes()


def accepted(data: bytes, claim: Problem) -> bool:
    try:
        return check(certificate(GRAPH, claim, [data]), GRAPH).accepted
    except CertificateError:
        return False


def mutants(count: int, first: int) -> int:
    """Tries mutants on properties that fail by little; how many were still true proofs of TRUE."""
    original, kept = list(steps(proof(), Arity.of(TRUE.cells[0], GRAPH))), 0
    for seed in range(first, first + count):
        rng = random.Random(seed)
        found = original
        for _ in range(rng.choice([1, 1, 2, 3])):
            found = altered(rng, found)
        data = text(found)
        if rng.random() < 0.1:
            place = rng.randrange(len(data))
            data = data[:place] + rng.randbytes(1) + data[place + 1 :]
        false = far_apart(GRAPH, rng.choice([Fraction(1), Fraction(63, 64), Fraction(1, 2)]))
        assert not accepted(data, false), seed
        kept += accepted(data, TRUE)
    return kept


def test_the_original_is_accepted_and_the_other_properties_fail() -> None:
    """At (1, 0) the distance is 1 and the total 1."""
    assert accepted(proof(), TRUE)
    for bound in (Fraction(1), Fraction(63, 64)):
        assert not accepted(proof(), far_apart(GRAPH, bound))


def test_mutants_of_a_proof_by_phases() -> None:
    assert 30 < mutants(600, 0) < 560


@pytest.mark.full
def test_ten_thousand_mutants_of_a_proof_by_phases() -> None:
    assert mutants(10_000, 10_000) > 500
