"""States are called as the spec calls them: compared with what its machines are for, by texts."""

from __future__ import annotations

import functools
import random
from dataclasses import replace
from pathlib import Path

import pytest

from absint.frontends.spec.decode import decode_spec
from absint.problem import ProblemError
from absint.problem.decode import DecodeProblem

EXAMPLES = Path(__file__).parents[3] / "examples"
WORTH = {"zero": 0, "one": 1, "two": 2}


@functools.cache
def problem(path: str, number: int = 0) -> DecodeProblem:
    return decode_spec(EXAMPLES / path).problems[number]


@pytest.mark.parametrize("seed", range(40))
def test_the_severity_of_the_monitor(seed: int) -> None:
    """``ok`` to ``boot`` count nothing, ``warn`` to ``retry`` one, ``fail`` and ``crash`` two."""
    found, rng = problem("monitor/safe_8.yaml"), random.Random(seed)
    (index,) = found.machines_of("prompt")
    text = [rng.randrange(10) for _ in range(rng.randrange(5))]
    total = sum((token >= 5) + (token >= 8) for token in text)
    name = found.state_names[index][found.machines[index].run(text)]
    assert name == "severity " + {v: k for k, v in WORTH.items()}.get(total, "three")


@pytest.mark.parametrize("seed", range(20))
def test_the_largest_of_four(seed: int) -> None:
    found, rng = problem("max_of_k/max_of_4.yaml"), random.Random(seed)
    (index,) = found.machines_of("prompt")
    text = [rng.randrange(64) for _ in range(1 + seed % 4)]
    assert found.state_names[index][found.machines[index].run(text)] == f"largest {max(text)}"


def test_states_that_were_joined_have_both_names(tmp_path: Path) -> None:
    spec = tmp_path / "spec.yaml"
    spec.write_text("""\
decode:
  vocabulary: [a, b, c]
  prompt: .{3}
  steps: 1
  machines: {last: {reads: prompt, last: '[a b]'}}
never:
  all:
    - {machine: last, is: a}
    - {output: c}
""")
    (found,) = decode_spec(spec).problems
    (index,) = found.machines_of("prompt")
    assert sorted(found.state_names[index]) == ["last a", "last none|b"]
    (other,) = found.machines_of("output")
    assert found.state_names[other] == ()


def test_without_named_machines_there_are_no_names() -> None:
    assert problem("monitor/safe_8.yaml", 1).state_names == ()


def test_names_must_fit_the_machines() -> None:
    found = problem("monitor/safe_8.yaml")
    for names in (found.state_names[:1], tuple(own[:-1] for own in found.state_names)):
        with pytest.raises(ProblemError, match="names of states do not fit"):
            replace(found, state_names=names)
