"""Sets of tokens and abstract states in words."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

from absint.problem.decode import DecodeProblem
from absint.problem.promptset import bits, members
from absint.proofs.decode.state import State
from absint.report.decoding.words import token
from absint.report.explain.proof import CellProof

MAX_NAMES = 8
MAX_DIGITS = 15


def tokens(vocabulary: Sequence[str], mask: int, whole: int = 0) -> str:
    """``S2``, ``[ok warn]``; ``*`` for all of ``whole``, ``*-[fail]`` for nearly all."""
    if mask.bit_count() == 1:
        return token(vocabulary[mask.bit_length() - 1])
    if mask == whole:
        return "*"
    rest = whole & ~mask
    if whole and not mask & ~whole and rest.bit_count() < mask.bit_count():
        return "*-" + _listed(vocabulary, rest)
    return _listed(vocabulary, mask)


def _listed(vocabulary: Sequence[str], mask: int) -> str:
    names = [token(vocabulary[i]) for i in itertools.islice(members(mask), MAX_NAMES)]
    more = mask.bit_count() - len(names)
    return "[" + " ".join(names) + (f" … {more} more" if more else "") + "]"


def prompt(proof: CellProof, state: State) -> str:
    """The prompt's sets, equal ones joined: ``*{7} >``."""
    vocabulary = proof.problem.vocabulary
    pairs = zip(state.sets, proof.cell.slots, strict=False)
    return _joined([tokens(vocabulary, mask, bits(slot)) for mask, slot in pairs])


def written(proof: CellProof, state: State) -> str:
    """What was emitted so far; nothing at the start."""
    vocabulary = proof.problem.vocabulary
    return _joined([tokens(vocabulary, mask) for mask in state.sets[len(proof.cell.slots) :]])


def machines(proof: CellProof, state: State) -> str:
    """Where the machines are, and how much of the prompt they have read; may be empty."""
    problem, parts = proof.problem, []
    if state.prompt:
        states = _named(problem, problem.machines_of("prompt"), state.prompt)
        parts.append(
            f"{state.read} read, {states or 'prompt machine at ' + _listing(state.prompt)}"
        )
    if any(len(problem.machines[i].table) > 1 for i in problem.machines_of("output")):
        states = _named(problem, problem.machines_of("output"), state.output)
        parts.append(states or "output machine at " + _listing(state.output))
    return "; ".join(parts)


def _named(problem: DecodeProblem, machines: Sequence[int], states: Sequence[int]) -> str:
    """The names of the machines' states; empty where one of them has none."""
    names = [problem.state_names[i] if problem.state_names else () for i in machines]
    if not all(names):
        return ""
    said = [own[at] or f"state {at}" for own, at in zip(names, states, strict=True)]
    return ", ".join(name if name.isprintable() else ascii(name) for name in said)


def _listing(states: Sequence[int]) -> str:
    return ", ".join(map(str, states))


def number(count: int) -> str:
    """A number of prompts: exactly where it is short, else its size."""
    if count < 10**MAX_DIGITS:
        return str(count)
    exponent = int((count.bit_length() - 1) * math.log10(2))
    exponent += count >= 10 ** (exponent + 1)
    return f"{count / 10**exponent:.3g}e{exponent}"


def _joined(parts: Sequence[str]) -> str:
    runs = [(text, len(list(run))) for text, run in itertools.groupby(parts)]
    return " ".join(text if size == 1 else f"{text}{{{size}}}" for text, size in runs)
