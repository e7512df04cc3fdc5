"""Graphs for tests: one node of every kind and attribute, and random networks from seeds."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import exact
import numpy as np
from numpy.typing import NDArray

from absint.ir import OPS, Constant, Graph, GraphBuilder, Node
from absint.ir.graph import Attribute

Array = NDArray[Any]
PIECEWISE = ("relu", "leaky_relu", "abs", "clip")
SMOOTH = ("sigmoid", "tanh")
CLIPS = ((0.0, 6.0), (-1.0, 1.0), (1.0, 2.5), (-math.inf, 1.5), (0.25, math.inf))
"""(lower, upper) of clips in tests."""


@dataclass(frozen=True)
class Case:
    """One affine node: its op, operands' shapes, attributes and constants."""

    name: str
    op: str
    in_shapes: tuple[tuple[int, ...], ...]
    attrs: Mapping[str, Attribute] = field(default_factory=dict)
    consts: Mapping[str, Array] = field(default_factory=dict)

    def node(self) -> Node:
        return self.graph().nodes[-1]

    def graph(self) -> Graph:
        builder = GraphBuilder()
        inputs = [builder.input(f"x{i}", shape) for i, shape in enumerate(self.in_shapes)]
        consts = {name: Constant(value) for name, value in self.consts.items()}
        return builder.build({"y": builder.add(self.op, inputs, attrs=self.attrs, consts=consts)})


def whole(seed: int, *shape: int, low: int = -3, high: int = 3) -> Array:
    """Small integers as float64, none of them zero: sums of their products are exact."""
    values = np.random.default_rng(seed).integers(low, high + 1, shape).astype(np.float64)
    values[values == 0] = 1.0
    return values


def conv(
    name: str,
    x: tuple[int, ...],
    w: tuple[int, ...],
    strides: tuple[int, ...] | None = None,
    dilations: tuple[int, ...] | None = None,
    pads: tuple[int, ...] | None = None,
    groups: int = 1,
) -> Case:
    one = (1,) * (len(x) - 2)
    attrs: dict[str, Attribute] = {
        "strides": strides or one,
        "dilations": dilations or one,
        "pads": pads or (0,) * (2 * len(one)),
        "groups": groups,
    }
    bias = whole(2, w[0], *one)
    return Case(f"conv-{name}", "conv", (x,), attrs, {"weight": whole(1, *w), "bias": bias})


CONVOLUTIONS = [
    conv("1d", (1, 2, 7), (3, 2, 3)),
    conv("1d-all", (2, 4, 9), (4, 2, 2), (3,), (2,), (2, 1), 2),
    conv("2d", (1, 2, 5, 4), (3, 2, 2, 3)),
    conv("2d-pads", (1, 1, 3, 3), (2, 1, 3, 3), None, None, (1, 0, 2, 1)),
    conv("2d-strides", (1, 2, 6, 5), (2, 2, 2, 2), (2, 3)),
    conv("2d-dilations", (1, 1, 6, 6), (1, 1, 2, 3), None, (3, 2)),
    conv("2d-depthwise", (1, 3, 4, 4), (6, 1, 2, 2), (2, 1), None, (0, 1, 1, 0), 3),
    conv("2d-one-by-one", (1, 3, 2, 2), (2, 3, 1, 1)),
    conv("3d", (1, 2, 3, 4, 3), (2, 2, 2, 2, 2), (1, 2, 1), (1, 1, 2), (0, 1, 1, 0, 0, 1)),
    conv("skips-the-end", (1, 1, 6), (1, 1, 1), (4,)),
]

AFFINE = [
    Case("dense", "dense", ((1, 4),), {}, {"weight": whole(3, 4, 3), "bias": whole(4, 3)}),
    Case("dense-vector", "dense", ((4,),), {}, {"weight": whole(3, 4, 2)}),
    Case("dense-many-rows", "dense", ((2, 3, 4),), {}, {"weight": whole(5, 4, 2)}),
    *CONVOLUTIONS,
    Case(
        "conv-no-bias",
        "conv",
        ((1, 1, 4),),
        {"strides": (1,), "pads": (1, 0), "dilations": (1,), "groups": 1},
        {"weight": whole(9, 2, 1, 2)},
    ),
    Case("scale", "scale", ((2, 3),), {}, {"weight": whole(6, 3), "bias": whole(7, 2, 1)}),
    Case("scale-bias-only", "scale", ((2, 3),), {}, {"bias": whole(7, 2, 3)}),
    Case("scale-nothing", "scale", ((2, 3),)),
    Case("scale-scalar", "scale", ((),), {}, {"weight": np.array(-2.0)}),
    Case("reshape", "reshape", ((2, 3),), {"shape": (3, 1, 2)}),
    Case("reshape-to-scalar", "reshape", ((1, 1),), {"shape": ()}),
    Case("gather", "gather", ((2, 3),), {}, {"index": np.array([[5, 0], [2, 3]])}),
    Case("gather-repeats", "gather", ((4,),), {}, {"index": np.array([1, 1, 3, 1, 3])}),
    Case("gather-pads", "gather", ((4,),), {}, {"index": np.array([-1, 2, -1, 0])}),
    Case("gather-nothing", "gather", ((4,),), {}, {"index": np.array([-1, -1])}),
    Case("gather-one", "gather", ((4,),), {}, {"index": np.array(2)}),
    Case(
        "gather-bias", "gather", ((3,),), {}, {"index": np.array([0, -1, 0]), "bias": whole(8, 3)}
    ),
    Case("sum-one", "sum", ((2, 2),), {"coefficients": (-1,)}),
    Case("sum", "sum", ((2, 2), (2, 2), (2, 2)), {"coefficients": (1, -1, -1)}),
    Case("concat", "concat", ((2, 1), (2, 3), (2, 2)), {"axis": 1}),
    Case("concat-first-axis", "concat", ((1, 2, 2), (3, 2, 2)), {"axis": 0}),
    Case("concat-one", "concat", ((2, 2),), {"axis": 1}),
]


def matrix(node: Node) -> Array:
    """The node's ``W``, (outputs, all operands' entries), column by column from its definition."""
    rule = OPS[node.op].affine
    assert rule is not None
    weight = node.consts["weight"].value if "weight" in node.consts else None
    sizes = [int(np.prod(shape)) for shape in node.in_shapes]
    units = np.split(np.eye(sum(sizes)), np.cumsum(sizes)[:-1], axis=1)
    xs = [u.reshape((-1, *shape)) for u, shape in zip(units, node.in_shapes, strict=True)]
    return np.asarray(rule.forward(node, xs, weight, np)).reshape(sum(sizes), -1).T


def exact_outputs(graph: Graph, x: Sequence[Fraction]) -> list[Fraction]:
    """The network's outputs in rational arithmetic. Piecewise linear networks only."""
    assert exact.is_rational(graph)
    return exact.outputs(graph, exact.evaluate(graph, x))


@dataclass
class Maker:
    """Grows a random network node by node."""

    rng: np.random.Generator
    activations: Sequence[str]
    integral: bool
    builder: GraphBuilder = field(default_factory=GraphBuilder)
    live: list[int] = field(default_factory=list)

    def weights(self, *shape: int) -> Constant:
        if self.integral:
            return Constant(self.rng.integers(-2, 3, shape).astype(np.float64))
        return Constant(self.rng.normal(size=shape) / np.sqrt(max(1, shape[0])))

    def add(self, op: str, inputs: Iterable[int], attrs: Any = None, consts: Any = None) -> None:
        self.live.append(self.builder.add(op, list(inputs), attrs=attrs, consts=consts))

    def grow(self) -> None:
        """One more node, of an op that fits a node that exists; the newest is preferred."""
        x = self.live[-1] if self.rng.random() < 0.7 else int(self.rng.choice(self.live))
        shape = self.builder.shape(x)
        kind = str(self.rng.choice(["dense", "activation", "conv", "scale", "move", "join"]))
        if kind == "activation":
            op = str(self.rng.choice(list(self.activations)))
            alpha = float(self.rng.choice([0.25, -0.5, 1.5, 1.0, 0.0]))
            lower, upper = CLIPS[int(self.rng.integers(len(CLIPS)))]
            attrs = {"leaky_relu": {"alpha": alpha}, "clip": {"lower": lower, "upper": upper}}
            self.add(op, [x], attrs.get(op))
        elif kind == "conv" and len(shape) == 4:
            self.conv(x, shape)
        elif kind == "scale":
            self.add(
                "scale", [x], None, {"weight": self.weights(shape[-1]), "bias": self.weights(1)}
            )
        elif kind == "move":
            self.move(x, shape)
        elif kind == "join":
            self.join(x, shape)
        else:
            out = int(self.rng.integers(1, 5))
            consts = {"weight": self.weights(shape[-1], out), "bias": self.weights(out)}
            self.add("dense", [x], None, consts)

    def conv(self, x: int, shape: tuple[int, ...]) -> None:
        kernel = tuple(int(min(k, n)) for k, n in zip((2, 2), shape[2:], strict=True))
        attrs = {"strides": (1, 2), "dilations": (1, 1), "pads": (1, 0, 0, 1), "groups": 1}
        consts = {"weight": self.weights(2, shape[1], *kernel), "bias": self.weights(2, 1, 1)}
        self.add("conv", [x], attrs, consts)

    def move(self, x: int, shape: tuple[int, ...]) -> None:
        size = int(np.prod(shape))
        if self.rng.random() < 0.5:
            self.add("reshape", [x], {"shape": (1, size)})
            return
        index = self.rng.integers(-1, size, (1, int(self.rng.integers(1, 6))))
        self.add("gather", [x], None, {"index": Constant(index)})

    def join(self, x: int, shape: tuple[int, ...]) -> None:
        same = [i for i in self.live if self.builder.shape(i) == shape]
        other = int(self.rng.choice(same))
        if self.rng.random() < 0.5:
            self.add("sum", [x, other, x], {"coefficients": (1, -1, 1)})
        else:
            self.add("concat", [x, other], {"axis": len(shape) - 1})


def random_graph(
    seed: int,
    *,
    activations: Sequence[str] = (*PIECEWISE, *SMOOTH),
    integral: bool = False,
    nodes: int = 9,
) -> Graph:
    """A network with residual sums, joins, dead ends, and one to three inputs and outputs.

    ``integral``: weights are small integers, so that exact values stay short.
    """
    maker = Maker(np.random.default_rng(seed), activations, integral)
    shapes = [(1, 3), (1, 1, 2, 3), (2,)]
    for i in range(1 + seed % 3):
        maker.live.append(maker.builder.input(f"x{i}", shapes[(seed + i) % 3]))
    for _ in range(nodes):
        maker.grow()
    outs = [maker.live[-1], *maker.rng.choice(maker.live, seed % 3)]
    return maker.builder.build({f"y{i}": int(node) for i, node in enumerate(outs)})
