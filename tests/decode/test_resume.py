"""Proofs that go on from earlier ones: the same bytes, more decided, never more than is true."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest
from decodeproofs import Case, Tree, detected, proved
from enumerated import BINDING

from absint.decode import resume
from absint.decode.greedy import Decoder
from absint.decode.prove import prove_decode
from absint.decode.result import DecodeResult
from absint.decode.resume import from_bytes, set_apart, undecided
from absint.decode.search import Effort
from absint.decode.tree import Branch, Shared, to_bytes
from absint.problem import InputError
from absint.problem.outlook import Outlook
from absint.problem.pieces import Box
from absint.problem.promptset import PromptSpace
from absint.proofs.decode.state import Rules
from absint.proofs.decode.stream import Rule, Step
from absint.proofs.format import Certificate
from absint.search.options import SearchOptions
from absint.search.result import Verdict

SEEDS = (2, 4, 6, 9, 14, 22, 26, 0, 5, 8)
Make = Callable[[int], Case]


@dataclass
class Looks:
    """A deadline that is over after so many looks at it."""

    count: int

    def left(self) -> float:
        self.count -= 1
        return 100.0 if self.count >= 0 else 0.0


def rules_of(case: Case, cell: int) -> Rules:
    return Rules(case.problem, case.problem.cells[cell], Outlook(case.problem))


def prove(
    case: Case, patch: pytest.MonkeyPatch, looks: int, earlier: Certificate | None = None
) -> DecodeResult:
    """By bounds alone, and the search ends after so many looks at the time."""

    class Clock:
        @staticmethod
        def after(seconds: float) -> Looks:
            return Looks(looks)

    patch.setattr("absint.decode.prove.Deadline", Clock)
    patch.setattr("absint.decode.prove.TimedBounds", lambda bounds, deadline: bounds)
    for name in ("ATTACKS", "SUSPECTS", "SMALL"):
        patch.setattr(f"absint.decode.prove.{name}", 0)
    patch.setattr("absint.decode.prove._Proof._enumerate", lambda self, cell: False)
    decoder = Decoder(case.graph, case.problem)
    return prove_decode(
        {case.slots: case.graph},
        case.problem,
        BINDING,
        lambda _: decoder.decode,
        SearchOptions(timeout=60),
        resume=earlier,
    )


def certificate(result: DecodeResult) -> Certificate:
    assert result.certificate is not None
    return Certificate.from_bytes(result.certificate)


@pytest.mark.parametrize(("make", "seed"), [*((proved, s) for s in SEEDS), (detected, 534)])
def test_a_proof_that_is_read_is_written_the_same(make: Make, seed: int) -> None:
    case = make(seed)
    for cell, data in enumerate(case.certificate.proofs):
        root, shared = from_bytes(data, rules_of(case, cell))
        assert to_bytes(root, shared, len(case.problem.vocabulary)) == data
        still_open = [n for n in case.proofs()[cell].nodes() if n.step.rule is Rule.OPEN]
        assert len(undecided(root, shared)) == len(still_open)


@pytest.mark.parametrize(("make", "seed"), [(proved, 2), (proved, 4), (detected, 534)])
def test_step_by_step(make: Make, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut off again and again, a search decides more each time, and no prompt that violates."""
    case, earlier = make(seed), None
    decided, opened = [], []
    for _ in range(6):
        result = prove(case, monkeypatch, 3, earlier)
        assert result.report is not None
        assert not result.report.rejected
        for found, bad in zip(result.report.open_prompts, case.bad, strict=True):
            assert bad <= set(found)
        decided.append(result.report.steps)
        opened.append(result.report.open_count)
        earlier = certificate(result)
    assert decided == sorted(set(decided))
    assert opened == sorted(opened, reverse=True)
    assert opened[-1] < opened[0]


def test_a_property_that_holds_is_verified_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    case = proved(24)
    assert not any(case.bad)
    first = prove(case, monkeypatch, 2)
    assert first.verdict is Verdict.UNKNOWN
    assert prove(case, monkeypatch, 2, certificate(first)).verdict is Verdict.VERIFIED


@pytest.mark.parametrize("seed", [2, 4, 6, 9])
def test_what_an_effort_leaves_open_is_set_apart(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With little effort some prompts are proved; the next proof builds on that."""
    case, few = proved(seed), (Effort(0, 1),)
    monkeypatch.setattr("absint.decode.prove.EFFORTS", few)
    first = prove(case, monkeypatch, 10_000)
    monkeypatch.undo()
    again = prove(case, monkeypatch, 10_000, certificate(first))
    assert first.report is not None
    assert again.report is not None
    assert not again.report.rejected
    assert again.report.open_count <= first.report.open_count
    for found, bad in zip(again.report.open_prompts, case.bad, strict=True):
        assert bad <= set(found)


@pytest.mark.parametrize("most", [1, 5, 512])
def test_parts_hold_what_is_set_apart(most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each prompt is in one part or in the whole; where there is room, parts hold no other."""
    monkeypatch.setattr(resume, "MOST", most)
    case, rng = proved(2), random.Random(1)
    rules = rules_of(case, 0)
    state = rules.root()
    space, sets = PromptSpace(rules.slots), [rules.tokens(mask) for mask in state.sets]
    every = list(itertools.product(*sets))
    for count in (1, 2, len(every) // 3, len(every) - 1):
        chosen = set(rng.sample(every, count))
        left = space.union([space.product([frozenset([t]) for t in p]) for p in sorted(chosen)])
        root = Branch(state)
        whole = Shared(state, Branch(state))
        parts = set_apart(root, left, rules, whole)
        leaves = [b for b in nodes(root) if not b.children]
        assert {id(b) for b in leaves if b.goal is None} == {id(b) for b in parts}
        assert all(b.goal in (None, whole) for b in leaves)
        for prompt in every:
            (own,) = [b for b in leaves if prompt in Box(b.state.sets)]
            assert own.goal is None or prompt not in chosen
            assert most < 512 or (own.goal is None) == (prompt in chosen)
        assert len(parts) <= max(1, most)


def nodes(root: Branch) -> list[Branch]:
    return [root, *(below for child in root.children for below in nodes(child))]


def test_a_certificate_of_something_else() -> None:
    case, other = proved(2), proved(4)
    patch = pytest.MonkeyPatch()
    with patch.context() as own, pytest.raises(InputError, match="is of another proof"):
        prove(case, own, 10, other.certificate)
    with patch.context() as own, pytest.raises(InputError, match="is of another proof"):
        prove(case, own, 10, replace(case.certificate, proofs=()))


def test_a_proof_that_breaks_a_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    case = proved(2)
    proofs = case.proofs()
    for node in proofs[0].nodes():
        if node.step.rule is Rule.OPEN:
            node.become(Tree(Step(Rule.DONE)))
    with pytest.raises(InputError, match="cannot be resumed: the catastrophe can still"):
        prove(case, monkeypatch, 10, case.claim(proofs))


@pytest.mark.parametrize("seed", [2, 4, 9, 14, 22])
def test_a_forged_proof_proves_nothing(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another token is said to be the only one that is emitted: the checker sees it in the end."""
    case, forged = proved(seed), 0
    proofs, steps = case.proofs(), range(case.problem.steps)
    allowed = frozenset.intersection(*map(case.problem.emitted, steps))
    for node in [node for proof in proofs for node in proof.nodes()]:
        others = sorted(allowed.difference(node.step.tokens))
        if node.step.rule is Rule.CASES and others:
            claim = Step(Rule.CASES, tokens=(others[0],), beaters=(others[0],))
            node.become(Tree(claim, [Tree(Step(Rule.OPEN))]))
            forged += 1
    assert forged
    result = prove(case, monkeypatch, 10_000, case.claim(proofs))
    assert result.verdict is Verdict.UNKNOWN
    assert result.report is not None
    assert result.report.rejected
