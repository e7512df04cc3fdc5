"""Small decoding problems at random, and which of their prompts violate them, by enumeration."""

from __future__ import annotations

import itertools
import random

import numpy as np
from decodecases import random_problem
from decoders import Decoder as Model

from absint.decode.greedy import Decoder
from absint.decode.network import decode_graph
from absint.ir import Graph
from absint.problem.decode import DecodeProblem
from absint.search.prove import Binding

BINDING = Binding("0" * 64, "1" * 64)

MODELS = (
    {"layers": 1},
    {"layers": 1, "activation": ""},
    {"layers": 1, "kv_heads": 1},
    {"layers": 2},
)


def case(seed: int) -> tuple[DecodeProblem, Graph, int]:
    """A problem, a decode graph and the length of its prompts, at random."""
    rng = random.Random(seed)
    size, slots, steps = rng.randint(3, 5), rng.randint(2, 4), rng.randint(1, 3)
    problem = random_problem(rng, size, slots, steps)
    model = Model(vocabulary=size, seed=seed, **MODELS[seed % len(MODELS)])
    return problem, decode_graph(model.graph(slots + steps - 1), steps), slots


def violations(graph: Graph, problem: DecodeProblem) -> list[set[tuple[int, ...]]]:
    """For each cell, the prompts that end in the catastrophe, by running every one of them."""
    decoder, found = Decoder(graph, problem), []
    for cell in problem.cells:
        prompts = [
            prompt
            for prompt in itertools.product(*map(sorted, cell.slots))
            if problem.admits(cell, prompt)
        ]
        bad = set()
        if prompts:
            written = decoder.decode(np.array(prompts)).tokens.tolist()
            for prompt, text in zip(prompts, written, strict=True):
                if problem.catastrophic(prompt, [t for t in text if t >= 0]):
                    bad.add(prompt)
        found.append(bad)
    return found
