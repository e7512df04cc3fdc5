"""Bounds that end with a deadline."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from enumerated import case

from absint.decode.timed import OutOfTimeError, TimedBounds, require_time
from absint.problem.outlook import Outlook
from absint.proofs.decode.check import StepBounds
from absint.proofs.decode.state import Rules
from absint.search.options import Deadline


@dataclass
class Looks:
    """A deadline that is over after so many looks at it."""

    count: int

    def left(self) -> float:
        self.count -= 1
        return float(self.count >= 0)


@pytest.mark.parametrize("seed", range(3))
def test_they_are_the_same_until_then_and_end_wherever_they_are(seed: int) -> None:
    problem, graph, slots = case(seed)
    plain = StepBounds(problem, graph, slots)
    state = Rules(problem, problem.cells[0], Outlook(problem)).root()
    beaters = [[min(problem.emitted(0))]]
    expected, looks = plain.possible([state], beaters), Looks(10**9)
    assert TimedBounds(plain, looks).possible([state], beaters) == expected
    needed = 10**9 - looks.count
    assert needed > len(graph.nodes) // 2
    for count in range(0, needed, 1 + needed // 8):
        looks = Looks(count)
        with pytest.raises(OutOfTimeError):
            TimedBounds(plain, looks).possible([state], beaters)
        assert looks.count == -1
    assert plain.possible([state], beaters) == expected


def test_no_time() -> None:
    require_time(Deadline.after(60.0))
    with pytest.raises(OutOfTimeError):
        require_time(Deadline.after(0.0))
