"""What a name in a spec means: a stretch of the flat input or output vector."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from absint.ir import Graph, Port

Side = Literal["input", "output"]
_EXPRESSION_WORDS = ("and", "or", "not", "is", "in", "label")
_EXTREMUM_WORDS = ("argmax", "argmin", "maximal", "minimal")
_REGION_WORDS = ("all", "any_of", "center", "clip", "eps", "lower", "norm", "upper", "where")
KEYWORDS = frozenset(_EXPRESSION_WORDS + _EXTREMUM_WORDS + _REGION_WORDS)


class UnknownNameError(ValueError):
    """A name or an index does not mean a value of the network."""


@dataclass(frozen=True, slots=True)
class Target:
    """A tensor of the network: ``shape`` is () for a single value that the spec named."""

    side: Side
    start: int
    shape: tuple[int, ...]

    @property
    def values(self) -> range:
        return range(self.start, self.start + math.prod(self.shape))


@dataclass(frozen=True)
class Names:
    """All names that a spec may use. An entry of None is ambiguous."""

    targets: Mapping[str, Target | None]
    outputs: tuple[Target, ...]
    """The output tensors in order."""

    @staticmethod
    def of(graph: Graph, inputs: Sequence[str] = (), outputs: Sequence[str] = ()) -> Names:
        """The built-in names, then the network's tensors, then the spec's names for values."""
        targets: dict[str, Target | None] = {}
        for name, side, size in (
            ("input", "input", graph.input_size),
            ("x", "input", graph.input_size),
            ("output", "output", graph.output_size),
            ("y", "output", graph.output_size),
        ):
            targets[name] = Target(_side(side), 0, (size,))
        for name, target in [*_ports("input", graph.inputs), *_ports("output", graph.outputs)]:
            other = targets.get(name, target)
            same = other and (other.side, other.values) == (target.side, target.values)
            targets[name] = target if same else None
        for side, names in (("input", inputs), ("output", outputs)):
            for index, name in enumerate(names):
                targets[name] = Target(_side(side), index, ())
        tensors = tuple(target for _, target in _ports("output", graph.outputs))
        return Names(targets, tensors)

    def target(self, name: str) -> Target:
        """Raises UnknownNameError, with the nearest name where there is one."""
        if name not in self.targets:
            raise UnknownNameError(unknown("name", name, self.targets))
        target = self.targets[name]
        if target is None:
            raise UnknownNameError(
                f"{name!r} is ambiguous in this network; use input[i] or output[i], "
                "or name the values under 'inputs' and 'outputs'"
            )
        return target


def _side(side: str) -> Side:
    return "input" if side == "input" else "output"


def _ports(side: Side, ports: Sequence[Port]) -> Iterable[tuple[str, Target]]:
    start = 0
    for port in ports:
        yield port.name, Target(side, start, tuple(port.shape))
        start += port.size


def element(name: str, target: Target, index: Sequence[int]) -> int:
    """The flat position of ``name[index]``: one flat index, or one index for each dimension.

    Dimensions of size one may be left out. Raises UnknownNameError.
    """
    if not target.shape:
        raise UnknownNameError(f"{name!r} is a single value and takes no index")
    bare = tuple(size for size in target.shape if size != 1)
    shapes = {len(bare): bare, len(target.shape): target.shape, 1: (len(target.values),)}
    if len(index) not in shapes:
        raise UnknownNameError(
            f"{name!r} has the shape {list(target.shape)}, not {len(index)} indices"
        )
    shape = shapes[len(index)]
    flat = 0
    for position, size in zip(index, shape, strict=True):
        if not 0 <= position < size:
            raise UnknownNameError(f"{name!r}: index {position} is not in 0..{size - 1}")
        flat = flat * size + position
    return target.start + flat


def unknown(what: str, word: str, known: Iterable[str]) -> str:
    """``unknown key 'epz'; did you mean 'eps'?``"""
    import difflib

    near = difflib.get_close_matches(word, sorted(known), n=1, cutoff=0.5)
    return f"unknown {what} {word!r}" + (f"; did you mean {near[0]!r}?" if near else "")
