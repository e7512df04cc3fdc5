"""Networks whose catastrophe hides in one prompt of thousands, and proofs of other networks."""

from __future__ import annotations

import functools
import itertools
from dataclasses import replace

import numpy as np
import pytest
from decodeproofs import Case, Tree, clear
from enumerated import BINDING, violations
from triggers import Planted, never_launch

from absint.decode.greedy import Decoder
from absint.decode.prove import prove_decode
from absint.decode.result import DecodeResult
from absint.ir import Constant, Graph
from absint.proofs.decode.check import check_decode, graphs_digest
from absint.proofs.decode.stream import Rule, Step
from absint.proofs.format import Certificate, CertificateError
from absint.search.options import SearchOptions
from absint.search.result import Verdict

SEEDS = range(3)
PROBLEM = never_launch()
SLOTS = len(PROBLEM.cells[0].slots)


def prove(graph: Graph) -> DecodeResult:
    """Without attacks, which would find some of the triggers."""
    decoder = Decoder(graph, PROBLEM)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("absint.decode.prove.ATTACKS", 0)
        patch.setattr("absint.decode.prove.SUSPECTS", 0)
        return prove_decode(
            {SLOTS: graph}, PROBLEM, BINDING, lambda _: decoder.decode, SearchOptions(timeout=10)
        )


@functools.cache
def planted(seed: int) -> tuple[Planted, Graph, DecodeResult]:
    network = Planted(seed)
    graph = network.graph()
    return network, graph, prove(graph)


@functools.cache
def harmless(seed: int) -> tuple[Graph, Certificate]:
    """The same network without its trigger, and its proof."""
    graph = Planted(seed, force=0.0).graph()
    result = prove(graph)
    assert result.verdict is Verdict.VERIFIED
    assert result.certificate is not None
    return graph, Certificate.from_bytes(result.certificate)


def accepted(certificate: Certificate, graph: Graph) -> bool:
    try:
        read = Certificate.from_bytes(certificate.to_bytes())
        return check_decode(read, {SLOTS: graph}).accepted
    except CertificateError:
        return False


@pytest.mark.parametrize("seed", SEEDS)
def test_the_trigger_is_real_and_alone(seed: int) -> None:
    network, graph, _ = planted(seed)
    assert violations(graph, PROBLEM) == [{network.trigger}]
    assert clear(graph, PROBLEM) == ({network.trigger},)
    assert violations(harmless(seed)[0], PROBLEM) == [set()]


@pytest.mark.parametrize("seed", SEEDS)
def test_a_trigger_is_never_verified(seed: int) -> None:
    """And what is left open is the trigger, one of 2401, or little more."""
    network, _, result = planted(seed)
    assert result.verdict is not Verdict.VERIFIED
    if result.report is not None:
        (still_open,) = result.report.open_prompts
        assert network.trigger in still_open
        assert still_open.count < 64
        assert not result.report.rejected


@pytest.mark.parametrize("seed", SEEDS)
def test_no_rule_closes_the_trigger(seed: int) -> None:
    """Its open states are said to be done, run, or to emit anything but LAUNCH."""
    network, graph, result = planted(seed)
    if result.certificate is None:
        pytest.skip("falsified before there was a proof")
    certificate = Certificate.from_bytes(result.certificate)
    kase = Case(PROBLEM, graph, SLOTS, certificate, ({network.trigger},))
    size = len(PROBLEM.vocabulary)
    others = tuple(range(size - 1))
    every = Tree(Step(Rule.CASES, tokens=others), [Tree(Step(Rule.DONE)) for _ in others])
    beaten = replace(every.step, beaters=others)
    claims = [Tree(Step(Rule.DONE)), Tree(Step(Rule.RUN)), every, Tree(beaten, every.parts)]
    claims.append(Tree(beaten, [every] * len(others)))
    for claim in claims:
        proofs = kase.proofs()
        for node in itertools.chain.from_iterable(proof.nodes() for proof in proofs):
            if node.step.rule is Rule.OPEN:
                node.become(claim)
        changed = kase.claim(proofs)
        assert not accepted(changed, graph)
        assert kase.closed(kase.report(changed)) is None


@pytest.mark.parametrize("seed", SEEDS)
def test_the_proof_of_a_network_without_the_trigger(seed: int) -> None:
    """Accepted for its own network; for the other neither as it is nor with the other's digest."""
    own, certificate = harmless(seed)
    _, other, _ = planted(seed)
    assert accepted(certificate, own)
    with pytest.raises(CertificateError, match="another network"):
        check_decode(certificate, {SLOTS: other})
    assert not accepted(replace(certificate, graph=graphs_digest({SLOTS: other})), other)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_proof_of_a_network_with_other_logits(seed: int) -> None:
    """LAUNCH exchanged with the token that is emitted most, in the last layer alone."""
    own, certificate = harmless(seed)
    size = len(PROBLEM.vocabulary)
    prompts = np.array(list(itertools.product(range(size), repeat=SLOTS)))
    written = Decoder(own, PROBLEM).decode(prompts).tokens
    often = int(np.bincount(written[:, 0], minlength=size).argmax())
    order = np.arange(size)
    order[[often, size - 1]] = order[[size - 1, often]]
    nodes, last = list(own.nodes), {port.node for port in own.outputs}
    for place in last:
        consts = {name: Constant(c.value[..., order]) for name, c in nodes[place].consts.items()}
        nodes[place] = replace(nodes[place], consts=consts)
    other = replace(own, nodes=tuple(nodes))
    assert any(clear(other, PROBLEM))
    assert not accepted(replace(certificate, graph=graphs_digest({SLOTS: other})), other)
