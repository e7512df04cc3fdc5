"""Automata against Python's own regular expressions, and against every short text."""

from __future__ import annotations

import random
import re
from itertools import product as texts_of

import pytest
from decodecases import random_expression, random_machine

from absint.problem.automata import minimal, product, text_machine, token_machine
from absint.problem.decode import Machine
from absint.problem.regular import (
    Chain,
    Choice,
    Expression,
    MachineSizeError,
    Repeat,
    Symbols,
    complement,
    symbols,
    united,
)

SIZE = 3


def pattern(expression: Expression) -> str:
    """The same expression in Python's syntax, with token i written as the letter chr(97 + i)."""
    if isinstance(expression, Symbols):
        return "[" + "".join(f"{chr(97 + a)}-{chr(97 + b)}" for a, b in expression.ranges) + "]"
    if isinstance(expression, Chain):
        return "".join(f"(?:{pattern(part)})" for part in expression.of)
    if isinstance(expression, Choice):
        return "(?:" + "|".join(map(pattern, expression.of)) + ")" if expression.of else "(?!)"
    most = "" if expression.most is None else expression.most
    return f"(?:{pattern(expression.of)}){{{expression.least},{most}}}"


def short_texts(size: int, length: int) -> list[tuple[int, ...]]:
    return [text for n in range(length + 1) for text in texts_of(range(size), repeat=n)]


@pytest.mark.parametrize("seed", range(150))
def test_a_machine_matches_what_python_matches(seed: int) -> None:
    expression = random_expression(random.Random(seed), SIZE)
    machine = token_machine(expression, SIZE, "output")
    compiled = re.compile(pattern(expression))
    for text in short_texts(SIZE, 5):
        letters = "".join(chr(97 + token) for token in text)
        assert machine.labels[machine.run(text)] == (compiled.fullmatch(letters) is not None)


def distinct_states(machine: Machine) -> bool:
    """Every two states end differently on some text, found by walking pairs to unlike labels."""
    pairs = {
        (a, b)
        for a in range(len(machine.table))
        for b in range(a)
        if machine.labels[a] != machine.labels[b]
    }
    while True:
        more = {
            (a, b)
            for a in range(len(machine.table))
            for b in range(a)
            for x, y in zip(machine.table[a], machine.table[b], strict=True)
            if (max(x, y), min(x, y)) in pairs
        } | pairs
        if more == pairs:
            break
        pairs = more
    states = len(machine.table)
    return len(pairs) == states * (states - 1) // 2


@pytest.mark.parametrize("seed", range(60))
def test_minimal_keeps_the_labels_and_no_spare_state(seed: int) -> None:
    machine = random_machine(random.Random(seed), SIZE, "prompt", states=9)
    small = minimal(machine)
    assert distinct_states(small)
    assert {small.run(text) for text in short_texts(SIZE, 7)} == set(range(len(small.table)))
    for text in short_texts(SIZE, 6):
        assert small.labels[small.run(text)] == machine.labels[machine.run(text)]


@pytest.mark.parametrize("seed", range(40))
def test_minimal_machines_of_one_meaning_are_equal(seed: int) -> None:
    rng = random.Random(seed)
    machine = random_machine(rng, SIZE, "output", states=6)
    order = [0, *rng.sample(range(1, len(machine.table)), len(machine.table) - 1)]
    twin = [0] * len(order)
    for new, old in enumerate(order):
        twin[old] = new
    renamed = Machine(
        "output",
        tuple(tuple(twin[machine.table[old][t]] for t in range(SIZE)) for old in order),
        tuple(machine.labels[old] for old in order),
    )
    assert minimal(renamed) == minimal(machine) == minimal(minimal(machine))


@pytest.mark.parametrize("seed", range(30))
def test_a_product_reads_for_all_of_its_parts(seed: int) -> None:
    rng = random.Random(seed)
    parts = [random_machine(rng, SIZE, "prompt") for _ in range(rng.randint(1, 3))]
    whole = product(parts, lambda labels: sum(labels) % 4)
    assert distinct_states(whole)
    for text in short_texts(SIZE, 5):
        assert whole.labels[whole.run(text)] == sum(m.labels[m.run(text)] for m in parts) % 4


def literal(text: str) -> Expression:
    return Chain(tuple(symbols([ord(c)]) for c in text))


ANY = Symbols(((0, 0x10FFFF),))
MANY = Repeat(ANY, 0, None)


def test_a_word_may_be_spread_over_tokens() -> None:
    texts = [b"LA", b"UNCH", b"LAUNCH", b"L", b"AUN", b"CH ", b" "]
    machine = text_machine(Chain((MANY, literal("LAUNCH"), MANY)), texts, "output")
    for text in short_texts(len(texts), 4):
        joined = b"".join(texts[token] for token in text).decode()
        assert machine.labels[machine.run(text)] == ("LAUNCH" in joined)


def test_broken_bytes_read_as_python_reads_them() -> None:
    letters = Choice((literal("é"), literal("😀"), literal("a")))
    texts = [b"\xe2", b"\x82", b"\xac", b"a", b"\xf0\x9f", b"\x98\x80", b"", b"\xff\xc3", b"\xa9"]
    for expression, compiled in (
        (Chain((MANY, literal("€"), MANY)), re.compile(".*€.*", re.DOTALL)),
        (Repeat(ANY, 2, 2), re.compile("..", re.DOTALL)),
        (Chain((MANY, literal("\ufffd"))), re.compile(".*\ufffd", re.DOTALL)),
        (Repeat(letters, 0, None), re.compile("[é😀a]*")),
    ):
        machine = text_machine(expression, texts, "output")
        for text in short_texts(len(texts), 4):
            joined = b"".join(texts[token] for token in text).decode("utf-8", "replace")
            matched = compiled.fullmatch(joined) is not None
            assert machine.labels[machine.run(text)] == matched, joined


def test_sets_of_symbols() -> None:
    rng = random.Random(5)
    for _ in range(200):
        pairs = [tuple(sorted(rng.sample(range(12), 2))) for _ in range(rng.randint(0, 4))]
        chosen = {v for a, b in pairs for v in range(a, b + 1)}
        ranges = united((a, b) for a, b in pairs)
        assert ranges == symbols(chosen).ranges
        assert complement(ranges, 12) == symbols(set(range(12)) - chosen).ranges


def test_a_machine_that_grows_too_large_is_an_error() -> None:
    far = Chain((Repeat(symbols([0, 1]), 0, None), symbols([0]), Repeat(symbols([0, 1]), 16, 16)))
    with pytest.raises(MachineSizeError):
        token_machine(far, 2, "output")
    with pytest.raises(MachineSizeError):
        token_machine(Repeat(Repeat(symbols([0]), 1000, 1000), 1000, 1000), 2, "output")
