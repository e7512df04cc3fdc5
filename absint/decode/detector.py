"""The detector of a decode spec: a second network that reads the finished text."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from absint.decode.caller import Caller, shown
from absint.frontends import decoder
from absint.frontends.spec.decode import DecodeSpec
from absint.ir import Graph, Port


@dataclass(frozen=True)
class DetectorCaller(Caller):
    """How the detector is called: every value of its output is one of ``names``."""

    names: tuple[str, ...] = ()
    section: ClassVar[str] = "detector"
    output: ClassVar[str] = "detector"
    short: ClassVar[str] = "and texts differ in length: say"

    @property
    def width(self) -> int:
        return len(self.names)

    @property
    def holds(self) -> str:
        return "named values"

    def port(self, graph: Graph) -> Port:
        """The output with the named values. Raises InputError unless it fits."""
        port = self.chosen(graph)
        if port.size != self.width:
            raise self.error(
                f"output {port.name!r} {shown(port)} has {port.size} values, but "
                f"{self.width} are named (detector: outputs)"
            )
        return port


def detector_of(spec: DecodeSpec) -> DetectorCaller | None:
    """The detector that a spec names, if it does.

    Its file is part of the spec, and no code of it is run. Raises InputError and UnsupportedError.
    """
    if spec.detector is None:
        return None
    path, call = Path(spec.sources.path).parent / spec.detector.model, spec.detector.call
    network = decoder.load(path, call.input, trusted=False)
    size = len(spec.problems[0].vocabulary)
    return DetectorCaller(network, call, size, spec.sources.path, spec.detector.outputs)
