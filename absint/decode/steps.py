"""From a network, as a decode spec says that it is called, to one decode graph a prompt length."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from absint.decode.caller import Caller
from absint.decode.join import Part, joined
from absint.decode.unrolled import unrolled_graph
from absint.ir import Graph
from absint.ir.blocks import slots_of, unroll
from absint.problem import InputError


def decode_graphs(caller: Caller, lengths: Sequence[int], steps: int) -> dict[int, Graph]:
    """The decode graph of ``steps`` steps for prompts of each length (``absint.decode.network``).

    Raises:
        InputError: the network does not fit the spec.
        UnsupportedError: the network cannot be lowered, or needs padding that is not given.
    """
    made = unrolled_graph if caller.emits else decode_graph
    return {length: _checked(made(caller, length, steps), caller) for length in lengths}


def decode_graph(caller: Caller, prompt: int, steps: int) -> Graph:
    """One length's. Exactly the calls that the spec describes, a step each, in real arithmetic.

    Where all calls have one length, the padding stands on the right and no row depends on what
    comes later, one call holds the rows of all steps. Otherwise each step is a call of its own,
    and what two of them have in common is there once.
    """
    texts = [prompt + step for step in range(steps)]
    reads = caller.reads(texts[-1])
    if caller.fixed is not None and caller.call.logits == "each" and caller.call.side == "right":
        graph = _rows(caller, texts)
        if _causal(graph, prompt):
            return joined([Part(graph, reads)], texts[-1])
    _require_padding(caller, texts)
    parts = [
        Part(_rows(caller, [text], step), caller.reads(text)) for step, text in enumerate(texts)
    ]
    return joined(parts, texts[-1], caller.call.pad)


def _require_padding(caller: Caller, texts: Sequence[int]) -> None:
    if caller.call.pad is None and any(None in caller.reads(text) for text in texts):
        raise caller.error(
            f"it always reads {caller.fixed} tokens, and its logits depend on tokens that are not "
            "written yet: is a causal mask missing? Otherwise say what shorter texts are filled up "
            f"with (network: {{length: {caller.fixed}, pad: TOKEN}})"
        )


def _rows(caller: Caller, texts: Sequence[int], first: int = 0) -> Graph:
    """The block graph of a call for the last of ``texts``, with the logits after each of them."""
    length = texts[-1] if caller.fixed is None else caller.fixed
    try:
        graph = caller.network.at(length).graph
    except InputError as error:
        raise InputError(f"{error} (for a text of {length} tokens)") from error
    port = caller.port(graph)
    rows = np.arange(port.size).reshape(-1, caller.vocabulary)
    named = {f"logits_{first + i + 1}": rows[caller.row(text)] for i, text in enumerate(texts)}
    return unroll(replace(graph, outputs=(port,)), named)


def _causal(graph: Graph, prompt: int) -> bool:
    """Whether each step's logits depend on the text so far only."""
    slots = slots_of(graph)
    return all(
        slots[port.node] <= frozenset(range(prompt + step))
        for step, port in enumerate(graph.outputs)
    )


def _checked(graph: Graph, caller: Caller) -> Graph:
    """Raises InputError where a token of the vocabulary has no row in a table of the network."""
    for node in graph.nodes:
        if node.op == "embedding" and len(node.consts["weight"].value) < caller.vocabulary:
            raise caller.error(
                f"its embedding has {len(node.consts['weight'].value)} tokens, but the vocabulary "
                f"has {caller.vocabulary}"
            )
    return graph
