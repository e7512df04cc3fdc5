"""Machines from regular expressions over tokens and over text; minimal forms and products.

Machines come out minimal, with states numbered in the order in which a breadth-first walk by
ascending tokens meets them: equal languages give equal machines.
"""

from __future__ import annotations

import codecs
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from absint.problem.decode import Machine, Reads
from absint.problem.regular import Automaton, Expression, MachineSizeError, compile_expression

IntArray = NDArray[np.int64]
MAX_CELLS = 20_000_000
"""Entries of one machine's table."""
MAX_PRODUCT = 20_000


def token_machine(expression: Expression, size: int, reads: Reads) -> Machine:
    """Label 1 where the whole text matches ``expression`` over tokens 0 to ``size - 1``, else 0.

    Raises MachineSizeError.
    """
    automaton = compile_expression(expression)
    _check_size(len(automaton.table), size)
    columns = _classes_of(automaton, np.arange(size))
    return _from_arrays(reads, np.array(automaton.table)[:, columns], np.array(automaton.accepts))


def text_machine(expression: Expression, texts: Sequence[bytes], reads: Reads) -> Machine:
    """Label 1 where the characters of the tokens' joined bytes match ``expression``, else 0.

    ``texts[token]`` is what a token writes. The bytes are read as UTF-8, and what is not UTF-8 as
    U+FFFD, as Python's ``errors="replace"`` does; a character may be spread over several tokens.
    Symbols are code points. Raises MachineSizeError.
    """
    automaton = compile_expression(expression)
    lift = _Lift(automaton, texts)
    states: dict[tuple[int, bytes], int] = {(0, b""): 0}
    rows: list[IntArray] = []
    for number, (state, rest) in enumerate(order := list(states)):
        _check_size(number + 1, len(texts))
        reached, rests = lift.read(state, rest)
        row = np.empty(len(texts), np.int64)
        for pair in sorted(set(zip(reached.tolist(), rests.tolist(), strict=True))):
            key = (pair[0], lift.rests[pair[1]])
            if key not in states:
                states[key] = len(order)
                order.append(key)
            row[(reached == pair[0]) & (rests == pair[1])] = states[key]
        rows.append(row)
    accepts = [automaton.accepts[lift.finish(*key)] for key in order]
    return _from_arrays(reads, np.stack(rows), np.array(accepts))


class _Lift:
    """A character automaton that reads whole tokens, between which bytes may be left over."""

    def __init__(self, automaton: Automaton, texts: Sequence[bytes]) -> None:
        self.automaton = automaton
        self.texts = texts
        still = np.arange(len(automaton.table))[:, None]
        self.table = np.concatenate([np.array(automaton.table), still], axis=1)
        self.rests: list[bytes] = []
        self.known: dict[bytes, tuple[IntArray, IntArray]] = {}

    def read(self, state: int, rest: bytes) -> tuple[IntArray, IntArray]:
        """For each token: the state after it, and the index in ``rests`` of the bytes left."""
        if rest not in self.known:
            self.known[rest] = self._characters(rest)
        characters, rests = self.known[rest]
        states = np.full(len(self.texts), state)
        for column in characters.T:
            states = self.table[states, column]
        return states, rests

    def finish(self, state: int, rest: bytes) -> int:
        """The state when the text ends with ``rest`` left over."""
        for character in rest.decode("utf-8", "replace"):
            state = self.automaton.table[state][self.automaton.class_of(ord(character))]
        return state

    def _characters(self, rest: bytes) -> tuple[IntArray, IntArray]:
        """Each token's classes of characters after ``rest``, padded with the class "none"."""
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        lines: list[str] = []
        left: list[int] = []
        for text in self.texts:
            decoder.setstate((rest, 0))
            lines.append(decoder.decode(text))
            remaining = decoder.getstate()[0]
            if remaining not in self.rests:
                self.rests.append(remaining)
            left.append(self.rests.index(remaining))
        width = max(map(len, lines), default=0)
        _check_size(width, len(lines))
        classes = np.full((len(lines), width), self.table.shape[1] - 1)
        lengths = np.array([len(line) for line in lines])
        characters = np.array([ord(c) for line in lines for c in line], np.int64)
        inside = np.arange(width) < lengths[:, None]
        classes[inside] = _classes_of(self.automaton, characters)
        return classes, np.array(left)


def minimal(machine: Machine) -> Machine:
    """The smallest machine with the same labels on every text (Moore's refinement)."""
    return _from_arrays(machine.reads, np.array(machine.table), np.array(machine.labels))


def product(machines: Sequence[Machine], label: Callable[[tuple[int, ...]], int]) -> Machine:
    """One machine for several that read the same text, labelled by ``label`` of their labels.

    Raises MachineSizeError.
    """
    tables = [np.array(machine.table) for machine in machines]
    states: dict[tuple[int, ...], int] = {(0,) * len(machines): 0}
    rows: list[IntArray] = []
    for state in (order := list(states)):
        targets = np.stack([table[s] for table, s in zip(tables, state, strict=True)])
        columns, first = _classes(targets)
        kinds = [tuple(target) for target in targets[:, first].T.tolist()]
        for target in kinds:
            if states.setdefault(target, len(order)) == len(order):
                order.append(target)
        rows.append(np.array([states[target] for target in kinds])[columns])
        _check_size(len(order), len(rows[0]))
    labels = [
        label(tuple(m.labels[s] for m, s in zip(machines, state, strict=True))) for state in order
    ]
    return _from_arrays(machines[0].reads, np.stack(rows), np.array(labels))


def _check_size(states: int, tokens: int) -> None:
    if states > MAX_PRODUCT or states * tokens > MAX_CELLS:
        raise MachineSizeError(f"a machine of {states} states or more on {tokens} tokens")


def _classes_of(automaton: Automaton, symbols: IntArray) -> IntArray:
    places = np.searchsorted(np.array(automaton.starts), symbols, side="right") - 1
    result: IntArray = np.array(automaton.classes)[places]
    return result


def _from_arrays(reads: Reads, table: IntArray, labels: NDArray[np.generic]) -> Machine:
    """Minimal and canonical. ``table``: (states, tokens); ``labels``: (states,)."""
    columns = table[:, _classes(table)[1]]
    block = _numbered(labels.reshape(-1, 1))
    while True:
        refined = _numbered(np.concatenate([block[:, None], block[columns]], axis=1))
        if refined.max() == block.max():
            break
        block = refined
    _, members = np.unique(block, return_index=True)
    return _breadth_first(reads, block[table[members]], labels[members], int(block[0]))


def _classes(table: IntArray) -> tuple[IntArray, IntArray]:
    """Equal columns get equal numbers. The number of each column, and a column of each number."""
    numbers = np.zeros(table.shape[1], np.int64)
    for row in table:
        _, numbers = np.unique(numbers * (table.max() + 1) + row, return_inverse=True)
    _, first = np.unique(numbers, return_index=True)
    return numbers.reshape(-1).astype(np.int64), first


def _numbered(rows: NDArray[np.generic]) -> IntArray:
    """Equal rows get equal numbers."""
    _, numbers = np.unique(rows, axis=0, return_inverse=True)
    result: IntArray = numbers.reshape(-1).astype(np.int64)
    return result


def _breadth_first(
    reads: Reads, table: IntArray, labels: NDArray[np.generic], start: int
) -> Machine:
    """States renumbered in the order in which they are met; what is never met is left out."""
    numbers = {start: 0}
    for state in (order := [start]):
        targets, first = np.unique(table[state], return_index=True)
        for target in targets[np.argsort(first)].tolist():
            if target not in numbers:
                numbers[target] = len(order)
                order.append(target)
    names = np.zeros(len(table), np.int64)
    names[order] = np.arange(len(order))
    rows = tuple(tuple(row) for row in names[table[order]].tolist())
    return Machine(reads, rows, tuple(int(label) for label in labels[order].tolist()))
