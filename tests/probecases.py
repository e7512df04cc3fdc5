"""Random decode problems with probes of logits, and which of their prompts violate them."""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

import numpy as np
from enumerated import case

from absint.ir import Graph, evaluate
from absint.problem import constraint
from absint.problem.decode import All, DecodeProblem, Formula, Not, Probe, Probed, Some

CLEAR = 1e-6


def probe_case(seed: int) -> tuple[DecodeProblem, Graph, int]:
    """A random problem whose catastrophe also speaks of logits, a decode graph, a prompt's length.

    Bounds lie among the values that the probes take, so that they say different things.
    """
    problem, graph, slots = case(seed)
    rng = random.Random(seed)
    probes = []
    for _ in range(rng.randint(1, 3)):
        step, size = rng.randrange(problem.steps), len(problem.vocabulary)
        tokens = rng.sample(range(size), rng.randint(1, 2))
        terms = [(token, Fraction(rng.choice([-2, -1, 1, 3]), 2)) for token in tokens]
        values = [
            float(constraint((), terms, Fraction()).value((), logits(graph, text, step)))
            for text in _some_texts(rng, problem, slots + step)
        ]
        level = rng.uniform(min(values) - 0.2, max(values) + 0.2)
        bound = Fraction(level).limit_denominator(1000)
        probes.append(Probe(constraint((), terms, bound, rng.random() < 0.5), step))
    return (
        replace(
            problem,
            probes=tuple(probes),
            catastrophe=_mixed(rng, problem.catastrophe, len(probes)),
        ),
        graph,
        slots,
    )


def _some_texts(rng: random.Random, problem: DecodeProblem, length: int) -> list[list[int]]:
    size = len(problem.vocabulary)
    return [[rng.randrange(size) for _ in range(length)] for _ in range(8)]


def _mixed(rng: random.Random, machines: Formula, count: int) -> Formula:
    said = [Probed(i) for i in range(count)]
    parts: list[Formula] = [own if rng.random() < 0.5 else Not(own) for own in said]
    whole = rng.choice([All, Some])(tuple(parts))
    mixed = [All((whole, machines)), Some((whole, machines)), All((whole, Not(machines)))]
    return rng.choice([whole, *mixed])


def logits(graph: Graph, text: Sequence[int], step: int) -> list[Fraction]:
    """A step's logits after ``text``, in float64."""
    row = np.zeros((1, graph.input_size))
    row[0, : len(text)] = text
    flat = evaluate(graph, row).reshape(len(graph.outputs), -1)
    return [Fraction(float(y)) for y in flat[step]]


def follow(graph: Graph, problem: DecodeProblem, prompt: Sequence[int]) -> tuple[bool, bool]:
    """Whether a prompt ends in the catastrophe, and whether no rounding decides that."""
    text, found, clear = list(prompt), [False] * len(problem.probes), True
    for step in range(problem.steps):
        own = logits(graph, text, step)
        for i in problem.probes_at(step):
            row = problem.probes[i].row
            found[i] = row.holds((), own)
            clear &= abs(row.value((), own)) > CLEAR
        allowed = sorted(problem.emitted(step))
        best = max(allowed, key=lambda token: (own[token], -token))
        clear &= all(own[best] - own[t] > CLEAR for t in allowed if t != best)
        text.append(best)
        if best in problem.stop:
            break
    return problem.catastrophic(prompt, text[len(prompt) :], found), clear


def truth(graph: Graph, problem: DecodeProblem) -> list[set[tuple[int, ...]]]:
    """For each cell, the prompts that violate, all of them clearly or clearly not."""
    found = []
    for cell in problem.cells:
        bad = set()
        for prompt in itertools.product(*map(sorted, cell.slots)):
            if problem.admits(cell, prompt):
                violates, clear = follow(graph, problem, prompt)
                assert clear
                bad |= {prompt} if violates else set()
        found.append(bad)
    return found
