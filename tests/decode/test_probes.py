"""Proofs about logits against enumeration of all prompts, and altered ones that are refused."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from decodeproofs import Tree, parse
from enumerated import BINDING
from probecases import ProbeCase, detector_case, probe_case, truth

from absint.decode.greedy import Decoder
from absint.decode.prove import prove_decode
from absint.decode.result import DecodeResult
from absint.problem import ProblemError, constraint, decode_from_json, decode_to_json
from absint.problem.decode import DecodeProblem, Not, Probe, Probed
from absint.proofs.decode.arithmetics import Digits, Floats
from absint.proofs.decode.check import check_decode
from absint.proofs.decode.stream import Rule, Step
from absint.proofs.format import Certificate, CertificateError
from absint.search.options import SearchOptions
from absint.search.result import Verdict

Make = Callable[[int], ProbeCase]
CASES = pytest.mark.parametrize("make", [probe_case, detector_case])


def prove(case: ProbeCase) -> DecodeResult:
    decoder, options = Decoder(case.graph, case.problem), SearchOptions(timeout=60)
    graphs = {case.slots: case.graph}
    return prove_decode(graphs, case.problem, BINDING, lambda _: decoder.decode, options)


def compare(case: ProbeCase, seed: int) -> None:
    """The verdict, and the counterexample, against every prompt."""
    bad, result = truth(case), prove(case)
    if any(bad):
        assert result.verdict is Verdict.FALSIFIED, seed
        assert result.counterexample is not None
        assert result.counterexample.prompt in set().union(*bad), seed
    else:
        assert result.verdict is Verdict.VERIFIED, seed
        assert result.certificate is not None
        again = check_decode(
            Certificate.from_bytes(result.certificate), {case.slots: case.graph}, case.problem
        )
        assert again.accepted, seed


def without_attacks(case: ProbeCase, patch: pytest.MonkeyPatch) -> tuple[DecodeResult, list[set]]:
    patch.setattr("absint.decode.prove.ATTACKS", 0)
    patch.setattr("absint.decode.prove.SUSPECTS", 0)
    return prove(case), truth(case)


@CASES
@pytest.mark.parametrize("seed", range(10))
def test_verdicts_are_those_of_enumeration(make: Make, seed: int) -> None:
    compare(make(seed), seed)


@pytest.mark.full
@CASES
@pytest.mark.parametrize("seed", range(100, 400))
def test_many_verdicts_are_those_of_enumeration(make: Make, seed: int) -> None:
    compare(make(seed), seed)


@CASES
@pytest.mark.parametrize("seed", range(25, 33))
def test_what_stays_open_is_what_violates(
    make: Make, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    result, bad = without_attacks(make(seed), monkeypatch)
    assert result.report is not None
    assert [set(found) for found in result.report.open_prompts] == bad


@CASES
@pytest.mark.parametrize("seed", range(45, 50))
def test_bounds_alone_close_no_violation(
    make: Make, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("absint.decode.prove._Proof._enumerate", lambda self, cell: False)
    result, bad = without_attacks(make(seed), monkeypatch)
    assert result.report is not None
    for found, own in zip(result.report.open_prompts, bad, strict=True):
        assert own <= set(found)


@CASES
@pytest.mark.parametrize("digits", [False, True])
@pytest.mark.parametrize("seed", range(72, 76))
def test_running_every_text_agrees(
    make: Make, digits: bool, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No bounds; with ``digits`` float64 says nothing of any probe, and many digits all."""
    if digits:
        monkeypatch.setattr(Floats, "fails", lambda self, y, item: np.zeros(len(y[0]), np.bool_))
    monkeypatch.setattr("absint.decode.prove.ATTACKS", 0)
    monkeypatch.setattr("absint.decode.prove.SUSPECTS", 0)
    case = make(seed)
    decoder, options = Decoder(case.graph, case.problem), SearchOptions(timeout=60)
    graphs = {case.slots: case.graph}
    result = prove_decode(
        graphs, case.problem, BINDING, lambda _: decoder.decode, options, bounds_first=False
    )
    assert result.report is not None
    assert [set(found) for found in result.report.open_prompts] == truth(case)
    known = not digits or Digits.fits(case.graph, len(case.problem.vocabulary))
    assert not (known and result.report.rejected)


def test_what_a_detector_says_is_not_turned_around(monkeypatch: pytest.MonkeyPatch) -> None:
    """The opposite of an answer that holds for all texts of a state holds for none of them."""
    turned = 0
    for seed in (62,):
        case = detector_case(seed)
        result, _ = without_attacks(case, monkeypatch)
        assert result.certificate is not None
        claim, size = Certificate.from_bytes(result.certificate), len(case.problem.vocabulary)
        for index, data in enumerate(claim.proofs):
            count = sum(map(len, (list(t.nodes()) for t in parse(data, *_of(case)).trees)))
            for place in range(count):
                proof = parse(data, *_of(case))
                node = [n for tree in proof.trees for n in tree.nodes()][place]
                if node.step.rule is not Rule.PROBE:
                    continue
                step = replace(node.step, says=3 - node.step.says)
                node.become(Tree(step, [Tree(Step(Rule.OPEN))]))
                proofs = (*claim.proofs[:index], proof.text(size), *claim.proofs[index + 1 :])
                report = check_decode(replace(claim, proofs=proofs), {case.slots: case.graph})
                assert report.rejected, (seed, place)
                turned += case.problem.probes[step.probe].step is None
    assert turned


def _of(case: ProbeCase) -> tuple[DecodeProblem, int]:
    return case.problem, case.slots


def altered(tree: Tree, problem: DecodeProblem, rng: random.Random) -> None:
    """Another answer or probe, or an answer where there was none."""
    nodes = list(tree.nodes())
    probes = [n for n in nodes if n.step.rule is Rule.PROBE]
    kind = rng.randrange(4) if probes else 3
    if kind == 0:
        node = rng.choice(probes)
        node.step = replace(node.step, says=3 - node.step.says)
    elif kind == 1:
        node = rng.choice(probes)
        node.step = replace(node.step, probe=rng.randrange(len(problem.probes) + 1))
    elif kind == 2:
        node = rng.choice(probes)
        node.become(node.parts[0])
    else:
        node, says = rng.choice(nodes), rng.randint(0, 3)
        step = Step(Rule.PROBE, probe=rng.randrange(len(problem.probes)), says=says)
        node.become(Tree(step, [node.copy()]))
    for node in tree.nodes():
        if node.step.rule is Rule.OPEN and rng.random() < 0.8:
            node.become(Tree(Step(Rule.DONE)))


def mutants(make: Make, seeds: range, each: int) -> int:
    """How many altered proofs were not refused; none of them closes a prompt that violates."""
    held = 0
    for seed in seeds:
        case = make(seed)
        with pytest.MonkeyPatch.context() as patch:
            result, bad = without_attacks(case, patch)
        problem, slots = case.problem, case.slots
        assert result.certificate is not None
        certificate, size = Certificate.from_bytes(result.certificate), len(problem.vocabulary)
        for number in range(each):
            rng = random.Random(each * seed + number)
            claim = rng.choice([problem, replace(problem, catastrophe=Not(problem.catastrophe))])
            own = bad if claim is problem else truth(case, claim)
            proofs = [parse(data, problem, slots) for data in certificate.proofs]
            for proof in proofs:
                altered(rng.choice(proof.trees), problem, rng)
            texts = tuple(proof.text(size) for proof in proofs)
            changed = replace(certificate, proofs=texts, problem=claim)
            try:
                report = check_decode(changed, {slots: case.graph})
            except CertificateError:
                continue
            if report.rejected:
                continue
            held += 1
            for found, violating in zip(report.open_prompts, own, strict=True):
                assert violating <= set(found), (seed, number)
    return held


@CASES
def test_altered_proofs_close_no_violation(make: Make) -> None:
    assert mutants(make, range(60, 66), 20) >= 2


@pytest.mark.full
@CASES
def test_many_altered_proofs_close_no_violation(make: Make) -> None:
    assert mutants(make, range(400, 500), 60) > 100


def test_probes_are_part_of_the_canonical_problem() -> None:
    problem = probe_case(1).problem
    data = decode_to_json(problem)
    assert decode_from_json(data) == problem
    assert b'"probes"' in data


@pytest.mark.parametrize(
    "probe",
    [
        Probe(constraint((), ((0, Fraction(1)),), Fraction(0)), 9),
        Probe(constraint((), ((0, Fraction(1)),), Fraction(0)), -1),
        Probe(constraint((), ((99, Fraction(1)),), Fraction(0)), 0),
        Probe(constraint(((0, Fraction(1)),), (), Fraction(0)), 0),
        Probe(constraint((), (), Fraction(0)), None),
    ],
)
def test_probes_of_what_is_not_there(probe: Probe) -> None:
    problem = probe_case(1).problem
    with pytest.raises(ProblemError, match="probe"):
        replace(problem, probes=(probe,), catastrophe=Probed(0))
