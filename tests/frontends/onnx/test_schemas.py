"""Every op of the front-end x versions, operands and attribute values, against onnxruntime.

The cases come out of the operators' schemas (``schemas``): an op, or an attribute, that the schemas
have and the generator does not, fails.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import schemas

from absint.frontends.onnx.registry import MAX_OPSET, RULES

SAMPLED = 3
OPS = pytest.mark.parametrize("op", schemas.every())


def test_every_op_is_generated_or_tested_elsewhere() -> None:
    assert schemas.TABLE.keys() | schemas.ELSEWHERE.keys() == RULES.keys()
    assert not schemas.TABLE.keys() & schemas.ELSEWHERE.keys()


@OPS
def test_every_attribute_has_values(op: str) -> None:
    row = schemas.TABLE[op]
    for opset, schema in schemas.versions(op).items():
        assert opset <= MAX_OPSET
        for name in schema.attributes:
            given = {*row.tries, *row.needs}
            assert name in given or (op, name) in schemas.WITHOUT_VALUES, (opset, name)


@OPS
def test_every_version_has_operands(op: str) -> None:
    assert {case.opset for case in schemas.cases(op)} == schemas.versions(op).keys()


def judged(cases: list[schemas.Case], folder: Path) -> list[schemas.Verdict]:
    verdicts = [schemas.verdict(case, folder) for case in cases]
    assert [f"{v.case}: {v.reason}" for v in verdicts if v.outcome == "failed"] == []
    for v in verdicts:
        if v.outcome == "refused":
            listed = schemas.REFUSED.get(v.case.op, {})
            assert any(text in v.reason for text in listed), f"{v.case}: {v.reason}"
            assert "the_node" in v.reason, "a refusal names the node"
    return verdicts


@OPS
def test_some_cases(op: str, tmp_path: Path) -> None:
    cases = list(schemas.cases(op))
    rng = np.random.default_rng(len(op))
    chosen = rng.choice(len(cases), min(SAMPLED, len(cases)), replace=False)
    judged([cases[i] for i in chosen], tmp_path)


@pytest.mark.full
@OPS
def test_all_cases(op: str, tmp_path: Path) -> None:
    """No case fails, some agree, and every refusal that is listed happens."""
    verdicts = judged(list(schemas.cases(op)), tmp_path)
    assert any(v.outcome == "agrees" for v in verdicts)
    said = [v.reason for v in verdicts if v.outcome == "refused"]
    for text in schemas.REFUSED.get(op, {}):
        assert any(text in reason for reason in said), f"no longer refused: {text}"
