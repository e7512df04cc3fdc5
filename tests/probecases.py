"""Random decode problems with probes, of logits or of a detector, and who violates them."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
from decodecases import random_formula
from decoders import Decoder as Model
from enumerated import case

from absint.decode.join import Part, joined
from absint.ir import Graph, evaluate
from absint.ir.blocks import unroll
from absint.problem import LinearConstraint, constraint
from absint.problem.decode import All, DecodeProblem, Formula, Not, Probe, Probed, Some

CLEAR = 1e-6
NAMES = ("alarm", "calm")
DETECTORS: tuple[dict[str, object], ...] = (
    {"layers": 1, "causal": False},
    {"layers": 1, "activation": ""},
    {"layers": 2},
)

Detect = Callable[[Sequence[int]], list[Fraction]]


@dataclass(frozen=True)
class ProbeCase:
    """A problem, its decode graph, a prompt's length, and what the detector says of a text."""

    problem: DecodeProblem
    graph: Graph
    slots: int
    detect: Detect


def detector_case(seed: int) -> ProbeCase:
    """As ``probe_case``, of which some probes are a second network's, called at each length."""
    case, rng = probe_case(seed), random.Random(seed + 1_000_000)
    problem, slots = case.problem, case.slots
    kind = DETECTORS[seed % len(DETECTORS)]
    model = Model(vocabulary=len(problem.vocabulary), seed=seed + 1_000_000, **kind)
    graphs = {slots + e: model.graph(slots + e) for e in range(1, problem.steps + 1)}

    def detect(text: Sequence[int]) -> list[Fraction]:
        flat = evaluate(graphs[len(text)], np.array([text], dtype=float)).reshape(len(text), -1)
        return [Fraction(float(y)) for y in flat[-1, : len(NAMES)]]

    probes = [probe for probe in problem.probes if rng.random() < 0.5]
    for _ in range(rng.randint(1, 2)):
        texts = [_some_texts(rng, problem, length)[0] for length in graphs for _ in range(4)]
        places = rng.sample(range(len(NAMES)), rng.randint(1, len(NAMES)))
        terms = _terms(rng, places)
        row = _between(rng, terms, [detect(text) for text in texts])
        probes.append(Probe(row, None))
    machines = random_formula(rng, list(range(len(problem.machines))))
    problem = replace(
        problem,
        detector=NAMES,
        probes=tuple(probes),
        catastrophe=_mixed(rng, machines, len(probes)),
    )
    return ProbeCase(problem, _joint(case.graph, graphs, slots), slots, detect)


def _joint(graph: Graph, detectors: dict[int, Graph], slots: int) -> Graph:
    parts = [Part(graph, range(graph.input_size))]
    for length, own in detectors.items():
        (port,) = own.outputs
        last = np.arange(port.size).reshape(length, -1)[-1, : len(NAMES)]
        parts.append(Part(unroll(own, {f"detector_{length - slots}": last}), range(length)))
    return joined(parts, max(detectors))


def probe_case(seed: int) -> ProbeCase:
    """A random problem whose catastrophe also speaks of logits.

    Bounds lie among the values that the probes take, so that they say different things.
    """
    problem, graph, slots = case(seed)
    rng = random.Random(seed)
    probes = []
    for _ in range(rng.randint(1, 3)):
        step, size = rng.randrange(problem.steps), len(problem.vocabulary)
        tokens = rng.sample(range(size), rng.randint(1, 2))
        terms, texts = _terms(rng, tokens), _some_texts(rng, problem, slots + step)
        row = _between(rng, terms, [logits(graph, text, step) for text in texts])
        probes.append(Probe(row, step))
    catastrophe = _mixed(rng, problem.catastrophe, len(probes))
    problem = replace(problem, probes=tuple(probes), catastrophe=catastrophe)
    return ProbeCase(problem, graph, slots, lambda text: [])


def _terms(rng: random.Random, places: Sequence[int]) -> list[tuple[int, Fraction]]:
    return [(place, Fraction(rng.choice([-2, -1, 1, 3]), 2)) for place in places]


def _between(
    rng: random.Random, terms: list[tuple[int, Fraction]], numbers: Sequence[list[Fraction]]
) -> LinearConstraint:
    """A constraint that holds for some of the numbers, as a rule."""
    values = [float(constraint((), terms, Fraction()).value((), own)) for own in numbers]
    level = rng.uniform(min(values) - 0.2, max(values) + 0.2)
    bound = Fraction(level).limit_denominator(1000)
    return constraint((), terms, bound, rng.random() < 0.5)


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
    size = graph.outputs[0].size
    flat = evaluate(graph, row).reshape(-1)[step * size : (step + 1) * size]
    return [Fraction(float(y)) for y in flat]


def follow(case: ProbeCase, problem: DecodeProblem, prompt: Sequence[int]) -> tuple[bool, bool]:
    """Whether a prompt ends in the catastrophe, and whether no rounding decides that."""
    graph, text, found, clear = case.graph, list(prompt), [False] * len(problem.probes), True
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
    for i in problem.probes_at(None):
        row, own = problem.probes[i].row, case.detect(text)
        found[i] = row.holds((), own)
        clear &= abs(row.value((), own)) > CLEAR
    return problem.catastrophic(prompt, text[len(prompt) :], found), clear


def truth(case: ProbeCase, claim: DecodeProblem | None = None) -> list[set[tuple[int, ...]]]:
    """For each cell, the prompts that violate, all of them clearly or clearly not.

    ``claim``: another problem of the same network.
    """
    problem, found = claim or case.problem, []
    for cell in problem.cells:
        bad = set()
        for prompt in itertools.product(*map(sorted, cell.slots)):
            if problem.admits(cell, prompt):
                violates, clear = follow(case, problem, prompt)
                assert clear
                bad |= {prompt} if violates else set()
        found.append(bad)
    return found
