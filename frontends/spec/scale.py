"""Normalisation: the spec speaks in raw units, the network receives ``(raw - mean) / std``."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from absint.frontends.spec.affine import Affine
from absint.frontends.spec.dtype import FLOAT_MAX
from absint.frontends.spec.names import Side
from absint.frontends.spec.tree import Node
from absint.frontends.spec.values import Leaves
from absint.ir import Graph

KEYS = ("mean", "std", "axis")


@dataclass(frozen=True)
class Scale:
    """``mean`` and ``std`` of each input; empty where the spec is in the network's own units."""

    mean: tuple[Fraction, ...] = ()
    std: tuple[Fraction, ...] = ()

    def to_network(self, values: list[Fraction]) -> tuple[Fraction, ...]:
        """Raw values of all inputs, exactly in the network's units."""
        if not self.mean:
            return tuple(values)
        known: dict[tuple[Fraction, Fraction, Fraction], Fraction] = {}
        out: list[Fraction] = []
        for key in zip(values, self.mean, self.std, strict=True):
            if key not in known:
                known[key] = (key[0] - key[1]) / key[2]
            out.append(known[key])
        return tuple(out)

    def variable(self, side: Side, index: int) -> Affine:
        """What the spec means by an input or output, in terms of the network's values."""
        if side == "output":
            return Affine(outputs={index: Fraction(1)})
        if not self.mean:
            return Affine(inputs={index: Fraction(1)})
        return Affine(inputs={index: self.std[index]}, constant=self.mean[index])


def read_scale(node: Node, leaves: Leaves, graph: Graph) -> Scale:
    """Reads ``normalize``. Raises InputError."""
    fields = leaves.fields(node, "normalize", KEYS)
    for key in ("mean", "std"):
        if key not in fields:
            raise leaves.source.error(f"normalize needs '{key}'", node)
    axis = leaves.integer(fields["axis"], "axis") if "axis" in fields else None
    mean, std = (_spread(fields[key], key, axis, leaves, graph) for key in ("mean", "std"))
    if min(std) <= 0:
        raise leaves.source.error("std is positive", fields["std"])
    for key, values in (("mean", mean), ("std", std)):
        if max(map(abs, values)) > FLOAT_MAX["float64"]:
            raise leaves.source.error(f"{key} does not fit float64", fields[key])
    return Scale(mean, std)


def _spread(
    node: Node, what: str, axis: int | None, leaves: Leaves, graph: Graph
) -> tuple[Fraction, ...]:
    """One value an input, from one for all, one an input, or one a channel."""
    values = leaves.numbers(node, what)
    size = graph.input_size
    if len(values) == 1:
        return tuple(values * size)
    if len(values) == size and axis is None:
        return tuple(values)
    shape = graph.inputs[0].shape
    fitting = [d for d, n in enumerate(shape) if n == len(values) and axis in (None, d)]
    if len(graph.inputs) != 1 or not fitting:
        shapes = " and ".join(str(list(port.shape)) for port in graph.inputs)
        raise leaves.source.error(
            f"{what} has {len(values)} values, which fit neither {size} inputs nor "
            f"a dimension of {shapes}",
            node,
        )
    if len(fitting) > 1:
        raise leaves.source.error(
            f"{what} fits dimensions {fitting} of {list(shape)}; choose one by 'axis'", node
        )
    inner = 1
    for extent in shape[fitting[0] + 1 :]:
        inner *= extent
    return tuple(values[i // inner % len(values)] for i in range(size))
