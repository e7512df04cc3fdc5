"""Sets of prompts against plain Python sets of all prompts."""

from __future__ import annotations

import random
from itertools import islice, product

import pytest
from decodecases import random_machine, random_problem, random_tokens

from absint.problem.promptset import PromptSet, PromptSpace

SIZE, SLOTS = 4, 3
Plain = set[tuple[int, ...]]


def random_pair(rng: random.Random, space: PromptSpace) -> tuple[PromptSet, Plain]:
    """A union of random products, both ways."""
    whole, plain = space.empty(), Plain()
    for _ in range(rng.randint(0, 3)):
        sets = [random_tokens(rng, SIZE) for _ in range(SLOTS)]
        whole |= space.product(sets)
        plain |= set(product(*sets))
    return whole, plain


def agree(made: PromptSet, plain: Plain) -> None:
    assert list(made) == sorted(plain)
    assert made.count == len(plain)
    assert bool(made) == bool(plain)
    assert all((p in made) == (p in plain) for p in product(range(SIZE), repeat=SLOTS))


@pytest.mark.parametrize("seed", range(60))
def test_operations_are_those_of_sets(seed: int) -> None:
    rng, space = random.Random(seed), PromptSpace(SLOTS)
    (a, x), (b, y) = random_pair(rng, space), random_pair(rng, space)
    agree(a, x)
    agree(a | b, x | y)
    agree(a & b, x & y)
    agree(a - b, x - y)
    slot, tokens = rng.randrange(SLOTS), random_tokens(rng, SIZE)
    agree(a.restrict(slot, tokens), {p for p in x if p[slot] in tokens})
    assert (a == b) == (x == y)
    assert (a - b) | (a & b) == a


@pytest.mark.parametrize("seed", range(40))
def test_prompts_that_drive_a_machine(seed: int) -> None:
    rng, space = random.Random(seed), PromptSpace(SLOTS)
    a, x = random_pair(rng, space)
    machine = random_machine(rng, SIZE, "prompt")
    for after in range(SLOTS + 1):
        states = set(rng.sample(range(len(machine.table)), rng.randint(0, len(machine.table))))
        agree(
            a.driving(machine, states, after),
            {p for p in x if machine.run(p[:after]) in states},
        )


@pytest.mark.parametrize("seed", range(60))
def test_the_prompts_of_a_cell(seed: int) -> None:
    problem = random_problem(random.Random(seed), SIZE, SLOTS)
    for cell in problem.cells:
        agree(
            PromptSpace(SLOTS).of_cell(problem, cell),
            {p for p in product(range(SIZE), repeat=SLOTS) if problem.admits(cell, p)},
        )


def test_huge_sets_are_counted_and_begun() -> None:
    space = PromptSpace(500)
    every = space.product([frozenset(range(10))] * 500)
    assert every.count == 10**500
    some = every - every.restrict(499, frozenset({0}))
    assert some.count == 9 * 10**499
    assert [p[-1] for p in islice(some, 10)] == [*range(1, 10), 1]


def test_prompts_without_slots() -> None:
    space = PromptSpace(0)
    assert list(space.product([])) == [()]
    assert () in space.product([])
    assert list(space.empty()) == []
    assert () not in space.empty()


def test_what_does_not_fit_is_an_error() -> None:
    space = PromptSpace(2)
    every = space.product([frozenset({0})] * 2)
    machine = random_machine(random.Random(0), SIZE, "prompt")
    for wrong in (
        lambda: space.product([frozenset({0})]),
        lambda: every.restrict(2, frozenset({0})),
        lambda: every.driving(machine, {0}, 3),
        lambda: every | PromptSpace(2).empty(),
    ):
        with pytest.raises(ValueError, match=r"slot|spaces"):
            wrong()
