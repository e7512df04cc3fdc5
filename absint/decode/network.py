"""The decode graph: from a network over whole sequences to the logits of each step."""

from __future__ import annotations

import numpy as np

from absint.ir import Graph
from absint.ir.blocks import slots_of, unroll
from absint.problem import InputError, Unsupported, UnsupportedError


def decode_graph(network: Graph, steps: int) -> Graph:
    """The block graph of ``steps`` greedy steps of ``network``.

    ``network`` reads m = n + steps - 1 tokens, the prompt's n and all emitted ones but the last,
    and its one output is (..., m, vocabulary), or (..., vocabulary) for a single step. The result
    has inputs ``token_0 .. token_{m-1}`` of shape () and outputs ``logits_1 .. logits_steps`` of
    shape (vocabulary,); logits_t depends on the first n + t - 1 tokens only.

    Raises:
        InputError: the shapes are others, or leave no prompt.
        UnsupportedError: a step reads tokens that are emitted later.
    """
    slots = network.input_size
    if len(network.outputs) != 1:
        raise InputError(f"a decoder has one output, not {len(network.outputs)}")
    (port,) = network.outputs
    rows = np.arange(port.size).reshape(-1, port.shape[-1] if port.shape else 1)
    if len(rows) != slots and not len(rows) == steps == 1:
        raise InputError(
            f"output {port.name!r} of shape {port.shape} holds no logits for each of {slots} tokens"
        )
    if not 1 <= steps <= slots:
        raise InputError(f"{steps} steps of a network that reads {slots} tokens leave no prompt")
    last = rows[-steps:]
    graph = unroll(network, {f"logits_{t + 1}": row for t, row in enumerate(last)})
    check_causal(graph)
    return graph


def prompt_slots(graph: Graph, ends: int = 0) -> int:
    """How many of a decode graph's tokens are the prompt's.

    The last ``ends`` of its outputs, one for each step or none, are a detector's: of the text up to
    the token that the step emits.
    """
    steps = len(graph.outputs) - ends
    return len(graph.inputs) - steps + (not ends)


def check_causal(graph: Graph, ends: int = 0) -> None:
    """Raises UnsupportedError where an output reads tokens that are emitted later.

    ``ends``: see ``prompt_slots``.
    """
    slots, prompt = slots_of(graph), prompt_slots(graph, ends)
    steps, found = len(graph.outputs) - ends, []
    for place, port in enumerate(graph.outputs):
        detector, step = divmod(place, steps)
        known = prompt + step + detector
        late = [slot for slot in sorted(slots[port.node]) if slot >= known]
        if late:
            what = f"reads token {late[0]}, of {known} known at that step"
            found.append(Unsupported(port.name, what, "is a causal mask missing?"))
    if found:
        raise UnsupportedError(found)
