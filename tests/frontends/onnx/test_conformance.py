"""The public conformance models, for every op in the table."""

from __future__ import annotations

import conformance
import pytest

from absint.frontends.onnx.registry import RULES

NO_PASS = {
    "GlobalLpPool": "there is no case",
    "IsNaN": "its cases hold NaN, which no network may",
}


@pytest.mark.parametrize("op", sorted(RULES))
def test_no_case_of_an_op_in_the_table_fails(op: str) -> None:
    verdicts = [conformance.run(case) for case in conformance.cases()[op]]
    assert [v for v in verdicts if v.outcome == "failed"] == []
    assert all(v.reason for v in verdicts if v.outcome == "skipped")
    assert any(v.outcome == "passed" for v in verdicts) is not (op in NO_PASS)
