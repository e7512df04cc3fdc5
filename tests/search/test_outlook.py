"""How much work is left, in cases where that is known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from absint.search.outlook import LEAST_SHARE, outlook, share


@pytest.mark.parametrize("levels", [1, 3, 10])
def test_a_whole_tree_has_as_many_leaves_as_its_levels_say(levels: int) -> None:
    """Each level gains 1, and the sets at depth 2 still miss by ``levels``."""
    count = 4
    score, depth = np.full(count, -float(levels)), np.full(count, 2.0)
    assert outlook(score, depth, -levels - 2.0) == pytest.approx(levels + math.log2(count))


def test_splits_that_gain_nothing_have_no_end() -> None:
    assert outlook(np.array([-1.0]), np.array([5.0]), -1.0) == math.inf


@pytest.mark.parametrize("depth", [[], [0.0]])
def test_before_any_split_nothing_is_known(depth: list[float]) -> None:
    assert math.isnan(outlook(-np.ones(len(depth)), np.array(depth), -1.0))


def test_the_better_outlook_gets_more_and_the_worse_one_something() -> None:
    assert share(3.0, math.nan) == share(math.nan, 3.0) == share(2.0, 2.0) == 0.5
    for own, other in ((10.0, 11.0), (10.0, 50.0), (10.0, math.inf)):
        assert share(own, other) + share(other, own) == pytest.approx(1.0)
        assert 0 < share(other, own) <= LEAST_SHARE
    assert share(50.0, 10.0) < share(11.0, 10.0)
