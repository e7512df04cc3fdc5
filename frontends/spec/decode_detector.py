"""The detector: a second network, which reads the prompt and the whole output."""

from __future__ import annotations

import re
from dataclasses import dataclass

from absint.frontends.spec.decode_network import StepNetwork, read_padding
from absint.frontends.spec.decode_tokens import TokenNames
from absint.frontends.spec.names import KEYWORDS
from absint.frontends.spec.tree import Node
from absint.frontends.spec.values import Leaves
from absint.frontends.torch.source import is_torch

KEYS = ("model", "outputs", "input", "output", "length", "pad", "side")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True)
class DetectorNetwork:
    """The file, relative to the spec's folder; the names of the output's values; the call."""

    model: str
    outputs: tuple[str, ...]
    call: StepNetwork


def read_detector(node: Node, names: TokenNames, leaves: Leaves) -> DetectorNetwork:
    """Raises InputError. The file's bytes are read, as part of the spec."""
    fields = leaves.fields(node, "detector", KEYS)
    for key in ("model", "outputs"):
        if key not in fields:
            raise leaves.source.error(f"detector needs '{key}'", node)
    model = leaves.text(fields["model"], "model")
    if is_torch(model):
        raise leaves.source.error(
            "a detector is an ONNX file, or a graph that 'absint inspect MODEL --graph FILE' "
            "writes: a spec runs no code",
            fields["model"],
        )
    try:
        leaves.files.read(model)
    except ValueError as error:
        raise leaves.source.error(str(error), fields["model"]) from error
    texts = {key: leaves.text(fields[key], key) for key in ("input", "output") if key in fields}
    length, pad, side = read_padding(fields, node, names, leaves)
    call = StepNetwork(texts.get("input"), texts.get("output"), "next", length, pad, side)
    return DetectorNetwork(model, _outputs(fields["outputs"], leaves), call)


def _outputs(node: Node, leaves: Leaves) -> tuple[str, ...]:
    """Distinct names. Raises InputError."""
    found: list[str] = []
    for item in leaves.items(node, "outputs"):
        name = leaves.text(item, "a name of an output")
        if not _NAME.fullmatch(name) or name in KEYWORDS:
            raise leaves.source.error(f"{name!r} is no name: letters, digits and _", item)
        if name in found:
            raise leaves.source.error(f"{name!r} is there twice", item)
        found.append(name)
    return tuple(found)
