"""The ``machines`` of a decode spec: automata whose states have named labels."""

from __future__ import annotations

from dataclasses import dataclass

from absint.frontends.spec.decode_match import MAX_COUNT, Words, count_machine, read_match
from absint.frontends.spec.decode_template import at_node, read_tokens
from absint.frontends.spec.names import unknown
from absint.frontends.spec.tree import Mapping, Node, Scalar
from absint.problem.automata import minimal, product
from absint.problem.decode import Machine, Reads, Tokens
from absint.problem.regular import MachineSizeError

NONE = "none"
_KINDS = ("states", "cases", "first", "last", "largest", "count")
_KEYS = ("reads", "up_to", *_KINDS)


@dataclass(frozen=True)
class Labelled:
    """``names[label]`` is what the spec calls a label of the machine.

    ``table`` and ``own`` are of a machine whose states have names of their own, as written.
    """

    machine: Machine
    names: tuple[str, ...]
    table: Machine | None = None
    own: tuple[str, ...] = ()

    @property
    def written(self) -> Machine:
        return self.table or self.machine

    @property
    def states(self) -> tuple[str, ...]:
        """What each state of ``written`` is called: by its own name, or by its label."""
        return self.own or tuple(self.names[label] for label in self.machine.labels)


def read_machines(node: Node, words: Words) -> dict[str, Labelled]:
    """Raises InputError."""
    mapping = words.leaves.mapping(node, "machines")
    return {name: _machine(value, words) for name, value in mapping.values.items()}


def _machine(node: Node, words: Words) -> Labelled:
    leaves = words.leaves
    fields = leaves.fields(node, "a machine", _KEYS)
    kinds = [kind for kind in _KINDS if kind in fields]
    if "reads" not in fields or len(kinds) != 1:
        raise leaves.source.error(f"a machine needs 'reads' and one of {', '.join(_KINDS)}", node)
    word = leaves.choice(fields["reads"], "reads", ("prompt", "output"))
    reads: Reads = "prompt" if word == "prompt" else "output"
    if ("up_to" in fields) != (kinds[0] == "count"):
        raise leaves.source.error("'count' goes with 'up_to'", node)
    value = fields[kinds[0]]
    try:
        if kinds[0] == "states":
            return _states(value, reads, words)
        if kinds[0] == "cases":
            return _cases(value, reads, words)
        tokens = read_tokens(value, words.names, leaves)
        if kinds[0] == "count":
            return _counter(tokens, fields["up_to"], reads, words)
        return _remembering(tokens, kinds[0], reads, words)
    except MachineSizeError as error:
        raise leaves.source.error(f"too large: {error}", value) from error


def _counter(tokens: Tokens, node: Node, reads: Reads, words: Words) -> Labelled:
    top = words.leaves.integer(node, "up_to")
    if not 1 <= top <= MAX_COUNT:
        raise words.leaves.source.error(f"up_to: from 1 to {MAX_COUNT}", node)
    machine = count_machine(tokens, top, words.names.size, reads)
    return Labelled(machine, tuple(map(str, range(top + 1))))


def _remembering(tokens: Tokens, kind: str, reads: Reads, words: Words) -> Labelled:
    """Labelled by the first, the last or the largest of ``tokens`` that was read, or ``none``."""
    listed = sorted(tokens)
    size = words.names.size
    if (len(listed) + 1) * size > 20_000_000:
        raise MachineSizeError(f"{len(listed)} tokens of {size}")
    place = {token: state for state, token in enumerate(listed, 1)}

    def following(state: int, token: int) -> int:
        new = place.get(token, 0)
        if not new or (state and kind == "first"):
            return state
        return max(state, new) if kind == "largest" else new

    table = tuple(
        tuple(following(state, token) for token in range(size)) for state in range(len(listed) + 1)
    )
    machine = Machine(reads, table, tuple(range(len(table))))
    return Labelled(minimal(machine), (NONE, *(words.vocabulary.names[token] for token in listed)))


def _cases(node: Node, reads: Reads, words: Words) -> Labelled:
    """Labelled by the first case that the text matches, or ``none``."""
    mapping = words.leaves.mapping(node, "cases")
    if not mapping.values or NONE in mapping.keys:
        raise words.leaves.source.error(f"cases: labels with conditions; '{NONE}' is kept", node)
    parts = [read_match(value, reads, words) for value in mapping.values.values()]

    def first(matches: tuple[int, ...]) -> int:
        return matches.index(1) + 1 if 1 in matches else 0

    return Labelled(product(parts, first), (NONE, *mapping.values))


def _states(node: Node, reads: Reads, words: Words) -> Labelled:
    """An explicit table; the first state is the start."""
    leaves = words.leaves
    mapping = leaves.mapping(node, "states")
    if not mapping.values:
        raise leaves.source.error("states: the mapping is empty", node)
    if len(mapping.values) * words.names.size > 20_000_000:
        raise MachineSizeError(f"{len(mapping.values)} states on {words.names.size} tokens")
    numbers = {name: number for number, name in enumerate(mapping.values)}
    table, labels = [], []
    known: dict[str, int] = {}
    for name, value in mapping.values.items():
        row = leaves.mapping(value, "a state")
        table.append(_row(row, name, numbers, words))
        label = leaves.text(row.values["label"], "label") if "label" in row.values else name
        labels.append(known.setdefault(label, len(known)))
    written = Machine(reads, tuple(table), tuple(labels))
    return Labelled(minimal(written), tuple(known), written, tuple(numbers))


def _row(row: Mapping, name: str, numbers: dict[str, int], words: Words) -> tuple[int, ...]:
    """The next state for each token: ``set: state`` pairs, and ``otherwise``."""
    leaves, size = words.leaves, words.names.size
    targets: dict[int, int] = {}
    for key, value in row.values.items():
        if key in ("label", "otherwise"):
            continue
        place = Scalar(row.keys[key].start, key, row.keys[key].style)
        target = _target(value, numbers, words)
        for token in at_node(place, leaves, words.names.tokens):
            if targets.setdefault(token, target) != target:
                token_name = words.vocabulary.names[token]
                raise leaves.source.error(f"{name!r}: two next states for {token_name!r}", place)
    if "otherwise" in row.values:
        rest = _target(row.values["otherwise"], numbers, words)
        return tuple(targets.get(token, rest) for token in range(size))
    missing = next((token for token in range(size) if token not in targets), None)
    if missing is not None:
        token_name = words.vocabulary.names[missing]
        raise leaves.source.error(
            f"{name!r} has no next state for {token_name!r}; give 'otherwise'", row
        )
    return tuple(targets[token] for token in range(size))


def _target(node: Node, numbers: dict[str, int], words: Words) -> int:
    name = words.leaves.text(node, "a next state")
    if name not in numbers:
        raise words.leaves.source.error(unknown("state", name, numbers), node)
    return numbers[name]
