"""docs/operators.md says what the tables say."""

from __future__ import annotations

import operators

from absint.frontends.onnx.registry import RULES


def test_the_page_is_written_out_of_the_tables() -> None:
    assert operators.PAGE.read_text() == operators.page(), "run: python tests/operators.py"


def test_limits_are_of_ops_in_the_table() -> None:
    assert set(operators.LIMITS) <= set(RULES)
