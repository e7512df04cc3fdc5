"""How the network that decodes is called."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from absint.frontends.spec.decode_template import read_tokens
from absint.frontends.spec.decode_tokens import TokenNames
from absint.frontends.spec.tree import Node
from absint.frontends.spec.values import Leaves

Logits = Literal["each", "next", "none"]
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
    side: Literal["right", "left"] = "right"
    """Where the padding stands."""


def read_network(node: Node, names: TokenNames, leaves: Leaves) -> StepNetwork:
    """Raises InputError."""
    fields = leaves.fields(node, "network", KEYS)
    texts = {key: leaves.text(fields[key], key) for key in ("input", "output") if key in fields}
    logits: Logits = "each"
    if "logits" in fields:
        word = leaves.choice(fields["logits"], "logits", ("each", "next", "none"))
        logits = "next" if word == "next" else "none" if word == "none" else "each"
    side = leaves.choice(fields["side"], "side", ("right", "left")) if "side" in fields else ""
    if logits == "none" and "length" in fields:
        raise leaves.source.error("'length' does not go with 'logits: none'", fields["length"])
    if ("length" in fields) != ("pad" in fields) or ("side" in fields and "pad" not in fields):
        raise leaves.source.error("'length' and 'pad' go together, and 'side' with them", node)
    pad = None
    if "pad" in fields:
        tokens = read_tokens(fields["pad"], names, leaves)
        if len(tokens) != 1:
            raise leaves.source.error("pad: one token", fields["pad"])
        (pad,) = tokens
    return StepNetwork(
        texts.get("input"),
        texts.get("output"),
        logits,
        leaves.integer(fields["length"], "length") if "length" in fields else None,
        pad,
        "left" if side == "left" else "right",
    )
