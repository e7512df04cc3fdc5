"""No bug of the search or the domains makes the checker accept something false."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence

import pytest
from redteam.injected import Bug, bugs, reached, run

COUNT, FEW = 100, 2


def outcomes(chosen: Sequence[Bug]) -> Counter[str]:
    """What bugs come to; fails where a false proof is accepted."""
    tally: Counter[str] = Counter()
    for bug in chosen:
        results = run(bug)
        for found in results:
            assert not found["accepted"], bug
            assert found["verdict"] != "verified", bug
        tally["crashed"] += any("error" in found for found in results) or not results
        tally["refused by the checker"] += any(found["refused"] for found in results)
        tally["run"] += 1
    return tally


def test_some_bugs_prove_nothing_false() -> None:
    chosen = random.Random(0).sample(bugs(), FEW)
    assert outcomes(chosen)["run"] == FEW


def test_the_properties_are_open_to_a_search_without_a_bug() -> None:
    results = run(None)
    assert results
    for found in results:
        assert found["verdict"] == "unknown"
        assert "error" not in found


@pytest.mark.full
def test_a_hundred_bugs_prove_nothing_false() -> None:
    tally = outcomes(random.Random(0).sample(reached(), COUNT))
    print(dict(tally))
    assert tally["refused by the checker"] >= COUNT // 20, "the checker was not put to the test"
