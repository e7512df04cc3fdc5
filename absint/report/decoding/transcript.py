"""A prompt decoded on the real runtime, and the same text in real arithmetic."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from absint.decode.greedy import Transcript
from absint.decode.runner import greedy, probed
from absint.decode.task import DecodeTask
from absint.ir import evaluate
from absint.ir.graph import FloatArray
from absint.problem.decode import DecodeProblem

FACTOR = 8
"""A margin below this many times the rounding error of its step counts as within it."""
ULP = 2.0**-23


@dataclass(frozen=True)
class Emitted:
    """One step: the emitted token, and by how much its logit exceeded the next best."""

    token: int
    margin: float
    """NaN where the network gives tokens only."""
    real_token: int
    """What float64 would emit after the same text, and by how much."""
    real_margin: float
    close: bool
    """Whether float32 error can decide this step: the margin is below ``FACTOR`` times the
    difference to float64 that was found here, or units in the last place of the largest logit."""


@dataclass(frozen=True)
class Answer:
    """What a probe says of the logits of a step that was taken, or of the finished text."""

    probe: int
    value: float
    """The left side of its constraint minus the bound, on the runtime; exact but for one rounding.
    """
    real_value: float
    """The same in float64."""
    holds: bool


@dataclass(frozen=True)
class Replayed:
    """A prompt with what was really written after it."""

    prompt: tuple[int, ...]
    steps: tuple[Emitted, ...]
    answers: tuple[Answer, ...]
    catastrophic: bool
    default: tuple[int, ...]
    """What is written with the runtime's default optimisations."""
    catastrophic_default: bool
    runtime: str

    @property
    def output(self) -> tuple[int, ...]:
        return tuple(step.token for step in self.steps)


def replayed(task: DecodeTask, problem: DecodeProblem, prompt: Sequence[int]) -> Replayed:
    """Decodes ``prompt`` with the runtime's optimisations off, and with its defaults.

    Raises InputError where the runtime fails.
    """
    one = np.array([prompt], dtype=np.int64)
    written, optimised = task.runner_of(problem)(one), task.optimised_of(problem)(one)
    output, default = _output(written), _output(optimised)
    real, detected = _numbers(task, problem, prompt, output)
    steps = tuple(
        _emitted(problem, step, token, float(margin), real[step])
        for step, (token, margin) in enumerate(zip(output, written.margins[0], strict=False))
    )
    return Replayed(
        tuple(prompt),
        steps,
        _answers(problem, written, len(output), real, detected),
        problem.catastrophic(prompt, output, written.found[0].tolist()),
        default,
        problem.catastrophic(prompt, default, optimised.found[0].tolist()),
        task.runner.name,
    )


def _answers(
    problem: DecodeProblem,
    written: Transcript,
    steps: int,
    real: FloatArray,
    detected: FloatArray,
) -> tuple[Answer, ...]:
    return tuple(
        Answer(
            index,
            float(written.values[0, index]),
            probed(problem, index, detected if probe.step is None else real[probe.step])[0],
            bool(written.found[0, index]),
        )
        for index, probe in enumerate(problem.probes)
        if probe.step is None or probe.step < steps
    )


def _output(written: Transcript) -> tuple[int, ...]:
    return tuple(token for token in written.tokens[0].tolist() if token >= 0)


def _numbers(
    task: DecodeTask, problem: DecodeProblem, prompt: Sequence[int], output: Sequence[int]
) -> tuple[FloatArray, FloatArray]:
    """The logits of each step in float64, (steps, vocabulary), the text being what was written;
    and what the detector says of it, (outputs,)."""
    graph = task.graphs[len(prompt)]
    text = [*prompt, *output]
    row = np.zeros((1, graph.input_size))
    row[0, : len(text)] = text[: graph.input_size]
    flat: FloatArray = evaluate(graph, row).reshape(-1)
    size = problem.steps * len(problem.vocabulary)
    ends = flat[size:].reshape(problem.steps, -1)
    return flat[:size].reshape(problem.steps, -1), ends[len(output) - 1]


def _emitted(
    problem: DecodeProblem, step: int, token: int, margin: float, real: FloatArray
) -> Emitted:
    real_token, real_margin = greedy(real, sorted(problem.emitted(step)))
    gap = real_margin if real_token == token else -real_margin
    error = abs(margin - gap) if np.isfinite(margin) else 0.0
    noise = FACTOR * max(error, ULP * float(np.abs(real).max()))
    close = real_token != token or (gap if np.isnan(margin) else margin) <= noise
    return Emitted(token, margin, real_token, real_margin, close)
