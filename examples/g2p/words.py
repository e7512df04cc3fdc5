"""What is to be proved of the decoder: words of a region stop, and no special token is written."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from load import LETTER_IDS, PHONEME_IDS, PHONEMES, SPECIAL, STEPS, STOP, VOCABULARY, tokens

from absint.decode.greedy import Decoder, Transcript
from absint.ir import Graph
from absint.ir.affine import IntArray
from absint.problem.canonical_decode import decode_to_json
from absint.problem.decode import Atom, DecodeProblem, Machine, PromptCell, Tokens
from absint.search.prove import Binding

_GOING, _STOPPED, _BROKEN = range(3)
ANY = "*"


def region(patterns: Sequence[str], excluded: Sequence[str] = ()) -> tuple[PromptCell, ...]:
    """The words that fit a pattern, ``*`` being any letter, less single words.

    Raises ValueError: an excluded word fits no pattern, or is all that fits it.
    """
    cells = [
        tuple(LETTER_IDS if c == ANY else frozenset(tokens(c)) for c in pattern)
        for pattern in patterns
    ]
    for word in excluded:
        letters = tokens(word)
        holding = [cell for cell in cells if _holds(cell, letters)]
        if not holding:
            raise ValueError(f"{word!r} fits no pattern")
        for cell in holding:
            cells.remove(cell)
            cells += _without(cell, letters)
    return tuple(PromptCell(cell) for cell in cells)


def _holds(cell: Sequence[Tokens], word: Sequence[int]) -> bool:
    return len(cell) == len(word) and all(t in own for t, own in zip(word, cell, strict=True))


def _without(cell: Sequence[Tokens], word: Sequence[int]) -> list[tuple[Tokens, ...]]:
    """The cell's words that agree with ``word`` in the first i letters and differ in the next."""
    parts = [
        (*(frozenset({t}) for t in word[:i]), cell[i] - {word[i]}, *cell[i + 1 :])
        for i in range(len(word))
    ]
    return [part for part in parts if all(part)]


def problem(cells: Sequence[PromptCell]) -> DecodeProblem:
    """The catastrophe: no ``</s>`` within 20 steps, or a special token."""
    row = [_GOING] * len(VOCABULARY)
    row[STOP] = _STOPPED
    for token in SPECIAL:
        row[token] = _BROKEN
    final = [(state,) * len(row) for state in (_STOPPED, _BROKEN)]
    machine = Machine("output", (tuple(row), *final), (1, 0, 1))
    return DecodeProblem(
        "every word is transcribed",
        VOCABULARY,
        tuple(cells),
        STEPS,
        frozenset({STOP}),
        (machine,),
        Atom(0, frozenset({1})),
        (PHONEME_IDS,) * STEPS,
    )


def binding(folder: Path, claim: DecodeProblem) -> Binding:
    """Of the package's weights, and of the problem, which has no file."""
    weights = (folder / "checkpoint20.npz").read_bytes()
    parts = (weights, decode_to_json(claim))
    return Binding(*(hashlib.sha256(part).hexdigest() for part in parts))


def package_runner(
    predict: Callable[[str], list[str]], graph: Graph, claim: DecodeProblem
) -> Callable[[IntArray], Transcript]:
    """Decodes on the package's own code, which tells no margins: they are the graph's."""
    decoder = Decoder(graph, claim, load=lambda constant: constant.astype(np.float32))
    number = {name: token for token, name in enumerate(PHONEMES)}

    def run(prompts: IntArray) -> Transcript:
        written = np.full((len(prompts), STEPS), -1, dtype=np.int64)
        for row, prompt in zip(written, prompts.tolist(), strict=True):
            found = [number[name] for name in predict("".join(VOCABULARY[t] for t in prompt))]
            text = (*found, STOP)[:STEPS]
            row[: len(text)] = text
        return replace(decoder.decode(prompts), tokens=written)

    return run
