"""Sets of prompts in pieces against plain Python sets of all prompts."""

from __future__ import annotations

import random
from collections import Counter
from itertools import product

import pytest

from absint.problem.pieces import Box, Pieces
from absint.problem.promptset import PromptSet, PromptSpace, TooLargeError, members

SIZE, SLOTS = 4, 3
Prompt = tuple[int, ...]


def pieces(rng: random.Random) -> tuple[Pieces, set[Prompt]]:
    """A region cut at random; some parts are boxes, some diagrams, some are left out."""
    space, parts, plain = PromptSpace(SLOTS), list[Box | PromptSet](), set[Prompt]()
    waiting = [((1 << SIZE) - 1,) * SLOTS]
    while waiting:
        sets = waiting.pop()
        slot = rng.randrange(SLOTS)
        half = sets[slot] & rng.randrange(1 << SIZE)
        if half not in (0, sets[slot]) and rng.random() < 0.8:
            for part in (half, sets[slot] & ~half):
                waiting.append((*sets[:slot], part, *sets[slot + 1 :]))
        elif rng.random() < 0.7:
            box = Box(sets)
            parts.append(box if rng.random() < 0.5 else box.within(space))
            plain |= set(product(*(list(members(mask)) for mask in sets)))
    return Pieces(space, parts), plain


@pytest.mark.parametrize("seed", range(60))
def test_pieces_are_sets(seed: int) -> None:
    rng = random.Random(seed)
    found, plain = pieces(rng)
    assert found.count == len(plain)
    assert sorted(found) == sorted(plain)
    assert bool(found) == bool(plain)
    assert all((p in found) == (p in plain) for p in product(range(SIZE), repeat=SLOTS))
    assert set(found.united()) == plain


def test_all_prompts_are_drawn_alike() -> None:
    found, plain = pieces(random.Random(9))
    assert len(found.parts) > 5
    rng = random.Random(0)
    drawn = Counter(found.draw(rng) for _ in range(200 * len(plain)))
    assert set(drawn) == plain
    assert max(drawn.values()) < 2 * min(drawn.values())
    with pytest.raises(ValueError, match="no prompt to draw"):
        Pieces(PromptSpace(SLOTS)).draw(rng)


def test_a_count_needs_no_diagram() -> None:
    """Prompts whose second half repeats their first: half way, a diagram must know all of it."""
    half = 12
    boxes = [
        Box(tuple(1 << (number >> slot % half & 1) for slot in range(2 * half)))
        for number in range(1 << half)
    ]
    found = Pieces(PromptSpace(2 * half, limit=4_000), boxes)
    assert found.count == 1 << half
    with pytest.raises(TooLargeError, match="more than 4000 edges"):
        found.united()
