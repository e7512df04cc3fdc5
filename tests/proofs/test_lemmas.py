"""Every rule and op of the checker rests on a lemma that z3 proves, or on a section of rigor.md."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import z3

from absint.proofs.check import KNOWN_OPS
from absint.proofs.decode.stream import Rule as DecodeRule
from absint.proofs.lemmas import LEMMAS, Lemma, satisfied
from absint.proofs.lemmas.written import WRITTEN
from absint.proofs.stream import Rule

RIGOR = Path(__file__).parents[2] / "docs" / "rigor.md"
CHECKED = (
    {f"op:{name}" for name in KNOWN_OPS}
    | {f"rule:{rule.name.lower()}" for rule in Rule}
    | {f"rule:decode.{rule.name.lower()}" for rule in DecodeRule}
) - {"rule:open", "rule:decode.open"}
"""OPEN claims nothing."""

each_lemma = pytest.mark.parametrize("lemma", LEMMAS, ids=lambda lemma: lemma.name)


@each_lemma
def test_lemma_holds(lemma: Lemma) -> None:
    assert lemma.refuted_by() is None


@each_lemma
def test_premises_can_be_met_and_are_needed(lemma: Lemma) -> None:
    premises, conclusion = lemma.claim()
    assert satisfied(premises) is not None
    for i, premise in enumerate(premises):
        others = premises[:i] + premises[i + 1 :]
        assert satisfied([*others, z3.Not(conclusion)]) is not None, premise


def test_every_rule_has_a_proof() -> None:
    covered = frozenset().union(*(lemma.covers for lemma in LEMMAS)) | WRITTEN.keys()
    assert covered == CHECKED


def test_the_written_proofs_exist() -> None:
    sections = {int(number) for number in re.findall(r"^## (\d+)\. ", RIGOR.read_text(), re.M)}
    assert set(WRITTEN.values()) <= sections


def test_names_are_unique() -> None:
    assert len({lemma.name for lemma in LEMMAS}) == len(LEMMAS)
