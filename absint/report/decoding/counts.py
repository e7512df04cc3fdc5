"""How many prompts: exactly, and in words."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from absint.problem.decode import DecodeProblem
from absint.problem.pieces import Pieces
from absint.problem.promptset import Node, PromptSet, PromptSpace, TooLargeError
from absint.proofs.decode.check import DecodeReport

MAX_DIGITS = 21
"""A number with more is written as a product where it is one."""
MAX_TERMS = 4
MIN_DIGITS = 4
"""After the point of a percentage."""


def of_problem(problem: DecodeProblem) -> int:
    """The prompts of all cells, each once."""
    spaces = {len(cell.slots): PromptSpace(len(cell.slots)) for cell in problem.cells}
    cells = [spaces[len(cell.slots)].of_cell(problem, cell) for cell in problem.cells]
    return sum(found.count for found in union([Pieces(own.space, [own]) for own in cells]))


def still_open(report: DecodeReport) -> list[Pieces]:
    """What a proof leaves open: a set for each length of prompt, by length."""
    return [found for found in union(report.open_prompts) if found]


def union(sets: Iterable[Pieces]) -> list[Pieces]:
    """The union of sets of several spaces: a set for each length, by length."""
    found: dict[int, Pieces] = {}
    for one in sets:
        slots = one.space.slots
        found[slots] = _both(found[slots], one) if slots in found else one
    return [found[slots] for slots in sorted(found)]


def _both(a: Pieces, b: Pieces) -> Pieces:
    """The union; where it is too large to be told, some prompts may be in it twice."""
    if not (a and b):
        return a or b
    try:
        united = a.united() | _moved(b.united(), a.space)
    except TooLargeError:
        return Pieces(a.space, [*a.parts, *b.parts], exact=False)
    return Pieces(a.space, [united], a.exact and b.exact)


def _moved(found: PromptSet, space: PromptSpace) -> PromptSet:
    """The same set in another space."""

    def expand(node: Node, _: int) -> Node | list[tuple[int, Node]]:
        return list(node.edges) if node.edges else node

    return found if found.space is space else space.build(found.root, expand)


def first(sets: Iterable[Pieces], count: int) -> Iterator[tuple[int, ...]]:
    """Some prompts out of ``sets``: the first ones."""
    for found in sets:
        for prompt in found:
            if count <= 0:
                return
            yield prompt
            count -= 1


def product(problem: DecodeProblem) -> str | None:
    """The number of prompts as products of the slots' sizes, where nothing else takes part.

    ``10^8``; ``2^2 + 2^3`` for two lengths; None for cells with conditions or of one length.
    """
    lengths = {len(cell.slots) for cell in problem.cells}
    if len(lengths) < len(problem.cells) or len(lengths) > MAX_TERMS:
        return None
    if any(cell.condition is not None for cell in problem.cells):
        return None
    terms = []
    for cell in problem.cells:
        sizes = Counter(len(slot) for slot in cell.slots if len(slot) > 1)
        powers = [f"{n}^{k}" if k > 1 else str(n) for n, k in sorted(sizes.items(), reverse=True)]
        terms.append(" x ".join(powers) or "1")
    return " + ".join(terms)


def digits(number: int) -> str | None:
    """All digits; None where they are more than Python writes."""
    try:
        return str(number)
    except ValueError:
        return None


def words(number: int, form: str | None = None) -> str:
    """``100000000 (10^8) prompts``, for people; ``form`` is the same number as a product."""
    exact = digits(number)
    if exact is None or (form is not None and len(exact) > MAX_DIGITS):
        shown = form or shortened(number)
    else:
        shown = exact if form in (None, exact) else f"{exact} ({form})"
    return f"{shown} {'prompt' if number == 1 else 'prompts'}"


def percent(part: int, whole: int) -> str:
    """``99.9999996 %``: rounded down, to as many digits as tell it from 100 %."""
    if part == whole:
        return "100 %"
    digits = MIN_DIGITS
    while (shown := 100 * 10**digits * part // whole) == 100 * 10**digits - 1 and digits < 100:
        digits += 1
    return f"{shown // 10**digits}.{shown % 10**digits:0{digits}} %"


def certified(problem: DecodeProblem, still_open: Sequence[Pieces]) -> str:
    """``certified: 15 of 16 (2^4) prompts, 93.7500 %; open: 1``."""
    total, left = of_problem(problem), sum(one.count for one in still_open)
    number = max(0, total - left)
    least, most = "", ""
    if not all(one.exact for one in still_open):
        least, most = "at least ", "at most "
    whole = words(total, product(problem))
    return (
        f"certified: {least}{shortened(number)} of {whole}, {percent(number, total)}; "
        f"open: {most}{shortened(left)}"
    )


def shortened(number: int) -> str:
    """All digits, or the size of a number that has too many."""
    return digits(number) or f"about 10^{math.floor(number.bit_length() * math.log10(2))}"
