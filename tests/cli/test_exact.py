"""`check --exact`: leaves once more, in rationals."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cli.problems import MODEL, SAFE, Run

from absint.proofs.exact.check import ExactClaims


def test_a_sample_of_the_leaves(run: Run, tmp_path: Path) -> None:
    assert run("verify", MODEL, "--region", SAFE).code == 0
    command = ("check", "safe.cert", "--model", MODEL, "--region", SAFE)
    outcome = run(*command, "--exact", "--sample", "2", "--seed", "7")
    assert (outcome.code, "again in rationals: 2 of " in outcome.out) == (0, True)
    document = json.loads(run(*command, "--exact", "--sample", "1", "--format", "json").out)
    assert document["exact"] == {"leaves": document["leaves"], "checked": 1}


def test_a_leaf_that_does_not_hold_in_rationals_is_a_rejection(run: Run, tmp_path: Path) -> None:
    """Which cannot be where the rigorous bounds hold: so one is made up."""
    assert run("verify", MODEL, "--region", SAFE).code == 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ExactClaims, "hold", lambda claims, leaf: leaf.ordinal != 3)
        outcome = run("check", "safe.cert", "--model", MODEL, "--region", SAFE, "--exact")
    assert outcome.code == 1
    assert "leaf 3 of cell 0 does not hold in rationals" in outcome.out


def test_options_that_do_not_go_together(run: Run) -> None:
    files = ("--model", MODEL, "--region", SAFE)
    assert run("check", "safe.cert", *files, "--sample", "3").code == 2
    assert run("check", "--leaves", "boxes.csv", "--exact", *files).code == 2
