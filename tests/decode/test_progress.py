"""What a running proof about a network that decodes says of itself."""

from __future__ import annotations

import io
import sys

import pytest
from enumerated import BINDING, case, violations

from absint.cli.progress import ProgressLine
from absint.decode.greedy import Decoder
from absint.decode.prove import prove_decode
from absint.decode.status import Bounding, Checking, Running
from absint.search.options import SearchOptions


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def told(seed: int, bounds_first: bool) -> list[object]:
    problem, graph, slots = case(seed)
    assert not any(violations(graph, problem))
    moments: list[object] = []
    options = SearchOptions(timeout=60, progress=moments.append)
    decoder = Decoder(graph, problem)
    graphs = {slots: graph}
    prove_decode(graphs, problem, BINDING, lambda _: decoder.decode, options, bounds_first)
    return moments


def test_a_search_by_bounds() -> None:
    moments = told(92, bounds_first=True)
    steps = [moment.step for moment in moments if isinstance(moment, Bounding)]
    assert len(set(steps)) > 1
    assert isinstance(moments[-1], Checking)
    last = [moment for moment in moments if isinstance(moment, Bounding)][-1]
    assert (last.step, last.waiting) == (last.steps, 0)


def test_texts_that_are_run() -> None:
    moments = [moment for moment in told(92, bounds_first=False) if isinstance(moment, Running)]
    assert moments
    assert all(moment.texts > 0 for moment in moments)


def test_the_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    line = ProgressLine("spec.yaml")
    line.search(Bounding(2, 17, 40, 3))
    assert terminal.getvalue() == "\r  spec.yaml: step 2 of 17: 40 cases, 3 states wait"
    line.clear()
    assert terminal.getvalue().endswith("\r")
    assert str(Running(4096, 18278)) == "4096 of 18278 prompts run one by one"
    assert str(Checking(128)) == "checking: 128 cases"
