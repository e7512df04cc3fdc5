"""From a network, as a decode spec says that it is called, to one decode graph a prompt length."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from absint.decode.join import Part, joined
from absint.frontends.decoder import Network
from absint.frontends.spec.decode_network import StepNetwork
from absint.ir import Graph, Port
from absint.ir.blocks import slots_of, unroll
from absint.problem import InputError


@dataclass(frozen=True)
class Caller:
    """How the network is called for a text: ``spec`` is the place of the spec's errors."""

    network: Network
    call: StepNetwork
    vocabulary: int
    spec: str

    def __post_init__(self) -> None:
        length, said = self.network.length, self.call.length
        if said is not None and length not in (None, said):
            raise self.error(f"network: the length is {length}, not {said}")

    @property
    def fixed(self) -> int | None:
        """The number of tokens of every call; None: as many as the text has."""
        return self.network.length if self.call.length is None else self.call.length

    def error(self, message: str) -> InputError:
        return InputError(f"{self.network.path.name}: {message}", self.spec)

    def reads(self, text: int) -> list[int | None]:
        """What each position of a call holds for a text of ``text`` tokens: its token, or padding.

        Raises InputError: the text is longer than the call.
        """
        length = text if self.fixed is None else self.fixed
        if text > length:
            raise self.error(
                f"it reads {length} tokens, but prompt and output together have up to {text}"
            )
        padding: list[int | None] = [None] * (length - text)
        tokens: list[int | None] = list(range(text))
        return padding + tokens if self.call.side == "left" else tokens + padding

    def row(self, text: int) -> int:
        """The row of the output that holds the logits of the next token."""
        if self.call.logits == "next":
            return 0
        return self.reads(text).index(text - 1)

    def port(self, graph: Graph) -> Port:
        """The output that holds the logits. Raises InputError unless it fits."""
        ports = {port.name: port for port in graph.outputs}
        names = ", ".join(map(repr, ports))
        if self.call.output is not None and self.call.output not in ports:
            raise self.error(f"there is no output {self.call.output!r}, but {names}")
        if self.call.output is None and len(ports) != 1:
            raise self.error(f"which output holds the logits? Give one of {names} as 'output'")
        port = next(iter(ports.values())) if self.call.output is None else ports[self.call.output]
        size = port.shape[-1] if port.shape else 1
        if size != self.vocabulary:
            raise self.error(
                f"{size} logits in output {port.name!r} of shape {_shape(port)}, but the "
                f"vocabulary has {self.vocabulary} tokens"
            )
        rows, wanted = port.size // size, graph.input_size if self.call.logits == "each" else 1
        if rows != wanted:
            raise self.error(
                f"output {port.name!r} of shape {_shape(port)} holds {rows} rows of logits where "
                f"{wanted} are needed (network: logits: {self.call.logits})"
            )
        return port


def decode_graphs(caller: Caller, lengths: Sequence[int], steps: int) -> dict[int, Graph]:
    """The decode graph of ``steps`` steps for prompts of each length (``absint.decode.network``).

    Raises:
        InputError: the network does not fit the spec.
        UnsupportedError: the network cannot be lowered, or needs padding that is not given.
    """
    return {length: decode_graph(caller, length, steps) for length in lengths}


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
            return _checked(joined([Part(graph, reads)], texts[-1]), caller)
    _require_padding(caller, texts)
    parts = [
        Part(_rows(caller, [text], step), caller.reads(text)) for step, text in enumerate(texts)
    ]
    return _checked(joined(parts, texts[-1], caller.call.pad), caller)


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


def _shape(port: Port) -> list[int]:
    return list(port.shape)
