"""Decoding results for people, on stdout."""

from __future__ import annotations

import math
import shlex
from pathlib import Path
from typing import Any

from absint.decode.result import DecodeResult
from absint.decode.task import DecodeTask
from absint.report.decoding import counts, words
from absint.report.decoding.facts import result_facts
from absint.report.words import count, headline, meaning, tally
from absint.search.result import Verdict

MAX_STEPS = 40


class DecodeTextReporter:
    """Prints each result as it comes, and a line of counts where there are several."""

    def __init__(self, task: DecodeTask) -> None:
        self.task = task
        self.results: list[DecodeResult] = []
        print(heading(task))

    def add(self, result: DecodeResult, certificate: Path) -> None:
        self.results.append(result)
        facts = result_facts(self.task, result, certificate)
        print(headline(result))
        if result.verdict is Verdict.VERIFIED:
            _print_proof(result, facts)
        elif result.verdict is Verdict.FALSIFIED:
            print_transcript(facts["counterexample"])
        if result.verdict is not Verdict.VERIFIED:
            _print_open(result, facts)

    def finish(self, exit_code: int) -> None:
        if len(self.results) > 1:
            print(tally(self.results))


def heading(task: DecodeTask) -> str:
    """What is asked: the network, the vocabulary, the lengths of the texts."""
    problem = task.spec.problems[0]
    lengths = sorted(task.graphs)
    several = f"{lengths[0]} to {lengths[-1]}" if len(lengths) > 1 else str(lengths[0])
    tokens = "token" if lengths == [1] else "tokens"
    detector = "" if task.detector is None else f", detector {task.detector.network.path.name}"
    return (
        f"{task.network.path.name}: {count(len(problem.vocabulary), 'token')}, prompts of "
        f"{several} {tokens}, up to {count(problem.steps, 'step')}{detector}; "
        f"{meaning(problem.semantics.contract)}"
    )


def _print_proof(result: DecodeResult, facts: dict[str, Any]) -> None:
    proof, effort = facts["certificate"], result.effort
    number = counts.words(counts.of_problem(result.problem), facts["prompts_product"])
    runs = f" and {count(proof['runs'], 'text')} one by one" if proof["runs"] else ""
    print(
        f"  {number}: {count(proof['cases'], 'abstract case')}{runs} in "
        f"{effort.search_seconds:.2f} s, accepted by the independent checker in "
        f"{effort.check_seconds:.2f} s"
    )
    print(f"  certificate: {proof['path']} ({proof['bytes']} bytes)")


def _print_open(result: DecodeResult, facts: dict[str, Any]) -> None:
    vocabulary, proof = result.problem.vocabulary, facts["certificate"]
    if result.report is not None:
        found = counts.still_open(result.report)
        if result.report.rejected:
            failed = len(result.report.rejected)
            cases = count(result.report.cases, "abstract case")
            print(f"  the checker turned down {failed} of {cases}")
        else:
            print(f"  {counts.certified(result.problem, found)}, for example")
        for prompt in counts.first(found, len(facts["open_examples"])):
            print(f"    {words.text(vocabulary, prompt)}")
    if proof is not None:
        path, cases = proof["path"], count(proof["cases"], "abstract case")
        print(f"  proof so far: {path}, {cases} (go on with --resume {shlex.quote(path)})")


def print_transcript(facts: dict[str, Any]) -> None:
    """The prompt, what was written and how clearly, from ``facts.transcript_facts``."""
    print(f"  prompt: {_joined(facts['prompt'])}")
    print(f"  output: {_joined(facts['output'])}")
    width = max((len(words.token(step["token"])) for step in facts["steps"]), default=0)
    for number, step in list(enumerate(facts["steps"], 1))[:MAX_STEPS]:
        print(f"  {number:>4}: {words.token(step['token']):<{width}}  {_margin(step)}")
    if len(facts["steps"]) > MAX_STEPS:
        print(f"  … ({len(facts['steps']) - MAX_STEPS} more: --format json)")
    for answer in facts["logits"][:MAX_STEPS]:
        print(f"  {answer['condition']}: {_answer(answer)}")
    off = _said(facts["catastrophic"])
    default = _said(facts["catastrophic_with_default_optimisations"])
    whole = any(math.isnan(step["margin"]) for step in facts["steps"])
    how = "in its own loop" if whole else "token by token"
    print(
        f"  decoded {how} on {facts['runtime']}: {off}; with its default optimisations: {default}"
    )
    if facts["output_with_default_optimisations"] != facts["output"]:
        print(f"  output then: {_joined(facts['output_with_default_optimisations'])}")


def _margin(step: dict[str, Any]) -> str:
    margin = step["margin"]
    said = "the only one allowed" if margin == float("inf") else f"by {margin:.6g}"
    if math.isnan(margin):
        said = f"by {step['real_margin']:.6g} in float64"
    if not step["within_rounding"]:
        return said
    if step["real_token"] != step["token"]:
        other = words.token(step["real_token"])
        return f"{said}  (!) within float32 error: float64 emits {other}"
    return f"{said}  (!) within float32 error"


def _answer(answer: dict[str, Any]) -> str:
    said = "holds" if answer["holds"] else "does not hold"
    differs = (answer["excess"] > 0) != (answer["real_excess"] > 0)
    doubt = "  (!) within float32 error" if differs else ""
    return f"{said}, by {abs(answer['excess']):.6g}{doubt}"


def _joined(names: list[str]) -> str:
    return words.text(names, range(len(names)))


def _said(catastrophic: bool) -> str:
    return "catastrophic" if catastrophic else "not catastrophic"
