"""How a network is called for a text, as a decode spec says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from absint.frontends.decoder import Network
from absint.frontends.spec.decode_network import StepNetwork
from absint.ir import Graph, Port
from absint.problem import InputError


@dataclass(frozen=True)
class Caller:
    """How the network is called for a text: ``spec`` is the place of the spec's errors."""

    network: Network
    call: StepNetwork
    vocabulary: int
    spec: str
    section: ClassVar[str] = "network"
    """Of the spec."""
    output: ClassVar[str] = "logits"
    """What an output of its decode graph is called, with the step's number after it."""
    short: ClassVar[str] = (
        "and its logits depend on tokens that are not written yet: is a causal mask missing? "
        "Otherwise say"
    )
    """What an error says where padding is needed."""

    def __post_init__(self) -> None:
        length, said = self.network.length, self.call.length
        if said is not None and length not in (None, said):
            raise self.error(f"{self.section}: the length is {length}, not {said}")

    @property
    def width(self) -> int:
        """How many numbers it gives for a text."""
        return self.vocabulary

    @property
    def holds(self) -> str:
        """What its output holds."""
        return "tokens" if self.emits else "logits"

    @property
    def emits(self) -> bool:
        """Whether the network is called once, with the prompt, and gives all emitted tokens."""
        return self.call.logits == "none"

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

    def chosen(self, graph: Graph) -> Port:
        """The output that the spec means. Raises InputError: there is no such, or are several."""
        ports = {port.name: port for port in graph.outputs}
        names = ", ".join(map(repr, ports))
        if self.call.output is not None and self.call.output not in ports:
            raise self.error(f"there is no output {self.call.output!r}, but {names}")
        if self.call.output is None and len(ports) != 1:
            raise self.error(
                f"which output holds the {self.holds}? Give one of {names} as 'output'"
            )
        return next(iter(ports.values())) if self.call.output is None else ports[self.call.output]

    def port(self, graph: Graph) -> Port:
        """The output that holds the logits. Raises InputError unless it fits."""
        port = self.chosen(graph)
        if port.dtype in ("int32", "int64"):
            raise self.error(
                f"output {port.name!r} holds whole numbers, not logits; of a greedy loop that is "
                "unrolled already, say network: {logits: none}"
            )
        size = port.shape[-1] if port.shape else 1
        if size != self.vocabulary:
            raise self.error(
                f"{size} logits in output {port.name!r} {shown(port)}, but the "
                f"vocabulary has {self.vocabulary} tokens"
            )
        rows, wanted = port.size // size, graph.input_size if self.call.logits == "each" else 1
        if rows != wanted:
            raise self.error(
                f"output {port.name!r} {shown(port)} holds {rows} rows of logits where "
                f"{wanted} are needed (network: logits: {self.call.logits})"
            )
        return port


def shown(port: Port) -> str:
    """A port's shape, for messages."""
    return f"of shape {list(port.shape)}"
