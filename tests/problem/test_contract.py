"""The contract's numbers against the runtimes that it names."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from floatruns import RUNS, Elementwise

from absint.ir import OPS
from absint.problem import Semantics
from absint.problem.contract import FLOAT32

ROOT = Path(__file__).parents[2]
SPARE = 0.8
"""No measured error is more than this part of what the contract allows: others may do worse."""

each = pytest.mark.parametrize("run", RUNS, ids=lambda run: run.name)


def worst(run: Elementwise, count: int) -> float:
    """The largest error of all runtimes, as a part of what the contract allows."""
    x = run.sample(np.random.default_rng(1), count)
    row, exact, wide = FLOAT32.elementwise[run.op], run.exact(x), np.abs(x.astype(np.float64))
    power = run.core.get("exponent", 1)
    assert isinstance(power, int)
    allowed = row.absolute + power * row.relative * np.abs(exact) + row.argument * wide
    allowed = FLOAT32.unit * allowed + FLOAT32.flush
    shares = []
    for found in run.runs(x).values():
        known = ~np.isnan(found)
        assert known.any()
        shares.append(float(np.max((np.abs(found - exact) / allowed)[known])))
    return max(shares)


@each
def test_every_runtime_is_within_the_contract(run: Elementwise) -> None:
    assert worst(run, 40_000) <= SPARE


@pytest.mark.full
@each
def test_every_runtime_is_within_the_contract_densely(run: Elementwise) -> None:
    assert worst(run, 4_000_000) <= SPARE


def test_every_elementwise_op_is_measured() -> None:
    assert {run.op for run in RUNS} == set(FLOAT32.elementwise)
    assert set(FLOAT32.elementwise) == {n for n, op in OPS.items() if op.univariate is not None}


def test_the_runtimes_measured_are_those_named() -> None:
    named = " ".join(FLOAT32.runtimes)
    assert f"onnxruntime {onnxruntime.__version__} " in named
    assert f"PyTorch {torch.__version__.split('+')[0]} " in named


def test_every_op_has_a_bound() -> None:
    assert not [op for op in OPS if not FLOAT32.covers(op)]


def test_the_digest_is_of_all_of_it_and_does_not_change_unnoticed() -> None:
    """A change of the contract changes what certificates claim: it needs a new version."""
    data = json.loads(FLOAT32.to_json())
    assert set(data) == set(FLOAT32.__dataclass_fields__)
    assert (FLOAT32.version, FLOAT32.digest()[:16]) == (2, DIGEST)
    assert Semantics("float32").contract is FLOAT32
    assert Semantics("real").contract is None


DIGEST = "885dde9a7cfcdf5a"


def test_what_is_not_covered_is_in_the_documents() -> None:
    for page in ("docs/spec.md", "README.md"):
        text = " ".join(re.sub(r"[`*]", "", (ROOT / page).read_text()).split()).replace(";", "")
        for item in FLOAT32.excluded:
            assert item.replace(";", "") in text, (page, item)
