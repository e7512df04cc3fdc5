"""The bytes of a decoding proof: sets, shared states, then the rules of each tree in preorder.

Numbers are LEB128 varints. The sets of tokens that the proof names stand first, each as
``ceil(vocabulary / 8)`` bytes, little endian. A shared state is written as what differs from the
one before it. The first tree proves the prompts' region, tree i + 1 the shared state i; ``goto``
leads from a tree to a shared state whose own tree comes later, so no state can rest on itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

from absint.problem.decode import DecodeProblem
from absint.proofs.decode.state import State
from absint.proofs.format import CertificateError
from absint.proofs.stream import read_varint, write_varint

MAX_SHARED = 1 << 24


class Rule(IntEnum):
    """The rules of the proof system for decoding that this format version has."""

    SPLIT = 0
    """By the token in one slot. Operands: slot, number of parts, each a set."""
    READ = 1
    """The prompt's machines read its next slot."""
    CASES = 2
    """The network emits. Operands: number of tokens that may win, each; number of tokens that beat
    the others, each."""
    GOTO = 3
    """Contained in a shared state. Operand: which."""
    DONE = 4
    """The catastrophe can no longer happen."""
    OPEN = 5
    """Not decided."""
    RUN = 6
    """Every text of the state, followed on its own to its end, is harmless."""
    PROBE = 7
    """A probe says one thing of all texts of the state. Operands: which probe, what it says."""


@dataclass(frozen=True)
class Step:
    """One rule with its operands."""

    rule: Rule
    slot: int = 0
    parts: tuple[int, ...] = ()
    tokens: tuple[int, ...] = ()
    beaters: tuple[int, ...] = ()
    goal: int = 0
    probe: int = 0
    says: int = 0

    @property
    def arity(self) -> int:
        """How many proofs follow."""
        if self.rule is Rule.CASES:
            return len(self.tokens)
        if self.rule is Rule.SPLIT:
            return len(self.parts)
        return int(self.rule in (Rule.READ, Rule.PROBE))


class Writer:
    """Builds a proof: first the shared states in order, then all trees' steps in preorder."""

    def __init__(self, vocabulary: int) -> None:
        self._width = (vocabulary + 7) // 8
        self._sets: dict[int, int] = {}
        self._shared, self._count, self._before = bytearray(), 0, _NOTHING
        self._steps = bytearray()

    def shared(self, state: State) -> None:
        out, before = self._shared, self._before
        self._count += 1
        write_varint(out, len(state.sets))
        changed = [
            (slot, mask)
            for slot, mask in enumerate(state.sets)
            if slot >= len(before.sets) or before.sets[slot] != mask
        ]
        write_varint(out, len(changed))
        for slot, mask in changed:
            write_varint(out, slot)
            write_varint(out, self._set(mask))
        for number in (state.read, *state.prompt, *state.output, int(state.ended), *state.found):
            write_varint(out, number)
        self._before = state

    def step(self, step: Step) -> None:
        out = self._steps
        out.append(step.rule)
        if step.rule is Rule.SPLIT:
            write_varint(out, step.slot)
            write_varint(out, len(step.parts))
            for part in step.parts:
                write_varint(out, self._set(part))
        elif step.rule is Rule.CASES:
            for tokens in (step.tokens, step.beaters):
                write_varint(out, len(tokens))
                for token in tokens:
                    write_varint(out, token)
        elif step.rule is Rule.GOTO:
            write_varint(out, step.goal)
        elif step.rule is Rule.PROBE:
            write_varint(out, step.probe)
            write_varint(out, step.says)

    def _set(self, mask: int) -> int:
        return self._sets.setdefault(mask, len(self._sets))

    def to_bytes(self) -> bytes:
        out = bytearray()
        write_varint(out, len(self._sets))
        for mask in self._sets:
            out += mask.to_bytes(self._width, "little")
        write_varint(out, self._count)
        return bytes(out + self._shared + self._steps)


_NOTHING = State((), 0, (), (), False)


class Reader:
    """Reads a proof. Raises CertificateError where it is not well-formed."""

    def __init__(self, data: bytes, problem: DecodeProblem, slots: int) -> None:
        """For prompts of ``slots`` tokens."""
        self._data, self._cursor, self._longest = data, 0, slots + problem.steps
        self._sizes = [len(problem.machines_of(text)) for text in ("prompt", "output")]
        self._probes = len(problem.probes)
        width, count = (len(problem.vocabulary) + 7) // 8, self._number()
        if count * width > len(data):
            raise CertificateError("a proof ends inside its sets of tokens")
        end = self._cursor + count * width
        self._sets = [
            int.from_bytes(data[at : at + width], "little")
            for at in range(self._cursor, end, width)
        ]
        if len(set(self._sets)) != count:
            raise CertificateError("a set of tokens is written twice")
        self._cursor = end
        self.shared: list[State] = []
        count, before = self._number(), _NOTHING
        if count > MAX_SHARED:
            raise CertificateError("too many shared states")
        for _ in range(count):
            before = self._state(before)
            self.shared.append(before)

    def steps(self) -> Iterator[Step]:
        """The steps of all trees. The end of the bytes must be the end of the last tree."""
        for _ in range(1 + len(self.shared)):
            missing = 1
            while missing:
                step = self._step()
                missing += step.arity - 1
                yield step
        if self._cursor != len(self._data):
            raise CertificateError("bytes follow the end of a proof")

    def _state(self, before: State) -> State:
        size, changes = self._number(), self._number()
        if size > self._longest:
            raise CertificateError("a shared state has more slots than its problem")
        if size > len(before.sets) + changes:
            raise CertificateError("a slot of a shared state has no set")
        sets = [*before.sets[:size], *[0] * (size - len(before.sets))]
        last = -1
        for _ in range(changes):
            slot, mask = self._number(), self._set()
            if not last < slot < size:
                raise CertificateError("a shared state's sets are not those of slots in order")
            sets[slot], last = mask, slot
        read = self._number()
        prompt, output = (tuple(self._number() for _ in range(size)) for size in self._sizes)
        ended = self._number()
        if ended > 1:
            raise CertificateError("a shared state has ended, or not: 1 or 0")
        found = tuple(self._number() for _ in range(self._probes))
        return State(tuple(sets), read, prompt, output, ended == 1, found)

    def _step(self) -> Step:
        if self._cursor >= len(self._data):
            raise CertificateError("a proof ends before all of its parts are proved")
        code = self._data[self._cursor]
        self._cursor += 1
        if code > max(Rule):
            raise CertificateError(f"unknown rule {code}")
        rule = Rule(code)
        if rule is Rule.SPLIT:
            slot, count = self._number(), self._number()
            return Step(rule, slot=slot, parts=tuple(self._set() for _ in range(count)))
        if rule is Rule.CASES:
            tokens = tuple(self._number() for _ in range(self._number()))
            return Step(
                rule, tokens=tokens, beaters=tuple(self._number() for _ in range(self._number()))
            )
        if rule is Rule.PROBE:
            return Step(rule, probe=self._number(), says=self._number())
        return Step(rule, goal=self._number() if rule is Rule.GOTO else 0)

    def _number(self) -> int:
        value, self._cursor = read_varint(self._data, self._cursor)
        return value

    def _set(self) -> int:
        index = self._number()
        if index >= len(self._sets):
            raise CertificateError("a set of tokens that is not in the proof's list")
        return self._sets[index]
