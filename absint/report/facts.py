"""What a report says of one result, as plain data: the one source of all styles."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from absint.api import Task
from absint.problem import LinearConstraint, violated
from absint.proofs.format import Certificate, digest
from absint.report.units import Units
from absint.search.confirm import Confirmation, confirm
from absint.search.result import Result


@dataclass(frozen=True)
class Margin:
    """A constraint of the conjunction that holds: its left side minus its bound, exactly.

    None where an output is not finite.
    """

    row: LinearConstraint
    value: Fraction | None


def confirmation(task: Task, result: Result) -> Confirmation | None:
    """The counterexample replayed on both settings of the runtime, and in real arithmetic."""
    if result.counterexample is None:
        return None
    return confirm(
        result.problem,
        task.model.graph,
        result.counterexample,
        task.run,
        task.runtime(optimised=True).run,
    )


def result_facts(task: Task, result: Result, certificate: Path | None) -> dict[str, Any]:
    """One property's result, ready for JSON."""
    effort, coverage = result.effort, result.coverage
    facts: dict[str, Any] = {
        "property": result.name,
        "verdict": result.verdict.value,
        "search_seconds": round(effort.search_seconds, 3),
        "check_seconds": round(effort.check_seconds, 3),
        "nodes": effort.nodes,
        "reason": result.reason,
        "open_share": None,
        "certificate": None,
        "counterexample": None,
    }
    if result.certificate is not None and coverage is not None:
        facts["open_share"] = coverage.mean_open_share()
        facts["certificate"] = {
            "path": None if certificate is None else str(certificate),
            "sha256": digest(result.certificate),
            "bytes": len(result.certificate),
            "proof_bytes": sum(map(len, Certificate.from_bytes(result.certificate).proofs)),
            "leaves": coverage.leaves,
            "open_leaves": coverage.open_leaves,
            "open_share_exact": not coverage.at_most,
            "accepted": result.check is not None and result.check.accepted,
        }
    found = confirmation(task, result)
    if found is not None and result.counterexample is not None:
        facts["counterexample"] = confirmation_facts(task, result, found)
    return facts


def confirmation_facts(task: Task, result: Result, found: Confirmation) -> dict[str, Any]:
    """A counterexample, ready for JSON. ``input`` is in the spec's units."""
    units = Units.of(task)
    facts = {
        "input": dict(zip(units.inputs, units.raw(found.x).tolist(), strict=True)),
        "output": dict(zip(units.outputs, found.y.tolist(), strict=True)),
        "constraints": [
            {
                "constraint": units.phrase(margin.row),
                "margin": None if margin.value is None else _float(margin.value),
                "margin_exact": None if margin.value is None else _digits(margin.value),
            }
            for margin in margins(result, found)
        ],
        "runtime": task.runtime_name,
        "catastrophic": found.catastrophic,
        "catastrophic_with_default_optimisations": found.catastrophic_default,
        "real_arithmetic": found.real.value,
    }
    if units.mean:
        facts["network_input"] = found.x.tolist()
    return facts


def margins(result: Result, found: Confirmation) -> list[Margin]:
    """The constraints of the conjunction that holds, or of the one that is nearest to it."""
    assert result.counterexample is not None
    cell = result.problem.cells[result.counterexample.cell]
    x, y = found.x.tolist(), found.y.tolist()
    each = [[Margin(row, _value(row, x, y)) for row in rows] for rows in cell.catastrophe]
    holding = violated(cell, found.x, found.y)
    return each[holding] if holding is not None else min(each, key=_furthest)


def _furthest(margins: Sequence[Margin]) -> Fraction:
    return max(margin.value or Fraction(0) for margin in margins)


def _float(value: Fraction) -> float:
    """The nearest float; infinite beyond all of them."""
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def _digits(value: Fraction) -> str | None:
    """All digits; None where they are more than Python writes."""
    try:
        return str(value)
    except ValueError:
        return None


def _value(row: LinearConstraint, x: Sequence[float], y: Sequence[float]) -> Fraction | None:
    if not np.isfinite(y).all():
        return None
    return row.value([Fraction(v) for v in x], [Fraction(v) for v in y])
