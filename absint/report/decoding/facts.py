"""What a report says of one decoding result, as plain data: the one source of all styles."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from absint.decode.result import DecodeResult
from absint.decode.task import DecodeTask
from absint.problem.decode import DecodeProblem
from absint.proofs.format import Certificate, digest
from absint.report.decoding import counts, words
from absint.report.decoding.transcript import Replayed, replayed

OPEN_SHOWN = 5


def result_facts(
    task: DecodeTask, result: DecodeResult, certificate: Path | None
) -> dict[str, Any]:
    """One property's result, ready for JSON. Counts of prompts are texts: they may be large."""
    effort, problem = result.effort, result.problem
    total = counts.of_problem(problem)
    facts: dict[str, Any] = {
        "property": result.name,
        "verdict": result.verdict.value,
        "search_seconds": round(effort.search_seconds, 3),
        "check_seconds": round(effort.check_seconds, 3),
        "cases": effort.nodes,
        "reason": result.reason,
        "prompts": counts.digits(total),
        "prompts_product": counts.product(problem),
        "certified_prompts": None,
        "open_prompts": None,
        "open_examples": [],
        "certificate": None,
        "counterexample": None,
    }
    if result.report is not None:
        found = counts.still_open(result.report)
        left = sum(one.count for one in found)
        facts["open_prompts"] = counts.digits(left)
        if not result.report.rejected:
            facts["certified_prompts"] = counts.digits(max(0, total - left))
        facts["open_examples"] = [
            names(problem, prompt) for prompt in counts.first(found, OPEN_SHOWN)
        ]
    if result.certificate is not None:
        facts["certificate"] = _certificate_facts(result, certificate)
    if result.counterexample is not None:
        real = replayed(task, problem, result.counterexample.prompt)
        facts["counterexample"] = transcript_facts(problem, real)
    return facts


def _certificate_facts(result: DecodeResult, path: Path | None) -> dict[str, Any]:
    data, report = result.certificate or b"", result.report
    return {
        "path": None if path is None else str(path),
        "sha256": digest(data),
        "bytes": len(data),
        "proof_bytes": sum(map(len, Certificate.from_bytes(data).proofs)),
        "steps": 0 if report is None else report.steps,
        "cases": 0 if report is None else report.cases,
        "runs": 0 if report is None else report.runs,
        "accepted": report is not None and report.accepted,
    }


def transcript_facts(problem: DecodeProblem, found: Replayed) -> dict[str, Any]:
    """A prompt with what was written after it, ready for JSON."""
    return {
        "prompt": names(problem, found.prompt),
        "prompt_tokens": list(found.prompt),
        "output": names(problem, found.output),
        "output_tokens": list(found.output),
        "steps": [
            {
                "token": problem.vocabulary[step.token],
                "margin": step.margin,
                "real_token": problem.vocabulary[step.real_token],
                "real_margin": step.real_margin,
                "within_rounding": step.close,
            }
            for step in found.steps
        ],
        "logits": [
            {
                "condition": words.probe(problem, answer.probe),
                "holds": answer.holds,
                "excess": answer.value,
                "real_excess": answer.real_value,
            }
            for answer in found.answers
        ],
        "runtime": found.runtime,
        "catastrophic": found.catastrophic,
        "catastrophic_with_default_optimisations": found.catastrophic_default,
        "output_with_default_optimisations": names(problem, found.default),
    }


def names(problem: DecodeProblem, tokens: tuple[int, ...]) -> list[str]:
    return [problem.vocabulary[token] for token in tokens]
