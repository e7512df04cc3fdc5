"""How the network that decodes is called."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from absint.frontends.spec.decode_template import read_tokens
from absint.frontends.spec.decode_tokens import TokenNames
from absint.frontends.spec.tree import Node
from absint.frontends.spec.values import Leaves

Logits = Literal["each", "next", "none"]
Side = Literal["right", "left"]
KEYS = ("input", "output", "logits", "length", "pad", "side")


@dataclass(frozen=True)
class StepNetwork:
    """One call: the tokens so far, (1, m), to the logits of the next token.

    ``logits``: ``each`` has a row for each position, (1, m, V), of which the last token's counts;
    ``next`` has one row, (1, V). ``none``: one call, with the prompt, gives all emitted tokens.
    """

    input: str | None = None
    """The name of the network's input; None: it has only one."""
    output: str | None = None
    logits: Logits = "each"
    length: int | None = None
    """m, filled up with ``pad``; None: as many as there are tokens."""
    pad: int | None = None
    side: Side = "right"
    """Where the padding stands."""


def read_network(node: Node, names: TokenNames, leaves: Leaves) -> StepNetwork:
    """Raises InputError."""
    fields = leaves.fields(node, "network", KEYS)
    texts = {key: leaves.text(fields[key], key) for key in ("input", "output") if key in fields}
    logits: Logits = "each"
    if "logits" in fields:
        word = leaves.choice(fields["logits"], "logits", ("each", "next", "none"))
        logits = "next" if word == "next" else "none" if word == "none" else "each"
    if logits == "none" and "length" in fields:
        raise leaves.source.error("'length' does not go with 'logits: none'", fields["length"])
    length, pad, side = read_padding(fields, node, names, leaves)
    return StepNetwork(texts.get("input"), texts.get("output"), logits, length, pad, side)


def read_padding(
    fields: dict[str, Node], node: Node, names: TokenNames, leaves: Leaves
) -> tuple[int | None, int | None, Side]:
    """``length``, ``pad`` and ``side`` of a call. Raises InputError."""
    if ("length" in fields) != ("pad" in fields) or ("side" in fields and "pad" not in fields):
        raise leaves.source.error("'length' and 'pad' go together, and 'side' with them", node)
    side: Side = "right"
    if "side" in fields:
        word = leaves.choice(fields["side"], "side", ("right", "left"))
        side = "left" if word == "left" else "right"
    if "pad" not in fields:
        return None, None, side
    tokens = read_tokens(fields["pad"], names, leaves)
    if len(tokens) != 1:
        raise leaves.source.error("pad: one token", fields["pad"])
    return leaves.integer(fields["length"], "length"), next(iter(tokens)), side
