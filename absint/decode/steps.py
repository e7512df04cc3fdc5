"""From a network, as a decode spec says that it is called, to one decode graph a prompt length."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from absint.decode.caller import Caller
from absint.decode.join import Part, joined
from absint.decode.leftout import Call, require_covered, require_finite
from absint.decode.unrolled import unrolled_graph
from absint.ir import Graph
from absint.ir.blocks import slots_of, unroll
from absint.problem import InputError
from absint.problem.contract import Contract


def decode_graphs(
    caller: Caller,
    lengths: Sequence[int],
    steps: int,
    detector: Caller | None = None,
    contract: Contract | None = None,
) -> dict[int, Graph]:
    """The decode graph of ``steps`` steps for prompts of each length (``absint.decode.network``).

    ``detector``: None where the network is a greedy loop.

    Raises:
        InputError: the network does not fit the spec.
        UnsupportedError: the network cannot be lowered, or needs padding that is not given; or the
            ``contract``, where there is one, does not cover it.
    """
    if caller.emits:
        graphs = {n: _checked(unrolled_graph(caller, n, steps), caller) for n in lengths}
    else:
        graphs = {n: decode_graph(caller, n, steps, detector) for n in lengths}
    if contract is not None:
        _require(contract, caller, graphs, steps, detector)
    return graphs


def _require(
    contract: Contract,
    caller: Caller,
    graphs: Mapping[int, Graph],
    steps: int,
    detector: Caller | None,
) -> None:
    """Raises UnsupportedError for what the contract does not cover, in the graphs or beside."""
    for prompt, graph in graphs.items():
        require_covered(graph, contract)
        for one, ahead in ((caller, 0), (detector, 1)):
            if one is not None:
                texts = [prompt + step + ahead for step in range(steps)]
                for call in _every_call(one, prompt, texts):
                    require_finite(call, one.vocabulary, contract)


def _every_call(caller: Caller, prompt: int, texts: Sequence[int]) -> Iterator[Call]:
    if caller.emits:
        graph = caller.network.at(prompt).graph
        port = caller.chosen(graph)
        yield Call(replace(graph, outputs=(port,)), {"tokens": range(port.size)})
    elif caller.fixed is not None:
        yield _call(caller, texts)
    else:
        yield from (_call(caller, [text]) for text in texts)


def decode_graph(caller: Caller, prompt: int, steps: int, detector: Caller | None = None) -> Graph:
    """One length's. Exactly the calls that the spec describes, a step each.

    The same function in real arithmetic; and whatever the calls may compute in floats, some
    execution of the graph does, where what it leaves out is finite (``absint.decode.leftout``).
    With a detector, one more output a step: what it says of a text that ends with that step.
    """
    texts = [prompt + step for step in range(steps)]
    parts = _steps(caller, prompt, texts)
    if detector is None:
        return joined(parts, texts[-1])
    ends = [text + 1 for text in texts]
    return joined([*parts, *_calls(detector, ends)], ends[-1])


def _steps(caller: Caller, prompt: int, texts: Sequence[int]) -> list[Part]:
    """The calls that give the logits after texts of these lengths.

    Where all calls have one length, the padding stands on the right and no row depends on what
    comes later, one call holds the rows of all steps. Otherwise each step is a call of its own,
    and what two of them have in common is there once.
    """
    reads = caller.reads(texts[-1])
    if caller.fixed is not None and caller.call.logits == "each" and caller.call.side == "right":
        graph = _rows(caller, texts)
        if _causal(graph, prompt):
            return [Part(graph, reads)]
    return _calls(caller, texts)


def _calls(caller: Caller, texts: Sequence[int]) -> list[Part]:
    """A call for each length of text."""
    _require_padding(caller, texts)
    pad = caller.call.pad
    return [
        Part(_rows(caller, [text], step), caller.reads(text), pad)
        for step, text in enumerate(texts)
    ]


def _require_padding(caller: Caller, texts: Sequence[int]) -> None:
    reads = [caller.reads(text) for text in texts]
    if caller.call.pad is None and any(None in own for own in reads):
        raise caller.error(
            f"it always reads {caller.fixed} tokens, {caller.short} what shorter texts are filled "
            f"up with ({caller.section}: {{length: {caller.fixed}, pad: TOKEN}})"
        )


def _rows(caller: Caller, texts: Sequence[int], first: int = 0) -> Graph:
    """The block graph of a call for the last of ``texts``, with the logits after each of them."""
    call = _call(caller, texts, first)
    return _checked(unroll(call.graph, call.rows), caller)


def _call(caller: Caller, texts: Sequence[int], first: int = 0) -> Call:
    length = texts[-1] if caller.fixed is None else caller.fixed
    try:
        graph = caller.network.at(length).graph
    except InputError as error:
        raise InputError(f"{error} (for a text of {length} tokens)") from error
    port = caller.port(graph)
    rows = np.arange(port.size).reshape(-1, caller.width)
    named = {
        f"{caller.output}_{first + i + 1}": rows[caller.row(text)] for i, text in enumerate(texts)
    }
    return Call(replace(graph, outputs=(port,)), named)


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
