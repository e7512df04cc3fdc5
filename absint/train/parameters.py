"""A module's graph whose constants are the module's own parameters, so that bounds have gradients.

Front-ends copy weights into a graph's constants. To find out which constant entry is a copy of
which parameter entry, the module is lowered twice with its parameters replaced by numbers: entry i
by i + 1, then by i + 1 + n. An entry that is the same both times is fixed; one that grew by n is a
copy; anything else was computed from parameters, and that is refused.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from absint.domains.arrays import Arrays, torch_arrays
from absint.ir import Constant, Graph

Lower = Callable[[nn.Module], Graph]
"""Brings a module to the IR: a front-end, with what follows it."""


@dataclass(frozen=True)
class _Source:
    """Where a constant's entries come from: a parameter's entry, or -1 and the fixed value."""

    place: Tensor
    fixed: Tensor | None


class Parametric:
    """``graph``, the module's graph, and its constants as they follow from the parameters.

    The values of ``graph``'s own constants mean nothing.

    Raises:
        ValueError: the two lowerings differ in more than constants, or a constant (the node is
            named) is not copied from parameters entry by entry, or there are too many parameters
            for their dtype to number them.
    """

    def __init__(self, module: nn.Module, lower: Lower) -> None:
        self.module = module
        self._parameters = list(module.parameters())
        count = sum(p.numel() for p in self._parameters)
        if not count:
            raise ValueError("the module has no parameters")
        for parameter in self._parameters:
            if 2 * count * torch.finfo(parameter.dtype).eps > 1:
                raise ValueError(f"{count} parameters cannot be numbered in {parameter.dtype}")
        self.graph, other = (lower(_numbered(module, start)) for start in (1, 1 + count))
        self._sources = _sources(self.graph, other, count)

    def arrays(self) -> Arrays:
        """Torch arrays whose constants are the parameters as they are now, with gradients."""
        first = self._parameters[0]
        flat = torch.cat([p.reshape(-1).to(first.dtype) for p in self._parameters])
        base = torch_arrays(str(first.device), str(first.dtype).removeprefix("torch."))
        return _Live(base.xp, base.dtype, base.device, sources=self._sources, flat=flat, live={})


@dataclass(frozen=True)
class _Live(Arrays):
    """Arrays that read parameters where a constant is a copy of them."""

    sources: dict[int, _Source] | None = None
    flat: Tensor | None = None
    live: dict[int, Tensor] | None = None

    def load(self, array: NDArray[Any]) -> Tensor:
        assert self.sources is not None
        assert self.flat is not None
        assert self.live is not None
        source = self.sources.get(id(array))
        if source is None:
            return super().load(array)  # type: ignore[no-any-return]
        if id(array) not in self.live:
            value = self.flat[source.place.to(self.flat.device).clamp(min=0)]
            if source.fixed is not None:
                value = torch.where(
                    source.place.to(value.device) < 0, source.fixed.to(value), value
                )
            self.live[id(array)] = value
        return self.live[id(array)]


def _numbered(module: nn.Module, start: int) -> nn.Module:
    numbered = copy.deepcopy(module).eval()
    with torch.no_grad():
        for parameter in numbered.parameters():
            end = start + parameter.numel()
            numbers = torch.arange(start, end, dtype=parameter.dtype, device=parameter.device)
            parameter.copy_(numbers.reshape(parameter.shape))
            start = end
    return numbered


def _sources(graph: Graph, other: Graph, count: int) -> dict[int, _Source]:
    """For each constant that holds a copied entry, by the identity of its array, its source."""
    if len(graph.nodes) != len(other.nodes):
        raise ValueError("the module's graph depends on the values of its parameters")
    sources = {}
    for node, twin in zip(graph.nodes, other.nodes, strict=True):
        mine, its = ((x.op, x.inputs, dict(x.attrs), set(x.consts)) for x in (node, twin))
        if mine != its:
            raise ValueError(f"node {node.name!r} depends on the values of the parameters")
        for name, const in node.consts.items():
            source = _source(const, twin.consts[name], count, f"{name} of node {node.name!r}")
            if source is not None:
                sources[id(const.value)] = source
    return sources


def _source(const: Constant, twin: Constant, count: int, where: str) -> _Source | None:
    first, second = const.value, twin.value
    if first.shape != second.shape:
        raise ValueError(f"{where} depends on the values of the parameters")
    fixed = first == second
    if fixed.all() and const.radius is None:
        return None
    copied = (second - first == count) & (first >= 1) & (first <= count)
    whole = copied & (first == np.floor(first))
    if const.radius is not None or not (fixed | whole).all():
        raise ValueError(f"{where} is computed from parameters, not copied")
    place = torch.from_numpy(np.where(fixed, 0, first).astype(np.int64) - 1)
    return _Source(place, torch.from_numpy(first.copy()) if fixed.any() else None)
