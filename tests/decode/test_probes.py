"""Proofs about logits against enumeration of all prompts, and altered ones that are refused."""

from __future__ import annotations

import random
from dataclasses import replace
from fractions import Fraction

import pytest
from decodeproofs import Tree, parse
from enumerated import BINDING
from probecases import probe_case, truth

from absint.decode.greedy import Decoder
from absint.decode.prove import prove_decode
from absint.decode.result import DecodeResult
from absint.ir import Graph
from absint.problem import ProblemError, constraint, decode_from_json, decode_to_json
from absint.problem.decode import DecodeProblem, Not, Probe, Probed
from absint.proofs.decode.check import check_decode
from absint.proofs.decode.stream import Rule, Step
from absint.proofs.format import Certificate, CertificateError
from absint.search.options import SearchOptions
from absint.search.result import Verdict


def prove(graph: Graph, problem: DecodeProblem, slots: int) -> DecodeResult:
    decoder, options = Decoder(graph, problem), SearchOptions(timeout=60)
    return prove_decode({slots: graph}, problem, BINDING, lambda _: decoder.decode, options)


def compare(seed: int) -> None:
    """The verdict, and the counterexample, against every prompt."""
    problem, graph, slots = probe_case(seed)
    bad = truth(graph, problem)
    result = prove(graph, problem, slots)
    if any(bad):
        assert result.verdict is Verdict.FALSIFIED, seed
        assert result.counterexample is not None
        assert result.counterexample.prompt in set().union(*bad), seed
    else:
        assert result.verdict is Verdict.VERIFIED, seed
        assert result.certificate is not None
        again = check_decode(Certificate.from_bytes(result.certificate), {slots: graph}, problem)
        assert again.accepted, seed


def without_attacks(seed: int, patch: pytest.MonkeyPatch) -> tuple[DecodeResult, list[set]]:
    patch.setattr("absint.decode.prove.ATTACKS", 0)
    patch.setattr("absint.decode.prove.SUSPECTS", 0)
    problem, graph, slots = probe_case(seed)
    return prove(graph, problem, slots), truth(graph, problem)


@pytest.mark.parametrize("seed", range(10))
def test_verdicts_are_those_of_enumeration(seed: int) -> None:
    compare(seed)


@pytest.mark.full
@pytest.mark.parametrize("seed", range(100, 400))
def test_many_verdicts_are_those_of_enumeration(seed: int) -> None:
    compare(seed)


@pytest.mark.parametrize("seed", range(25, 33))
def test_what_stays_open_is_what_violates(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    result, bad = without_attacks(seed, monkeypatch)
    assert result.report is not None
    assert [set(found) for found in result.report.open_prompts] == bad


@pytest.mark.parametrize("seed", range(45, 50))
def test_bounds_alone_close_no_violation(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("absint.decode.prove._Proof._enumerate", lambda self, cell: False)
    result, bad = without_attacks(seed, monkeypatch)
    assert result.report is not None
    for found, own in zip(result.report.open_prompts, bad, strict=True):
        assert own <= set(found)


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


def mutants(seeds: range, each: int) -> int:
    """How many altered proofs were not refused; none of them closes a prompt that violates."""
    held = 0
    for seed in seeds:
        with pytest.MonkeyPatch.context() as patch:
            result, bad = without_attacks(seed, patch)
        problem, graph, slots = probe_case(seed)
        assert result.certificate is not None
        certificate, size = Certificate.from_bytes(result.certificate), len(problem.vocabulary)
        for number in range(each):
            rng = random.Random(each * seed + number)
            claim = rng.choice([problem, replace(problem, catastrophe=Not(problem.catastrophe))])
            own = bad if claim is problem else truth(graph, claim)
            proofs = [parse(data, problem, slots) for data in certificate.proofs]
            for proof in proofs:
                altered(rng.choice(proof.trees), problem, rng)
            texts = tuple(proof.text(size) for proof in proofs)
            changed = replace(certificate, proofs=texts, problem=claim)
            try:
                report = check_decode(changed, {slots: graph})
            except CertificateError:
                continue
            if report.rejected:
                continue
            held += 1
            for found, violating in zip(report.open_prompts, own, strict=True):
                assert violating <= set(found), (seed, number)
    return held


def test_altered_proofs_close_no_violation() -> None:
    assert mutants(range(60, 66), 20) >= 2


@pytest.mark.full
def test_many_altered_proofs_close_no_violation() -> None:
    assert mutants(range(400, 500), 60) > 100


def test_probes_are_part_of_the_canonical_problem() -> None:
    problem, _, _ = probe_case(1)
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
    ],
)
def test_probes_of_what_is_not_there(probe: Probe) -> None:
    problem, _, _ = probe_case(1)
    with pytest.raises(ProblemError, match="probe"):
        replace(problem, probes=(probe,), catastrophe=Probed(0))
