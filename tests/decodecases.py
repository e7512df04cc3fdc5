"""Random machines, decode problems and expressions for tests."""

from __future__ import annotations

import random

from absint.problem.decode import (
    All,
    Atom,
    DecodeProblem,
    Formula,
    Machine,
    Not,
    PromptCell,
    Reads,
    Some,
    Tokens,
)
from absint.problem.regular import Chain, Choice, Expression, Repeat, symbols


def random_machine(rng: random.Random, size: int, reads: Reads, states: int = 4) -> Machine:
    count = rng.randint(1, states)
    table = tuple(tuple(rng.randrange(count) for _ in range(size)) for _ in range(count))
    return Machine(reads, table, tuple(rng.randrange(3) for _ in range(count)))


def random_tokens(rng: random.Random, size: int) -> Tokens:
    return frozenset(rng.sample(range(size), rng.randint(1, size)))


def random_formula(rng: random.Random, machines: list[int], depth: int = 3) -> Formula:
    kind = rng.randrange(4) if depth else 0
    if kind == 0:
        return Atom(rng.choice(machines), frozenset(rng.sample(range(3), rng.randint(0, 2))))
    if kind == 1:
        return Not(random_formula(rng, machines, depth - 1))
    parts = tuple(random_formula(rng, machines, depth - 1) for _ in range(rng.randint(0, 3)))
    return All(parts) if kind == 2 else Some(parts)


def random_problem(
    rng: random.Random, size: int = 4, slots: int = 3, steps: int = 3
) -> DecodeProblem:
    readers, writers = rng.randint(0, 2), rng.randint(0, 2)
    if not readers + writers:
        writers = 1
    machines = [random_machine(rng, size, "prompt") for _ in range(readers)]
    machines += [random_machine(rng, size, "output") for _ in range(writers)]
    condition = (
        random_formula(rng, list(range(readers))) if readers and rng.random() < 0.7 else None
    )
    cells = tuple(
        PromptCell(tuple(random_tokens(rng, size) for _ in range(slots)), condition)
        for _ in range(rng.randint(1, 2))
    )
    allowed = [None if rng.random() < 0.5 else random_tokens(rng, size) for _ in range(steps)]
    return DecodeProblem(
        name="p",
        vocabulary=tuple(f"t{i}" for i in range(size)),
        cells=cells,
        steps=steps,
        stop=frozenset(rng.sample(range(size), rng.randint(0, 2))),
        machines=tuple(machines),
        catastrophe=random_formula(rng, list(range(readers + writers))),
        allowed=tuple(allowed) if rng.random() < 0.5 else (),
    )


def random_expression(rng: random.Random, size: int, depth: int = 3) -> Expression:
    kind = rng.randrange(4) if depth else 0
    if kind == 0:
        return symbols(random_tokens(rng, size))
    if kind == 3:
        least = rng.randint(0, 2)
        most = None if rng.random() < 0.5 else least + rng.randint(0, 2)
        return Repeat(random_expression(rng, size, depth - 1), least, most)
    parts = tuple(random_expression(rng, size, depth - 1) for _ in range(rng.randint(0, 3)))
    return Chain(parts) if kind == 1 else Choice(parts)
