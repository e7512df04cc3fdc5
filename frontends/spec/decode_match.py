"""What a prompt or an output may be asked: a regular expression, or how often a token occurs."""

from __future__ import annotations

from dataclasses import dataclass

from absint.frontends.spec.decode_template import at_node, read_tokens
from absint.frontends.spec.decode_text import containing, parse_text
from absint.frontends.spec.decode_tokens import TokenNames
from absint.frontends.spec.decode_vocabulary import Vocabulary
from absint.frontends.spec.tree import Mapping, Node
from absint.frontends.spec.values import Leaves
from absint.problem.automata import minimal, text_machine, token_machine
from absint.problem.decode import Machine, Reads, Tokens
from absint.problem.regular import Chain, Expression, MachineSizeError, Repeat, Symbols

MATCHES = ("contains", "text", "contains_text", "count")
_COUNTS = ("of", "at_least", "at_most", "exactly")
MAX_COUNT = 10_000


@dataclass(frozen=True)
class Words:
    """What conditions are read with."""

    leaves: Leaves
    names: TokenNames
    vocabulary: Vocabulary


def read_match(node: Node, reads: Reads, words: Words) -> Machine:
    """A machine with label 1 where the text is as asked, and 0 elsewhere.

    Raises InputError; UnsupportedError where the tokens' text is not known.
    """
    try:
        return _match(node, reads, words)
    except MachineSizeError as error:
        raise words.leaves.source.error(f"too large: {error}", node) from error


def _match(node: Node, reads: Reads, words: Words) -> Machine:
    leaves, names = words.leaves, words.names
    if not isinstance(node, Mapping):
        return token_machine(at_node(node, leaves, names.expression), names.size, reads)
    fields = leaves.fields(node, f"a condition on the {reads}", MATCHES)
    if len(fields) != 1:
        raise leaves.source.error(f"one of {', '.join(MATCHES)} is needed", node)
    ((kind, value),) = fields.items()
    if kind == "contains":
        many = Repeat(Symbols(((0, names.size - 1),)), 0, None)
        inside = Chain((many, at_node(value, leaves, names.expression), many))
        return token_machine(inside, names.size, reads)
    if kind == "count":
        return _count(value, reads, words)
    expression = at_node(value, leaves, parse_text if kind == "text" else containing)
    return _text(expression, node, reads, words)


def _text(expression: Expression, node: Node, reads: Reads, words: Words) -> Machine:
    vocabulary = words.vocabulary
    if vocabulary.texts is None:
        raise words.leaves.source.unsupported(
            f"a condition on text with {vocabulary.why}", node, "conditions on tokens are"
        )
    return text_machine(expression, vocabulary.texts, reads)


def _count(node: Node, reads: Reads, words: Words) -> Machine:
    """Counts up to one more than the greatest number asked for."""
    leaves = words.leaves
    fields = leaves.fields(node, "count", _COUNTS)
    if "of" not in fields or len(fields) < 2 or ("exactly" in fields and len(fields) > 2):
        raise leaves.source.error(
            "count needs 'of' with 'at_least' and/or 'at_most', or with 'exactly'", node
        )
    tokens = read_tokens(fields["of"], words.names, leaves)
    numbers = {key: _number(value, leaves) for key, value in fields.items() if key != "of"}
    least = numbers.get("at_least", numbers.get("exactly", 0))
    most = numbers.get("at_most", numbers.get("exactly"))
    if most is not None and most < least:
        raise leaves.source.error(f"count: at least {least} and at most {most}", node)
    top = least if most is None else most + 1
    counter = count_machine(tokens, top, words.names.size, reads)
    inside = [int(least <= n and (most is None or n <= most)) for n in counter.labels]
    return minimal(Machine(reads, counter.table, tuple(inside)))


def _number(node: Node, leaves: Leaves) -> int:
    number = leaves.integer(node, "count")
    if number > MAX_COUNT:
        raise leaves.source.error(f"count: at most {MAX_COUNT}", node)
    return number


def count_machine(tokens: Tokens, top: int, size: int, reads: Reads) -> Machine:
    """Labelled by how many of ``tokens`` were read, at most ``top``. Raises MachineSizeError."""
    if (top + 1) * size > 20_000_000:
        raise MachineSizeError(f"{top + 1} counts on {size} tokens")
    table = tuple(
        tuple(min(n + (token in tokens), top) for token in range(size)) for n in range(top + 1)
    )
    return Machine(reads, table, tuple(range(top + 1)))
