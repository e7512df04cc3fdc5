"""Regions proved by running their texts, against plain decoding of every prompt."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from enumerated import BINDING, case, violations

from absint.decode.enumerate import Enumeration
from absint.decode.greedy import Decoder
from absint.decode.tree import Branch, Shared, to_bytes
from absint.problem.decode import DecodeProblem
from absint.problem.outlook import Outlook
from absint.problem.promptset import PromptSpace
from absint.proofs.decode.check import DecodeReport, StepBounds, check_decode, graphs_digest
from absint.proofs.decode.state import Rules
from absint.proofs.format import Certificate
from absint.search.options import Deadline

NOW, LONG = Deadline.after(0.0), Deadline.after(1e6)


@dataclass
class Looks:
    """A deadline that is over after so many looks at it."""

    count: int

    def left(self) -> float:
        self.count -= 1
        return float(self.count >= 0)


class Region:
    def __init__(self, seed: int) -> None:
        self.problem, self.graph, self.slots = case(seed)
        self.bounds = StepBounds(self.problem, self.graph, self.slots)
        self.decoder = Decoder(self.graph, self.problem)

    def enumeration(self, cell: int, deadline: Deadline = LONG, jobs: int = 1) -> Enumeration:
        rules = Rules(self.problem, self.problem.cells[cell], Outlook(self.problem))
        return Enumeration(rules, self.bounds, self.decoder, deadline, jobs)

    def all(self, cell: int, space: PromptSpace | None = None):
        space = space or PromptSpace(self.slots)
        return space.of_cell(self.problem, self.problem.cells[cell])

    def report(self, proofs: list[bytes]) -> DecodeReport:
        graphs = {self.slots: self.graph}
        digest = graphs_digest(graphs)
        claim = Certificate(BINDING.model, BINDING.spec, digest, self.problem, tuple(proofs))
        return check_decode(claim, graphs)


def tree(problem: DecodeProblem, root: Branch, shared: list[Shared]) -> bytes:
    return to_bytes(root, shared, len(problem.vocabulary))


@pytest.mark.parametrize("box", [1, 3, 4096])
@pytest.mark.parametrize("seed", range(300, 320))
def test_exactly_the_violating_prompts_stay_open(
    seed: int, box: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("absint.decode.enumerate.BOX", box)
    region, proofs, suspects = Region(seed), [], []
    for index in range(len(region.problem.cells)):
        work = region.enumeration(index, jobs=1 + seed % 2)
        root = Branch(work.rules.root())
        suspects.append({tuple(p) for bad in work.run(root, region.all(index).root) for p in bad})
        proofs.append(tree(region.problem, root, []))
    expected = violations(region.graph, region.problem)
    report = region.report(proofs)
    assert suspects == expected
    assert not report.rejected
    assert [set(left) for left in report.open_prompts] == expected


@pytest.mark.parametrize("seed", range(320, 335))
def test_only_what_another_proof_leaves_is_run(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other proof leaves open what has the least token in the last slot."""
    monkeypatch.setattr("absint.decode.enumerate.BOX", 2)
    region, proofs = Region(seed), []
    for index, cell in enumerate(region.problem.cells):
        first = region.enumeration(index)
        old = Branch(first.rules.root())
        list(first.run(old, region.all(index).root))
        work = region.enumeration(index)
        whole = Shared(old.state, old)
        work.whole = whole
        root = Branch(old.state)
        last = region.slots - 1
        some = region.all(index).restrict(last, frozenset({min(cell.slots[last])}))
        list(work.run(root, some.root))
        assert work.texts <= first.texts
        proofs.append(tree(region.problem, root, [whole]))
    report = region.report(proofs)
    assert not report.rejected
    assert [set(left) for left in report.open_prompts] == violations(region.graph, region.problem)


def test_what_the_deadline_leaves_stays_open() -> None:
    region = Region(300)
    work = region.enumeration(0, NOW)
    root = Branch(work.rules.root())
    assert list(work.run(root, region.all(0).root)) == []
    assert work.texts == 0
    open_ = region.report([tree(region.problem, root, [])] * len(region.problem.cells))
    assert open_.open_count == open_.prompts


@pytest.mark.parametrize("looks", range(1, 12))
def test_a_box_that_the_deadline_cuts_off_stays_open(
    looks: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After any number of looks at the time: what is run is proved, nothing else is."""
    monkeypatch.setattr("absint.decode.enumerate.BOX", 8)
    monkeypatch.setattr("absint.decode.enumerate.PART", 2)
    region, told = Region(301), []
    work = region.enumeration(0)
    work.deadline, work.progress = Looks(looks), told.append
    root, proofs = Branch(work.rules.root()), []
    list(work.run(root, region.all(0).root))
    proofs = [tree(region.problem, root, [])] * len(region.problem.cells)
    report = region.report(proofs)
    assert not report.rejected
    left, bad = set(report.open_prompts[0]), violations(region.graph, region.problem)[0]
    assert bad <= left
    assert len(left - bad) >= region.all(0).count - work.texts
    assert [moment.texts for moment in told][-1:] == [work.texts] * bool(told)


def test_close_calls_are_run_rigorously(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("absint.decode.enumerate.CLOSE", np.inf)
    region = Region(301)
    monkeypatch.setattr(
        region.bounds.runs, "harmless_texts", lambda _, texts: np.zeros(len(texts), dtype=bool)
    )
    work = region.enumeration(0)
    root = Branch(work.rules.root())
    list(work.run(root, region.all(0).root))
    proofs = [tree(region.problem, root, [])] * len(region.problem.cells)
    found = region.report(proofs).open_prompts[0]
    assert found.count == region.all(0).count
